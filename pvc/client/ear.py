"""Where the events of a client's store wait until somebody takes them."""

import queue
import time
from collections.abc import Callable

from pvc.cluster.store import Event


class Ear:
    """The listener of one store; give `hear` to `store.start`.

    `idle` takes the place of waiting where the world moves only when it is told to, as in a simulator: it is called with the seconds that
    may pass, and `clock` then counts that world's seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, idle: Callable[[float], None] | None = None) -> None:
        self.clock = clock
        self._idle = idle
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def hear(self, event: Event) -> None:
        """Keep an event; called on a thread of the store's."""
        self._events.put(event)

    def next(self, timeout_s: float) -> Event | None:
        """The oldest event, None when there is none within this time."""
        try:
            if self._idle is None:
                return self._events.get(timeout=max(0.0, timeout_s))
            if self._events.empty():
                self._idle(timeout_s)
            return self._events.get_nowait()
        except queue.Empty:
            return None

    def forget(self) -> None:
        """Drop what has not been taken: it tells of the time before."""
        while not self._events.empty():
            self._events.get_nowait()
