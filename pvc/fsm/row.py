"""The row, the guard and the table: the form in which every transition of PVC is declared.
 A table is data. The daemon looks up in it, ``transitions`` machines are built from it, the checker explores it, the simulator runs it, the
client explains it and the diagrams draw it. Constructing a :class:`Table` proves that it is sound; an unsound one raises
:class:`TableError` at import.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pvc.fsm.states import By, Effect, Take, Word

ACTORS_WITHOUT_HUMANS = By.OWNER | By.TARGET | By.HOME | By.HOST | By.FENCER | By.PEER | By.SESSION


class TableError(ValueError):
    """A table that contradicts itself; names the table, the row and the reason."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A positive predicate over a frozen view; ``refusal`` is the sentence an admin reads when it does not hold.

    ``checks`` names the node records whose version the commit must check, because the predicate read them: ``me``, ``choice``, ``owner``,
    ``target``.
    """

    name: str
    test: Callable[[Any], bool]
    refusal: str
    checks: tuple[str, ...] = ()

    def refuse(self, view: Any) -> str | None:
        """Return nothing when the guard holds, else the reason."""
        return None if self.test(view) else self.refusal.format(v=view)


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

    ``joint`` names the transition of the partner table that commits in the same write, as ``(table, trigger)``.
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

    @property
    def writes(self) -> bool:
        """Whether firing this row is a write; a row that neither moves nor sets only gives an order."""
        return self.dest is not None or bool(self.sets) or self.joint is not None

    @property
    def chooses(self) -> bool:
        """Whether the row needs a node as input, which a policy picks outside of the table."""
        return any(value in (Take.choice, Take.choice_or_me) for value in self.sets.values())

    def refuse_unchosen(self, view: Any) -> str | None:
        """Return nothing when every guard that does not look at the chosen node holds, else the first reason."""
        for guard in self.guards:
            if "choice" not in guard.name and not guard.test(view):
                return guard.refuse(view)
        return None

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


def roles_in(by: By) -> tuple[By, ...]:
    """Split a combination of actors into its single actors."""
    return tuple(role for role in By if role & by)


def by_name(by: By) -> str:
    """Say who, in lower case: ``client``, ``owner or target``."""
    return " or ".join(str(role.name).lower() for role in roles_in(by))


def prove(table: Table) -> None:
    """Raise :class:`TableError` unless the table is total, reachable, without duplicates and without a trap."""
    names = [state.name for state in table.states]
    problems = [
        *_unknown_words(table, names),
        *_duplicates(table),
        *_unreachable(table, names),
        *_traps(table),
        *_unexplained(table),
    ]
    if problems:
        raise TableError(f"table '{table.name}' is not sound: " + "; ".join(problems))


def _unknown_words(table: Table, names: list[Word]) -> Iterable[str]:
    enum = type(table.initial)
    if set(names) != set(enum):
        yield f"its states are not those of {enum.__name__}: {sorted(map(str, set(names) ^ set(enum)))}"
    if len(names) != len(set(names)):
        yield "a state is declared twice"
    for row in table.rows:
        for state in (*row.source, *([row.dest] if row.dest is not None else [])):
            if not isinstance(state, enum) or state not in names:
                yield f"row '{row}' names '{state}', which is no state of this table"
        for effect in row.effects:
            if not isinstance(effect, Effect):
                yield f"row '{row}' orders '{effect}', which is no effect"
        for guard in row.guards:
            if not isinstance(guard, Guard):
                yield f"row '{row}' names '{guard}', which is no guard"
        if not row.why.strip():
            yield f"row '{row}' does not say why it exists"
        if not row.by:
            yield f"row '{row}' may be fired by nobody"


def _duplicates(table: Table) -> Iterable[str]:
    seen: dict[tuple[object, ...], Row] = {}
    for row in table.rows:
        for source in row.source:
            for role in roles_in(row.by):
                key = (row.trigger, source, role, row.guards)
                if key in seen:
                    yield f"row '{row}' can never fire in '{source}': '{seen[key]}' has the same guards and comes first"
                seen.setdefault(key, row)


def _unreachable(table: Table, names: list[Word]) -> Iterable[str]:
    reached, frontier = {table.initial}, [table.initial]
    while frontier:
        state = frontier.pop()
        for row in table.rows:
            if state in row.source and row.dest is not None and row.dest not in reached:
                reached.add(row.dest)
                frontier.append(row.dest)
    for name in names:
        if name not in reached:
            yield f"state '{name}' cannot be reached"


def _traps(table: Table) -> Iterable[str]:
    for state in table.states:
        exits = [row for row in table.rows if state.name in row.source and row.dest not in (None, state.name)]
        if state.final:
            if any(state.name in row.source and row.writes for row in table.rows):
                yield f"state '{state.name}' is final and yet a row writes in it"
        elif not exits:
            yield f"state '{state.name}' has no way out"
        elif not state.needs_human and not any(row.by & ACTORS_WITHOUT_HUMANS for row in exits):
            yield f"only a human gets out of '{state.name}', and it does not say why"


def _unexplained(table: Table) -> Iterable[str]:
    for trigger in table.triggers:
        if not table.refusals.get(trigger, "").strip():
            yield f"trigger '{trigger}' has no reason for the states that do not take it"
    for trigger in table.refusals:
        if trigger not in table.triggers:
            yield f"a refusal is declared for '{trigger}', which no row has"


def prove_joints(tables: Mapping[str, Table]) -> None:
    """Raise :class:`TableError` unless every joint names a transition of another table, and these are fired no other way."""
    for table in tables.values():
        for row in table.rows:
            if row.joint is None:
                continue
            partner, trigger = row.joint
            if partner not in tables or trigger not in tables[partner].triggers:
                raise TableError(f"table '{table.name}', row '{row}': its partner '{partner}.{trigger}' does not exist")
            if trigger not in tables[partner].partner_triggers:
                raise TableError(f"table '{table.name}', row '{row}': '{partner}' does not know '{trigger}' as a partner's transition")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the table says to a question: the row that would fire, or the reason why none does."""

    row: Row | None
    reason: str | None

    def __bool__(self) -> bool:
        return self.row is not None


def enabled(table: Table, state: Word, by: By, view: Any) -> list[Row]:
    """Every row that this actor may fire now, in table order: the one interpreter that all of PVC shares."""
    return [row for row in table.rows_from(state, by) if row.refuse(view) is None]


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
