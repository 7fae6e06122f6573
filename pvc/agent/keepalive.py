"""The write of a keepalive: a node's statistics, guarded by its boot token, and what it tells of ZooKeeper's past."""

from pvc.cluster import znodes
from pvc.cluster.commit import commit
from pvc.cluster.node_changes import keepalive
from pvc.cluster.records import NodeStats
from pvc.cluster.store import Refused, Store


class StatsWriter:
    """Writes one node's statistics; it knows the version that it wrote last, so that most keepalives are one request."""

    def __init__(self, node: str, store: Store) -> None:
        self.written = (0, -1)
        """The transaction that created the statistics, 0 before it is known, and the version that was written last."""
        self._node = node
        self._store = store
        self._version: int | None = None

    def write(self, stats: NodeStats, token: int) -> tuple[int, int] | None:
        """Write them under this boot token. Raises StoreError.

        Where ZooKeeper has an earlier version than was written, it has lost what it had acknowledged: then nothing is written, and what it
        has is returned.
        """
        if self._version is not None:
            try:
                self._wrote(self.written[0], commit(self._store, keepalive(self._node, stats, self._version, token)))
                return None
            except Refused:
                self._version = None  # joining anew writes one too
        znode = self._store.read(znodes.stats(self._node), sync=True)
        born, version = (0, -1) if znode is None else (znode.czxid, znode.version)
        if born and born == self.written[0] and version < self.written[1]:
            return born, version
        self._wrote(born, commit(self._store, keepalive(self._node, stats, version, token)))
        return None

    def _wrote(self, born: int, version: int) -> None:
        self._version, self.written = version, (born, version)
