"""What a daemon waits for: each wait has a name, and one that the record has left behind wakes nobody.

Keys name in answers what is to be looked at, a VM or a node.
"""

from collections.abc import Iterable

from pvc.cluster.records import DomainRecord, NodeRecord
from pvc.core import events as e
from pvc.core.known import Known
from pvc.core.objects import KnownDomain, KnownNode
from pvc.core.waits import Spell, domain_wait, fence_wait
from pvc.fsm.states import Daemon, Domain, Fence, Flush, Job, Request
from pvc.fsm.views import Life, Node

WAITING = (Domain.place, Domain.start, Domain.boot)
"""States in which a VM may wait for room."""


def domain_key(uuid: str) -> str:
    """The key of a VM in answers."""
    return f"domain {uuid}"


def node_key(name: str) -> str:
    """The key of a node in answers."""
    return f"node {name}"


class Alarms:
    """Begins waits, and says what has to be looked at when one is over; ``answers`` collects what the event being taken asks for."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.answers: list[e.Answer] = []

    @property
    def me(self) -> str:
        """The name of this node."""
        return self.known.me

    # ---- a wait is over

    def _due(self, wait: str) -> Iterable[str]:
        if wait.endswith(" again"):
            key = wait.removesuffix(" again")
            known = self._of(key)
            known.ticket = known.refused = None
            return [key]
        subject, _, rest = wait.partition(" ")
        if rest == "measured":
            self.known.measured = False
            return [*(domain_key(uuid) for uuid in sorted(self.known.passed_on)), node_key(self.me)]
        if rest == "session":
            self.known.session_is_old = True
            return [node_key(name) for name in self.known.nodes]
        if rest == f"majority {self.known.regained}":
            self.known.settling = False
            return [node_key(name) for name in self.known.nodes]
        if subject in self.known.nodes:
            return self._node_due(subject, self.known.nodes[subject], rest)
        domain = self.known.domains.get(subject)
        if domain is not None and rest == "ask":
            domain.job = Job.none if domain.job is Job.shutdown else domain.job
            return [domain_key(subject)]
        if domain is not None and domain.wait == wait:
            domain.due = True
            return [domain_key(subject)]
        return ()

    def _node_due(self, name: str, node: KnownNode, rest: str) -> Iterable[str]:
        if rest == "grace":
            node.seen_alive = True
        elif rest.startswith("reading"):
            node.stale = True
        elif node.resetting and rest == f"reset {node.claims}":
            node.reset = True
        elif rest == f"passed {node.passed}":
            node.resting = False
        elif rest.startswith("absent"):
            return self._absent_for(name, node, rest)
        elif node.wait == f"{name} {rest}":
            node.due = True
        else:
            return ()
        return [node_key(name)]

    def _absent_for(self, name: str, node: KnownNode, rest: str) -> Iterable[str]:
        _, absence, stage = rest.split()
        if not node.away or int(absence) != node.absences:
            return ()  # it was back meanwhile
        node.dead, node.long_dead = True, stage == "long"
        node.stale |= node.long_dead  # it may have been switched on since
        return [node_key(name)]

    # ---- waits

    def _rewait_domain(self, known: KnownDomain) -> None:
        spell = domain_wait(known.record, self.known.settings) if isinstance(known.record, DomainRecord) else None
        self._rewait(known, spell)

    def _rewait_fence(self, name: str, node: KnownNode) -> None:
        assert isinstance(node.record, NodeRecord)
        mine = node.record.life.by == self.me
        self._rewait(node, fence_wait(name, node.record.life, node.record.fence.tries, self.known.settings) if mine else None)

    def _rewait(self, known: KnownDomain | KnownNode, spell: Spell | None) -> None:
        name = "" if spell is None else spell[0]
        if known.wait != name:
            known.wait, known.due = name, False
            if spell is not None:
                self._wait(spell)

    def _wait(self, spell: Spell) -> None:
        self.answers.append(e.Wait(*spell))

    # ---- which keys

    def _everything(self) -> list[str]:
        return [*(node_key(name) for name in sorted(self.known.nodes)), *(domain_key(uuid) for uuid in sorted(self.known.domains))]

    def _suspects(self) -> list[str]:
        """The nodes about which a VM's record may decide something: this one, and all but those that live and nobody suspects."""
        alive = self.known.alive
        return [node_key(name) for name, node in self.known.nodes.items() if name == self.me or name not in alive or _is_suspected(node)]

    def _waiting_for_room(self) -> list[str]:
        mine = self._node(self.me).record
        leaving = isinstance(mine, NodeRecord) and mine.life.flush is Flush.flush
        return [domain_key(record.uuid) for record in self.known.records() if self._waits_for_room(record.life, leaving)]

    def _waits_for_room(self, life: Life, leaving: bool) -> bool:
        """Whether it may wait for a place; a guest that runs here needs one only when it leaves."""
        settled = life.state is Domain.start and life.owner == self.me and not leaving and life.request is not Request.home
        return (life.state in WAITING or self._is_off(life.owner)) and not settled

    def _is_off(self, name: Node | None) -> bool:
        """Whether this node is proven off: a VM that it owns waits for room in whatever state it was."""
        record = self.known.nodes[name].record if name in self.known.nodes else None
        return isinstance(record, NodeRecord) and record.life.daemon is Daemon.fenced

    def _waiting_to_move(self) -> list[str]:
        """The own VMs that may have waited for a migration to end; see `Core._too_many`."""
        mine = (record for record in self.known.records() if record.life.owner == self.me and record.life.state is Domain.start)
        return [domain_key(record.uuid) for record in mine]

    def _node(self, name: str) -> KnownNode:
        known = self.known.nodes.get(name)
        if known is None:
            known = self.known.nodes[name] = KnownNode()
        return known

    def _domain(self, uuid: str) -> KnownDomain:
        known = self.known.domains.get(uuid)
        if known is None:
            known = self.known.domains[uuid] = KnownDomain()
        return known

    def _of(self, key: str) -> KnownDomain | KnownNode:
        kind, _, name = key.partition(" ")
        return self._node(name) if kind == "node" else self._domain(name)

    def _say(self, sentence: str) -> None:
        self.answers.append(e.Say(sentence))


def _is_suspected(node: KnownNode) -> bool:
    """Whether there is a fence of it, or may be, or something is left of the last one."""
    return not isinstance(node.record, NodeRecord) or node.record.life.fence is not Fence.none or bool(node.wait or node.braked)
