"""The cluster as a client reads it: nodes with their statistics, VMs, and what follows from them for a decision."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from pvc.cluster import znodes
from pvc.cluster.device_tests import DeviceTests, decode_tests
from pvc.cluster.evidence import Relied, Seen
from pvc.cluster.formats import decode_config, decode_domain, decode_history, decode_node, decode_progress, decode_stats
from pvc.cluster.names import is_name, is_uuid
from pvc.cluster.progress import Leaving, Progress
from pvc.cluster.records import (
    ClusterConfig,
    DomainOutline,
    DomainRecord,
    History,
    NodeOutline,
    NodeRecord,
    NodeStats,
    Unreadable,
)
from pvc.cluster.store import Store, Znode
from pvc.core.facts import NodeFacts
from pvc.core.policy import Ranking, rank
from pvc.core.settings import Settings, settings_of
from pvc.errors import NotFound, PvcError, unknown
from pvc.fsm.states import Migration

Vm = DomainRecord | DomainOutline | Unreadable

MEASURED = (znodes.stats, znodes.progress, znodes.device_tests)
"""Where a node tells how it is, beside its record."""


@dataclass(frozen=True, slots=True)
class NodeNow:
    """A node: its record and the version of it, whether it holds its session, what its daemon last measured, and how far the migrations
    away from it are.
    """

    name: str
    record: NodeRecord | NodeOutline | Unreadable
    version: int
    alive: bool
    stats: NodeStats | None = None
    progress: tuple[Leaving, ...] = ()
    unfenceable_from: tuple[str, ...] = ()
    """The nodes whose daemons got no answer from its fence device when they last tested it, or none to be believed."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one round of reads showed; not one instant, so every write checks the versions that it was decided by."""

    config: Seen[ClusterConfig]
    nodes: Mapping[str, NodeNow] = field(default_factory=dict)
    domains: Mapping[str, Seen[Vm]] = field(default_factory=dict)

    def facts(self) -> dict[str, NodeFacts]:
        """The nodes whose records can be read, in the form that decisions are made from."""
        return {
            node.name: NodeFacts(node.record.life, node.alive, node.record.boot)
            for node in self.nodes.values()
            if isinstance(node.record, NodeRecord | NodeOutline)
        }

    def relied(self) -> Relied:
        """The versions that a decision from this snapshot relies on."""
        return Relied(
            nodes={node.name: node.version for node in self.nodes.values()},
            config=self.config.version,
            alive=frozenset(node.name for node in self.nodes.values() if node.alive),
        )

    def ranking(self, record: DomainRecord) -> Ranking:
        """The nodes that fit this VM, best first, with room counted for the VMs that are on their way."""
        stats = {node.name: node.stats for node in self.nodes.values() if node.stats is not None}
        records = [seen.value for seen in self.domains.values()]
        bound = [other for other in records if isinstance(other, DomainRecord) and other.life.target is not None]
        return rank(record, self.facts(), stats, bound)

    def leaving(self, record: DomainRecord) -> Leaving | None:
        """How far the migration of this VM is, when its node has told anything of it."""
        node = self.nodes.get(str(record.life.owner))
        told = () if node is None or record.life.phase is not Migration.moving else node.progress
        return next((one for one in told if (one.of, one.op) == (record.uuid, record.life.op_id)), None)

    def settings(self, *names: str | None) -> Settings:
        """The times by which the first of these nodes counts that says so, else any node; the defaults where none does."""
        ordered = [*(self.nodes[name] for name in names if name is not None and name in self.nodes), *self.nodes.values()]
        told = (settings_of(node.record.machine) for node in ordered if isinstance(node.record, NodeRecord))
        return next(filter(None, told), Settings())

    def records(self) -> Iterator[DomainRecord]:
        """The VMs whose records can be read."""
        return (seen.value for seen in self.domains.values() if isinstance(seen.value, DomainRecord))


