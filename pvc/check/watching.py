"""Where in an explored space each row, and each guard by itself, decides: nowhere else can it be missed."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from pvc.check.space import Space
from pvc.core.decide import Rules
from pvc.fsm.row import Guard, Row
from pvc.fsm.tables import TABLES

Missing = tuple[str, int, str | None]
"""A table, the place of a row in it, and the name of a guard; no name: the row as a whole."""


@dataclass(slots=True)
class Watcher:
    """For each row and guard, the numbers of the node parts, and of the blocks under a view, where it alone decides."""

    nodes: dict[Missing, set[int]] = field(default_factory=lambda: defaultdict(set))
    guests: dict[Missing, set[int]] = field(default_factory=lambda: defaultdict(set))
    about_nodes: bool = False
    number: int = -1

    def take_down(self, missing: Missing) -> None:
        """This decides here."""
        (self.nodes if self.about_nodes else self.guests)[missing].add(self.number)

    def where(self, missing: Iterable[Missing]) -> tuple[set[int], set[int]]:
        """The blocks under a view, and the node parts, in which something depends on any of this."""
        wanted = tuple(missing)
        guests = set().union(*(self.guests[each] for each in wanted if each in self.guests))
        return guests, set().union(*(self.nodes[each] for each in wanted if each in self.nodes))

    def decides(self, missing: Iterable[Missing]) -> bool:
        """Whether anything depends on any of this."""
        return any(self.where(missing))


@dataclass(frozen=True, slots=True, eq=False)
class WatchedRow(Row):
    """A row that tells when it may fire, and when a single guard keeps it from firing."""

    watcher: Watcher = field(default_factory=Watcher)
    table: str = ""
    place: int = 0

    def refuse(self, view: Any) -> str | None:
        """Return nothing when every guard holds, else the first reason."""
        return self._asked(view, self.guards)

    def holds(self, view: Any) -> bool:
        """Whether every guard holds."""
        return self._asked(view, self.guards) is None

    def holds_unchosen(self, view: Any) -> bool:
        """Whether every guard that does not look at the chosen node holds."""
        return self._asked(view, tuple(guard for guard in self.guards if "choice" not in guard.name)) is None

    def _asked(self, view: Any, guards: tuple[Guard, ...]) -> str | None:
        against = [guard for guard in guards if not guard.test(view)]
        if len(against) < 2:
            self.watcher.take_down((self.table, self.place, against[0].name if against else None))
        return against[0].refuse(view) if against else None


def watched(rules: Rules, watcher: Watcher) -> Rules:
    """The same rules with watched rows, each known by its place in the whole table."""
    new, given = {}, [each.name for each in fields(Row) if each.init]
    for name, table in rules.tables.items():
        places = {id(row): place for place, row in enumerate(TABLES[name].rows)}
        rows = tuple(
            WatchedRow(**{each: getattr(row, each) for each in given}, watcher=watcher, table=name, place=places[id(row)])
            for row in table.rows
        )
        new[name] = replace(table, rows=rows)
    return Rules(new)


def watch(space: Space, watcher: Watcher) -> Space:
    """The same space, which tells the watcher whose moves it is about to compute."""

    def about(nodes: bool, compute: Any) -> Any:
        def told(number: int) -> list[tuple[int, ...]]:
            watcher.about_nodes, watcher.number = nodes, number
            rows: list[tuple[int, ...]] = compute(number)
            return rows

        return told

    space.node_rows.compute = about(True, space.node_rows.compute)
    space.guest_rows.compute = about(False, space.guest_rows.compute)
    return space
