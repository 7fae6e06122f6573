"""Durations on the own monotonic clock: one thread, however many waits."""

import heapq
import threading
import time
from collections.abc import Callable

from pvc.core.events import Due


class MonotonicTimer:
    """The agent's timer. A wait that is asked for again begins anew; ``report`` may only enqueue."""

    def __init__(self, report: Callable[[Due], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._changed = threading.Condition()
        self._heap: list[tuple[float, str]] = []
        self._due_at: dict[str, float] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="timer", daemon=True)

    def start(self) -> None:
        """Begin to count; waits that were asked for earlier count from when they were."""
        self._thread.start()

    def wait(self, name: str, seconds: float) -> None:
        with self._changed:
            at = self._clock() + seconds
            self._due_at[name] = at
            heapq.heappush(self._heap, (at, name))
            self._changed.notify()

    def cancel(self, name: str) -> None:
        """Forget a wait; nothing when there is none."""
        with self._changed:
            self._due_at.pop(name, None)

    def close(self) -> None:
        """Report nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                for name in self._take_due():
                    self._report(Due(name))
                self._changed.wait(self._heap[0][0] - self._clock() if self._heap else None)

    def _take_due(self) -> list[str]:
        due = []
        while self._heap and self._heap[0][0] <= self._clock():
            at, name = heapq.heappop(self._heap)
            if self._due_at.get(name) == at:  # else it was asked for again, or cancelled
                del self._due_at[name]
                due.append(name)
        return due