class Reader:
    """Reads of one store, pipelined where they are many; every one of them is as new as what the leader had when asked."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def config(self) -> Seen[ClusterConfig]:
        """The cluster; raises NotFound when there is none at this address."""
        return _config(self.store.read(znodes.CONFIG, sync=True))

    def snapshot(self, *, stats: bool = False, domains: bool = False) -> Snapshot:
        """The cluster and its nodes, with their statistics and with all VMs where that is asked for."""
        names = [name for name in self.store.children(znodes.NODES, sync=True) or () if is_name(name)]
        alive = frozenset(self.store.children(znodes.ALIVE) or ())
        measured = [path(name) for name in names for path in MEASURED] if stats else []
        uuids = [uuid for uuid in self.store.children(znodes.DOMAINS) or () if is_uuid(uuid)] if domains else []
        records = {uuid: znodes.domain(uuid) for uuid in uuids}
        paths = [znodes.CONFIG, *map(znodes.node, names), *measured, *records.values()]
        found = self.store.read_many(paths)
        nodes = {name: _node(name, znode, alive, found) for name in names if (znode := found[znodes.node(name)])}
        nodes |= {name: replace(nodes[name], unfenceable_from=testers) for name, testers in _unfenceable_from(nodes, found).items()}
        vms = {uuid: Seen(decode_domain(uuid, znode.data), znode.version) for uuid, path in records.items() if (znode := found[path])}
        return Snapshot(_config(found[znodes.CONFIG]), nodes, vms)

    def uuid_of(self, name: str) -> str:
        """The UUID of the VM with this name or UUID; raises NotFound with the nearest names."""
        if is_uuid(name.lower()):
            if self.store.read(znodes.domain(name.lower()), sync=True) is not None:
                return name.lower()
            raise NotFound(f"no VM has the UUID {name.lower()}.", "pvc vm list")
        znode = self.store.read(znodes.name(name), sync=True) if is_name(name) else None
        if znode is not None and is_uuid(text := znode.data.decode("ascii", "replace")):
            return text
        self.config()  # where there is no cluster, that is what has to be said
        raise NotFound(unknown("VM", name, self.store.children(znodes.NAMES) or ()), "pvc vm list")

    def domain(self, uuid: str) -> Seen[Vm] | None:
        """The record of this VM, None when there is none."""
        znode = self.store.read(znodes.domain(uuid), sync=True)
        return None if znode is None else Seen(decode_domain(uuid, znode.data), znode.version)

    def node(self, name: str) -> NodeNow:
        """This node; raises NotFound with the nearest names."""
        alive = frozenset(self.store.children(znodes.ALIVE, sync=True) or ())
        paths = [path(name) for path in (znodes.node, znodes.stats, znodes.progress)] if is_name(name) else []
        found = self.store.read_many(paths)
        znode = found[paths[0]] if paths else None
        if znode is None:
            self.config()
            raise NotFound(unknown("node", name, self.store.children(znodes.NODES) or ()), "pvc node list")
        return _node(name, znode, alive, found)

    def history(self, uuid: str) -> Seen[History] | Unreadable | None:
        """The last transitions of this VM."""
        return self._history(znodes.history(uuid))

    def events(self, node: str) -> Seen[History] | Unreadable | None:
        """The last transitions of this node."""
        return self._history(znodes.events(node))

    def _history(self, path: str) -> Seen[History] | Unreadable | None:
        znode = self.store.read(path)
        if znode is None:
            return None
        history = decode_history(path, znode.data)
        return history if isinstance(history, Unreadable) else Seen(history, znode.version)

    def xml(self, uuid: str) -> Seen[bytes]:
        """The XML of this VM; raises NotFound when it is gone."""
        znode = self.store.read(znodes.xml(uuid), sync=True)
        if znode is None:
            raise NotFound(f"the VM {uuid} has no XML any more.", "pvc vm list")
        return Seen(znode.data, znode.version)

    def named_by(self, node: str) -> tuple[str, ...]:
        """The UUIDs of the VMs that name this node, as its index has them."""
        return tuple(uuid for uuid in self.store.children(znodes.index(node), sync=True) or () if is_uuid(uuid))


def readable(seen: Seen[Vm] | None, name: str) -> Seen[DomainRecord]:
    """The record, when it is one that this version may write; raises what an admin has to know when it is not."""
    if seen is None:
        raise NotFound(f"{name} is gone.", "pvc vm list")
    record = seen.value
    if isinstance(record, Unreadable):
        raise PvcError(f"{name}: {record}", "repair that znode by hand; nobody acts on it until then")
    if isinstance(record, DomainOutline):
        raise PvcError(f"{name} is written in version {record.version} of its format, which this PVC does not know", "use a newer pvc")
    return Seen(record, seen.version)


def _unfenceable_from(nodes: Mapping[str, NodeNow], found: Mapping[str, Znode | None]) -> dict[str, tuple[str, ...]]:
    """The nodes whose devices others found not to work, and who did."""
    testers: dict[str, set[str]] = {}
    for tester, node in nodes.items():
        znode = found.get(znodes.device_tests(tester))
        tests = decode_tests(tester, znode.data) if znode is not None and node.alive else None
        for one in tests.results if isinstance(tests, DeviceTests) else ():
            if not one.works and one.node in nodes and one.node != tester:
                testers.setdefault(one.node, set()).add(tester)
    return {name: tuple(sorted(some)) for name, some in testers.items()}


def _config(znode: Znode | None) -> Seen[ClusterConfig]:
    if znode is None:
        raise NotFound("there is no PVC cluster at this address", "pvc init NAME creates one; or give another address with -z")
    config = decode_config(znode.data)
    if isinstance(config, Unreadable):
        raise PvcError(str(config), "repair that znode by hand, or use the version of pvc that wrote it")
    return Seen(config, znode.version)


def _node(name: str, znode: Znode, alive: frozenset[str], found: Mapping[str, Znode | None]) -> NodeNow:
    stats, progress = found.get(znodes.stats(name)), found.get(znodes.progress(name))
    measured = None if stats is None else decode_stats(name, stats.data)
    known = measured if isinstance(measured, NodeStats) and measured.tick else None  # with tick 0, nothing was measured yet
    told = None if progress is None else decode_progress(name, progress.data)
    leaving = told.migrations if isinstance(told, Progress) else ()
    return NodeNow(name, decode_node(name, znode.data), znode.version, name in alive, known, leaving)
