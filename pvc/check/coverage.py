"""Which rows fired while a model was explored: a row that no exploration ever fires is not proven by it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pvc.core.decide import RULES, Move, Rules
from pvc.fsm.fire import partner_row
from pvc.fsm.row import Row
from pvc.fsm.tables import TABLES
from pvc.fsm.views import Life, NodeLife


@dataclass(frozen=True)
class Recording(Rules):
    """The tables, which take down each row that fires."""

    fired: set[Row] = field(default_factory=set)

    def after(self, move: Move) -> Life | NodeLife:
        """The record as it stands when this move has been written."""
        self.fired.add(move.row)
        partner = partner_row(move.row, move.view, self.tables)
        if partner is not None:
            self.fired.add(partner)
        return super().after(move)


def recording(rules: Rules = RULES) -> Recording:
    """These rules, with nothing taken down yet."""
    return Recording(rules.tables)


def silent(fired: Iterable[Row]) -> tuple[str, ...]:
    """The rows of all tables that did not fire, in the order of the tables."""
    known = set(fired)
    return tuple(f"{table.name} {table.name_of(row)}" for table in TABLES.values() for row in table.rows if row not in known)


NOT_MODELLED = {
    "a guest that somebody started by hand, or a conflict about one": (
        "domain resolve_keep",
        "domain resolve_stop",
        "domain unpause",
        "domain collide",
        *(f"domain cleared {number}" for number in range(1, 7)),
        "domain suspend_stray",
        "domain discard_stray",
    ),
    "policies that leave a VM off when its guest powers itself off": ("domain ended 1",),
    "VMs that cannot move live, and are shut down and started elsewhere": ("domain relocate", "domain go_home 2", "domain again 1"),
    "the number of restarts: it is asked both ways at every decision": ("domain forget 2",),
    "the policy to switch a fenced node on again": ("fence power_on",),
    "the connection of one daemon: being cut off and reconnecting are moves of the node": (
        "connection open",
        "connection connected",
        "connection synced",
        "connection suspended",
        "connection expired",
        "connection close",
    ),
}
"""What the exact model leaves out, and the rows that therefore never fire in it."""

EXCUSED = frozenset(name for names in NOT_MODELLED.values() for name in names)
