"""The store of somebody who can wait: an election, or another server, costs a pause and no command.

Not for a daemon at work, which has to know at once that nobody answers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import TypeVar

from pvc.cluster.live import ZooKeeperStore
from pvc.cluster.store import NotConnected, Op, Znode

PATIENCE_S = 20.0
"""How long a connection is waited for. A frozen server is left within two thirds of a session, and an election takes seconds."""

T = TypeVar("T")


class PatientStore(ZooKeeperStore):
    """Asks again, on the next connection, what was certainly not done: reads, and writes that were never sent."""

    def read_many(self, paths: Iterable[str], *, sync: bool = False) -> Mapping[str, Znode | None]:
        wanted = tuple(paths)
        return self._insist(lambda: super(PatientStore, self).read_many(wanted, sync=sync))

    def children(self, path: str, *, sync: bool = False) -> tuple[str, ...] | None:
        return self._insist(lambda: super(PatientStore, self).children(path, sync=sync))

    def multi(self, ops: Sequence[Op]) -> tuple[int, ...]:
        return self._insist(lambda: super(PatientStore, self).multi(ops))

    def _insist(self, ask: Callable[[], T]) -> T:
        deadline = monotonic() + PATIENCE_S
        while True:
            generation = self.generation
            try:
                return ask()
            except NotConnected:
                if not self._session.reconnected(generation, deadline - monotonic()):
                    raise
