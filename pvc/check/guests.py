"""One VM of the checked cluster: the protocol's part of its record, and on each node the guest and the libvirt job that are really there.

What daemons and clients decide comes from :mod:`pvc.core.decide`, on the real tables. This module adds what hypervisors do: start, fail, hang (a job may stay in
flight for ever), succeed late, die. Decision and write are one step here, because a row that writes is refused when the record has changed since it was
read; ``slow_writes`` takes them apart, to show on small cases that this changes no verdict.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from typing import NamedTuple

from pvc.core.decide import DOMAIN, MIGRATION, Move, client_moves, domain_moves
from pvc.core.facts import Local, NodeFacts, Nodes, Options, client_view, domain_view, roles
from pvc.fsm import guards as g
from pvc.fsm.fire import after
from pvc.fsm.row import Guard, Row, Table
from pvc.fsm.states import By, Daemon, Domain, Effect, Fence, Flush, Guest, Handover, Job, Kind, Migration, Request, Want, Word
from pvc.fsm.views import DomainView, Life, NodeLife, with_choice

FRESH, HIDDEN, STALE = "same boot", "rebooted, record does not show it yet", "rebooted"
"""What a migration's record of the target's boot is worth; the name of a boot itself does not matter."""


class Slot(NamedTuple):
    """What one node really has of the VM."""

    guest: Guest = Guest.absent
    job: Job = Job.none


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
    """All moves of one VM among ``nodes`` nodes; ``open_door`` plants a hypervisor that takes a migration which nobody accepted."""

    def __init__(self, nodes: int, handover: Handover = Handover.paused, exact: bool = True, open_door: bool = False) -> None:
        self.nodes = nodes
        self.handover = handover
        self.exact = exact
        self.bounded = bounded if exact else coarse
        self.open_door = open_door

    def initial(self) -> Block:
        """A VM that is off, at home on the first node."""
        return Block(self.bounded(Life(home=0, handover=self.handover)), (Slot(),) * self.nodes)

    def steps(self, view: View, block: Block) -> Iterator[Step]:
        """Every move of this VM while the nodes look like this."""
        nodes = facts(view)
        for move in client_moves(block.life, nodes, Options()) if self.exact else coarse_client_moves(block.life, nodes):
            yield Step(("client", move.row.trigger, chosen(move)), "C", self._written(block, move))
        for i, seen in enumerate(view):
            if seen.acts:
                yield from self._decide(nodes, block, i)
            if seen.powered:
                yield from self._hypervisor(view, block, i)

    def _decide(self, nodes: Nodes, block: Block, i: int) -> Iterator[Step]:
        """What node ``i`` may do: at once, or after a wait; with restarts left, or used up."""
        local = Local(*block.slots[i])
        if not self.exact:
            for move in coarse_moves(i, block.life, local, nodes):
                yield from self._fire(block, i, move, "S")
            return
        known: set[tuple[Row, int | None]] = set()
        for due, budget in product((False, True), (1, 0)):
            for move in domain_moves(i, block.life, local, nodes, Options(budget=budget, due=due, caretaker=True)):
                key = (move.row, chosen(move))
                if key not in known:
                    known.add(key)
                    yield from self._fire(block, i, move, "T" if due else "S")

    def _fire(self, block: Block, i: int, move: Move, kind: str) -> Iterator[Step]:
        label = (move.row.trigger, i, chosen(move))
        written = self._written(block, move)
        ordered = written
        for effect in move.row.effects:
            if effect in ORDERS:
                ordered = with_slot(ordered, i, ordered.slots[i]._replace(job=self._job(ORDERS[effect])))
        yield Step(label, kind, ordered)
        if ordered is not written and move.row.writes:
            yield Step((*label, "reply lost"), "F", written)

    def _job(self, job: Job) -> Job:
        return job if self.exact else JOB_AS.get(job, job)

    def _written(self, block: Block, move: Move) -> Block:
        life = after(move.table, move.row, move.view)
        assert isinstance(life, Life)
        return block._replace(life=self.bounded(life), broken=block.broken or blame(block, move, life))

    def _hypervisor(self, view: View, block: Block, i: int) -> Iterator[Step]:
        slot = block.slots[i]
        if slot.guest is not Guest.absent:
            job = Job.none if slot.job is Job.shutdown else slot.job
            yield Step(("guest dies", i), "F", with_slot(block, i, Slot(Guest.absent, job)))
        if slot.job in (Job.migrate, Job.abort):
            yield from self._migration(view, block, i)
        elif slot.job is not Job.none:
            done, failed = OUTCOMES[slot.job]
            yield Step((f"{slot.job} done", i), "S", with_slot(block, i, Slot(done.get(slot.guest, slot.guest))))
            if failed:
                yield Step((f"{slot.job} fails", i), "L", with_slot(block, i, Slot(slot.guest)))

    def _migration(self, view: View, block: Block, i: int) -> Iterator[Step]:
        slot, target = block.slots[i], block.life.target
        possible = self._may_arrive(view, block, i)
        failing = "L" if possible and slot.job is Job.migrate else "S"
        yield Step(("migrate fails", i, target), failing, with_slot(block, i, Slot(slot.guest)))
        if not possible:
            return
        assert target is not None
        arrived = Slot(Guest.running if self.handover is Handover.libvirt else Guest.held)
        there = with_slot(block, target, arrived)
        yield Step(("migrate done", i, target), "S", with_slot(there, i, Slot()))
        yield Step(("migrate leaves the source paused", i, target), "L", with_slot(there, i, Slot(Guest.paused)))
        if self.handover is Handover.paused:  # with libvirt's own hand-over a disk lock stops the second copy, a condition of its use
            yield Step(("migrate fails at the switchover", i, target), "L", with_slot(there, i, Slot(slot.guest)))

    def _may_arrive(self, view: View, block: Block, i: int) -> bool:
        life, target = block.life, block.life.target
        if target is None or target == i or block.slots[i].guest is not Guest.running or not view[target].powered:
            return False
        door = life.target_boot == FRESH and life.phase is Migration.moving
        return (door or self.open_door) and block.slots[target] == Slot()


OUTCOMES: dict[Job, tuple[dict[Guest, Guest], bool]] = {
    Job.create: ({Guest.absent: Guest.running}, True),
    Job.shutdown: (dict.fromkeys(Guest, Guest.absent), False),  # a guest that ignores it keeps the job in flight until its deadline
    Job.destroy: (dict.fromkeys(Guest, Guest.absent), True),
    Job.resume: ({Guest.held: Guest.running, Guest.paused: Guest.running}, True),
    Job.suspend: ({Guest.running: Guest.paused}, True),
}


def with_slot(block: Block, i: int, slot: Slot) -> Block:
    """The same VM with another guest or job on one node."""
    return block._replace(slots=(*block.slots[:i], slot, *block.slots[i + 1 :]))


def bounded(life: Life) -> Life:
    """The same record without what no guard reads in this state.

    The epoch only ever grows, and names of operations do not matter. Whether restarts are left is asked both ways at every decision, so they need no
    counting. A VM that is off forgets what was wanted of it, because every way out writes it anew; and ``started`` empties the list of avoided targets.
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
STATE_AS = {Domain.disable: Domain.stop, Domain.failed: Domain.stop, Domain.delete: Domain.stop, Domain.restart: Domain.destroy, Domain.shutdown: Domain.destroy}
WANT_AS = {Want.disable: Want.stop, Want.delete: Want.stop, Want.shutdown: Want.stop}
JOB_AS = {Job.shutdown: Job.destroy, Job.abort: Job.migrate}


