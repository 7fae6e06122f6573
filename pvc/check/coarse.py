"""A coarser model, for sizes beyond the reach of the exact one: it has every behaviour of the exact one, and some more.

It leaves out of the records whatever only decides *when* a move happens, or what a resting state is called, and lets the move happen at
any time instead: a row may fire when the guards that can still be decided hold. Nothing that proves something is left out: who owns the VM,
the migration's phase and what the target's acceptance is worth, the power that was read as off, the proof. So what is safe here is safe;
whether everything settles, only the exact model can tell.

``tests/check/test_coarse.py`` projects every move of the exact model and finds it here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import product

from pvc.check.blame import blame
from pvc.check.block import Block, bounded
from pvc.check.guests import GuestModel
from pvc.check.hypervisor import Hypervisor, Step
from pvc.check.nodes import Host, Hosts, NodeModel, Phys, facts, put
from pvc.check.nodes import Step as NodeStep
from pvc.core.decide import Move, Rules
from pvc.core.facts import JOBS, Local, Nodes, Options, Self, Watch, client_view, domain_view, node_view, roles
from pvc.fsm import guards as g
from pvc.fsm.row import Guard, Row, Table
from pvc.fsm.states import By, Daemon, Domain, Effect, Fence, Job, Kind, Power, Request, Want, Word
from pvc.fsm.views import DomainView, Life, NodeLife, with_choice

# ---- VMs

STATE_AS = {
    **dict.fromkeys((Domain.disable, Domain.failed, Domain.delete), Domain.stop),
    **dict.fromkeys((Domain.restart, Domain.shutdown), Domain.destroy),
}
STANDS_FOR = {state: tuple(s for s in Domain if STATE_AS.get(s, s) is state) for state in Domain}
JOB_AS = {Job.shutdown: Job.destroy, Job.abort: Job.migrate}

LEFT_OPEN = frozenset(
    (
        *(g.WANTS_UP, g.WANTS_DOWN, g.WANTS_STOP, g.WANTS_DISABLE, g.WANTS_DELETE, g.WANTS_HARD, g.WANTS_SOFT),
        *(g.NOT_STOP_YET, g.NOT_SHUTDOWN_YET, g.NOT_DISABLE_YET, g.NOT_DELETE_YET, g.NOT_RESTART_YET, g.NOT_CANCEL_YET),
        *(g.ASKED_RESTART, g.ASKED_HOME, g.NOTHING_ASKED, g.CALLED_OFF, g.ADMIN_CALLED_OFF, g.NOT_CALLED_OFF, g.HOPELESS),
        *(g.DUE, g.BUDGET, g.NO_BUDGET, g.RESTARTED, g.BACKED_OFF, g.AVOIDS, g.STAYS_OFF, g.LIVE, g.COLD, g.LEAVING, g.CALLING),
        *(g.CHOICE_NOT_HOME, g.CHOICE_UNTRIED, g.TARGET_UNFIT, g.HOME_FITS, g.HOME_UNTRIED, g.DISPLACED, g.NO_TARGET, g.TARGET_CHOSEN),
        *(
            g.HOLDER_GONE,
            g.NODE_DUE,
            g.READ_NOT_OFF,
            g.READ_SILENT,
            g.UNREAD_OR_STALE,
            g.STOPPED,
            g.NOT_STOPPED,
            g.UNBRAKED,
            g.MISSED,
            g.POWER_BACK,
        ),
    )
)
"""Guards that read what is not kept here: they may hold or not."""


@cache
def kept(row: Row) -> tuple[Guard, ...]:
    """The guards of a row that can still be decided."""
    return tuple(guard for guard in row.guards if guard not in LEFT_OPEN)


def coarse(life: Life) -> Life:
    """The same record without what only decides when a move happens.

    What is wanted and requested can be changed by a client at any time and back again, so it is left open. ``disable``, ``failed`` and
    ``delete`` are ways of being off, from all of which a VM may start (once it is defined anew); a shutdown and a restart are ways of going
    off.
    """
    life = bounded(life)
    state = STATE_AS.get(life.state, life.state)
    target = None if state is Domain.destroy else life.target
    kind = Kind.none if life.kind is Kind.none else Kind.migrate
    return Life(
        state,
        Want.start,
        Request.none,
        life.owner,
        target,
        None,
        phase=life.phase,
        kind=kind,
        handover=life.handover,
        target_boot=life.target_boot,
    )


class CoarseHypervisor(Hypervisor):
    """The hypervisors of all nodes, where any migration may be one that was aborted."""

    def failing(self, possible: bool, job: Job) -> str:
        """What it costs when a migration fails: nothing, because whether it was aborted is not kept."""
        return "S"


class CoarseGuestModel(GuestModel):
    """One VM, coarsely."""

    hypervisors = CoarseHypervisor

    def unheard(self, life: Life, nodes: Nodes, moves: Iterable[Move]) -> None:
        """Nothing: which words are news depends on what is wanted."""

    def bounded(self, life: Life) -> Life:
        """The record as it is kept here."""
        return coarse(life)

    def blame(self, block: Block, move: Move, life: Life) -> str:
        """What is wrong with a write; what is wanted is not kept here, so the exact model judges that."""
        return blame(block, move, life)

    def blame_order(self, block: Block, i: int, move: Move, job: Job) -> str:
        """Nothing: kinds of jobs are not kept apart here, so the exact model judges orders."""
        return ""

    def job_of(self, effect: Effect) -> Job:
        """The job that an order puts in flight; asking for a shutdown is one way to destroy."""
        return JOB_AS.get(JOBS[effect], JOBS[effect])

    def _client_moves(self, life: Life, nodes: Nodes) -> Iterable[Move]:
        room = tuple(node for node, seen in nodes.items() if seen.works)
        return _open_moves(self.rules.tables["domain"], STANDS_FOR[life.state], By.CLIENT, client_view(life, nodes, room), room)

    def _decide(self, nodes: Nodes, block: Block, i: int) -> Iterator[Step]:
        for move in _moves(self.rules, i, block.life, Local(*block.slots[i][:2]), nodes):
            yield from self._fire(block, i, move, "S")


def _moves(rules: Rules, me: int, life: Life, local: Local, nodes: Nodes) -> Iterator[Move]:
    """Every row that this node may fire in anything that a coarse record stands for; rows have no order here."""
    by = roles(me, life, local.guest, nodes, caretaker=True)
    if life.owner is not None and life.owner != me and nodes[life.owner].life.daemon is Daemon.fenced:
        by |= By.FENCER  # who holds the fence is not kept
    if by and nodes[me].works:
        room = tuple(node for node, seen in nodes.items() if seen.works)
        view = domain_view(me, life, local, nodes, room, Options(due=True))
        yield from _open_moves(rules.tables["domain"], STANDS_FOR[life.state], by, view, room)
        if life.state is Domain.migrate:
            yield from _open_moves(rules.tables["migration"], (life.phase,), by, view, room)


def _open_moves(table: Table, states: tuple[Word, ...], by: By, view: DomainView, room: tuple[int, ...]) -> Iterator[Move]:
    for row in dict.fromkeys(row for state in states for row in table.rows_from(state, by)):
        if row.trigger in table.partner_triggers:
            continue
        for seen in (with_choice(view, node) for node in room) if row.chooses else (view,):
            if all(guard.test(seen) for guard in kept(row)):
                yield Move(table, row, seen, by)


# ---- nodes

UNPROVEN = {
    Fence.none: Daemon.run,
    Fence.evidence: Daemon.run,
    Fence.throws: Daemon.dead,
    Fence.shot: Daemon.fencing,
    Fence.failed: Daemon.unfenced,
}
"""The phases of a fence that are not told apart here, with a state that the node's record may have in them."""


