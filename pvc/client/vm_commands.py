"""Commands on VMs: each is a transition that the table allows, or refuses with its reason, and one write."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from pvc.client.deciding import PLACING, decide
from pvc.client.goals import Asked
from pvc.client.snapshot import Reader, Snapshot, Vm, readable
from pvc.client.writing import Writer, insist
from pvc.cluster import znodes
from pvc.cluster.admin_changes import amend_change
from pvc.cluster.changes import define_change, domain_change, shows
from pvc.cluster.domain_xml import LIMITS, BadXml, DomainFacts, XmlLimits, check_domain_xml, with_uuid
from pvc.cluster.evidence import Seen, Transition
from pvc.cluster.handover import all_locked
from pvc.cluster.names import clipped
from pvc.cluster.records import MAX_WHY, MAX_WORDS, DomainRecord, HistoryEntry, Policy, Unreadable
from pvc.cluster.store import Znode
from pvc.core.decide import RULES
from pvc.errors import NotFound, Refused, UsageProblem, unknown
from pvc.fsm.states import By
from pvc.fsm.views import DomainView, Life

Amended = Callable[[DomainRecord, Snapshot], DomainRecord]


class VmCommands:
    """What one client does with VMs; `who` it is and `now`, in words, go to the history."""

    def __init__(self, reader: Reader, writer: Writer, who: str, now: Callable[[], str], limits: XmlLimits = LIMITS) -> None:
        self.reader = reader
        self.writer = writer
        self.who = who
        self.now = now
        self.limits = limits

    # ---- commands of the table

    def fire(self, name: str, trigger: str, target: str | None = None, why: str = "") -> Asked:
        """Fire this transition of a VM, towards this node or the best one."""
        uuid = self.reader.uuid_of(name)
        first = readable(self.reader.domain(uuid), name).value

        def attempt() -> Asked:
            seen = readable(self.reader.domain(uuid), first.name)
            if seen.value.gen != first.gen:
                raise Refused(f"{first.name} was undefined and defined again meanwhile", f"pvc vm info {first.name}")
            return self._fire(seen, trigger, target, why)

        return insist(attempt, lambda: f"somebody else changed {first.name} meanwhile: it is now {self.described(uuid)}")

    def _fire(self, seen: Seen[DomainRecord], trigger: str, target: str | None, why: str) -> Asked:
        record, request = seen.value, _id("cli")
        snapshot = self.reader.snapshot(stats=trigger in PLACING, domains=trigger in PLACING)
        move = decide(trigger, record, snapshot, _id("op"), target)
        life = RULES.after(move)
        assert isinstance(life, Life)
        assert isinstance(move.view, DomainView)
        choice = move.view.choice if move.row.chooses else None
        transition = Transition("domain", move.row, By.CLIENT, self.who, request, self.now(), why, choice)
        history = self.reader.history(record.uuid)
        children = self.reader.store.children(znodes.domain(record.uuid))
        change = domain_change(seen, life, transition, snapshot.relied(), history, children)
        version = self.writer.write(change, self._written(record.uuid, request))
        acting = life.target if life.owner is None else life.owner
        silent = acting if acting in snapshot.nodes and not snapshot.nodes[str(acting)].alive else None
        return Asked(trigger, record, life, version, silent)

    def _written(self, uuid: str, request: str) -> Callable[[Znode], bool]:
        """Whether a request was carried out: the record shows it, or the history, when the VM has gone on since."""
        last = shows(uuid, request)

        def applied(znode: Znode) -> bool:
            history = None if last(znode) else self.reader.history(uuid)
            return last(znode) or (isinstance(history, Seen) and any(entry.request == request for entry in history.value.entries))

        return applied

    def described(self, uuid: str) -> str:
        """A VM in a few words."""
        seen = self.reader.domain(uuid)
        return "gone" if seen is None else told(seen.value)

    # ---- definitions

    def define(self, xml: bytes, home: str | None = None, policy: Mapping[str, Any] | None = None, why: str = "") -> DomainRecord:
        """A new VM, off; its home is the named node or the best one. Raises BadXml, and Refused when its name or UUID is taken."""
        facts = check_domain_xml(xml, self.limits)
        uuid = facts.uuid or str(uuid4())
        xml = xml if facts.uuid else with_uuid(xml, uuid)

        def attempt() -> DomainRecord:
            snapshot = self.reader.snapshot(stats=True)
            self._check_free(facts.name, uuid)
            record = self._new(facts, uuid, snapshot, policy or {})
            record = replace(record, life=Life(home=_home(record, snapshot, home)))
            change = define_change(record, xml, snapshot.relied(), self.who, self.now(), why)
            self.writer.write(change, self._written(uuid, record.request))
            return record

        return insist(attempt, lambda: f"somebody else was faster: {facts.name} is now {self.described(uuid)}")

    def _check_free(self, name: str, uuid: str) -> None:
        """Say whose a name or UUID is already; what is defined in this very moment is refused by the write."""
        if self.reader.store.read(znodes.name(name), sync=True) is not None:
            raise Refused(f'there is a VM called "{name}" already', f"choose another name, or change that one: pvc vm modify {name}")
        other = self.reader.domain(uuid)
        if other is not None:
            whose = "a VM whose record cannot be read" if isinstance(other.value, Unreadable) else other.value.name
            raise Refused(f"the UUID {uuid} belongs to {whose}", "leave <uuid> out of the XML, and a new one is made")

    def _new(self, facts: DomainFacts, uuid: str, snapshot: Snapshot, policy: Mapping[str, Any]) -> DomainRecord:
        chosen = _policy(snapshot.config.value.defaults, policy, snapshot)
        locked = all_locked(facts.disks, snapshot.config.value.locks)
        gen, request = uuid4().hex[:12], _id("cli")
        return DomainRecord(uuid, facts.name, gen, Life(), facts.memory_mib, facts.vcpus, chosen, request=request, locked=locked)

    def modify(self, name: str, xml: bytes, why: str = "") -> DomainRecord:
        """Other XML for a VM; a guest that runs keeps the one it was started with until it is started again."""
        facts = check_domain_xml(xml, self.limits)
        uuid = self.reader.uuid_of(name)

        def amended(old: DomainRecord, snapshot: Snapshot) -> DomainRecord:
            problems = [] if facts.name == old.name else [f'its name is "{facts.name}", the VM is called "{old.name}"']
            problems += [] if facts.uuid in (None, uuid) else [f"its UUID is {facts.uuid}, the VM has {uuid}"]
            if problems:
                raise BadXml(problems)
            locked = all_locked(facts.disks, snapshot.config.value.locks)
            return replace(old, memory_mib=facts.memory_mib, vcpus=facts.vcpus, locked=locked)

        return self._amend(uuid, name, "modify", amended, why, xml if facts.uuid else with_uuid(xml, uuid))

    def set_policy(self, name: str, policy: Mapping[str, Any], why: str = "") -> DomainRecord:
        """Other values for these fields of a VM's policy."""

        def amended(old: DomainRecord, snapshot: Snapshot) -> DomainRecord:
            return replace(old, policy=_policy(old.policy, policy, snapshot))

        return self._amend(self.reader.uuid_of(name), name, "set", amended, why)

    def _amend(self, uuid: str, name: str, trigger: str, amended: Amended, why: str, xml: bytes | None = None) -> DomainRecord:
        def attempt() -> DomainRecord:
            seen = readable(self.reader.domain(uuid), name)
            snapshot, old = self.reader.snapshot(), seen.value
            record = replace(amended(old, snapshot), request=_id("cli"))
            entry = self._entry(record, trigger, why)
            present = None if xml is None else (xml, self.reader.xml(uuid).version)
            change = amend_change(seen, record, entry, snapshot.config.version, xml=present, history=self.reader.history(uuid))
            self.writer.write(change, self._written(uuid, record.request))
            return record

        return insist(attempt, lambda: f"somebody else changed {name} meanwhile: it is now {self.described(uuid)}")
    def _entry(self, record: DomainRecord, trigger: str, why: str) -> HistoryEntry:
        state, who = str(record.life.state), clipped(self.who, MAX_WORDS)
        return HistoryEntry(self.now(), record.name, "domain", state, state, trigger, "client", who, clipped(why, MAX_WHY), record.request)