def coarse(life: Life) -> Life:
    """The same record without what only says when a move happens, or what a resting state is called.

    Requests, avoided targets and the home decide *when* the owner moves, restarts or calls off. ``disable``, ``shutdown`` and ``delete`` differ from a stop in
    how long the guest takes and in where the VM rests, and a VM that rests may be started, whatever the state is called. ``restart`` is a stop of a VM
    that is wanted up.
    """
    life = bounded(life)
    state, want = STATE_AS.get(life.state, life.state), WANT_AS.get(life.want, life.want)
    target = None if state is Domain.destroy else life.target
    kind = Kind.none if life.kind is Kind.none else Kind.migrate
    return replace(life, state=state, want=want, target=target, request=Request.none, home=None, avoid=(), kind=kind)


LEFT_OPEN = {
    *(g.WANTS_STOP, g.WANTS_DISABLE, g.WANTS_DELETE, g.WANTS_HARD, g.WANTS_SOFT),
    *(g.NOT_STOP_YET, g.NOT_SHUTDOWN_YET, g.NOT_DISABLE_YET, g.NOT_DELETE_YET, g.NOT_RESTART_YET, g.NOT_CANCEL_YET),
    *(g.ASKED_RESTART, g.ASKED_HOME, g.NOTHING_ASKED, g.DUE, g.BUDGET, g.NO_BUDGET, g.RESTARTED, g.AVOIDS, g.STAYS_OFF, g.COLD, g.BACKED_OFF),
    *(g.CHOICE_UNTRIED, g.TARGET_UNFIT, g.HOME_FITS, g.HOME_UNTRIED, g.DISPLACED, g.AT_HOME, g.LEAVING, g.CALLING, g.NO_TARGET, g.TARGET_CHOSEN),
    *(g.CALLED_OFF, g.ADMIN_CALLED_OFF, g.HOPELESS),
}
"""Guards that read what the coarse model does not keep: they may hold or not."""

