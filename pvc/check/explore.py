"""Breadth-first exploration of the whole space, and a shortest way to a violation.

With a bound on faults the space is explored in rounds: first all that can be reached without a fault, then what one more fault opens up,
and so on. A state is visited in the first round that reaches it, when the most faults are left, so nothing that the bound allows is missed.
"""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pvc.check.arrays import Numbers, distinct, merged
from pvc.check.space import FAULTS, Space, State

CHUNK = 1 << 17
NOTHING = np.zeros(0, dtype=np.int64)


@dataclass(slots=True)
class Exploration:
    """What was found: the levels of the search, each sorted, and the counts that are printed."""

    space: Space
    faults: int | None = None
    levels: list[Numbers] = field(default_factory=list)
    states: int = 0
    transitions: int = 0
    seconds: float = 0.0
    violation: int | None = None
    complete: bool = False
    progress: Callable[["Exploration"], None] | None = None

    @property
    def peak_mib(self) -> int:
        """The most memory this process ever had, in MiB."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def explore(
    space: Space, faults: int | None = None, most: int | None = None, progress: Callable[["Exploration"], None] | None = None
) -> Exploration:
    """Visit every state that is reachable with at most ``faults`` faults (``None``: any number).

    Stops at the first violation, and beyond ``most`` states. ``progress`` is told after each level.
    """
    began = time.process_time()
    found = Exploration(space, faults, progress=progress)
    visited = NOTHING
    seeds = np.array([space.initial()], dtype=np.int64)
    for left in range(0 if faults is None else faults, -1, -1):
        visited, seeds = _round(found, visited, seeds, costly=faults is not None, last=left == 0, most=most)
        if found.violation is not None or (most is not None and found.states > most):
            break
    else:
        found.complete = True
    found.seconds = time.process_time() - began
    return found


def _round(found: Exploration, visited: Numbers, level: Numbers, costly: bool, last: bool, most: int | None) -> tuple[Numbers, Numbers]:
    """Explore what can be reached without a further fault; returns all visited states, and those that one more fault would reach."""
    space = found.space
    beyond: list[Numbers] = []
    while len(level):
        found.levels.append(level)
        found.states += len(level)
        if found.progress is not None:
            found.progress(found)
        visited = merged(visited, level)
        bad = level[space.is_bad(level)]
        if len(bad):
            found.violation = int(bad[0])
            break
        if most is not None and found.states > most:
            break
        level = _next_level(found, level, visited, costly, None if last else beyond)
    return visited, _unvisited(distinct(np.concatenate(beyond)), visited) if beyond else NOTHING


def _next_level(found: Exploration, level: Numbers, visited: Numbers, costly: bool, beyond: list[Numbers] | None) -> Numbers:
    parts = []
    for start in range(0, len(level), CHUNK):
        edges = found.space.successors(level[start : start + CHUNK])
        found.transitions += len(edges.state)
        states = edges.state
        if costly:
            fault = np.isin(edges.kind, FAULTS)
            states = edges.state[~fault]
            if beyond is not None:
                beyond.append(_unvisited(distinct(edges.state[fault]), visited))
        parts.append(_unvisited(distinct(states), visited))
    return distinct(np.concatenate(parts)) if parts else NOTHING


def _unvisited(states: Numbers, visited: Numbers) -> Numbers:
    if not len(visited):
        return states
    place = np.searchsorted(visited, states)
    place[place == len(visited)] = 0
    new: Numbers = states[visited[place] != states]
    return new


def trace(found: Exploration, goal: int) -> list[tuple[tuple[object, ...], State]]:
    """A shortest way from the initial state to ``goal``: each move in words, and the state after it, node names kept along the way."""
    space = found.space
    way = [goal]
    for level in reversed(found.levels[: _level_of(found, goal)]):
        before = _predecessor(space, level, way[-1])
        if before is not None:
            way.append(before)
    way.reverse()
    state = space.unpack(way[0])
    told = []
    for number in way[1:]:
        label, state = next((label, after) for label, _, after in space.steps(state) if space.pack(after) == number)
        told.append((label, state))
    return told


def depth(found: Exploration, goal: int) -> int:
    """How many moves lead to ``goal``, in the order of the search."""
    return len(trace(found, goal)) if found.faults else _level_of(found, goal)


def _level_of(found: Exploration, goal: int) -> int:
    return next(i for i, level in enumerate(found.levels) if _has(level, goal))


def _has(level: Numbers, number: int) -> bool:
    place = int(np.searchsorted(level, number))
    return place < len(level) and int(level[place]) == number


def _predecessor(space: Space, level: Numbers, number: int) -> int | None:
    """A state of this level from which one move leads there; none when a fault led there from an earlier one."""
    for start in range(0, len(level), CHUNK):
        chunk = level[start : start + CHUNK]
        edges = space.successors(chunk)
        hits = np.flatnonzero(edges.state == number)
        if len(hits):
            return int(chunk[edges.source[hits[0]]])
    return None
