"""One VM of the checked cluster: the protocol's part of its record, and on each node the guest and the libvirt job that are really there.
 What daemons and clients decide comes from :mod:`pvc.core.decide`, on the real tables. This module adds what hypervisors do: start, fail,
hang (a job may stay in flight for ever), succeed late, die. Decision and write are one step here, because a row that writes is refused when
the record has changed since it was read; :mod:`pvc.check.slow` takes them apart, to show on small cases that this changes no verdict.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from typing import NamedTuple

from pvc.core.decide import RULES, Move, Rules
from pvc.core.facts import Local, NodeFacts, Nodes, Options
from pvc.fsm.row import Row
from pvc.fsm.states import By, Daemon, Domain, Effect, Fence, Flush, Guest, Handover, Job, Migration, Request, Want
from pvc.fsm.views import DomainView, Life, NodeLife

FRESH, HIDDEN, STALE = "same boot", "rebooted, record does not show it yet", "rebooted"
"""What a migration's record of the target's boot is worth; the name of a boot itself does not matter."""


class Write(NamedTuple):
    """A write on its way: the row that was decided, and the record that it makes."""

    row: Row
    by: By
    choice: int | None
    life: Life


class Slot(NamedTuple):
    """What one node really has of the VM, and its write on the way if writes are slow."""

    guest: Guest = Guest.absent
    job: Job = Job.none
    write: Write | None = None


class Block(NamedTuple):
    """One VM: its record, what each node has of it, and a defect that a step has shown."""

    life: Life
    slots: tuple[Slot, ...]
    broken: str = ""


class Seen(NamedTuple):
    """All that a VM's moves read of one node: a projection of :class:`pvc.check.nodes.Host`."""

    powered: bool
    alive: bool
    works: bool  # as the others see it: alive, and ``run`` in its record
    acts: bool  # and connected, so that it can write
    flush: Flush | None
    fenced: bool
    by: int | None
    stopped: bool = False  # kept by the exact model alone, which asks whether everything settles


class Step(NamedTuple):
    """A move of one VM: label, class, and the block after it."""

    label: tuple[object, ...]
    kind: str
    block: Block


View = tuple[Seen, ...]

ORDERS = {
    Effect.create: Job.create,
    Effect.shutdown: Job.shutdown,
    Effect.destroy: Job.destroy,
    Effect.discard: Job.destroy,
    Effect.migrate: Job.migrate,
    Effect.abort_job: Job.abort,
    Effect.resume: Job.resume,
    Effect.suspend: Job.suspend,
}


def facts(view: View) -> Nodes:
    """What every daemon knows of the nodes, as far as a decision about a VM can depend on it."""
    return {i: _facts(seen) for i, seen in enumerate(view)}


def _facts(seen: Seen) -> NodeFacts:
    daemon = Daemon.fenced if seen.fenced else Daemon.run if seen.works else Daemon.init
    life = NodeLife(daemon, seen.flush or Flush.ready, Fence.proven if seen.fenced else Fence.none, seen.by)
    return NodeFacts(life, seen.alive, FRESH)


