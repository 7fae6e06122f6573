"""The tables as ``transitions`` machines, the form in which daemon and simulator fire a row; the only file that imports the library.

A firing has three steps, and their order is the protocol. *Conditions*: role and guards are asked again, so a decision that was overtaken
dies here. *Before*: the port writes; a write that is refused or lost raises, and the tracker keeps its record. *After*: the orders go out,
never without the write. Nothing happens in ``on_enter``: an error there would leave a state that nobody wrote.
"""

import logging
from functools import cache, partial
from typing import Any, Protocol, cast

from transitions import EventData, Machine

from pvc.errors import PvcError, Refused
from pvc.fsm.fire import Record, View, after, partner_row, state_of
from pvc.fsm.row import Guard, Row, Table, explain
from pvc.fsm.states import By, Effect, Word
from pvc.fsm.tables import FIELDS, TABLES

# It logs each callback of each trigger, below WARNING: more work than the trigger itself.
logging.getLogger("transitions").setLevel(logging.WARNING)


class NotOrdered(PvcError):
    """A row has fired and is written, and yet one of its orders found no taker."""

    def __init__(self, row: Row, effect: Effect, cause: Exception) -> None:
        super().__init__(
            f"'{row.trigger}' has happened, but nobody took its order '{effect}': {cause}",
            "nothing is lost: every state repeats its order, or gives up in its time, when the record is looked at again",
        )
        self.row = row
        self.effect = effect


def _state_in(table: str) -> Any:
    """A property which shows one machine's state in the record, and by which that machine confirms it."""
    field = FIELDS[table]

    def confirm(tracker: "Tracker", state: Word) -> None:
        written = getattr(tracker.life, field)
        assert written is state, f"{tracker.name}: '{written}' was written where the row leads to '{state}'"

    return property(lambda tracker: getattr(tracker.life, field), confirm, doc=f"The state of the machine '{table}' in the record.")


class Tracker:
    """A VM or node as this process follows it; whoever reads a newer record assigns it to ``life``.

    No state is kept beside the record, so none can contradict it: the record is taken over whole when it is written, and the machine, which
    sets the state after that, can only confirm it.
    """

    __slots__ = ("life", "name")

    domain_state = _state_in("domain")
    migration_state = _state_in("migration")
    node_state = _state_in("node")
    flush_state = _state_in("flush")
    fence_state = _state_in("fence")
    connection_state = _state_in("connection")

    def __init__(self, name: str, life: Record) -> None:
        self.name = name
        self.life = life


class Port(Protocol):
    """What a machine needs of the world; both calls get the view in which the row was decided."""

    def commit(self, tracker: Tracker, row: Row, partner: Row | None, view: View, record: Record) -> None:
        """Write ``record`` in place of ``view.life``, all or nothing; raises when that was refused, lost, or has an unknown outcome."""

    def order(self, tracker: Tracker, effect: Effect, view: View) -> None:
        """Hand an order to whoever carries it out, without waiting; ``tracker.life`` is what was written. Raises when nobody takes it."""


class Firing:
    """One attempt on its way through a machine; ``row`` is the one that fired, once it is written."""

    __slots__ = ("by", "io", "row", "tracker", "view")

    def __init__(self, tracker: Tracker, by: By, view: View, io: Port) -> None:
        self.tracker = tracker
        self.by = by
        self.view = view
        self.io = io
        self.row: Row | None = None


def fire(table: Table, trigger: str, tracker: Tracker, by: By, view: View, io: Port) -> Row:
    """Fire the first row of this trigger that may, and return it; its write is done and its orders are handed over.

    Raises :class:`Refused` with the table's reason when no row may, and whatever ``io.commit`` raises: in both cases nothing has changed.
    Raises :class:`NotOrdered` when an order found no taker: the write stands. Raises KeyError when the table has no such trigger.
    One tracker must not be fired by two threads at a time.
    """
    event = machine_of(table).events[trigger]
    if trigger in table.partner_triggers:
        raise Refused(f"'{trigger}' of a {table.name} happens only along with a transition of its partner")
    if view.life is not tracker.life and view.life != tracker.life:
        raise Refused(f"{tracker.name} has changed since '{trigger}' was decided", "decide again from its present record")
    firing = Firing(tracker, by, view, io)
    # Asked beforehand, because the library's own exception gives no reason and could be mistaken for one of the port's.
    if state_of(table, tracker.life).name in event.transitions:
        event.trigger(tracker, firing=firing)
    if firing.row is None:
        raise Refused(_why_not(table, trigger, by, view))
    return firing.row


@cache
def machine_of(table: Table) -> Machine:
    """The one machine of this table, shared by all trackers.

    No tracker is ever registered in it: each would cost 13 KB and a search through all others, and get methods, which its slots refuse.
    """
    return Machine(
        model=None,
        states=[state.name for state in table.states],
        initial=None,
        transitions=[_transition(table, row) for row in table.rows],
        auto_transitions=False,
        send_event=True,
        # Not the field's own name: the library refuses a trigger of the same name, and an admin flushes a node.
        model_attribute=f"{table.name}_state",
    )


def _transition(table: Table, row: Row) -> dict[str, Any]:
    conditions = [partial(_may, row), *(partial(_holds, guard) for guard in row.guards)]
    if row.joint is not None:
        conditions.append(partial(_partner_takes, row))
    return {
        "trigger": row.trigger,
        "source": list(row.source),
        "dest": row.dest,
        "conditions": conditions,
        "before": [partial(_commit, table, row)],
        "after": [partial(_order, row)],
    }


def _firing(event: EventData) -> Firing:
    return cast(Firing, event.kwargs["firing"])


# The library takes a condition for held only when it equals True.


def _may(row: Row, event: EventData) -> bool:
    return bool(row.by & _firing(event).by)


def _holds(guard: Guard, event: EventData) -> bool:
    return bool(guard.test(_firing(event).view))


def _partner_takes(row: Row, event: EventData) -> bool:
    try:
        partner_row(row, _firing(event).view)
    except LookupError:
        return False
    return True


def _commit(table: Table, row: Row, event: EventData) -> None:
    firing = _firing(event)
    if row.writes:
        record = after(table, row, firing.view)
        firing.io.commit(firing.tracker, row, partner_row(row, firing.view), firing.view, record)
        firing.tracker.life = record
    firing.row = row


def _order(row: Row, event: EventData) -> None:
    firing = _firing(event)
    for effect in row.effects:
        try:
            firing.io.order(firing.tracker, effect, firing.view)
        except Exception as error:
            raise NotOrdered(row, effect, error) from error


def _why_not(table: Table, trigger: str, by: By, view: View) -> str:
    """The table's reason, or the partner's when the row itself would fire."""
    answer = explain(table, state_of(table, view.life), trigger, by, view)
    if answer.row is not None and answer.row.joint is not None:
        partner = TABLES[answer.row.joint[0]]
        answer = explain(partner, state_of(partner, view.life), answer.row.joint[1], by, view)
    assert answer.reason is not None, f"the machine '{table.name}' refused '{trigger}', which its table allows"
    return answer.reason
