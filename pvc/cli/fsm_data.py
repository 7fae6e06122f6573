"""The machines for programs: what `pvc fsm list`, `show` and `explain` say, as data."""

from collections.abc import Iterable
from typing import Any

from pvc.errors import Refused
from pvc.fsm import row as rows_of
from pvc.fsm.draw.words import about, assignments, headline, reason, refused
from pvc.fsm.row import Row, Table, roles_in
from pvc.fsm.states import By, Word


def machines_data(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """Each machine in a few words."""
    return [{"name": table.name, "states": len(table.states), "rows": len(table.rows), "about": headline(table)} for table in tables]


def machine_data(table: Table, state: Word | None) -> dict[str, Any]:
    """A machine, or what of it concerns one state."""
    states = [one for one in table.states if state in (None, one.name)]
    return {
        "name": table.name,
        "about": about(table),
        "initial": str(table.initial),
        "states": [{"name": str(one.name), "meaning": one.meaning, "rests": one.rests, "final": one.final} for one in states],
        "rows": [_row(row) for row in table.rows if state is None or state in row.source],
        "refusals": dict(table.refusals) if state is None else {name: table.refusals[name] for name in refused(table, state)},
    }


def explanation_data(table: Table, state: Word, trigger: str, by: By | None) -> dict[str, Any]:
    """The rows that may fire; raises Refused with the declared reason when there is none."""
    actors = by or By(sum(By))
    here = [row for row in table.rows_for(trigger) if row.by & actors and state in row.source]
    if not here:
        answer = rows_of.explain(table, state, trigger, actors, None)
        raise Refused(f"refused: {answer.reason}.", f"pvc fsm show {table.name} {state}")
    return {"machine": table.name, "state": str(state), "trigger": trigger, "rows": [_row(row) for row in here]}


def _row(row: Row) -> dict[str, Any]:
    return {
        "trigger": row.trigger,
        "from": [str(state) for state in row.source],
        "to": None if row.dest is None else str(row.dest),
        "by": [str(role.name).lower() for role in roles_in(row.by)],
        "guards": [{"name": guard.name, "otherwise": reason(guard)} for guard in row.guards],
        "sets": assignments(row),
        "orders": [str(effect) for effect in row.effects],
        "with": ".".join(row.joint) if row.joint else None,
        "why": row.why,
    }
