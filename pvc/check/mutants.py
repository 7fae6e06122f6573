"""Tables with one thing missing: a row, or one guard of a row. What the checker does not notice is either needless or unchecked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pvc.check.watching import Missing
from pvc.core.decide import Rules
from pvc.fsm.row import Guard, Row, Table, prove_joints
from pvc.fsm.tables import TABLES

MUTATED = ("domain", "migration", "node", "fence", "flush")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One thing missing in a table: a row, a guard of a row, or (without a row) a guard wherever the table asks it."""

    table: str
    row: Row | None
    guard: Guard | None = None

    @property
    def name(self) -> str:
        """What is missing; rows of one trigger are numbered in the order of the table."""
        where = "everywhere" if self.row is None else TABLES[self.table].name_of(self.row)
        return f"{self.table} {where}" + ("" if self.guard is None else f": {self.guard.name}")

    def rules(self) -> Rules:
        """The tables without it; raises TableError when they are unsound by their own proof."""
        rows = TABLES[self.table].rows
        if self.guard is None:
            return Rules(with_rows({self.table: tuple(row for row in rows if row is not self.row)}))
        return Rules(with_rows({self.table: tuple(self._without(row) if row in self.rows else row for row in rows)}))

    def _without(self, row: Row) -> Row:
        return replace(row, guards=tuple(guard for guard in row.guards if guard is not self.guard))

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows that lack something."""
        return (self.row,) if self.row is not None else tuple(row for row in TABLES[self.table].rows if self.guard in row.guards)

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What is missing, in the words of a watcher."""
        rows = TABLES[self.table].rows
        return tuple((self.table, rows.index(row), None if self.guard is None else self.guard.name) for row in self.rows)


def with_rows(changed: Mapping[str, tuple[Row, ...]], tables: Mapping[str, Table] = TABLES) -> Mapping[str, Table]:
    """All tables, some with other rows, and without the refusals of triggers that no row has any more; proven like the real ones."""
    new = dict(tables)
    for name, rows in changed.items():
        triggers = {row.trigger for row in rows}
        refusals = {trigger: why for trigger, why in tables[name].refusals.items() if trigger in triggers}
        new[name] = replace(tables[name], rows=rows, refusals=refusals)
    prove_joints(new)
    return new


def mutants() -> Iterator[Mutant]:
    """Every mutant, table by table, row by row; last the guards that several rows of a table ask, taken from all of them."""
    for name in MUTATED:
        rows = TABLES[name].rows
        for row in rows:
            yield Mutant(name, row)
            yield from (Mutant(name, row, guard) for guard in row.guards)
        asked = [guard for row in rows for guard in row.guards]
        yield from (Mutant(name, None, guard) for guard in dict.fromkeys(asked) if asked.count(guard) > 1)