WANTED_DOWN = {g.WANTS_STOP, g.WANTS_DISABLE, g.WANTS_DELETE, g.WANTS_HARD, g.WANTS_SOFT}
STANDS_FOR = {state: tuple(s for s in Domain if STATE_AS.get(s, s) is state) for state in Domain}


@cache
def kept(row: Row) -> tuple[Guard, ...]:
    """The guards of a row that the coarse model can decide."""
    open_ = tuple(guard for guard in row.guards if guard not in LEFT_OPEN)
    return (*open_, g.WANTS_DOWN) if WANTED_DOWN & set(row.guards) else open_


def coarse_moves(me: int, life: Life, local: Local, nodes: Nodes) -> Iterator[Move]:
    """Every row that this node may fire in anything that a coarse state stands for: no order among rows, guards that cannot be decided left open."""
    by = roles(me, life, local.guest, nodes, caretaker=True)
    if by:
        room = tuple(node for node, seen in nodes.items() if seen.works)
        view = domain_view(me, life, local, nodes, room, Options(due=True))
        yield from _coarse_rows(DOMAIN, STANDS_FOR[life.state], by, view, room)
        if life.state is Domain.migrate:
            yield from _coarse_rows(MIGRATION, (life.phase,), by, view, room)


def coarse_client_moves(life: Life, nodes: Nodes) -> Iterator[Move]:
    """Every row that a client may fire in anything that a coarse state stands for."""
    room = tuple(node for node, seen in nodes.items() if seen.works)
    return _coarse_rows(DOMAIN, STANDS_FOR[life.state], By.CLIENT, client_view(life, nodes, room), room)


def _coarse_rows(table: Table, states: tuple[Word, ...], by: By, view: DomainView, room: tuple[int, ...]) -> Iterator[Move]:
    for row in dict.fromkeys(row for state in states for row in table.rows_from(state, by)):
        if row.trigger in table.partner_triggers or not row.by & by:
            continue
        for seen in (with_choice(view, node) for node in room) if row.chooses else (view,):
            if all(guard.test(seen) for guard in kept(row)):
                yield Move(table, row, seen, by)


def chosen(move: Move) -> int | None:
    """The node that was chosen for a move of a VM."""
    assert isinstance(move.view, DomainView)
    return move.view.choice


def blame(block: Block, move: Move, life: Life) -> str:
    """What is wrong with this write, judged by what the hypervisors really hold, not by what the writer knew; empty when nothing is."""
    old, row = move.view.life, move.row
    if not move.by & By.CLIENT and life.want is not old.want:
        return "an observer changed what is wanted"
    if life.state is Domain.delete and old.want is Want.start and not move.by & By.CLIENT:
        return "a VM was removed that nobody wanted removed"
    if row.by & By.FENCER and move.by & By.FENCER and old.owner is not None and block.slots[old.owner].guest is Guest.running:
        return "a VM was recovered while its guest runs"
    if life.state in RESTING_OFF and any(slot.guest is Guest.running for slot in block.slots):
        return f"a VM is called {life.state} while its guest runs"
    return ""


RESTING_OFF = (Domain.stop, Domain.disable, Domain.failed, Domain.delete, Domain.place)


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


def permuted(block: Block, perm: tuple[int, ...]) -> Block:
    """The same VM under other node names: node ``i`` becomes ``perm[i]``."""

    def name(i: int | None) -> int | None:
        return None if i is None else perm[i]

    life = block.life
    slots = [Slot()] * len(block.slots)
    for i, slot in enumerate(block.slots):
        slots[perm[i]] = slot
    new = replace(life, owner=name(life.owner), target=name(life.target), home=name(life.home), avoid=tuple(sorted(perm[i] for i in life.avoid)))
    return Block(new, tuple(slots), block.broken)


def copies(block: Block) -> int:
    """How many guests of this VM run."""
    return sum(slot.guest is Guest.running for slot in block.slots)
