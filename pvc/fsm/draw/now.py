"""What a picture shows of one moment: where a record is, how it came there, and how many records are in each state."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pvc.fsm.draw.arcs import Arc
from pvc.fsm.row import Table
from pvc.fsm.states import Word

Edge = tuple[str, str, str]
"""Source, trigger and destination of a transition."""


@dataclass(frozen=True, slots=True)
class Now:
    """By the name of a machine: the present state, the last transition, and the number of records in each state."""

    states: Mapping[str, str] = field(default_factory=dict)
    last: Mapping[str, Edge] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def is_here(self, table: Table, state: Word) -> bool:
        """Whether the record is in this state now."""
        return self.states.get(table.name) == str(state)

    def came_by(self, table: Table, arc: Arc) -> bool:
        """Whether the last transition is one of this arrow."""
        if table.name not in self.last:
            return False
        source, trigger, dest = self.last[table.name]
        sources = arc.source if isinstance(arc.source, tuple) else (arc.source,)
        return dest == str(arc.dest) and source in map(str, sources) and any(row.trigger == trigger for row in arc.rows)

    def count(self, table: Table, state: Word) -> int | None:
        """How many records are in this state; None where nobody counted."""
        return self.counts[table.name].get(str(state), 0) if table.name in self.counts else None


NEVER = Now()
