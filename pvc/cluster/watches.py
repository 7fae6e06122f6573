"""What is watched, and reading it again: bounded, pipelined, and without a thread of its own.

kazoo's own recipes start one thread per watch when a connection comes back (H9). Here a watch is a key in a table;
reading it arms it. A key is read after its watch fired, after each new connection, in each relist, and when it is its turn to be
refreshed; at most `WINDOW` reads are under way at a time. The store holds its lock around every call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pvc.cluster.store import Changed, ChildrenChanged, Event, Relisted

DATA = "data"
CHILDREN = "children"

Key = tuple[str, str]
"""`DATA` or `CHILDREN`, and the path."""


@dataclass(frozen=True, slots=True)
class Look:
    """Read this again, arm it, and report it if it is another value."""

    key: Key
    generation: int


WINDOW = 100
"""Reads under way. kazoo's wake-up pipe takes 278 requests before the next would block for ever under our lock."""


class Watches:
    """The table of one store. `look` starts a read of a key in a generation; `looked` or `failed` must follow."""

    def __init__(self, look: Callable[[Key, int], None], emit: Callable[[Event], None]) -> None:
        self._look = look
        self._emit = emit
        self._generation = 0
        self._connected = False
        self._watched: dict[Key, None] = {}  # a set that keeps its order
        self._reported: dict[Key, Changed | ChildrenChanged] = {}
        self._waiting: deque[Key] = deque()
        self._queued: set[Key] = set()
        self._under_way: set[Key] = set()
        self._again: set[Key] = set()
        self._relisting: set[Key] | None = None

    def __len__(self) -> int:
        return len(self._watched)

    def add(self, key: Key) -> None:
        """Watch this key; its present value is reported soon."""
        if key not in self._watched:
            self._watched[key] = None
            self.fired(key)

    def remove(self, key: Key) -> None:
        """Report it no more. kazoo cannot take back a watch: when it fires it is not armed again."""
        self._watched.pop(key, None)
        self._reported.pop(key, None)
        self._settled(key)

    def begin(self, generation: int) -> None:
        """A connection stands: everything the last one had armed is gone, so read all of it."""
        self.end()
        self._generation, self._connected = generation, True
        self.relist()

    def end(self) -> None:
        """The connection is gone: what was under way is answered no more."""
        self._connected = False
        self._waiting.clear()
        self._queued.clear()
        self._under_way.clear()
        self._again.clear()
        self._relisting = None

    def relist(self) -> None:
        """Read every key once more, then report `Relisted`. One relist takes in another that comes meanwhile."""
        if not self._connected:
            return
        self._relisting = set(self._watched)
        for key in self._watched:
            self._enqueue(key)
        self._pump()
        self._end_relist()

    def refresh(self) -> None:
        """Read one key once more; each has its turn."""
        if self._watched:
            key = next(iter(self._watched))
            self._watched[key] = self._watched.pop(key)
            self.fired(key)

    def fired(self, key: Key) -> None:
        """The watch of this key went off, or is not armed yet."""
        if self._connected and key in self._watched:
            self._enqueue(key)
            self._pump()

    def looked(self, key: Key, generation: int, event: Changed | ChildrenChanged) -> None:
        """A read ended well and the watch is armed: report the value if it is another than last time."""
        if not self._ended(key, generation):
            return
        if key in self._watched and self._reported.get(key) != event:
            self._reported[key] = event
            self._emit(event)
        self._go_on(key)

    def failed(self, key: Key, generation: int) -> None:
        """A read was refused: the key is not armed until the next relist."""
        if self._ended(key, generation):
            self._go_on(key)

    def _ended(self, key: Key, generation: int) -> bool:
        current = self._connected and generation == self._generation
        if current:
            self._under_way.discard(key)
        return current

    def _go_on(self, key: Key) -> None:
        if key in self._again:
            self._again.remove(key)
            self._enqueue(key)
        else:
            self._settled(key)
        self._pump()

    def _enqueue(self, key: Key) -> None:
        if key in self._under_way:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._waiting.append(key)

    def _pump(self) -> None:
        while self._waiting and len(self._under_way) < WINDOW:
            key = self._waiting.popleft()
            self._queued.remove(key)
            if key in self._watched:
                self._under_way.add(key)
                self._look(key, self._generation)

    def _settled(self, key: Key) -> None:
        if self._relisting is not None:
            self._relisting.discard(key)
            self._end_relist()

    def _end_relist(self) -> None:
        if self._relisting is not None and not self._relisting:
            self._relisting = None
            self._emit(Relisted(self._generation))
