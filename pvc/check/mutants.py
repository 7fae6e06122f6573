"""Tables with one thing missing: a row, or one guard of a row. What the checker does not notice is either needless or unchecked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pvc.check.watching import Missing
from pvc.core.decide import Rules
from pvc.fsm.row import Guard, Row, Table, TableError, prove_joints
from pvc.fsm.tables import TABLES

MUTATED = ("domain", "migration", "node", "fence", "flush")
ABOUT_NODES = ("node", "fence", "flush")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One thing missing: the whole row, or only ``guard`` of it."""

    table: str
    row: Row
    guard: Guard | None = None

    @property
    def name(self) -> str:
        """What is missing; rows of one trigger are numbered in the order of the table."""
        name = row_name(TABLES[self.table], self.row)
        return f"{self.table} {name}" + ("" if self.guard is None else f": {self.guard.name}")

    def rules(self) -> Rules:
        """The tables without it; raises TableError when they are unsound by their own proof."""
        table = TABLES[self.table]
        less = None if self.guard is None else replace(self.row, guards=tuple(g for g in self.row.guards if g is not self.guard))
        rows = tuple(filter(None, (less if row is self.row else row for row in table.rows)))
        return Rules(with_rows({self.table: rows}))

    @property
    def missing(self) -> Missing:
        """What is missing, in the words of a watcher."""
        return self.table, TABLES[self.table].rows.index(self.row), None if self.guard is None else self.guard.name


def with_rows(changed: Mapping[str, tuple[Row, ...]], tables: Mapping[str, Table] = TABLES) -> Mapping[str, Table]:
    """All tables, some with other rows, and without the refusals of triggers that no row has any more; proven like the real ones."""
    new = dict(tables)
    for name, rows in changed.items():
        triggers = {row.trigger for row in rows}
        refusals = {trigger: why for trigger, why in tables[name].refusals.items() if trigger in triggers}
        new[name] = replace(tables[name], rows=rows, refusals=refusals)
    prove_joints(new)
    return new


def row_name(table: Table, row: Row) -> str:
    """A row in two words: its trigger, and its number where the trigger has several rows."""
    rows = table.rows_for(row.trigger)
    return row.trigger if len(rows) == 1 else f"{row.trigger} {rows.index(row) + 1}"


def mutants() -> Iterator[Mutant]:
    """Every mutant, table by table, row by row."""
    for table in MUTATED:
        for row in TABLES[table].rows:
            yield Mutant(table, row)
            yield from (Mutant(table, row, guard) for guard in row.guards)


def unsound(mutant: Mutant) -> str | None:
    """Why the table without it contradicts itself, or nothing."""
    try:
        mutant.rules()
    except TableError as error:
        return str(error)
    return None
