"""Which row explains a write that has happened: the tables, asked backwards.

Known are the record before and the record after, perhaps who wrote it and how they called it. What an actor saw beyond that, its hypervisor
or the time, is not in a record; a guard that asks for it counts as held. Everything else has to fit, every field included: a write that no
row explains was made past the tables.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pvc.fsm.fire import Record, state_of
from pvc.fsm.guard import Guard
from pvc.fsm.row import Row, Table
from pvc.fsm.states import By, Domain, Take, by_name
from pvc.fsm.tables import FIELDS, RECORDS, TABLES
from pvc.fsm.views import Life, taken

CHOSEN = (Take.choice, Take.choice_or_me)
POLICY = ("handover",)
"""Fields of a life that follow from what an admin has set, not from any row."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who wrote, as far as it is known: a node's name, or None for whoever is no node, in which role, and by which trigger."""

    me: str | None = None
    by: By | None = None
    trigger: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A row that makes of the record before what it is after, and the row of the partner table that went along."""

    table: Table
    row: Row
    partner: Row | None = None

    def __str__(self) -> str:
        return f"{self.table.name}.{self.row.trigger}"


class _Known:
    """The view of whoever only reads records: to ask it for more is an AttributeError."""

    __slots__ = ("choice", "life", "me")
    life: Record
    me: str
    choice: str | None


def explanations(before: Record, after: Record, writer: Writer = Writer(), tables: Mapping[str, Table] = TABLES) -> Iterator[Explanation]:
    """Every row, in the order of the tables, by which this record may have become that one."""
    for table in tables.values():
        if RECORDS[table.name] is not type(before):
            continue
        mine = (row for row in table.rows if row.writes and row.trigger not in table.partner_triggers and _may(row, before, writer))
        for row in mine:
            if state_of(table, before) in row.source:
                yield from _fitting(table, row, before, after, writer, tables)


def unexplained(name: str, before: Record, after: Record, writer: Writer) -> str:
    """The sentence for a write that no row explains."""
    changed = [field.name for field in fields(before) if getattr(before, field.name) != getattr(after, field.name)]
    ways = ", ".join(f"{field} {_word(before, field)} -> {_word(after, field)}" for field in changed) or "nothing changed"
    asked = f" as '{writer.trigger}'" if writer.trigger else ""
    role = f" by {by_name(writer.by)}" if writer.by else ""
    return f"no row explains what {writer.me or 'somebody'} wrote{asked}{role}: {name}: {ways}"


def _word(life: Record, field: str) -> str:
    value = getattr(life, field)
    return ",".join(map(str, value)) or "-" if isinstance(value, tuple) else "-" if value is None else str(value)


def _may(row: Row, life: Record, writer: Writer) -> bool:
    """Whether the writer may have fired this row, as far as the record says who has which role."""
    if writer.trigger not in (None, row.trigger):
        return False
    by = row.by if writer.by is None else row.by & writer.by
    if not by:
        return False
    if writer.me is None or not isinstance(life, Life):
        return True
    unsaid = By.CLIENT | By.HOST | By.FENCER | By.PEER | By.SESSION
    said = {By.OWNER: life.owner, By.TARGET: life.target, By.HOME: life.home}
    return bool(by & unsaid) or any(by & role and who == writer.me for role, who in said.items())


def _fitting(table: Table, row: Row, before: Record, after: Record, writer: Writer, tables: Mapping[str, Table]) -> Iterator[Explanation]:
    view = _view(row, before, after, writer)
    if not all(_held(guard, view) for guard in row.guards):
        return
    for partner in _partners(row, before, tables):
        if _leads_to(table, row, partner, after, view, tables) and all(_held(guard, view) for guard in (partner.guards if partner else ())):
            yield Explanation(table, row, partner)


def _view(row: Row, before: Record, after: Record, writer: Writer) -> Any:
    view = _Known()
    view.life = before
    if writer.me is not None:
        view.me = writer.me
    chosen = [getattr(after, field) for field, value in row.sets.items() if value in CHOSEN]
    if chosen:
        view.choice = chosen[0]
    return view


def _held(guard: Guard, view: Any) -> bool:
    try:
        return bool(guard.test(view))
    except AttributeError:
        return True  # it asks for what no record says


def _partners(row: Row, before: Record, tables: Mapping[str, Table]) -> Iterator[Row | None]:
    if row.joint is None:
        yield None
        return
    table = tables[row.joint[0]]
    yield from (partner for partner in table.rows_for(row.joint[1]) if state_of(table, before) in partner.source)


def _leads_to(table: Table, row: Row, partner: Row | None, after: Record, view: Any, tables: Mapping[str, Table]) -> bool:
    changes: dict[str, Any] = {}
    if partner is not None and row.joint is not None:
        changes |= partner.sets
        if partner.dest is not None:
            changes[FIELDS[row.joint[0]]] = partner.dest
    changes |= row.sets
    if row.dest is not None:
        changes[FIELDS[table.name]] = row.dest
    if row.dest is Domain.delete:
        return isinstance(after, Life) and after.state is Domain.delete  # of what is deleted nothing else is kept
    names = (one.name for one in fields(after) if one.name not in POLICY)
    return all(_is(changes.get(name, getattr(view.life, name)), getattr(after, name), view) for name in names)


def is_amended(before: Record, after: Record) -> bool:
    """Whether nothing but what an admin may set is another."""
    return all(getattr(before, one.name) == getattr(after, one.name) for one in fields(after) if one.name not in POLICY)


def _is(value: Any, now: Any, view: Any) -> bool:
    """Whether a field may have this value, where a row sets it to that."""
    if not isinstance(value, Take):
        return bool(now == value)
    if value is Take.next_restart:
        return now - view.life.restarts in (0, 1)
    try:
        return bool(now == taken(value, view))
    except AttributeError:
        return now is not None