class GuestModel:
    """All moves of one VM among ``nodes`` nodes; ``open_door`` plants hypervisors that take a migration which nobody accepted.

    Live migrations to a ``stubborn`` node always fail, whatever else is well.
    """

    def __init__(
        self,
        nodes: int,
        handover: Handover = Handover.paused,
        rules: Rules = RULES,
        open_door: bool = False,
        stubborn: frozenset[int] = frozenset(),
    ) -> None:
        self.nodes = nodes
        self.rules = rules
        self.handover = handover
        self.open_door = open_door
        self.stubborn = stubborn

    def initial(self) -> Block:
        """A VM that is off, at home on the first node."""
        return Block(self.bounded(Life(home=0, handover=self.handover)), (Slot(),) * self.nodes)

    def steps(self, view: View, block: Block) -> Iterator[Step]:
        """Every move of this VM while the nodes look like this."""
        nodes = facts(view)
        for move in self._client_moves(block.life, nodes):
            yield Step(("client", move.row.trigger, chosen(move)), "C", self._written(block, move))
        for i, seen in enumerate(view):
            if seen.acts:
                yield from self._decide(nodes, block, i)
            if seen.powered:
                yield from self._hypervisor(view, block, i)

    def bounded(self, life: Life) -> Life:
        """The same record without what no guard reads in its state."""
        return bounded(life)

    def blame(self, block: Block, move: Move, life: Life) -> str:
        """What is wrong with a write, in words; empty when nothing is."""
        observer = not move.by & By.CLIENT and life.want is not move.view.life.want  # type: ignore[union-attr]
        return "an observer changed what is wanted" if observer else blame(block, move, life) or blame_wish(move, life)

    def job_of(self, effect: Effect) -> Job:
        """The job that an order puts in flight."""
        return ORDERS[effect]

    def _client_moves(self, life: Life, nodes: Nodes) -> Iterable[Move]:
        return self.rules.client_moves(life, nodes, Options())

    def _decide(self, nodes: Nodes, block: Block, i: int) -> Iterator[Step]:
        """What node ``i`` may do: at once, or after a wait; with restarts left, or used up."""
        local = Local(*block.slots[i][:2])
        known: set[tuple[Row, int | None]] = set()
        for due, budget in product((False, True), (1, 0)):
            for move in self.rules.domain_moves(i, block.life, local, nodes, Options(budget=budget, due=due, caretaker=True)):
                key = (move.row, chosen(move))
                if key not in known:
                    known.add(key)
                    yield from self._fire(block, i, move, "T" if due else "S")

    def _fire(self, block: Block, i: int, move: Move, kind: str) -> Iterator[Step]:
        label = (move.row.trigger, i, chosen(move))
        written = self._written(block, move)
        ordered = self._ordered(written, i, move.row)
        yield Step(label, kind, ordered)
        if ordered is not written and move.row.writes:
            yield Step((*label, "reply lost"), "F", written)

    def _ordered(self, block: Block, i: int, row: Row) -> Block:
        for effect in row.effects:
            if effect in ORDERS:
                block = with_slot(block, i, block.slots[i]._replace(job=self.job_of(effect)))
        return block

    def _written(self, block: Block, move: Move) -> Block:
        life = self.rules.after(move)
        assert isinstance(life, Life)
        return block._replace(life=self.bounded(life), broken=block.broken or self.blame(block, move, life))

    def _hypervisor(self, view: View, block: Block, i: int) -> Iterator[Step]:
        slot = block.slots[i]
        if slot.guest is not Guest.absent:
            job = Job.none if slot.job is Job.shutdown else slot.job
            yield Step(("guest dies", i), "F", with_slot(block, i, changed(slot, Guest.absent, job)))
        if slot.job in (Job.migrate, Job.abort):
            yield from self._migration(view, block, i)
        elif slot.job is not Job.none:
            done, failed = OUTCOMES[slot.job]
            yield Step((f"{slot.job} done", i), "S", with_slot(block, i, changed(slot, done.get(slot.guest, slot.guest))))
            if failed:
                yield Step((f"{slot.job} fails", i), "L", with_slot(block, i, changed(slot, slot.guest)))

    def _migration(self, view: View, block: Block, i: int) -> Iterator[Step]:
        slot, target = block.slots[i], block.life.target
        possible = self._may_arrive(view, block, i)
        failing = "L" if possible and slot.job is Job.migrate else "S"
        yield Step(("migrate fails", i, target), failing, with_slot(block, i, changed(slot, slot.guest)))
        if not possible:
            return
        assert target is not None
        arrived = changed(block.slots[target], Guest.running if self.handover is Handover.libvirt else Guest.held)
        there = with_slot(block, target, arrived)
        yield Step(("migrate done", i, target), "S", with_slot(there, i, changed(slot, Guest.absent)))
        yield Step(("migrate leaves the source paused", i, target), "L", with_slot(there, i, changed(slot, Guest.paused)))
        if self.handover is Handover.paused:  # with libvirt's own hand-over a disk lock stops the second copy, a condition of its use
            yield Step(("migrate fails at the switchover", i, target), "L", with_slot(there, i, changed(slot, slot.guest)))

    def _may_arrive(self, view: View, block: Block, i: int) -> bool:
        life, target = block.life, block.life.target
        if (
            target is None
            or target == i
            or target in self.stubborn
            or block.slots[i].guest is not Guest.running
            or not view[target].powered
        ):
            return False
        door = life.target_boot == FRESH and life.phase is Migration.moving
        return (door or self.open_door) and block.slots[target][:2] == Slot()[:2]


