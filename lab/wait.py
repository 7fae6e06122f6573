"""Waiting for what has no event, always with an end."""

import time
from collections.abc import Callable
from typing import TypeVar

from pvc.errors import TimedOut

T = TypeVar("T")
POLL_S = 0.05


def wait_until(condition: Callable[[], T], timeout_s: float, why: str) -> T:
    """What the condition gives as soon as that is true; TimedOut, which repeats `why`, when it does not come true in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimedOut(f"waited {timeout_s:g} s in vain: {why}")
        time.sleep(POLL_S)
