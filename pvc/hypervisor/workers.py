"""A bounded pool of threads that never keeps the process from ending: a call to a hung QEMU may not return at all."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable

Work = Callable[[], None]

log = logging.getLogger(__name__)


class Workers:
    """Does pieces of work in the order in which they were given, `count` at a time; threads are started when there is something to do.

    What is given under the key of a piece that still waits is not kept: that one will do.
    """

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._waiting: deque[tuple[Hashable, Work]] = deque()
        self._keys: set[Hashable] = set()
        self._threads = 0
        self._idle = 0
        self._changed = threading.Condition()

    def give(self, key: Hashable, work: Work) -> None:
        """Do this soon; never blocks."""
        with self._changed:
            if key in self._keys:
                return
            self._keys.add(key)
            self._waiting.append((key, work))
            if self._idle >= len(self._waiting):
                self._changed.notify()
            elif self._threads < self._count:
                self._threads += 1
                threading.Thread(target=self._run, name=f"{self._name}-{self._threads}", daemon=True).start()

    def take_back(self, key: Hashable) -> bool:
        """Do not do this after all; whether it had not begun."""
        with self._changed:
            if key not in self._keys:
                return False
            self._keys.discard(key)
            self._waiting = deque(item for item in self._waiting if item[0] != key)
            return True

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._idle += 1
                    self._changed.wait()
                    self._idle -= 1
                key, work = self._waiting.popleft()
                self._keys.discard(key)
            try:
                work()
            except Exception:
                log.exception("%s: a piece of work ended in an error that nobody foresaw", self._name)
