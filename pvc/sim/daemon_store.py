"""The store of a simulated daemon, with what may befall its connection and its process."""

from collections.abc import Callable, Sequence

from pvc.cluster.ensemble import MemoryEnsemble
from pvc.cluster.memory import MemoryStore
from pvc.cluster.store import Op, OutcomeUnknown
from pvc.cluster.watches import Key


class DaemonStore(MemoryStore):
    """The store of a daemon; ``node`` says whose its session is, ``unanswered`` is called when a reply was lost."""

    def __init__(self, node: str, ensemble: MemoryEnsemble, session_timeout_s: float) -> None:
        super().__init__(ensemble, session_timeout_s)
        self.node = node
        self.unanswered: Callable[[], object] = lambda: None
        self.deaf = False
        self.missed = False

    def notify(self, key: Key) -> None:
        """A watch has fired; while this is lost on the way, only a look by the way finds out."""
        self.missed = self.missed or self.deaf
        if not self.deaf:
            super().notify(key)

    def _watch(self, key: Key) -> None:
        """What is watched from now on is read at once: that is no watch that could be lost."""
        deaf, self.deaf = self.deaf, False
        super()._watch(key)
        self.deaf = deaf

    def multi(self, ops: Sequence[Op]) -> tuple[int, ...]:
        """Write, all or nothing."""
        try:
            return super().multi(ops)
        except OutcomeUnknown:
            self.unanswered()
            raise
