"""Which rows fired while a model was explored: a row that no exploration ever fires is not proven by it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pvc.check.mutants import row_name
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


def names(rows: Iterable[Row]) -> frozenset[str]:
    """The names of these rows, their tables' included."""
    wanted = set(rows)
    return frozenset(f"{table.name} {row_name(table, row)}" for table in TABLES.values() for row in table.rows if row in wanted)


def silent(fired: Iterable[Row]) -> tuple[str, ...]:
    """The rows of all tables that did not fire, in the order of the tables."""
    known = set(fired)
    return tuple(f"{table.name} {row_name(table, row)}" for table in TABLES.values() for row in table.rows if row not in known)
