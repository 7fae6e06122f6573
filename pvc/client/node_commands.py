"""Commands on nodes, and what is left on one that is being emptied."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

from pvc.client.snapshot import NodeNow, Reader, Snapshot
from pvc.client.writing import Writer, insist
from pvc.cluster import znodes
from pvc.cluster.admin_changes import remove_change
from pvc.cluster.evidence import Seen, Transition
from pvc.cluster.formats import decode_node
from pvc.cluster.node_changes import node_change
from pvc.cluster.records import DomainRecord, Method, NodeRecord, Unreadable
from pvc.cluster.store import Znode
from pvc.errors import PvcError, Refused
from pvc.fsm.fire import after
from pvc.fsm.flush import FLUSH
from pvc.fsm.row import explain
from pvc.fsm.states import By, Domain, Flush, Want
from pvc.fsm.views import NodeLife, NodeView


@dataclass(frozen=True, slots=True)
class Told:
    """A command to a node that is written: the version of its record, its life before, and whether its daemon is there to act on it."""

    name: str
    before: NodeLife
    version: int
    alive: bool


@dataclass(frozen=True, slots=True)
class Left:
    """A VM that is still on a node which is being emptied: what it does, and why it cannot leave, empty when it can."""

    name: str
    doing: str
    blocked: str


class NodeCommands:
    """What one client does with nodes."""

    def __init__(self, reader: Reader, writer: Writer, who: str, now: Callable[[], str]) -> None:
        self.reader = reader
        self.writer = writer
        self.who = who
        self.now = now

    def fire(self, name: str, trigger: str, why: str = "") -> Told:
        """Flush a node, or give it back."""
        self.reader.node(name)
        return insist(lambda: self._fire(name, trigger, why), lambda: self._changed(name))

    def _fire(self, name: str, trigger: str, why: str) -> Told:
        node = self.reader.node(name)
        record = readable_node(node)
        if trigger == "flush" and not node.alive:
            raise Refused(f"{name} cannot be flushed: it does not answer, and only its own daemon can empty it", f"pvc node info {name}")
        view = NodeView(record.life, name, alive=node.alive)
        answer = explain(FLUSH, record.life.flush, trigger, By.CLIENT, view)
        if answer.row is None:
            raise Refused(f"{name}: {answer.reason}", f"pvc node info {name}")
        life = after(FLUSH, answer.row, view)
        assert isinstance(life, NodeLife)
        snapshot = self.reader.snapshot()
        transition = Transition("flush", answer.row, By.CLIENT, self.who, f"cli-{uuid4().hex[:16]}", self.now(), why)
        change = node_change(Seen(record, node.version), life, transition, snapshot.relied(), events=self.reader.events(name))
        version = self.writer.write(change, written_node(name, transition.request))
        return Told(name, record.life, version, node.alive)

    def remove(self, name: str) -> None:
        """Forget a node that is gone for good; raises Refused while it may be there, or while a VM names it."""
        self.reader.node(name)
        insist(lambda: self._remove(name), lambda: self._changed(name))

    def _remove(self, name: str) -> None:
        node = self.reader.node(name)
        if node.alive:
            raise Refused(f"{name} cannot be removed: its daemon is there", f"stop it first: systemctl stop pvcd on {name}")
        record, config = readable_node(node), self.reader.config()
        self._check_unnamed(name)
        children = self.reader.store.children(znodes.node(name), sync=True) or ()
        boot = self.reader.store.read(znodes.boot(name), sync=True)
        if boot is None:
            raise PvcError(f"{name} has no boot record", "repair the cluster by hand: that record is never deleted")
        request = f"cli-{uuid4().hex[:16]}"
        change = remove_change(Seen(record, node.version), children, Seen(boot.data, boot.version), config.version, request)
        self.writer.write(change, written_node(name, request))

    def _check_unnamed(self, name: str) -> None:
        """Say which VMs name it; one that comes to in this moment is seen by the write, because an index that is not empty stays."""
        uuids = self.reader.named_by(name)
        if not uuids:
            return
        records = [record for uuid in uuids if isinstance(record := self._record(uuid), DomainRecord)]
        bound = sorted(record.name for record in records if name in (record.life.owner, record.life.target))
        homes = sorted(record.name for record in records if record.name not in bound)
        what = [f"it owns, or is to take, {', '.join(bound)}"] if bound else []
        what += [f"it is the home of {', '.join(homes)}"] if homes else []
        unread = f"VM{'s' if len(uuids) > 1 else ''} that cannot be read"
        what += [] if what else [f"it is named by {len(uuids)} {unread}"]
        raise Refused(f"{name} cannot be removed: {'; '.join(what)}", "pvc vm stay NAME, or pvc vm move NAME NODE, gives a VM another home")

    def _record(self, uuid: str) -> object:
        seen = self.reader.domain(uuid)
        return None if seen is None else seen.value

    def _changed(self, name: str) -> str:
        node = self.reader.node(name)
        life = readable_node(node).life
        return f"somebody else changed {name} meanwhile: it is now {life.daemon}, {life.flush}"


def left_on(name: str, snapshot: Snapshot) -> Iterator[Left]:
    """The VMs that keep a node from being empty, by name."""
    for record in sorted(snapshot.records(), key=lambda one: one.name):
        life = record.life
        if life.owner == name:
            target = f" to {life.target}" if life.target is not None else ""
            yield Left(record.name, f"{life.state}{target}", _blocked(record, snapshot))
        elif life.target == name:
            resolve = f"a guest of it runs here unowned: pvc vm resolve {record.name}" if life.state is Domain.conflict else ""
            yield Left(record.name, f"{life.state}, on its way here", resolve)


def _blocked(record: DomainRecord, snapshot: Snapshot) -> str:
    if record.life.state is not Domain.start or record.life.want is not Want.start:
        return ""
    if snapshot.config.value.hold.on:
        return "the cluster is held: pvc hold off"
    if record.policy.migration is Method.none:
        return "its policy is to stay where it is"
    ranking = snapshot.ranking(record)
    others = [name for name in ranking.fits if name != record.life.owner]
    if any(name not in record.life.avoid for name in others):
        return ""
    tried = [(name, "it failed to take it a moment ago") for name in others]
    unfit = [(name, why) for name, why in ranking.unfit if name != record.life.owner]
    return "; ".join(f"{name}: {why}" for name, why in sorted([*tried, *unfit])) or "there is no other node"


def is_over(trigger: str, flush: Flush) -> bool | None:
    """Whether a command to a node has come to its end: True, or False when somebody has called it off, None while it goes on."""
    done, going = {"flush": (Flush.flushed, Flush.flush), "ready": (Flush.ready, Flush.unflush)}[trigger]
    return True if flush is done else None if flush is going else False


def readable_node(node: NodeNow) -> NodeRecord:
    """A record that this client can write; raises PvcError for one that it cannot."""
    if not isinstance(node.record, NodeRecord):
        if isinstance(node.record, Unreadable):
            raise PvcError(f"{node.name}: {node.record}", "repair that znode by hand; nobody acts on it until then")
        why = f"{node.name} is written in version {node.record.version} of its format, which this PVC does not know"
        raise PvcError(why, "use the version of pvc that its daemon has")
    return node.record


def written_node(name: str, request: str) -> Callable[[Znode], bool]:
    """Whether a znode of this node shows that this request was written."""

    def applied(znode: Znode) -> bool:
        record = decode_node(name, znode.data)
        return isinstance(record, NodeRecord) and record.request == request

    return applied
