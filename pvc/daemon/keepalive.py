"""The keepalive: a thread that depends on nothing but the store and the kernel (H11, H58).

Life itself is proven by the session; the keepalive says what the node has and uses, and proves that this daemon, and not its successor,
is the one that lives: each is refused once the boot token is another's.
"""

import logging
import threading
import time
from collections.abc import Callable

from pvc.agent.keepalive import StatsWriter
from pvc.cluster.records import NodeStats
from pvc.cluster.store import Store, StoreError

log = logging.getLogger("pvcd")


class Keepalive:
    """Writes the node's statistics every interval while the node has joined; ``turns`` grows as long as all is well.

    ``token`` gives the boot token, None before the node has joined; ``measure`` must not wait for anybody, ``seen`` may only enqueue,
    as ``gone_back``, which is told that ZooKeeper has an earlier version than was written: it has lost what it had acknowledged.
    """

    def __init__(
        self,
        node: str,
        store: Store,
        interval_s: float,
        *,
        token: Callable[[], int | None],
        measure: Callable[[int], NodeStats],
        seen: Callable[[NodeStats], None],
        gone_back: Callable[[tuple[int, int]], None] = lambda found: None,
        tick: int = 1,
    ) -> None:
        self.turns = 0
        self._store = store
        self._writer = StatsWriter(node, store)
        self._interval_s = interval_s
        self._token, self._measure, self._seen, self._gone_back = token, measure, seen, gone_back
        self._tick = tick  # of the keepalive that was written by joining
        self._complaint = ""
        self._closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keepalive", daemon=True)

    @property
    def written(self) -> tuple[int, int]:
        """The transaction that created the statistics, 0 before it is known, and the version that was written last."""
        return self._writer.written

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def hurry(self) -> None:
        """Write one now: something has changed that others should not have to wait an interval for. From any thread, waits for nobody."""
        self._wake.set()

    def close(self, timeout_s: float) -> None:
        """Write no more; waits so long for one that is on its way."""
        self._closing = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def tick(self) -> bool:
        """Write one keepalive; returns whether all is well. Without a connection there is nothing to keep alive, and that is well too."""
        token = self._token()
        if token is None:
            return True
        try:
            stats = self._measure(self._tick + 1)
            found = self._writer.write(stats, token)
        except StoreError as error:
            if not self._store.connected:
                return True
            self._complain(f"no keepalive: {error}")
            return False
        if found is not None:
            self._gone_back(found)
        self._tick, self._complaint = stats.tick, ""
        self._seen(stats)
        return True

    def _complain(self, sentence: str) -> None:
        if sentence != self._complaint:
            log.warning("%s", sentence)
        self._complaint = sentence

    def _run(self) -> None:
        due_at = time.monotonic()
        while True:
            self._wake.wait(max(0.0, due_at - time.monotonic()))
            self._wake.clear()
            if self._closing:
                return
            began = time.monotonic()
            try:
                self.turns += self.tick()
            except Exception:
                log.exception("no keepalive")  # and no turn: without any the daemon ends itself
            due_at = max(began + self._interval_s, time.monotonic())
