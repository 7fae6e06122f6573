"""The space of states: numbering, symmetry, and the successors of many states at once.

A state of the cluster is one integer: the number of its node part and the numbers of its VMs' blocks. The moves of a node part, and those
of a block under one view of the nodes, are computed once by the real rows and kept as arrays. That a VM's moves depend on the nodes and on
itself alone holds by construction: no guard reads another VM (budgets live in the executor).

Node names are interchangeable, and so are VMs. Of all states that differ in names alone one is kept: the node part is brought into its
least form, and of the permutations that lead there the one that gives the least blocks. No guard compares names with anything but names, so
this hides no behaviour; ``tests/check`` compares verdicts and reachable blocks with the unreduced space.
"""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from pvc.check import nodes
from pvc.check.arrays import Column, Interned, Numbers, Rows
from pvc.check.block import Block, View, joined, permuted, powerless
from pvc.check.coarse import CoarseGuestModel, CoarseNodeModel
from pvc.check.guests import GuestModel
from pvc.check.nodes import Host, Hosts, NodeModel, view
from pvc.core.decide import RULES, Rules
from pvc.fsm.states import Handover

KINDS = "SFLHCT"  # system, fault, action fails, healing, client, system after a wait
SYSTEM = (KINDS.index("S"), KINDS.index("T"))
VIEW_BITS = 10  # nodes have fewer views in any size that fits into memory
FAULTS = (KINDS.index("F"), KINDS.index("L"))


@dataclass(frozen=True, slots=True)
class Size:
    """What is checked: nodes, VMs, hand-over, whether names are reduced, and whether the model is the exact or the coarse one."""

    nodes: int = 2
    vms: int = 1
    handover: Handover = Handover.paused
    symmetry: bool = True
    exact: bool = True


class State(NamedTuple):
    """One state of the cluster, taken apart."""

    hosts: Hosts
    blocks: tuple[Block, ...]


class Edges(NamedTuple):
    """Successors: the index of the state each comes from, the state itself, and the class of the move."""

    source: Numbers
    state: Numbers
    kind: Numbers


