"""What in a cluster an admin has to look at, each with the next step: what is broken, what stands still, and what a node could not lose."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pvc.client.lost import not_shot, waits_for_room, waits_for_word, word_for
from pvc.client.room import Loss, losses
from pvc.client.snapshot import NodeNow, Snapshot
from pvc.cluster.records import DomainOutline, DomainRecord, NodeOutline, NodeRecord, Unreadable
from pvc.core.brakes import unshootable
from pvc.fsm.domain import OFF
from pvc.fsm.states import Daemon, Domain, Fence, Flush, Want
from pvc.fsm.tables import TABLES
from pvc.fsm.views import Life

PROBLEM, WARNING, FINE = "problem", "warning", "ok"
MANY = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: how bad it is, what it is about, what was found, and what to do."""

    level: str
    about: str
    sentence: str
    next_step: str | None = None


def attention(snapshot: Snapshot, lost: Sequence[Loss] | None = None) -> list[Finding]:
    """All that needs somebody, the worst first; `lost` is what a loss of each node would mean, where that is known already."""
    hold = snapshot.config.value.hold
    found = [Finding(WARNING, "cluster", f"the hold is on, by {hold.by}: no node is shot", "pvc hold off")] if hold.on else []
    for node in snapshot.nodes.values():
        found += _node(node, snapshot)
    for uuid, seen in sorted(snapshot.domains.items(), key=lambda one: str(getattr(one[1].value, "name", ""))):
        found += _unreadable(uuid, seen.value) if not isinstance(seen.value, DomainRecord) else _vm(seen.value, snapshot)
    found += _capacity(losses(snapshot) if lost is None else lost)
    return sorted(found, key=lambda one: one.level != PROBLEM)


def _because(why: str) -> str:
    return f": {why}" if why else ""


def _node(node: NodeNow, snapshot: Snapshot) -> Iterator[Finding]:
    name, record = node.name, node.record
    if isinstance(record, Unreadable):
        yield Finding(PROBLEM, name, f"its record cannot be read, so nobody acts on it: {record.why}", "repair that znode by hand")
        return
    life, next_step = record.life, f"pvc node explain {name}"
    if isinstance(record, NodeOutline):
        sentence = f"its record is of version {record.version}, which this pvc does not know"
        yield Finding(WARNING, name, sentence, "use the version of its daemon")
    if waits_for_word(node) or life.daemon is Daemon.unfenced:
        sentence = f"it is {life.daemon}, and its death is not proven: nothing of it is recovered"
        yield Finding(PROBLEM, name, sentence + _because(waits_for_word(node)), word_for(name))
    elif life.daemon in (Daemon.dead, Daemon.fencing) or life.fence not in (Fence.none, Fence.proven):
        held = not_shot(name, snapshot)
        sentence = f"it is {life.daemon}, its fence is at {life.fence}"
        yield Finding(PROBLEM, name, f"{sentence}, and it is not shot{_because(held)}" if held else sentence, next_step)
    elif life.daemon is Daemon.fenced:
        yield Finding(WARNING, name, "it is proven off, and was not started again", f"switch it on, or pvc node remove {name}")
    elif not node.alive:
        stopped = life.daemon is Daemon.stop
        sentence = "its daemon was stopped" if stopped else "it does not answer"
        yield Finding(WARNING if stopped else PROBLEM, name, sentence, f"systemctl start pvcd on {name}" if stopped else next_step)
    if node.alive and node.stats is not None and not node.stats.libvirt:
        yield Finding(PROBLEM, name, "its libvirt does not answer: it can start nothing", f"systemctl status libvirtd on {name}")
    if life.flush is not Flush.ready:
        yield Finding(WARNING, name, f"it takes no VMs: {life.flush}", f"pvc node ready {name}")
    if node.alive and node.unfenceable_from and isinstance(record, NodeRecord) and record.fencing.works:
        sentence = f"it could not be fenced from {', '.join(node.unfenceable_from)}"
        yield Finding(WARNING, name, sentence, f"pvc node fence-test {name}")


