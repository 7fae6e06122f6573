"""What a daemon knows, in the form that decisions are made from.

Facts are frozen and hashable: the daemon builds them from records and observations, the checker from its abstract state, and everything in
:mod:`pvc.core.decide` is a pure function of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pvc.fsm.states import By, Daemon, Domain, Effect, Flush, Guest, Job, Power
from pvc.fsm.views import DomainView, Life, Node, NodeLife, NodeView


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node as its record and the proofs of life show it; ``boot`` is the kernel boot id under which it joined."""

    life: NodeLife
    alive: bool
    boot: str | None = None

    @property
    def eligible(self) -> bool:
        """Whether the node may be given a VM at all: alive, ``run`` and ``ready`` (I11)."""
        return self.alive and self.life.daemon is Daemon.run and self.life.flush is Flush.ready

    @property
    def works(self) -> bool:
        """Whether the node's daemon may decide anything about VMs and other nodes."""
        return self.alive and self.life.daemon is Daemon.run


@dataclass(frozen=True, slots=True)
class Local:
    """What one daemon observes of one VM beyond the record: its own hypervisor, and its own job in flight."""

    guest: Guest = Guest.unknown
    job: Job = Job.none


LOCALS = {(guest, job): Local(guest, job) for guest in Guest for job in Job}
"""All of them."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the policy of a VM, and the time that has passed, add to the facts."""

    budget: int = 5
    due: bool = False
    stays_off: bool = False
    unanswered: bool = False
    live: bool = True
    cold: bool = False
    caretaker: bool = False
    op_id: str | None = None
    unfit: tuple[tuple[Node, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Watch:
    """What one daemon observes of one node beyond its record: the power, its own power job, and the time that has passed."""

    reading: Power = Power.unread
    stale: bool = False
    busy: bool = False
    due: bool = False
    concerns: bool = False
    brake: str = ""
    power_back: bool = False
    counting: bool = False


@dataclass(frozen=True, slots=True)
class Self:
    """What a daemon knows of itself: whether its session has joined, and what its hypervisor holds."""

    joined: bool = False
    stopping: bool = False
    inventory: bool = False
    holds: tuple[str, ...] = ()
    uncalled: tuple[str, ...] = ()


_ANOTHER = Self()
Nodes = Mapping[Node, NodeFacts]

JOBS = {
    Effect.create: Job.create,
    Effect.shutdown: Job.shutdown,
    Effect.destroy: Job.destroy,
    Effect.discard: Job.destroy,
    Effect.migrate: Job.migrate,
    Effect.abort_job: Job.abort,
    Effect.resume: Job.resume,
    Effect.suspend: Job.suspend,
}
"""The job that an order puts in flight; from then on the VM is left alone until the job has ended."""

POWER_JOBS = frozenset({Effect.read_power, Effect.power_off, Effect.power_on})
"""Orders after which a fence is left alone until its device was read."""

PASSIVE = Options()


def eligible(nodes: Nodes) -> frozenset[Node]:
    """The nodes that may be given a VM, room not considered."""
    return frozenset(name for name, facts in nodes.items() if facts.eligible)


def roles(me: Node, life: Life, guest: Guest, nodes: Nodes, caretaker: bool) -> By:
    """In which capacities this node may act on this VM now; none while its daemon does not work."""
    if not nodes[me].works:
        return By(0)
    if life.owner == me:
        return By.OWNER
    by = By(0)
    if life.target == me:
        by |= By.TARGET
    if guest not in (Guest.absent, Guest.unknown):
        by |= By.HOST
    if life.home == me and life.owner is not None:
        by |= By.HOME
    if life.owner is None and caretaker and life.target is not None:
        by |= By.PEER
    lost = life.target if life.state is Domain.conflict else life.owner
    if lost in nodes and nodes[lost].life.daemon is Daemon.fenced and nodes[lost].life.by == me:
        by |= By.FENCER
    return by


def client_view(life: Life, nodes: Nodes, fits: Iterable[Node], options: Options = PASSIVE) -> DomainView:
    """One VM as a client sees it: no hypervisor of its own, no capacity of its own."""
    return DomainView(
        life=life,
        fits=frozenset(fits),
        alive=frozenset(name for name, facts in nodes.items() if facts.alive),
        gone=frozenset(name for name, facts in nodes.items() if facts.life.daemon is Daemon.fenced),
        op_id=options.op_id,
        unfit=options.unfit,
    )


def domain_view(me: Node, life: Life, local: Local, nodes: Nodes, fits: Iterable[Node], options: Options = PASSIVE) -> DomainView:
    """One VM as this node sees it; ``fits`` are the nodes that have room for it."""
    target = nodes.get(life.target) if life.target is not None else None
    mine = nodes[me]
    return DomainView(
        life=life,
        me=me,
        guest=local.guest,
        job=local.job,
        fits=frozenset(fits),
        alive=frozenset(name for name, facts in nodes.items() if facts.alive),
        gone=frozenset(name for name, facts in nodes.items() if facts.life.daemon is Daemon.fenced),
        my_boot=mine.boot,
        target_rebooted=life.target_boot is not None and target is not None and target.boot != life.target_boot,
        leaving=mine.life.flush is Flush.flush,
        calling=mine.life.flush is Flush.unflush,
        due=options.due,
        budget=options.budget,
        stays_off=options.stays_off,
        unanswered=options.unanswered,
        live=options.live,
        cold=options.cold,
        op_id=options.op_id,
        unfit=options.unfit,
    )


def node_view(me: Node, node: Node, nodes: Nodes, watch: Watch, own: Self) -> NodeView:
    """One node as this node sees it; ``own`` counts only where the node is the observer itself."""
    facts = nodes[node]
    holder = facts.life.by
    itself = own if node == me else _ANOTHER
    return NodeView(
        life=facts.life,
        node=node,
        me=me,
        alive=facts.alive,
        holder_alive=holder in nodes and nodes[holder].works,
        concerns=watch.concerns,
        reading=watch.reading,
        stale=watch.stale,
        busy=watch.busy,
        due=watch.due,
        brake=watch.brake,
        power_back=watch.power_back,
        counting=watch.counting,
        joined=itself.joined,
        stopping=itself.stopping,
        inventory=itself.inventory,
        holds=itself.holds,
        uncalled=itself.uncalled,
    )
