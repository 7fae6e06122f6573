"""How long our session can be relied upon, counted on our own clock.

The ensemble ends a session when it has heard nothing for the granted timeout; we learn of that only after we are
connected again. So the daemon counts for itself, from the *sending* of the last request that the leader answered.
Reads do not count: a server that has lost its leader goes on answering them. The death of the server between us and
the leader can cost half a tick of what was granted, so decide on two thirds of it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable


def boot_clock() -> float:
    """Seconds since the machine was booted, with those it slept: no one sets this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """One session's granted timeout, and the send times of the requests that keep it alive."""

    def __init__(self, asked_s: float, clock: Callable[[], float] = boot_clock) -> None:
        self.clock = clock
        self.granted_s = asked_s
        self._acked = -math.inf
        self._beat_at = -math.inf
        self._beat_open = False

    def granted(self, timeout_s: float, sent_at: float) -> None:
        """The leader has opened or taken up our session at a request sent then."""
        self.granted_s = timeout_s
        self._beat_open = False
        self.acked(sent_at)

    def acked(self, sent_at: float) -> None:
        """The leader has answered a request sent then."""
        self._acked = max(self._acked, sent_at)
        if sent_at >= self._beat_at:
            self._beat_open = False

    def age_s(self) -> float:
        """Seconds since the last acknowledged request was sent."""
        return self.clock() - self._acked

    def over(self) -> bool:
        """Whether the ensemble may have ended the session."""
        return self.age_s() > self.granted_s

    def beat_due(self) -> bool:
        """Whether a heartbeat has to be sent now. kazoo's own go only while nothing else does, and prove no leader."""
        return not self._beat_open and self.clock() - max(self._acked, self._beat_at) >= self.granted_s / 4

    def beat_sent(self) -> None:
        """A heartbeat goes out now."""
        self._beat_at, self._beat_open = self.clock(), True

    def silent(self) -> bool:
        """Whether the server has left a heartbeat unanswered for so long that another should be tried."""
        return self._beat_open and self.clock() - self._beat_at > self.granted_s / 3
