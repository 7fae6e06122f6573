"""Whether everything settles: from every state, by whatever may happen; from every state, by the system alone; and in no cycle for ever.

A state is *settled* when every node rests, every VM rests, and what the hypervisors hold agrees with the records. It is *excused* when no
node is left that could take a VM: nothing short of a boot or an admin helps then, and the records say so.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pvc.check.arrays import Column, Numbers
from pvc.check.block import Block, View
from pvc.check.explore import CHUNK, Exploration
from pvc.check.nodes import POWERED, Host, Phys
from pvc.check.space import SYSTEM, VIEW_BITS, Space
from pvc.fsm.states import Daemon, Domain, Flush, Guest, Job, Request, Want
from pvc.fsm.tables import TABLES

GIVES_ROOM = (Flush.ready, Flush.unflush)
RESTING = frozenset(state.name for state in TABLES["domain"].states if state.rests or state.final)


@dataclass(slots=True)
class Verdicts:
    """Counts, and the states that fail; empty lists are what one hopes for."""

    settled: int = 0
    excused: int = 0
    stuck: list[int] = field(default_factory=list)  # no settled state can be reached, whatever happens
    unsettled: list[int] = field(default_factory=list)  # the system alone, faults over, reaches no settled state
    cycles: list[list[int]] = field(default_factory=list)  # the system alone can go round here for ever, fairly

    def __bool__(self) -> bool:
        return not self.bad

    @property
    def bad(self) -> list[int]:
        """The states that show the worst of what is wrong; empty when nothing is."""
        return self.stuck or self.unsettled or [state for ring in self.cycles for state in ring]


class Graph:
    """The explored states and the edges between them, as positions in one sorted array."""

    def __init__(self, found: Exploration) -> None:
        self.space = found.space
        self.states = np.sort(np.concatenate(found.levels))
        parts: list[list[Numbers]] = [[], [], []]
        for start in range(0, len(self.states), CHUNK):
            edges = self.space.successors(self.states[start : start + CHUNK])
            place = np.minimum(np.searchsorted(self.states, edges.state), len(self.states) - 1)
            keep = (edges.source + start != place) & (
                self.states[place] == edges.state
            )  # a fault beyond the bound leads out of what was explored
            for part, column in zip(parts, (edges.source + start, place, edges.kind), strict=True):
                part.append(column[keep].astype(np.int32))
        self.source, self.dest, kind = (np.concatenate(part) for part in parts)
        self.system = np.isin(kind, SYSTEM)

    def reach_back(self, goals: Any, edges: Any) -> Any:
        """Which states reach one of the goals along the chosen edges."""
        source, dest = self.source[edges], self.dest[edges]
        order = np.argsort(dest, kind="stable")
        source, first = source[order], np.searchsorted(dest[order], np.arange(len(self.states) + 1))
        reached = goals.copy()
        frontier = np.flatnonzero(goals)
        while len(frontier):
            counts = first[frontier + 1] - first[frontier]
            index = np.repeat(first[frontier] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
            new = source[index]
            frontier = np.unique(new[~reached[new]])
            reached[frontier] = True
        return reached


def settle(found: Exploration) -> Verdicts:
    """Judge every explored state; the exploration must be complete, and exact, because a coarse model moves where the real one may not."""
    graph, space = Graph(found), found.space
    settled, excused = flags(space, graph.states)
    verdicts = Verdicts(int(settled.sum()), int(excused.sum()))
    everything = np.ones(len(graph.source), dtype=bool)
    verdicts.stuck = graph.states[~graph.reach_back(settled, everything)].tolist()
    fine = settled | excused
    verdicts.unsettled = graph.states[~graph.reach_back(fine, graph.system)].tolist()
    if not verdicts.unsettled:
        verdicts.cycles = fair_cycles(graph, fine)
    return verdicts


def flags(space: Space, states: Numbers) -> tuple[Any, Any]:
    """Which states are settled, and which are excused."""
    node, blocks = space.split(states)
    nodes_rest = Column(lambda n: int(_nodes_rest(space, n)))
    no_room = Column(lambda n: int(not any(map(gives_room, space.hosts.items[n]))))
    guest_rests = Column(lambda code: int(_guest_rests(space, code)))
    settled = nodes_rest[node] == 1
    for d in range(space.size.vms):
        settled &= guest_rests[(blocks[:, d] << VIEW_BITS) | space.view_of[node]] == 1
    return settled, (no_room[node] == 1) & ~settled


def _nodes_rest(space: Space, n: int) -> bool:
    """Whether all nodes rest, and no daemon has anything to do about any at once; what depends on VMs is theirs to judge."""
    at_once = any(kind == SYSTEM[0] and not asked and after != n for after, _, asked, kind in space.node_rows.one(n).tolist())
    return all(map(host_rests, space.hosts.items[n])) and not at_once


def _guest_rests(space: Space, code: int) -> bool:
    """Whether a VM rests under this view, and no daemon has anything to do about it at once; where it avoids nodes, that has to end."""
    view, block = space.views.items[code & ((1 << VIEW_BITS) - 1)], space.blocks.items[code >> VIEW_BITS]
    kinds, owner = space.guest_rows.one(code)[:, 1], block.life.owner
    avoids = bool(block.life.avoid) and owner is not None and view[owner].acts
    return block_rests(view, block) and not (kinds == SYSTEM[0]).any() and (not avoids or bool((kinds == SYSTEM[1]).any()))


def host_rests(host: Host) -> bool:
    """Whether a node is where it may stay for ever: at work, proven off, or stopped by an admin."""
    if host.phys is Phys.UP:
        return host.life.daemon is Daemon.run and host.life.flush is not Flush.unflush
    if host.life.daemon is Daemon.stop:
        return host.phys in (Phys.DOWN, Phys.OFF)
    return host.phys is Phys.OFF and host.life.daemon is Daemon.fenced


def gives_room(host: Host) -> bool:
    """Whether a node takes VMs, or will without anybody's help."""
    return host.phys in POWERED and host.life.daemon is not Daemon.stop and host.life.flush in GIVES_ROOM


