"""What an admin's client reads in a simulated cluster: what it has read before, and what has changed since.

A command on one VM looks at all nodes and all VMs. Over a network that is one round of reads; here, where 2,000 VMs are started one after
the other, it would be most of the work.
"""

from collections.abc import Mapping

from pvc.client.snapshot import MEASURED, NodeNow, Reader, Snapshot, Vm
from pvc.cluster import znodes
from pvc.cluster.ensemble import MemoryEnsemble
from pvc.cluster.evidence import Seen
from pvc.cluster.memory import MemoryStore
from pvc.cluster.names import is_uuid
from pvc.cluster.watches import CHILDREN, DATA, Key


class AdminReader(Reader):
    """Says what a `Reader` says, and reads again only what the ensemble's watches told of. What is known of one connection counts for no
    other: servers that come back may have older data.
    """

    def __init__(self, store: MemoryStore, ensemble: MemoryEnsemble) -> None:
        super().__init__(store)
        self._ensemble = ensemble
        self._generation = 0
        self._forget()

    def _forget(self) -> None:
        self._nodes: Mapping[str, NodeNow] | None = None
        self._uuids: tuple[str, ...] | None = None
        self._domains: dict[str, Seen[Vm]] = {}
        self._changed: set[str] = set()

    def notify(self, key: Key) -> None:
        """Something that was read is another now, or gone."""
        _, path = key
        parent, _, name = path.rpartition("/")
        if path == znodes.DOMAINS:
            self._uuids = None
        elif parent == znodes.DOMAINS:
            self._changed.add(name)
        else:
            self._nodes = None

    def snapshot(self, *, stats: bool = False, domains: bool = False) -> Snapshot:
        """The cluster and its nodes, with their statistics and with all VMs where that is asked for."""
        if not stats:
            return super().snapshot(domains=domains)
        config = self.config()  # which is refused without a connection
        if self.store.generation != self._generation:
            self._generation = self.store.generation
            self._forget()
        return Snapshot(config, self._measured(), self._records() if domains else {})

    def _measured(self) -> Mapping[str, NodeNow]:
        if self._nodes is None:
            for parent in (znodes.NODES, znodes.ALIVE):
                self._ensemble.arm((CHILDREN, parent), self)
            self._nodes = super().snapshot(stats=True).nodes
            for name in self._nodes:
                for path in (znodes.node, *MEASURED):
                    self._ensemble.arm((DATA, path(name)), self)
        return self._nodes

    def _records(self) -> Mapping[str, Seen[Vm]]:
        known = self._domains
        if self._uuids is None:
            self._ensemble.arm((CHILDREN, znodes.DOMAINS), self)
            self._uuids = tuple(name for name in self.store.children(znodes.DOMAINS) or () if name in known or is_uuid(name))
            self._changed.update(uuid for uuid in self._uuids if uuid not in known)
        elif not self._changed:
            return known
        read = {uuid: self._read(uuid) for uuid in sorted(self._changed)}
        self._changed.clear()
        self._domains = {uuid: seen for uuid in self._uuids if (seen := read[uuid] if uuid in read else known[uuid]) is not None}
        return self._domains

    def _read(self, uuid: str) -> Seen[Vm] | None:
        self._ensemble.arm((DATA, znodes.domain(uuid)), self)
        return self.domain(uuid)
