"""Tables with a fault planted in them."""

from dataclasses import replace

from pvc.check.mutants import with_rows
from pvc.core.decide import Rules
from pvc.fsm.tables import TABLES


def planted(table, trigger, where=lambda row: True, tables=TABLES, **changes):
    """The real tables, with changes in the rows of one trigger; a change may be a function of the row."""
    rows = tables[table].rows
    assert any(row.trigger == trigger and where(row) for row in rows), "nothing would be planted"

    def change(row):
        if row.trigger != trigger or not where(row):
            return row
        return replace(row, **{name: value(row) if callable(value) else value for name, value in changes.items()})

    return Rules(with_rows({table: tuple(map(change, rows))}, tables))


def without(row, guard):
    """The guards of a row but for one."""
    assert guard in row.guards
    return tuple(each for each in row.guards if each is not guard)