class Space:
    """All states of one model, by number; where it is ``calm``, it is explored without faults."""

    def __init__(
        self,
        size: Size,
        rules: Rules = RULES,
        node_model: NodeModel | None = None,
        guest_model: GuestModel | None = None,
        calm: bool = False,
    ) -> None:
        self.size = size
        self.node_model = node_model or (NodeModel if size.exact else CoarseNodeModel)(rules)
        model = GuestModel if size.exact else CoarseGuestModel
        self.guest_model = guest_model or model(size.nodes, size.handover, rules, calm=calm)
        self.hosts: Interned[Hosts] = Interned()
        self.blocks: Interned[Block] = Interned()
        self.views: Interned[View] = Interned()
        self.perms = list(permutations(range(size.nodes))) if size.symmetry else [tuple(range(size.nodes))]
        self.block_bits = 30 if size.vms < 2 else 20
        self.view_of = Column(self._view)
        self.least = Column(self._least)
        self.ways = Column(self._ways)
        self.renamed = [Column(lambda b, p=perm: self.blocks(permuted(self.blocks.items[b], p))) for perm in self.perms]  # type: ignore[misc]
        self.touched = [Column(lambda b, op=op: self.blocks(self._touch(b, op))) for op in range(1 + 2 * size.nodes)]  # type: ignore[misc]
        self.held = Column(lambda b: self.guest_model.held(self.blocks.items[b]))
        self.bad = Column(lambda b: int(bool(self.guest_model.verdict(self.blocks.items[b]))))
        self.bad_nodes = Column(lambda n: int(bool(self.node_model.verdict(self.hosts.items[n]))))
        self.node_rows = Rows(4, self._node_rows)
        self.guest_rows = Rows(2, self._guest_rows)
        self._least_form: dict[int, tuple[int, int]] = {}

    def inherit(self, base: "Space", guests_differ: Set[int], nodes_differ: Set[int]) -> None:
        """Take over what another space of this size has computed, but for the moves of these blocks under a view, and node parts."""
        self.hosts, self.blocks, self.views = base.hosts.copy(), base.blocks.copy(), base.views.copy()
        self._least_form = dict(base._least_form)
        for mine, theirs in zip(self._columns(), base._columns(), strict=True):
            mine.values = theirs.values.copy()
        self.guest_rows.inherit(base.guest_rows, guests_differ)
        self.node_rows.inherit(base.node_rows, nodes_differ)

    def _columns(self) -> list[Column]:
        return [self.view_of, self.least, self.ways, self.held, self.bad, self.bad_nodes, *self.renamed, *self.touched]

    # ---- numbers and states

    def initial(self) -> int:
        """The state in which every node works and every VM is off."""
        return self.pack(State((Host(),) * self.size.nodes, (self.guest_model.initial(),) * self.size.vms))

    def pack(self, state: State) -> int:
        """The number of a state, names reduced."""
        node = np.array([self.hosts(self.node_model.tidied(state.hosts))])
        blocks = np.array([[self.blocks(block) for block in state.blocks]], dtype=np.int64).reshape(1, self.size.vms)
        return int(self.canonical(node, blocks)[0])

    def unpack(self, number: int) -> State:
        """The state of a number."""
        node, blocks = self.split(np.array([number]))
        return State(self.hosts.items[int(node[0])], tuple(self.blocks.items[b] for b in blocks[0].tolist()))

    def verdicts(self, number: int) -> tuple[str, ...]:
        """What is wrong with each VM in a state, and with its nodes; empty words when nothing is."""
        state = self.unpack(number)
        return (*map(self.guest_model.verdict, state.blocks), self.node_model.verdict(state.hosts))

    def split(self, states: Numbers) -> tuple[Numbers, Numbers]:
        """Node parts and blocks (shape (states, vms)) of many states."""
        mask = (1 << self.block_bits) - 1
        blocks = np.empty((len(states), self.size.vms), dtype=np.int64)
        rest = states
        for d in reversed(range(self.size.vms)):
            blocks[:, d] = rest & mask
            rest = rest >> self.block_bits
        return rest, blocks

    def _join(self, node: Numbers, blocks: Numbers) -> Numbers:
        number = node
        for d in range(self.size.vms):
            number = (number << self.block_bits) | blocks[:, d]
        return number

    # ---- symmetry

    def _forms(self, n: int) -> tuple[int, int]:
        known = self._least_form.get(n)
        if known is None:
            hosts = self.hosts.items[n]
            ident: dict[int | None, int] = {i: i for i in range(len(hosts))}
            forms = [nodes.permuted(hosts, perm) for perm in self.perms]
            keys = [[nodes.order_key(host, ident) for host in form] for form in forms]
            best = min(keys)
            ways = sum(1 << i for i, key in enumerate(keys) if key == best)
            known = self._least_form[n] = (self.hosts(forms[keys.index(best)]), ways)
        return known

    def _least(self, n: int) -> int:
        return self._forms(n)[0]

    def _ways(self, n: int) -> int:
        return self._forms(n)[1]

    def canonical(self, node: Numbers, blocks: Numbers) -> Numbers:
        """The numbers of states, given by their node parts and blocks (shape (states, vms)), names reduced."""
        least, ways = self.least[node], self.ways[node]
        best = np.full(len(node), np.iinfo(np.int64).max, dtype=np.int64)
        for p in range(len(self.perms)):
            which = np.flatnonzero((ways >> p) & 1)
            if not len(which):
                continue
            renamed = blocks[which] if p == 0 else self.renamed[p][blocks[which].reshape(-1)].reshape(blocks[which].shape)
            if self.size.vms > 1 and self.size.symmetry:
                renamed = np.sort(renamed, axis=1)
            best[which] = np.minimum(best[which], self._join(least[which], renamed))
        return best

    # ---- moves

    def _node_rows(self, n: int) -> list[tuple[int, ...]]:
        steps = self.node_model.steps(self.hosts.items[n])
        count = self.size.nodes
        return self._told_apart(
            (self.hosts(self.node_model.tidied(step.hosts)), operation(step, count), condition(step, count), KINDS.index(step.kind))
            for step in steps
        )

    def _guest_rows(self, code: int) -> list[tuple[int, ...]]:
        block, view_number = code >> VIEW_BITS, code & ((1 << VIEW_BITS) - 1)
        steps = self.guest_model.steps(self.views.items[view_number], self.blocks.items[block])
        return self._told_apart(
            (self.blocks(step.block), KINDS.index(step.kind)) for step in steps if step.block != self.blocks.items[block]
        )

    def _told_apart(self, rows: Iterable[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Rows without repetition; where classes do not matter but for their cost, the cheapest of each that leads to the same."""
        if self.size.exact:
            return sorted(set(rows))
        cheapest = {row[:-1]: row[-1] in FAULTS for row in sorted(rows, key=lambda row: row[-1] in FAULTS, reverse=True)}
        return [(*row, FAULTS[0] if costly else SYSTEM[0]) for row, costly in cheapest.items()]

    def _view(self, n: int) -> int:
        number = self.views(view(self.hosts.items[n], self.size.exact))
        assert number < 1 << VIEW_BITS, "more views of the nodes than there are numbers for"
        return number

    def _touch(self, b: int, op: int) -> Block:
        block = self.blocks.items[b]
        n = self.size.nodes
        return powerless(block, op - 1) if op <= n else joined(block, op - n - 1)

    def successors(self, states: Numbers) -> Edges:
        """Every successor of every state."""
        node, blocks = self.split(states)
        parts = [self._node_edges(node, blocks), *(self._guest_edges(node, blocks, d) for d in range(self.size.vms))]
        return Edges(*(np.concatenate([part[i] for part in parts]) for i in range(3)))

    def _node_edges(self, node: Numbers, blocks: Numbers) -> Edges:
        index, rows = self.node_rows.of(node)
        allowed = self._allowed(blocks, index, rows[:, 2])
        index, rows = index[allowed], rows[allowed]
        moved = blocks[index]
        for op in np.unique(rows[:, 1]).tolist():
            if op:
                which = rows[:, 1] == op
                moved[which] = self.touched[op][moved[which].reshape(-1)].reshape(moved[which].shape)
        return Edges(index, self.canonical(rows[:, 0], moved), rows[:, 3])

    def _allowed(self, blocks: Numbers, index: Numbers, conditions: Numbers) -> Any:
        """Which moves' conditions on the VMs hold: ``flushed`` and ``called`` ask for the absence of VMs."""
        allowed = np.ones(len(index), dtype=bool)
        asked = np.flatnonzero(conditions)
        if len(asked) and self.size.vms:
            held_by = np.bitwise_or.reduce(self.held[blocks[index[asked]].reshape(-1)].reshape(-1, self.size.vms), axis=1)
            allowed[asked] = (held_by >> (conditions[asked] - 1)) & 1 == 0
        return allowed

    def _guest_edges(self, node: Numbers, blocks: Numbers, d: int) -> Edges:
        index, rows = self.guest_rows.of((blocks[:, d] << VIEW_BITS) | self.view_of[node])
        moved = blocks[index]
        moved[:, d] = rows[:, 0]
        return Edges(index, self.canonical(node[index], moved), rows[:, 1])

    def is_bad(self, states: Numbers) -> Any:
        """Which of these states violate safety."""
        node, blocks = self.split(states)
        bad = self.bad_nodes[node] == 1
        return bad | self.bad[blocks.reshape(-1)].reshape(-1, self.size.vms).any(axis=1) if self.size.vms else bad

    # ---- one state at a time, with words

    def steps(self, state: State) -> Iterator[tuple[tuple[object, ...], str, State]]:
        """Every move from one state, names as they are: label, class, state after it."""
        for step in self.node_model.steps(state.hosts):
            code = condition(step, self.size.nodes)
            if code and any(self.guest_model.held(block) >> (code - 1) & 1 for block in state.blocks):
                continue
            blocks = state.blocks
            if step.clears >= 0:
                blocks = tuple(powerless(block, step.clears) for block in blocks)
            if step.joins >= 0:
                blocks = tuple(joined(block, step.joins) for block in blocks)
            yield step.label, step.kind, State(self.node_model.tidied(step.hosts), blocks)
        seen = view(state.hosts, self.size.exact)
        for d, block in enumerate(state.blocks):
            for move in self.guest_model.steps(seen, block):
                blocks = (*state.blocks[:d], move.block, *state.blocks[d + 1 :])
                yield (f"vm{d}", *move.label), move.kind, State(state.hosts, blocks)


def operation(step: nodes.Step, count: int) -> int:
    """What a node move does to every block, as one number: nothing, power lost at i, joined at i."""
    return 1 + step.clears if step.clears >= 0 else 1 + count + step.joins if step.joins >= 0 else 0


def condition(step: nodes.Step, count: int) -> int:
    """What a node move asks of the blocks, as one number: nothing, node i is empty, node i has called all home."""
    return 1 + step.unless_held if step.unless_held >= 0 else 1 + count + step.unless_uncalled if step.unless_uncalled >= 0 else 0
