"""Breadth-first exploration of the whole space, and the shortest way to a violation."""

import resource
import time
from dataclasses import dataclass, field

import numpy as np

from pvc.check.arrays import Numbers, distinct, merged
from pvc.check.space import Space, State

CHUNK = 1 << 19


@dataclass(slots=True)
class Exploration:
    """What was found: the levels of the search, each sorted, and the counts that are printed."""

    space: Space
    levels: list[Numbers] = field(default_factory=list)
    states: int = 0
    transitions: int = 0
    seconds: float = 0.0
    violation: int | None = None
    complete: bool = False

    @property
    def peak_mib(self) -> int:
        """The most memory this process ever had, in MiB."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def explore(space: Space, most: int | None = None) -> Exploration:
    """Visit every reachable state, or stop at the first violation, or beyond ``most`` states."""
    began = time.process_time()
    found = Exploration(space)
    level = np.array([space.initial()], dtype=np.int64)
    visited = level
    while len(level):
        found.levels.append(level)
        found.states += len(level)
        bad = level[space.is_bad(level)]
        if len(bad):
            found.violation = int(bad[0])
            break
        if most is not None and found.states > most:
            break
        level = _next_level(space, level, visited, found)
        visited = merged(visited, level)
    found.complete = found.violation is None and not len(level)
    found.seconds = time.process_time() - began
    return found


def _next_level(space: Space, level: Numbers, visited: Numbers, found: Exploration) -> Numbers:
    parts = []
    for start in range(0, len(level), CHUNK):
        edges = space.successors(level[start : start + CHUNK])
        found.transitions += len(edges.state)
        new = distinct(edges.state)
        place = np.searchsorted(visited, new)
        place[place == len(visited)] = 0
        parts.append(new[visited[place] != new])
    return distinct(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int64)


def trace(found: Exploration, goal: int) -> list[tuple[tuple[object, ...], State]]:
    """A shortest way from the initial state to ``goal``: each move in words, and the state after it, node names kept along the way."""
    space = found.space
    depth = next(i for i, level in enumerate(found.levels) if _has(level, goal))
    way = [goal]
    for level in reversed(found.levels[:depth]):
        way.append(_predecessor(space, level, way[-1]))
    way.reverse()
    state = space.unpack(way[0])
    told = []
    for number in way[1:]:
        label, state = next((label, after) for label, _, after in space.steps(state) if space.pack(after) == number)
        told.append((label, state))
    return told


def _has(level: Numbers, number: int) -> bool:
    place = int(np.searchsorted(level, number))
    return place < len(level) and int(level[place]) == number


def _predecessor(space: Space, level: Numbers, number: int) -> int:
    for start in range(0, len(level), CHUNK):
        chunk = level[start : start + CHUNK]
        edges = space.successors(chunk)
        hits = np.flatnonzero(edges.state == number)
        if len(hits):
            return int(chunk[edges.source[hits[0]]])
    raise LookupError("a state without a predecessor")
