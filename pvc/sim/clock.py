"""Virtual time: what is to happen waits in a queue, and time jumps from one of these to the next.

Nothing here reads a real clock, and nothing happens by itself. What is due at the same instant happens in the order in which it was
asked for, so the same calls give the same history.
"""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush


@dataclass(eq=False, slots=True)
class Due:
    """Something that will happen: when, in seconds since the beginning, and its name, which is for whoever looks for a cause."""

    at: float
    name: str
    action: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """Let it not happen; too late is harmless."""
        self.cancelled = True


class Clock:
    """The queue of what is to happen; ``now`` is in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._number = 0
        self._queue: list[tuple[float, int, Due]] = []

    def after(self, seconds: float, name: str, action: Callable[[], None]) -> Due:
        """Let this happen so many seconds from now, which is never less than none."""
        self._number += 1
        due = Due(self.now + max(0.0, seconds), name, action)
        heappush(self._queue, (due.at, self._number, due))
        return due

    def every(self, seconds: float, name: str, action: Callable[[], None]) -> None:
        """Let this happen again and again, for the first time after one interval."""

        def again() -> None:
            self.after(seconds, name, again)
            action()

        self.after(seconds, name, again)

    def next_at(self) -> float | None:
        """When the next thing happens; None when nothing will."""
        while self._queue and self._queue[0][2].cancelled:
            heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def take(self, until: float) -> Due | None:
        """Move to the next thing that is due by then, and hand it over; where there is none, move to that time and return None."""
        at = self.next_at()
        if at is None or at > until:
            self.now = max(self.now, until)
            return None
        self.now, _, due = heappop(self._queue)
        return due
