"""The whole cluster as it changes, by watches: what a screen that stays up is drawn from, and what happens as it happens.

A watch says what is, not what was between; what happened is read from the histories, which keep the last transitions of each VM and node.
"""

from collections.abc import Iterable, Iterator

from pvc.client.ear import Ear
from pvc.client.snapshot import NodeNow, Snapshot, Vm
from pvc.cluster import znodes
from pvc.cluster.evidence import Seen
from pvc.cluster.formats import decode_config, decode_domain, decode_history, decode_node, decode_progress, decode_stats
from pvc.cluster.names import is_name, is_uuid
from pvc.cluster.progress import Progress
from pvc.cluster.records import ClusterConfig, History, HistoryEntry, NodeStats
from pvc.cluster.store import Broken, Changed, ChildrenChanged, Connection, Event, State, Store, Znode
from pvc.errors import NoQuorum


class Mirror:
    """Watches one cluster until `close`: `state`, what is; `events`, what happens; or both.

    `last` holds the last move of each VM (by UUID) and node (by name) in each machine: from where, by what, to where.
    """

    def __init__(self, store: Store, ear: Ear, *, state: bool = True, events: bool = False) -> None:
        self.store = store
        self.ear = ear
        self.connected = True
        self.happened: list[HistoryEntry] = []
        self.last: dict[str, dict[str, tuple[str, str, str]]] = {}
        self._state, self._events = state, events
        self._znodes: dict[str, Znode | None] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._domains: dict[str, Seen[Vm]] = {}
        self._heard: set[str] = set()
        self._told: dict[str, str | None] = {}
        self._begun = False

    def begin(self) -> None:
        """Watch everything; what is there already counts as known."""
        self.ear.forget()
        self._watch(znodes.CONFIG)
        for parent in (znodes.NODES, znodes.ALIVE, znodes.DOMAINS):
            self.store.watch_children(parent)

    def close(self) -> None:
        """Watch no more."""
        for path in self._znodes:
            self.store.unwatch(path)
        for parent in (znodes.NODES, znodes.ALIVE, znodes.DOMAINS):
            self.store.unwatch_children(parent)

    def wait(self, timeout_s: float) -> bool:
        """Take what happens within this time, as much as is there at once; returns whether anything did. Raises NoQuorum at the end."""
        event = self.ear.next(timeout_s)
        if event is None:
            return False
        while event is not None:
            self._take(event)
            event = self.ear.next(0)
        return True

    @property
    def complete(self) -> bool:
        """Whether everything that is watched was read."""
        parents = {znodes.NODES, znodes.ALIVE, znodes.DOMAINS}
        return parents <= self._names.keys() and self._heard >= self._znodes.keys()

    def finish(self) -> None:
        """From here on, whatever a history gains has happened now."""
        self._begun = True

    def snapshot(self) -> Snapshot | None:
        """The cluster as last heard of; None before its own record was read, or when that cannot be read."""
        znode = self._znodes.get(znodes.CONFIG)
        config = None if znode is None else decode_config(znode.data)
        if znode is None or not isinstance(config, ClusterConfig):
            return None
        nodes = {name: node for name in sorted(self._names.get(znodes.NODES, ())) if (node := self._node(name)) is not None}
        return Snapshot(Seen(config, znode.version), nodes, dict(self._domains))

    # ---- what is heard

    def _take(self, event: Event) -> None:
        match event:
            case Changed(path=path, znode=znode) if path in self._znodes:
                self._znodes[path] = znode
                self._heard.add(path)
                if path.endswith(("/history", "/events")):
                    self._history(path, znode)
                elif path.startswith(f"{znodes.DOMAINS}/"):
                    self._domain(path.rpartition("/")[2], znode)
            case ChildrenChanged(path=path, names=names):
                self._children(path, frozenset(names or ()))
            case Connection(state=state):
                self.connected = state is State.CONNECTED
            case Broken(why=why):
                raise NoQuorum(f"the connection to ZooKeeper is gone: {why}", "look at the ensemble, then start this again")

    def _children(self, parent: str, names: frozenset[str]) -> None:
        test = is_uuid if parent == znodes.DOMAINS else is_name
        known, names = self._names.get(parent, frozenset()), frozenset(filter(test, names))
        self._names[parent] = names
        for name in names - known:
            for path in self._paths(parent, name):
                self._watch(path)
        for name in known - names:
            for path in self._paths(parent, name):
                self.store.unwatch(path)
                self._znodes.pop(path, None)
                self._told.pop(path, None)
                self._domains.pop(name, None)
                self.last.pop(name, None)
                self._heard.discard(path)

    def _paths(self, parent: str, name: str) -> Iterable[str]:
        of = {
            znodes.DOMAINS: ((znodes.domain,), znodes.history),
            znodes.NODES: ((znodes.node, znodes.stats, znodes.progress), znodes.events),
        }
        if parent not in of:
            return ()
        state, events = of[parent]
        return [*(path(name) for path in state if self._state), *([events(name)] if self._events else [])]

    def _watch(self, path: str) -> None:
        self._znodes.setdefault(path, None)
        self.store.watch(path)

    def _domain(self, uuid: str, znode: Znode | None) -> None:
        """Decoded once, when it changes: a screen is drawn from all of them again and again."""
        if znode is None:
            self._domains.pop(uuid, None)
        else:
            self._domains[uuid] = Seen(decode_domain(uuid, znode.data), znode.version)

    def _history(self, path: str, znode: Znode | None) -> None:
        found = None if znode is None else decode_history(path, znode.data)
        entries = found.entries if isinstance(found, History) else ()
        moves = {entry.machine: (entry.source, entry.trigger, entry.dest) for entry in entries if entry.source != entry.dest}
        self.last[path.split("/")[2]] = moves
        first, last = path not in self._told, self._told.get(path)
        if not first or self._begun:
            self.happened += _after(last, entries)
        self._told[path] = _mark(entries[-1]) if entries else last

    def _node(self, name: str) -> NodeNow | None:
        znode = self._znodes.get(znodes.node(name))
        if znode is None:
            return None
        stats, progress = self._znodes.get(znodes.stats(name)), self._znodes.get(znodes.progress(name))
        measured = None if stats is None else decode_stats(name, stats.data)
        told = None if progress is None else decode_progress(name, progress.data)
        known = measured if isinstance(measured, NodeStats) and measured.tick else None
        leaving = told.migrations if isinstance(told, Progress) else ()
        return NodeNow(name, decode_node(name, znode.data), znode.version, name in self._names.get(znodes.ALIVE, ()), known, leaving)


def _mark(entry: HistoryEntry) -> str:
    return f"{entry.request} {entry.machine} {entry.trigger} {entry.time}"


def _after(mark: str | None, entries: tuple[HistoryEntry, ...]) -> Iterator[HistoryEntry]:
    known = [number for number, entry in enumerate(entries) if _mark(entry) == mark]
    yield from entries[known[-1] + 1 :] if known else entries