OUTCOMES: dict[Job, tuple[dict[Guest, Guest], bool]] = {
    Job.create: ({Guest.absent: Guest.running}, True),
    Job.shutdown: (dict.fromkeys(Guest, Guest.absent), False),  # a guest that ignores it keeps the job in flight until its deadline
    Job.destroy: (dict.fromkeys(Guest, Guest.absent), True),
    Job.resume: ({Guest.held: Guest.running, Guest.paused: Guest.running}, True),
    Job.suspend: ({Guest.running: Guest.paused}, True),
}


def changed(slot: Slot, guest: Guest, job: Job = Job.none) -> Slot:
    """The same slot after its guest changed, or its job ended."""
    return Slot(guest, job, slot.write)


def with_slot(block: Block, i: int, slot: Slot) -> Block:
    """The same VM with another guest or job on one node."""
    return block._replace(slots=(*block.slots[:i], slot, *block.slots[i + 1 :]))


def bounded(life: Life) -> Life:
    """The same record without what no guard reads in this state.

    The epoch only ever grows, and names of operations do not matter. Whether restarts are left is asked both ways at every decision, so
    they need no counting. A VM that is off forgets what was wanted of it, because every way out writes it anew; and ``started`` empties the
    list of avoided targets.
    """
    life = replace(life, epoch=0, op_id=None, restarts=0)
    if life.state in OFF:
        life = replace(life, want=Want.stop, request=Request.none)
    if life.state not in (Domain.start, Domain.migrate):
        life = replace(life, avoid=())
    if life.phase not in (Migration.accepted, Migration.moving):
        life = replace(life, target_boot=None)
    return life


OFF = (Domain.stop, Domain.disable, Domain.failed, Domain.delete)


def chosen(move: Move) -> int | None:
    """The node that was chosen for a move of a VM."""
    assert isinstance(move.view, DomainView)
    return move.view.choice


def blame(block: Block, move: Move, life: Life) -> str:
    """What is wrong with this write, judged by what the hypervisors really hold, not by what the writer knew; empty when nothing is."""
    old = move.view.life
    assert isinstance(old, Life)
    running = [slot.guest is Guest.running for slot in block.slots]
    if move.by & By.FENCER and move.row.by & By.FENCER and old.owner is not None and running[old.owner]:
        return "a VM was recovered while its guest runs"
    if life.state in (*OFF, Domain.place) and any(running):
        return f"a VM is called {life.state} while its guest runs"
    return ""


def blame_wish(move: Move, life: Life) -> str:
    """What is wrong with this write, judged by what the admin wants; empty when nothing is."""
    old = move.view.life
    assert isinstance(old, Life)
    if move.by & By.CLIENT:
        return ""
    if life.state is Domain.delete and old.want is not Want.delete:
        return "a VM was removed that nobody wanted removed"
    if life.state in (Domain.stop, Domain.disable) and old.want is Want.start and old.state is not Domain.conflict:
        return "a VM that is wanted up was left off"
    return ""


def powerless(block: Block, i: int) -> Block:
    """The same VM after node ``i`` lost its power."""
    life = block.life
    if life.target == i and life.target_boot == FRESH:
        life = replace(life, target_boot=HIDDEN)
    return Block(life, (*block.slots[:i], Slot(), *block.slots[i + 1 :]), block.broken)


def joined(block: Block, i: int) -> Block:
    """The same VM after the record of node ``i`` shows its present kernel boot."""
    life = block.life
    if life.target == i and life.target_boot == HIDDEN:
        return block._replace(life=replace(life, target_boot=STALE))
    return block


def _renamed(life: Life, perm: tuple[int, ...]) -> Life:
    def name(i: int | None) -> int | None:
        return None if i is None else perm[i]

    avoid = tuple(sorted(perm[i] for i in life.avoid))
    return replace(life, owner=name(life.owner), target=name(life.target), home=name(life.home), avoid=avoid)


def permuted(block: Block, perm: tuple[int, ...]) -> Block:
    """The same VM under other node names: node ``i`` becomes ``perm[i]``."""
    slots = [Slot()] * len(block.slots)
    for i, slot in enumerate(block.slots):
        write = slot.write and slot.write._replace(
            choice=None if slot.write.choice is None else perm[slot.write.choice], life=_renamed(slot.write.life, perm)
        )
        slots[perm[i]] = slot._replace(write=write)
    return Block(_renamed(block.life, perm), tuple(slots), block.broken)


def copies(block: Block) -> int:
    """How many guests of this VM run."""
    return sum(slot.guest is Guest.running for slot in block.slots)