class CoarseNodeModel(NodeModel):
    """The nodes, coarsely: of a fence only the proof is kept, and of its readings only that the power was read as off, or that it is
    being cut.
    """

    def verdict(self, hosts: Hosts) -> str:
        """Nothing: which node is suspected, and what is asked of a daemon, is not kept here."""
        return ""

    def tidied(self, hosts: Hosts) -> Hosts:
        """The hosts as they are kept here: any live node may hold the fence, and any phase short of proof may be any other."""
        return tuple(map(_coarse, hosts))

    def steps(self, hosts: Hosts) -> Iterator[NodeStep]:
        """Every move of the node part; with any of them what was read may be forgotten, because the fencer that read it is not kept."""
        for step in super().steps(hosts):
            for kept_readings in product(*({host.reading, Power.unread} for host in step.hosts)):
                after = tuple(host._replace(reading=reading) for host, reading in zip(step.hosts, kept_readings, strict=True))
                yield step._replace(hosts=after)

    def _decide(self, hosts: Hosts, me: int, node: int) -> Iterator[NodeStep]:
        if me == node:
            yield NodeStep(("is stopped", me), "C", put(hosts, me, hosts[me]._replace(phys=Phys.DOWN)))
            return
        host, table = hosts[node], self.rules.tables["fence"]
        watch = Watch(host.reading or Power.unread, busy=host.reading is None, stale=True, due=True, concerns=True)
        view = node_view(me, node, facts(hosts), watch, Self())
        for phase, daemon in ({Fence.proven: Daemon.fenced} if host.life.fence is Fence.proven else UNPROVEN).items():
            seen = replace(view, life=NodeLife(daemon, fence=phase, by=me))
            for row in table.rows_from(phase, By.PEER | By.FENCER):
                if row.trigger not in table.partner_triggers and all(guard.test(seen) for guard in kept(row)):
                    yield from self._fire(hosts, me, node, Move(table, row, seen, By.FENCER), "S")

    def _join(self, hosts: Hosts, i: int) -> Iterator[NodeStep]:
        yield NodeStep(("join", i), "S", put(hosts, i, Host(Phys.UP)), joins=i)


def _coarse(host: Host) -> Host:
    proven = host.life.fence is Fence.proven
    life = NodeLife(Daemon.fenced, fence=Fence.proven) if proven else NodeLife(Daemon.run)
    return Host(host.phys, life, host.reading if host.reading in (None, Power.off) and not proven else Power.unread)
