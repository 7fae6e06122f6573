"""The proof that a table is sound: done when it is made, so that an unsound one fails at import with the row and the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from pvc.fsm.guard import Guard
from pvc.fsm.states import By, Effect, Word, roles_in

if TYPE_CHECKING:
    from pvc.fsm.row import Row, Table

ACTORS_WITHOUT_HUMANS = By.OWNER | By.TARGET | By.HOME | By.HOST | By.FENCER | By.PEER | By.SESSION


class TableError(ValueError):
    """A table that contradicts itself; names the table, the row and the reason."""


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
        if not row.source:
            yield f"row '{row}' starts nowhere"
        if not row.writes and not row.effects:
            yield f"row '{row}' neither writes nor orders anything"
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
    """Raise :class:`TableError` unless each joint names a partner's transition that its actors may fire, and none is left over."""
    used: set[tuple[str, str]] = set()
    for table in tables.values():
        for row in table.rows:
            if row.joint is not None:
                used.add(row.joint)
                _prove_joint(tables, table, row, *row.joint)
    for table in tables.values():
        for trigger in sorted(table.partner_triggers):
            if (table.name, trigger) not in used:
                raise TableError(f"table '{table.name}': '{trigger}' is a partner's transition, and no row of another table fires it")


def _prove_joint(tables: Mapping[str, Table], table: Table, row: Row, partner: str, trigger: str) -> None:
    if partner not in tables or trigger not in tables[partner].triggers:
        raise TableError(f"table '{table.name}', row '{row}': its partner '{partner}.{trigger}' does not exist")
    if trigger not in tables[partner].partner_triggers:
        raise TableError(f"table '{table.name}', row '{row}': '{partner}' does not know '{trigger}' as a partner's transition")
    for role in roles_in(row.by):
        if not any(other.by & role for other in tables[partner].rows_for(trigger)):
            raise TableError(f"table '{table.name}', row '{row}': {str(role.name).lower()} may not fire its partner '{partner}.{trigger}'")


def prove_fields(table: Table, record: type) -> None:
    """Raise :class:`TableError` unless every field that a row of this table sets is one of the record's."""
    known = {field.name for field in fields(record)}
    for row in table.rows:
        for name in row.sets:
            if name not in known:
                raise TableError(f"table '{table.name}', row '{row}': it sets '{name}', which is no field of {record.__name__}")