def block_rests(view: View, block: Block) -> bool:
    """Whether a VM is where it may stay for ever, and the hypervisors agree."""
    life = block.life
    owner = None if life.owner is None else view[life.owner]
    found = view[life.target] if life.state is Domain.conflict and life.target is not None else None
    if any(seen is not None and seen.stopped and seen.powered for seen in (owner, found)):
        return True  # it waits for its node's daemon, which an admin stopped
    if found is not None and life.target is not None:  # it waits for an admin, as long as what was found is where a daemon sees it
        return found.acts and block.slots[life.target].guest in (Guest.running, Guest.paused)
    if life.state not in RESTING or any(slot.job is not Job.none for slot in block.slots):
        return False
    for i, slot in enumerate(block.slots):
        expected = Guest.running if life.state is Domain.start and i == life.owner else Guest.absent
        if slot.guest is not expected and not view[i].stopped:
            return False
    if life.state is not Domain.start:
        return True
    return owner is not None and owner.acts and life.want is Want.start and not _waits(view, block)


def _waits(view: View, block: Block) -> bool:
    """Whether a running VM waits for something that could be done: a restart, its way home, or its way off a node that is flushed."""
    life = block.life
    free = {i for i, seen in enumerate(view) if seen.works and seen.flush is Flush.ready} - {life.owner, *life.avoid}
    homeward = life.request is Request.home and life.home in free
    leaves = life.owner is not None and view[life.owner].flush in (Flush.flush, Flush.flushed) and bool(free)
    return life.request is Request.restart or homeward or leaves


def fair_cycles(graph: Graph, fine: Any) -> list[list[int]]:
    """The cycles of system moves, without a fine state, that no move leaves which is enabled all along them."""
    alive = ~fine
    inside = graph.system & alive[graph.source] & alive[graph.dest]
    source, dest = graph.source[inside], graph.dest[inside]
    while True:  # what cannot go on, or cannot be come to, is in no cycle
        onward = np.zeros(len(alive), dtype=bool)
        reached = np.zeros(len(alive), dtype=bool)
        onward[source], reached[dest] = True, True
        keep = (onward & reached)[source] & (onward & reached)[dest]
        if keep.all():
            break
        source, dest = source[keep], dest[keep]
    after: dict[int, list[int]] = {}
    for one, other in zip(source.tolist(), dest.tolist(), strict=True):
        after.setdefault(one, []).append(other)
    rings = [graph.states[ring].tolist() for ring in components(after) if len(ring) > 1]
    return [ring for ring in rings if not _is_left(graph.space, ring)]


def _is_left(space: Space, ring: list[int]) -> bool:
    """Whether some system move is enabled in every state of the ring and never stays in it: a fair system takes it in the end.

    States that differ in names alone have one number, and a move keeps its name only while the nodes keep theirs; so the ring is walked
    with the names as they are, which comes by each of its states, under every naming that the ring leads to.
    """
    members = set(ring)
    start = space.unpack(ring[0])
    known, frontier = {start}, [start]
    leaving: set[tuple[object, ...]] | None = None
    while frontier:
        stays: set[tuple[object, ...]] = set()
        leaves: set[tuple[object, ...]] = set()
        for label, kind, after in space.steps(frontier.pop()):
            if kind in "ST":
                inside = space.pack(after) in members
                (stays if inside else leaves).add(label)
                if inside and after not in known:
                    known.add(after)
                    frontier.append(after)
        leaving = leaves - stays if leaving is None else leaving & (leaves - stays)
        if not leaving:
            return False
    return True


def components(after: dict[int, list[int]]) -> list[list[int]]:
    """The strongly connected components of a graph (Tarjan's algorithm, without recursion)."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    on_path: set[int] = set()
    path: list[int] = []
    found: list[list[int]] = []
    for root in after:
        if root in index:
            continue
        work = [(root, iter(after[root]))]
        index[root] = low[root] = len(index)
        path.append(root)
        on_path.add(root)
        while work:
            node, rest = work[-1]
            step = next((other for other in rest if other not in index or other in on_path), None)
            if step is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    found.append(_unwind(path, on_path, node))
            elif step in index:
                low[node] = min(low[node], index[step])
            else:
                index[step] = low[step] = len(index)
                path.append(step)
                on_path.add(step)
                work.append((step, iter(after.get(step, ()))))
    return found


def _unwind(path: list[int], on_path: set[int], node: int) -> list[int]:
    ring = []
    while True:
        top = path.pop()
        on_path.discard(top)
        ring.append(top)
        if top == node:
            return ring
