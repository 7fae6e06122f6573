"""From rows to what a picture shows: one arc per source and destination, and frames around states that share their ways out.

A frame is what Harel's statecharts call a superstate: an arrow that leaves it leaves each state in it. Frames are found, not declared:
where they spare the most arrows.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_

from pvc.fsm.row import Row, Table
from pvc.fsm.states import By, Word

Frame = tuple[Word, ...]
Ends = tuple[Word | Frame, Word]
Exit = tuple[str, Word, By]

# A frame that spares fewer arrows than this is one more thing to read.
SPARED = 6
# So many rows on loops are pleasant to look at; beyond that, rows that stay are listed inside of their state.
LOOPS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Arc:
    """One arrow: where it begins, a state or a frame, where it ends, and every row it stands for."""

    source: Word | Frame
    dest: Word
    rows: tuple[Row, ...]

    @property
    def by(self) -> By:
        """Everybody who may fire one of its rows."""
        return reduce(or_, (row.by for row in self.rows))


def stays(row: Row, state: Word) -> bool:
    """Whether this row, fired in this state, leaves it as it is."""
    return row.dest is None or row.dest == state


@cache
def frames(table: Table) -> tuple[Frame, ...]:
    """Disjoint sets of states around which a frame spares the most arrows, each in the order of declaration.

    Only sets that a row names as its sources: these mean something to whoever wrote the table.
    """
    found: list[Frame] = []
    while True:
        taken = {state for frame in found for state in frame}
        free = [states for states in {frozenset(row.source) for row in table.rows} if not states & taken]
        best = max(free, key=lambda states: _rank(table, states), default=frozenset[Word]())
        if _spared(table, best) < SPARED:
            return tuple(found)
        found.append(tuple(sorted(best, key=positions(table).__getitem__)))


def arcs(table: Table, *, framed: bool) -> tuple[Arc, ...]:
    """Every arrow between states, or between frames and states, sorted by the position of its ends; rows that stay are in :func:`loops`."""
    grouped: dict[Ends, dict[Row, None]] = defaultdict(dict)
    exits = _exits(table)
    for row in table.rows:
        for state in row.source:
            if row.dest is not None and row.dest != state:
                begin = _begin(table, state, exits[row.trigger, row.dest, row.by], row.dest) if framed else state
                grouped[begin, row.dest][row] = None
    return _sorted(table, grouped)


def loops(table: Table) -> tuple[Arc, ...]:
    """Every row that stays, as an arrow from its state to itself; those of a whole frame are said there."""
    grouped: dict[Ends, dict[Row, None]] = defaultdict(dict)
    for state in positions(table):
        for row in own_stays(table, state):
            grouped[state, state][row] = None
    return _sorted(table, grouped)


def few_loops(table: Table) -> bool:
    """Whether the rows that stay can be drawn as arrows."""
    return sum(len(arc.rows) for arc in loops(table)) <= LOOPS


def shared_stays(table: Table, frame: Frame) -> tuple[Row, ...]:
    """The rows that stay in each and every state of a frame: said once, on the frame."""
    return tuple(row for row in table.rows if row.dest is None and set(frame) <= set(row.source))


def own_stays(table: Table, state: Word) -> tuple[Row, ...]:
    """The rows that stay in this state and are not said on its frame."""
    said = {row for frame in frames(table) if state in frame for row in shared_stays(table, frame)}
    return tuple(row for row in table.rows if state in row.source and stays(row, state) and row not in said)


def positions(table: Table) -> dict[Word, int]:
    """Where each state stands in the declaration: from the beginning of a life to its end, which no alphabet knows."""
    return {state.name: position for position, state in enumerate(table.states)}


@cache
def _exits(table: Table) -> dict[Exit, frozenset[Word]]:
    """For each way out (trigger, destination, actor) the states that have it."""
    found: dict[Exit, set[Word]] = defaultdict(set)
    for row in table.rows:
        if row.dest is not None:
            found[row.trigger, row.dest, row.by].update(state for state in row.source if state != row.dest)
    return {way: frozenset(states) for way, states in found.items()}


def _spared(table: Table, states: frozenset[Word]) -> int:
    """How many arrows a frame around these states spares."""
    shared = {(dest, by) for (_, dest, by), those in _exits(table).items() if states and states <= those and dest not in states}
    return (len(states) - 1) * len(shared)


def _rank(table: Table, states: frozenset[Word]) -> tuple[int, int, int, list[int]]:
    """Most spared first; then what most rows name; then the smallest, and the earliest, so that the choice never wavers."""
    order = positions(table)
    named = sum(states == frozenset(row.source) for row in table.rows)
    return _spared(table, states), named, -len(states), [-position for position in sorted(order[name] for name in states)]


def _begin(table: Table, state: Word, having: frozenset[Word], dest: Word) -> Word | Frame:
    """Where the arrow of a way out begins: at the frame of its state, when each state in it has it."""
    for frame in frames(table):
        if state in frame and dest not in frame and having.issuperset(frame):
            return frame
    return state


def _sorted(table: Table, grouped: dict[Ends, dict[Row, None]]) -> tuple[Arc, ...]:
    order = positions(table)
    found = [Arc(begin, dest, tuple(rows)) for (begin, dest), rows in grouped.items()]
    return tuple(sorted(found, key=lambda arc: _place(arc, order)))


def _place(arc: Arc, order: dict[Word, int]) -> tuple[int, int, int]:
    framed = isinstance(arc.source, tuple)
    first = arc.source[0] if isinstance(arc.source, tuple) else arc.source
    return order[first], int(framed), order[arc.dest]