def told(record: Vm) -> str:
    """A record in a few words: what it is, what it is wanted to be, and where."""
    if not isinstance(record, DomainRecord):
        return "not readable"
    life = record.life
    wanted = f", wanted {life.want}" if str(life.want) != str(life.state) else ""
    where = f" on {life.owner}" if life.owner is not None else ""
    return f"{life.state}{where}{wanted}" + (f", on its way to {life.target}" if life.target is not None else "")


def _id(kind: str) -> str:
    return f"{kind}-{uuid4().hex[:16]}"


def _policy(old: Policy, changes: Mapping[str, Any], snapshot: Snapshot) -> Policy:
    """The policy with these fields changed; raises NotFound for an unknown node."""
    policy = replace(old, **changes)
    for node in policy.nodes:
        if node not in snapshot.nodes and node not in old.nodes:
            raise NotFound(unknown("node", node, snapshot.nodes), "pvc node list")
    return policy


def _home(record: DomainRecord, snapshot: Snapshot, named: str | None) -> str:
    """Where a new VM belongs: it is only defined, so a node that is away will do when no other is there."""
    if not snapshot.nodes:
        raise Refused("no node has joined this cluster yet, so a VM cannot belong anywhere", "start pvcd on a node, then define the VM")
    allowed = [name for name in sorted(snapshot.nodes) if not record.policy.nodes or name in record.policy.nodes]
    if named is None:
        return next(iter((*snapshot.ranking(record).fits, *allowed, *snapshot.nodes)))
    if named not in snapshot.nodes:
        raise NotFound(unknown("node", named, snapshot.nodes), "pvc node list")
    if named not in allowed:
        raise UsageProblem(f"{record.name} cannot be at home on {named}: its policy does not allow that node", "name one of its nodes")
    return named
