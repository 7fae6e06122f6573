"""What happens changes what is known: one method for each kind of event, which returns the keys of what has to be looked at again.

Nothing is decided here. An event of an earlier claim, or of a wait that the record has left behind, changes nothing.
"""

from collections.abc import Iterable, Mapping

from pvc.cluster.records import DomainOutline, DomainRecord, NodeRecord, NodeStats, Unreadable
from pvc.core import events as e
from pvc.core.alarms import Alarms, domain_key, node_key
from pvc.core.brakes import minority
from pvc.core.objects import KnownDomain, KnownNode
from pvc.core.waits import absence_waits, reading_wait
from pvc.fsm.states import Fence, Guest, Job, Migration, Power


class Intake(Alarms):
    """Keeps what one daemon knows up to date."""

    # ---- the cluster

    def _take_cluster(self, event: e.AliveSeen | e.NodeSeen | e.StatsSeen | e.Measured | e.ConfigSeen | e.PowerRead) -> Iterable[str]:
        match event:
            case e.AliveSeen(names=names):
                return self._alive_seen(names)
            case e.NodeSeen():
                return self._node_seen(event)
            case e.StatsSeen(stats=stats):
                self._node(self.me).stats = stats
                return self._waiting_for_room()
            case e.Measured(stats=stats):
                return self._measured(stats)
            case e.ConfigSeen(config=config, version=version):
                self.known.config, self.known.config_version = config, version
                return [node_key(name) for name in self.known.nodes]
            case e.PowerRead(node=name, ticket=ticket, reading=reading):
                return self._power_read(name, ticket, reading)

    def _alive_seen(self, names: frozenset[str]) -> Iterable[str]:
        changed = names ^ self.known.alive
        self.known.alive, self.known.held = names, None
        for name in sorted(names):  # a set has another order in each process, and the same seed must tell the same story
            self._node(name).seen_alive = True
        self._count_absences()
        self._weigh()
        return self._everything() if changed else ()

    def _count_absences(self) -> None:
        for name, node in self.known.nodes.items():
            away = name != self.me and name not in self.known.alive
            if away and not node.away:
                self.answers.append(e.Follow(name))  # also one that was lost before this daemon began
                node.absences, node.dead, node.long_dead = node.absences + 1, False, False
                for spell in absence_waits(name, node.absences, self.known.settings):
                    self._wait(spell)
            node.away = away

    def _weigh(self) -> None:
        """Once a majority answers again, those that are not back yet have the time of the saving throws."""
        known = self.known
        if not known.joined:
            return  # not everything may have been read
        short = bool(minority(known.facts()))
        if known.short and not short:
            known.regained, known.settling = known.regained + 1, True
            self._wait((f"{known.me} majority {known.regained}", known.settings.throws_s))
        known.short = short

    def _node_seen(self, event: e.NodeSeen) -> Iterable[str]:
        node = self._node(event.name)
        before = node.record.life if isinstance(node.record, NodeRecord) else None
        node.record, node.version, self.known.held = event.record, event.version, None
        self._answered(node_key(event.name), node)
        if isinstance(event.record, Unreadable):
            self._say(f"{event.record}; the node is left as it is")
        after = event.record.life if isinstance(event.record, NodeRecord) else None
        if after is not None and after.by != self.me:  # a reading counts only for the claim under which it was asked for
            node.reading, node.readings, node.asked = Power.unread, 0, None
        self._count_reset(event.name, node)
        if self.known.alive:
            self._count_absences()
            if before != after:
                self._weigh()
        if after is not None and after.fence is Fence.none:
            node.begin_anew()
        if not (node.seen_alive or node.graced) and after is not None:
            node.graced = True
            self.answers.append(e.Wait(f"{event.name} grace", self.known.settings.boot_grace_s))
        return self._everything() if before != after else [node_key(event.name)]

    def _count_reset(self, name: str, node: KnownNode) -> None:
        """Count the time of a watchdog from when this daemon has the fence.

        A record under a fence shows a node without a session. Only the holder changes it as long as the node does not join, and whoever
        proves checks its version: so from the first such record to the proof the node had no session, whatever was missed in between.
        """
        record = node.record
        mine = isinstance(record, NodeRecord) and record.life.by == self.me and record.life.fence is not Fence.none
        if not mine:
            node.claims, node.resetting, node.reset = node.claims + 1, False, False
        elif isinstance(record, NodeRecord) and record.fencing.reset_s and not node.resetting:
            node.resetting = True
            self._wait((f"{name} reset {node.claims}", float(record.fencing.reset_s)))

    def _power_read(self, name: str, ticket: int, reading: Power) -> Iterable[str]:
        node = self._node(name)
        if node.asked != ticket:
            return ()  # asked for under an earlier claim
        node.reading, node.asked, node.stale = reading, None, False
        self._wait(reading_wait(name, ticket, node.readings, self.known.settings))
        node.readings += 1
        return [node_key(name)]

    def _measured(self, stats: Mapping[str, NodeStats]) -> Iterable[str]:
        for name, one in stats.items():
            self._node(name).stats = one
        self.known.measuring, self.known.measured = False, True
        self.known.passed_on.clear()
        self._wait((f"{self.me} measured", self.known.settings.keepalive_interval_s))
        return [domain_key(uuid) for uuid in self.known.domains]

    def _domain_seen(self, event: e.DomainSeen) -> Iterable[str]:
        known = self.known.domains.setdefault(event.uuid, KnownDomain(guest=Guest.absent if self.known.inventory else Guest.unknown))
        moved = _phase(known.record) is not Migration.none and _phase(event.record) is Migration.none
        known.record, known.version = event.record, event.version
        known.read, known.ours = True, known.ours or event.record is not None
        self._answered(domain_key(event.uuid), known)
        if isinstance(event.record, Unreadable):
            self._say(f"{event.record}; the VM is left as it is")
        here = known.guest is not Guest.absent if self.known.inventory else known.guest is not Guest.unknown
        if event.record is None and not here and known.job is Job.none:  # it may only be told late that another node has it now
            del self.known.domains[event.uuid]
        self._rewait_domain(known)
        others = self._waiting_to_move() if moved else ()
        return [domain_key(event.uuid), *others, *self._suspects()]

    def _take_hypervisor(self, event: e.Inventory | e.HypervisorLost | e.GuestSeen | e.JobDone) -> Iterable[str]:
        known = self.known
        match event:
            case e.Inventory(guests=guests, jobs=jobs, claimed=claimed):
                known.inventory = True
                for uuid in (*guests, *jobs):
                    self._domain(uuid)
                for uuid, domain in known.domains.items():
                    domain.job = jobs.get(uuid, Job.none)
                    domain.ours = domain.ours or uuid in claimed
                    self._guest_is(domain, guests.get(uuid, Guest.absent))
                self._attend()
                return self._everything()
            case e.HypervisorLost():
                known.inventory = False
                for domain in known.domains.values():
                    domain.guest = Guest.unknown
                return ()
            case e.GuestSeen(uuid=uuid, guest=guest, by_itself=by_itself):
                domain = self._domain(uuid)
                domain.by_itself = by_itself
                self._guest_is(domain, guest)
                self._attend()
                return [domain_key(uuid), node_key(self.me)]
            case e.JobDone(uuid=uuid, job=job, guest=guest, trouble=trouble):
                domain = self._domain(uuid)
                domain.trouble = trouble
                domain.answered = domain.answered or job is Job.create
                if domain.job is job and job is not Job.shutdown:
                    domain.job = Job.none
                elif job is Job.shutdown:  # the guest was asked to go, and has gone or not yet; one that was booting did not hear it
                    self._wait((f"{uuid} ask", self.known.settings.ask_again_s))
                self._guest_is(domain, guest)
                self._attend()
                return [domain_key(uuid), node_key(self.me)]

    def _attend(self) -> None:
        """A guest may be here whose record does not name this node any more, or never did: somebody has to look (H28)."""
        here = self.known.guests_here()
        if here != self.known.attended:
            self.known.attended = here
            self.answers.append(e.Attend(here))

    def _guest_is(self, domain: KnownDomain, guest: Guest) -> None:
        domain.guest = guest
        if guest is Guest.absent and domain.job is Job.shutdown:
            domain.job = Job.none
        if guest is Guest.running:
            domain.by_itself = False

    def _answered(self, key: str, known: KnownDomain | KnownNode) -> None:
        """The record was read: decide again, or a little later where the refusal had a reason that the record does not show."""
        if known.ticket is not None and known.refused == known.version:
            self.answers.append(e.Wait(f"{key} again", self.known.settings.retry_s))
        else:
            known.ticket = known.refused = None


def _phase(record: DomainRecord | DomainOutline | Unreadable | None) -> Migration:
    return record.life.phase if isinstance(record, DomainRecord) else Migration.none
