"""The row, the guard and the table: the form in which every transition of PVC is declared.

A table is data. The daemon looks up in it, ``transitions`` machines are built from it, the checker explores it, the simulator runs it, the
client explains it and the diagrams draw it. Constructing a :class:`Table` proves that it is sound; an unsound one raises
:class:`TableError` at import.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pvc.fsm.guard import Guard
from pvc.fsm.proof import TableError, prove, prove_fields, prove_joints
from pvc.fsm.states import By, Effect, Take, Word, by_name, roles_in

__all__ = [
    "Answer",
    "Guard",
    "Row",
    "State",
    "Table",
    "TableError",
    "by_name",
    "enabled",
    "explain",
    "prove_fields",
    "prove_joints",
    "roles_in",
    "words",
]


@dataclass(frozen=True, slots=True)
class State:
    """A state, what it means in one sentence, and whether a VM or node may rest there for ever."""

    name: Word
    meaning: str
    rests: bool = False
    needs_human: str = ""  # why only a human gets it out of here; empty when the system does
    final: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One transition: trigger, sources, destination (``None`` stays), who may fire it, guards, fields set, effects, and why it exists.

    ``joint`` names the transition of the partner table that commits in the same write, as ``(table, trigger)``. ``chooses`` says whether
    the row needs a node as input, which a policy picks outside of the table.
    """

    trigger: str
    source: tuple[Word, ...]
    dest: Word | None
    by: By
    guards: tuple[Guard, ...]
    sets: Mapping[str, Any]
    effects: tuple[Effect, ...]
    why: str
    joint: tuple[str, str] | None = None
    chooses: bool = field(init=False, repr=False)  # it follows from the rest, and is asked for all the time

    def __post_init__(self) -> None:
        object.__setattr__(self, "chooses", any(value in (Take.choice, Take.choice_or_me) for value in self.sets.values()))

    @property
    def writes(self) -> bool:
        """Whether firing this row is a write; a row that neither moves nor sets only gives an order."""
        return self.dest is not None or bool(self.sets) or self.joint is not None

    def holds(self, view: Any) -> bool:
        """Whether every guard of this row holds."""
        for guard in self.guards:  # noqa: SIM110 - nothing is asked more often, and a generator takes twice as long
            if not guard.test(view):
                return False
        return True

    def holds_unchosen(self, view: Any) -> bool:
        """Whether every guard that does not look at the chosen node holds."""
        return all("choice" in guard.name or guard.test(view) for guard in self.guards)

    @property
    def checks(self) -> tuple[str, ...]:
        """The node records that the commit of this row has to check, in a stable order."""
        return tuple(sorted({name for guard in self.guards for name in guard.checks}))

    def refuse(self, view: Any) -> str | None:
        """Return nothing when every guard of this row holds, else the first reason."""
        for guard in self.guards:
            if not guard.test(view):
                return guard.refuse(view)
        return None

    def __str__(self) -> str:
        return f"{self.trigger}: {'/'.join(map(str, self.source))} -> {self.dest or 'same'} by {by_name(self.by)}"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A machine: its states, its rows, and a reason for each trigger that a state does not take."""

    name: str
    initial: Word
    states: tuple[State, ...]
    rows: tuple[Row, ...]
    refusals: Mapping[str, str]
    partner_triggers: frozenset[str] = frozenset()
    index: dict[tuple[Word, By], tuple[Row, ...]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        prove(self)

    @property
    def triggers(self) -> tuple[str, ...]:
        """Every trigger, sorted."""
        return tuple(sorted({row.trigger for row in self.rows}))

    def state(self, name: Word) -> State:
        """Return the declaration of a state; raises KeyError for a word that is none."""
        for state in self.states:
            if state.name == name:
                return state
        raise KeyError(name)

    def rows_from(self, state: Word, by: By) -> tuple[Row, ...]:
        """Every row that one of these actors may consider in this state, in table order, guards not asked."""
        key = (state, by)
        known = self.index.get(key)
        if known is None:
            known = self.index[key] = tuple(row for row in self.rows if row.by & by and state in row.source)
        return known

    def rows_for(self, trigger: str) -> tuple[Row, ...]:
        """Every row of one trigger, in table order."""
        return tuple(row for row in self.rows if row.trigger == trigger)

    def name_of(self, row: Row) -> str:
        """A row in two words: its trigger, and its number where the trigger has several rows."""
        rows = self.rows_for(row.trigger)
        return row.trigger if len(rows) == 1 else f"{row.trigger} {rows.index(row) + 1}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the table says to a question: the row that would fire, or the reason why none does."""

    row: Row | None
    reason: str | None

    def __bool__(self) -> bool:
        return self.row is not None


def enabled(table: Table, state: Word, by: By, view: Any) -> list[Row]:
    """Every row that this actor may fire now, in table order: the one interpreter that all of PVC shares."""
    return [row for row in table.rows_from(state, by) if row.holds(view)]


def explain(table: Table, state: Word, trigger: str, by: By, view: Any) -> Answer:
    """Return the row that ``trigger`` would fire, or why it is refused.

    Raises KeyError when the table has no such trigger.
    """
    rows = table.rows_for(trigger)
    if not rows:
        raise KeyError(trigger)
    mine = [row for row in rows if row.by & by]
    if not mine:
        return Answer(None, f"'{trigger}' is fired by {by_name(_together(rows))} alone")
    here = [row for row in mine if state in row.source]
    if not here:
        return Answer(None, table.refusals[trigger].format(state=state))
    reasons = []
    for row in here:
        reason = row.refuse(view)
        if reason is None:
            return Answer(row, None)
        reasons.append(reason)
    return Answer(None, reasons[-1])


def _together(rows: Iterable[Row]) -> By:
    by = By(0)
    for row in rows:
        by |= row.by
    return by


def words(enum: type[Enum]) -> tuple[str, ...]:
    """The words of an enum in the order of declaration."""
    return tuple(str(member) for member in enum)