def _unreadable(uuid: str, vm: DomainOutline | Unreadable) -> Iterator[Finding]:
    if isinstance(vm, DomainOutline):
        yield Finding(WARNING, vm.name, f"its record is of version {vm.version}, which this pvc does not know", "use a newer pvc")
    else:
        yield Finding(PROBLEM, uuid, f"its record cannot be read, so nobody acts on it: {vm.why}", "repair that znode by hand")


def _vm(vm: DomainRecord, snapshot: Snapshot) -> Iterator[Finding]:
    life, next_step = vm.life, f"pvc vm explain {vm.name}"
    if life.state is Domain.failed:
        yield Finding(PROBLEM, vm.name, f"it failed: {vm.reason}", f"pvc vm history {vm.name}, then pvc vm start {vm.name}")
    elif life.state is Domain.conflict:
        sentence = f"a guest of it runs on {life.target}, which does not own it"
        yield Finding(PROBLEM, vm.name, sentence, f"pvc vm resolve {vm.name} --keep, or --stop")
    elif life.state is Domain.place and not snapshot.ranking(vm).fits:
        yield Finding(PROBLEM, vm.name, "it is to be started, and no node can take it", next_step)
    elif waits_for_room(vm, snapshot):
        sentence = f"its node {life.owner} is proven off, and no other can take it: it waits for room"
        yield Finding(PROBLEM, vm.name, sentence, next_step)
    elif life.owner is not None and (life.owner not in snapshot.nodes or not snapshot.nodes[life.owner].alive):
        yield Finding(PROBLEM, vm.name, f"it is {life.state} on {life.owner}, which does not answer", f"pvc node explain {life.owner}")
    elif life.want is Want.start and life.state in OFF:
        yield Finding(WARNING, vm.name, f"it is wanted up, and is {life.state}", next_step)
    elif life.restarts:
        times = "once" if life.restarts == 1 else f"{life.restarts} times in a row"
        yield Finding(WARNING, vm.name, f"it failed {times}", f"pvc vm history {vm.name}")


def _capacity(lost: Sequence[Loss]) -> Iterator[Finding]:
    for loss in lost:
        if loss.left:
            names = ", ".join(one.name for one in loss.left[:MANY]) + (" ..." if len(loss.left) > MANY else "")
            needed = sum(one.memory_mib for one in loss.left)
            sentence = f"its loss would leave {len(loss.left)} VM{'s' if len(loss.left) > 1 else ''} ({needed} MiB) without room: {names}"
            yield Finding(WARNING, loss.node, sentence, f"pvc node explain {loss.node}")


def counts(machine: str, snapshot: Snapshot) -> dict[str, int]:
    """How many records are in each state of this machine, in the order of its declaration; states without any are left out."""
    field = {"node": "daemon", "flush": "flush", "fence": "fence", "domain": "state", "migration": "phase"}.get(machine)
    lives = _lives(machine, snapshot) if field else []
    found = Counter(str(getattr(life, str(field))) for life in lives)
    return {str(state.name): found[str(state.name)] for state in TABLES[machine].states if found[str(state.name)]}


def _lives(machine: str, snapshot: Snapshot) -> list[object]:
    if machine in ("domain", "migration"):
        lives: list[Life] = [record.life for record in snapshot.records()]
        return [life for life in lives if machine == "domain" or life.state is Domain.migrate]
    return [node.record.life for node in snapshot.nodes.values() if isinstance(node.record, NodeRecord | NodeOutline)]


def unfenceable(snapshot: Snapshot) -> dict[str, str]:
    """The nodes whose death nobody could prove but an operator, and why."""
    records = (node.record for node in snapshot.nodes.values())
    known = ((record.name, record.fencing) for record in records if isinstance(record, NodeRecord))
    return {name: why for name, fencing in sorted(known) if not fencing.reset_s and (why := unshootable(fencing))}
