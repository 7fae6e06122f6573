"""What one daemon knows of the cluster: the records it has read, its own observations, and the facts and views that follow from them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pvc.cluster.records import (
    ClusterConfig,
    DomainOutline,
    DomainRecord,
    FenceMethod,
    Fencing,
    Method,
    NodeOutline,
    NodeRecord,
    OnPoweroff,
    Unreadable,
)
from pvc.core.brakes import another_shot, just_regained, minority, unshootable
from pvc.core.facts import NodeFacts, Options, Self, Watch
from pvc.core.objects import NEVER_WRITTEN, KnownDomain, KnownNode
from pvc.core.policy import Ranking, preferring, rank, with_recorded
from pvc.core.settings import Settings
from pvc.fsm.states import Daemon, Domain, Fence, Guest, Power, Request
from pvc.fsm.views import Life

GONE = Life(state=Domain.delete)

POWER_ON_TRIES = 3
"""How often a node that was fenced is switched on again; one that stays off needs a person."""

UNHEARD_STARTS = 3
"""So many starts in a row may end unheard before each further one counts as a failure: it may be this start that ends libvirt."""

AGAIN = (Domain.boot, Domain.start, Domain.restart, Domain.shutdown, Domain.destroy)
"""States after which a VM may have to be placed anew."""


@dataclass(slots=True)
class Known:
    """Everything a daemon knows; it changes by events alone."""

    me: str
    settings: Settings
    nodes: dict[str, KnownNode] = field(default_factory=dict)
    domains: dict[str, KnownDomain] = field(default_factory=dict)
    alive: frozenset[str] = frozenset()
    config: ClusterConfig | None = None
    config_version: int = NEVER_WRITTEN
    joined: bool = False
    stopping: bool = False
    inventory: bool = False
    session_is_old: bool = False  # this session has lasted for a full dead time
    short: bool = False  # fewer than a majority of the nodes answer
    regained: int = 0  # how often a majority answered again
    settling: bool = False  # it has just done so
    attended: frozenset[str] = frozenset()  # the guests here, whose records are watched for that
    measured: bool = False  # the statistics of all nodes were read a moment ago
    passed_on: set[str] = field(default_factory=set)  # the VMs that were given another target by these statistics
    measuring: bool = False
    held: dict[str, NodeFacts] | None = None  # the facts, until a record or a proof of life of a node is another

    def facts(self) -> dict[str, NodeFacts]:
        """The nodes whose records can be read, in the form that decisions are made from."""
        if self.held is None:
            read = ((name, node, node.record) for name, node in self.nodes.items())
            self.held = {name: node.shown(one, name in self.alive) for name, node, one in read if isinstance(one, NodeRecord | NodeOutline)}
        return self.held

    def records(self) -> Iterator[DomainRecord]:
        """The VMs whose records can be read."""
        return (known.record for known in self.domains.values() if isinstance(known.record, DomainRecord))

    # ---- VMs

    def options(self, uuid: str, record: DomainRecord, ranking: Ranking, op_id: str) -> Options:
        """What the VM's policy and the time that has passed add to the facts."""
        known, policy = self.domains[uuid], record.policy
        return Options(
            budget=policy.restart_budget,
            due=known.due,
            stays_off=known.by_itself and policy.on_poweroff is OnPoweroff.stay,
            unanswered=record.life.state is Domain.boot and not known.answered and record.unheard < UNHEARD_STARTS,
            live=policy.migration is Method.live,
            cold=policy.migration is Method.cold,
            caretaker=self.is_caretaker(),
            op_id=op_id,
            unfit=ranking.unfit,
        )

    def ranking(self, record: DomainRecord) -> Ranking:
        """The nodes that fit this VM, best first; a VM that is up again soon stays where it was."""
        stats = {name: node.stats for name, node in self.nodes.items() if node.stats is not None}
        if self.me in stats:
            owned = [other for other in self.records() if other.life.owner == self.me and other.uuid != record.uuid]
            stats[self.me] = with_recorded(stats[self.me], owned, self.guests_here())
        bound = [other for known in self.domains.values() if (other := known.bound()) is not None]
        ranking = rank(record, self.facts(), stats, bound)
        again = record.life.owner == self.me and record.life.state in AGAIN
        leaving = record.life.state is Domain.start and self.guest_of(record.uuid) is not Guest.absent
        return preferring(ranking, record.life, self.me) if again and not leaving else ranking

    def guests_here(self) -> frozenset[str]:
        """The VMs of which something is on the own hypervisor, as far as is known."""
        return frozenset(uuid for uuid, known in self.domains.items() if known.guest not in (Guest.absent, Guest.unknown))

    def leaving(self) -> int:
        """How many guests are on their way from here to other nodes."""
        return sum(record.life.owner == self.me and record.life.state is Domain.migrate for record in self.records())

    def guest_of(self, uuid: str) -> Guest:
        """What the own hypervisor shows of this guest."""
        known = self.domains.get(uuid)
        return Guest.unknown if known is None else known.guest

    def is_caretaker(self) -> bool:
        """Whether it falls to this node to place what nobody owns: to the first by name of those that work."""
        return min((name for name, facts in self.facts().items() if facts.works), default=None) == self.me

    # ---- nodes

    def own(self) -> Self:
        """What this daemon knows of itself; where libvirt says nothing, a guest may be here that no record names."""
        held = tuple(self._held()) if self.inventory else ("guests that are not counted",)
        return Self(self.joined, self.stopping, self.inventory, held, tuple(self._uncalled()))

    def _held(self) -> Iterator[str]:
        for uuid, known in self.domains.items():
            record = known.record
            if isinstance(record, Unreadable):
                yield uuid
            elif known.guest is not Guest.absent:  # nor is one gone that nobody saw go
                if known.ours or not known.read:  # a guest that was never ours is none of our business
                    yield uuid if record is None else record.name
            elif record is not None and self._is_bound_here(record):
                yield record.name

    def _is_bound_here(self, record: DomainRecord | DomainOutline) -> bool:
        if isinstance(record, DomainOutline):
            return self.me in (record.owner, record.target)
        return record.life.owner == self.me or record.life.target == self.me

    def _uncalled(self) -> Iterator[str]:
        for record in self.records():
            if record.life.home == self.me and record.policy.migration is not Method.none and self._will_be_away(record):
                yield record.name

    def _will_be_away(self, record: DomainRecord) -> bool:
        """Whether it runs elsewhere and was not called, or is about to: on its way there, as when a flush was called off (H53).

        One that is still to be placed, and that the chosen node cannot take, does not count: it may wait for this very node to be ready.
        So it counts only as long as the room is known of that node.
        """
        life = record.life
        if life.state is Domain.migrate or (life.state is Domain.restart and life.target is not None):
            return life.target != self.me
        if life.state is Domain.place:
            return self.measured and life.target != self.me and life.target in self.ranking(record).fits
        away = life.owner not in (None, self.me)
        return away and (life.state in (Domain.boot, Domain.restart) or (life.state is Domain.start and life.request is Request.none))

    def watch(self, name: str) -> Watch:
        """What this daemon observes of another node beyond its record."""
        node, lost = self.nodes[name], name not in self.alive  # whoever lives is not fenced, so nothing has to be known of that
        read = self.fencing(name).works  # where nobody can be asked, or believed, it may be on
        return Watch(
            reading=Power.off if self.is_reset(name) else node.reading if read else Power.on,
            stale=node.stale and read,
            busy=node.asked is not None,
            due=self.fence_is_due(node),
            concerns=lost and (self._ordered(name) or self.concerns(name)),
            brake=self.brake(name) if lost else "",
            power_back=self.settings.power_back and node.switched < POWER_ON_TRIES,
            counting=node.resetting and not node.reset and self._is_armed(name),
        )

    def is_reset(self, name: str) -> bool:
        """Whether its watchdog has reset it by now."""
        return self.nodes[name].reset and self._is_armed(name)

    def _is_armed(self, name: str) -> bool:
        """Whether a watchdog that it has announced is armed still: one that was stopped by its own word may have disarmed it."""
        record = self.nodes[name].record
        return isinstance(record, NodeRecord) and record.life.daemon is not Daemon.stop

    def fencing(self, name: str) -> Fencing:
        """How a node is fenced; a record of another version does not say, so its device is asked."""
        record = self.nodes[name].record
        return record.fencing if isinstance(record, NodeRecord) else Fencing(FenceMethod.ipmi)

    def fence_is_due(self, node: KnownNode) -> bool:
        """Whether the wait of the phase that its fence is in is over."""
        life = node.record.life if isinstance(node.record, NodeRecord | NodeOutline) else None
        if life is not None and life.ordered:
            return True
        if life is not None and life.fence is Fence.evidence:
            return node.long_dead and not node.stale if life.daemon is Daemon.stop else node.dead
        return node.due

    def _ordered(self, name: str) -> bool:
        record = self.nodes[name].record
        return isinstance(record, NodeRecord) and record.life.ordered

    def concerns(self, name: str) -> bool:
        """Whether a VM's record names this node as its owner or target; a record that cannot be read might."""
        for known in self.domains.values():
            record = known.record
            if isinstance(record, Unreadable):
                return True
            if isinstance(record, DomainOutline) and name in (record.owner, record.target):
                return True
            if isinstance(record, DomainRecord) and name in (record.life.owner, record.life.target):
                return True
        return False

    def brake(self, name: str) -> str:
        """Why nobody may shoot this node now; empty when nothing speaks against it. Brakes concern shots, never readings."""
        if self._ordered(name):
            return unshootable(self.fencing(name))
        if self.config is None or self.config.hold.on:
            hold = None if self.config is None else self.config.hold
            return "the cluster record was not read" if hold is None else f"{hold.by} holds the cluster: {hold.why or 'no reason given'}"
        if not self.concerns(name):
            return f"no VM names {name}: there is nothing to recover"
        if not self.fencing(name).works:
            return unshootable(self.fencing(name))
        if not self.session_is_old:
            return f"{self.me} has not been connected for a full dead time itself"
        if not self.nodes[name].seen_alive:
            return f"{self.me} has not seen {name} alive yet: it may be booting"
        facts = self.facts()
        return minority(facts) or just_regained(self.settling) or another_shot(facts, name, self.settings.parallel_shots)

    def takes_work(self) -> bool:
        """Whether this daemon may decide about VMs and other nodes at all."""
        mine = self.facts().get(self.me)
        return self.joined and mine is not None and mine.works and mine.life.daemon is Daemon.run
