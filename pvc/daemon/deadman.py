"""Ties the session to the work: a daemon whose core or keepalive has stopped must not go on looking alive."""

import logging
import os
import threading
from collections.abc import Callable, Mapping

log = logging.getLogger("pvcd")

LAST_WORDS_S = 1.0
LOOKS = 12
"""Looks within the limit. Counted in own turns rather than by the clock, so that a process that was frozen as a whole gets its chance."""


class Deadman:
    """Ends the daemon when one of its counters has stood still for the limit, in seconds. ``end`` must not return."""

    def __init__(self, counters: Mapping[str, Callable[[], int]], limit_s: float, end: Callable[[str], None]) -> None:
        self._counters = counters
        self._limit_s = limit_s
        self._end = end
        self._closing = threading.Event()
        self._seen: dict[str, int] = {}
        self._still: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="deadman", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._closing.set()

    def look(self) -> str | None:
        """Look once; returns what has stood still for too long."""
        for name, counter in self._counters.items():
            now = counter()
            self._still[name] = self._still.get(name, 0) + 1 if self._seen.get(name) == now else 0
            self._seen[name] = now
        return next((name for name, looks in self._still.items() if looks >= LOOKS), None)

    def _run(self) -> None:
        while not self._closing.wait(self._limit_s / LOOKS):
            stopped = self.look()
            if stopped is not None:
                self._end(f"{stopped} has stood still for {self._limit_s:g} s: this daemon ends itself, its guests run on")
                return


def end_at_once(why: str) -> None:
    """The last resort. The log may be what hangs, so it gets a moment and no more."""
    words = threading.Thread(target=log.critical, args=("%s", why), daemon=True)
    words.start()
    words.join(LAST_WORDS_S)
    os._exit(1)
