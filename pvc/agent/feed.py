"""The senses: what the store reports becomes what the Core understands.

Watched are the cluster record, the proofs of life, the node records, the own index with the VMs in it, and the index of each node that is
lost, until it is back. So the cost grows with what concerns this node, not with the cluster. Nothing counts as synced until all that was
found on the way was read as well.
"""

from collections.abc import Callable, Iterable

from pvc.cluster import znodes
from pvc.cluster.formats import decode_config, decode_domain, decode_node
from pvc.cluster.names import is_name
from pvc.cluster.records import ClusterConfig
from pvc.cluster.store import Broken, Changed, ChildrenChanged, Connection, Refused, Relisted, State, Store, StoreError, Znode
from pvc.cluster.store import Event as StoreEvent
from pvc.core import events as e
from pvc.errors import UsageProblem

HERE = "here"
"""In place of the index whose children are watched: the VMs with a guest on the own hypervisor."""


class Feed:
    """Turns one store's events into the Core's, and keeps its watches.

    ``look_back`` is called after each connection, before anything that was read counts: it raises whatever ends the daemon when ZooKeeper
    is not what it was, and StoreError when it cannot tell.
    """

    def __init__(self, store: Store, me: str, look_back: Callable[[], None]) -> None:
        self.store = store
        self.me = me
        self.look_back = look_back
        self.generation = 0
        self.session = 0
        self.followed = {znodes.index(me)}
        self.watched: dict[str, frozenset[str]] = {}
        self.awaited: set[str] = set()
        self.relisted = False
        self.synced = False

    def begin(self) -> None:
        """Ask for all that every daemon watches."""
        self.store.watch(znodes.CONFIG)
        for path in (znodes.ALIVE, znodes.NODES, znodes.index(self.me)):
            self.store.watch_children(path)

    def follow(self, node: str) -> None:
        """Watch the VMs of a node that is lost: somebody has to recover them."""
        index = znodes.index(node)
        if index not in self.followed:
            self.followed.add(index)
            self.store.watch_children(index)

    def _back(self, names: Iterable[str]) -> list[e.Event]:
        """Nobody has to recover the VMs of these nodes: otherwise each daemon would watch all VMs once every node was away for a moment."""
        back = sorted(self.followed & {znodes.index(name) for name in names if is_name(name) and name != self.me})
        for index in back:
            self.followed.remove(index)
            self.store.unwatch_children(index)
        return [event for index in back for event in self._watch_records(index, frozenset())]

    def attend(self, uuids: frozenset[str]) -> list[e.Event]:
        """Watch the records of these VMs whatever the index says, and of no others for this reason."""
        return self._watch_records(HERE, frozenset(znodes.domain(uuid) for uuid in uuids))

    def take(self, event: StoreEvent) -> list[e.Event]:
        """What this event of the store means; nothing when it is of an earlier connection."""
        match event:
            case Connection():
                return self._connection(event)
            case Broken(why=why):
                raise RuntimeError(f"the ZooKeeper client cannot go on: {why}")
            case Changed() | ChildrenChanged() | Relisted() if event.generation != self.generation:
                return []
            case Relisted():
                return self._relisted()
            case ChildrenChanged(path=path, names=names):
                return [*self._children(path, names or ()), *self._sync()]
            case Changed(path=path, znode=znode):
                self.awaited.discard(path)
                return [*self._changed(path, znode), *self._sync()]
        return []

    def _connection(self, event: Connection) -> list[e.Event]:
        if event.state is State.SUSPENDED:
            return [e.Disconnected()]
        if event.state is State.LOST:
            return [e.Disconnected(expired=True)]
        new, self.session, self.generation = event.session_id != self.session, event.session_id, event.generation
        self.awaited = {path for paths in self.watched.values() for path in paths}
        self.relisted = self.synced = False
        return [e.Connected(new_session=new)]

    def _relisted(self) -> list[e.Event]:
        try:
            self.look_back()
        except Refused:
            pass  # what it may not read it cannot write either, and reading again would change nothing
        except StoreError:
            self.store.relist()
            return []
        self.relisted = True
        return self._sync()

    def _sync(self) -> list[e.Event]:
        if self.synced or not self.relisted or self.awaited:
            return []
        self.synced = True
        return [e.Synced()]

    def _children(self, path: str, names: tuple[str, ...]) -> list[e.Event]:
        if path == znodes.ALIVE:
            return [e.AliveSeen(frozenset(names)), *self._back(names)]
        if path != znodes.NODES and path not in self.followed:
            return []  # it was on its way
        return self._watch_records(path, frozenset(self._records(path, names)))

    def _watch_records(self, parent: str, paths: frozenset[str]) -> list[e.Event]:
        before = self.watched.get(parent, frozenset())
        self.watched[parent] = paths
        others = frozenset(one for other, some in self.watched.items() if other != parent for one in some)
        for new in sorted(paths - before - others):
            self.awaited.add(new)
            self.store.watch(new)
        gone = sorted(before - paths - others)
        for old in gone:
            self.awaited.discard(old)
            self.store.unwatch(old)
        return [e.NodeSeen(_name(one), None) if parent == znodes.NODES else e.DomainSeen(_name(one), None) for one in gone]

    def _records(self, path: str, names: Iterable[str]) -> Iterable[str]:
        record = znodes.node if path == znodes.NODES else znodes.domain
        for name in names:
            try:
                yield record(name)
            except UsageProblem:
                continue  # not one of ours: it is left as it is

    def _changed(self, path: str, znode: Znode | None) -> list[e.Event]:
        if path == znodes.CONFIG:
            config = None if znode is None else decode_config(znode.data)
            return [e.ConfigSeen(config, 0 if znode is None else znode.version)] if isinstance(config, ClusterConfig) else []
        name = _name(path)
        if path.startswith(znodes.NODES):
            return [e.NodeSeen(name, None) if znode is None else e.NodeSeen(name, decode_node(name, znode.data), znode.version)]
        return [e.DomainSeen(name, None) if znode is None else e.DomainSeen(name, decode_domain(name, znode.data), znode.version)]


def _name(path: str) -> str:
    return path.rpartition("/")[2]
