"""What firing a row makes of a record: pure, and the same for daemon, simulator and checker."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from pvc.fsm.row import Row, Table
from pvc.fsm.states import Word
from pvc.fsm.tables import FIELDS, TABLES
from pvc.fsm.views import DomainView, Life, NodeLife, NodeView, SessionLife, SessionView, taken

Record = Life | NodeLife | SessionLife
View = DomainView | NodeView | SessionView


def state_of(table: Table, life: Record) -> Word:
    """The state that this machine is in, according to the record."""
    return cast(Word, getattr(life, FIELDS[table.name]))


def partner_row(row: Row, view: View, tables: Mapping[str, Table] = TABLES) -> Row | None:
    """The row of the partner table that commits in the same write.

    Raises LookupError when the partner's state does not take it, which the tables' own tests exclude.
    """
    if row.joint is None:
        return None
    table, trigger = tables[row.joint[0]], row.joint[1]
    state = state_of(table, view.life)
    for candidate in table.rows_for(trigger):
        if state in candidate.source and candidate.holds(view):
            return candidate
    raise LookupError(f"'{row}' needs '{table.name}.{trigger}', which '{state}' does not take")


def after(table: Table, row: Row, view: View, tables: Mapping[str, Table] = TABLES) -> Record:
    """The record as it stands after this row, its partner included, has fired in this view."""
    changes: dict[str, object] = {}
    partner = partner_row(row, view, tables)
    if partner is not None and row.joint is not None:
        changes.update({name: taken(value, view) for name, value in partner.sets.items()})
        if partner.dest is not None:
            changes[FIELDS[row.joint[0]]] = partner.dest
    changes.update({name: taken(value, view) for name, value in row.sets.items()})
    if row.dest is not None:
        changes[FIELDS[table.name]] = row.dest
    return replace(view.life, **changes)  # type: ignore[arg-type]
