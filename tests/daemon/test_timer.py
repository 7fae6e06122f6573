"""One thread that counts durations."""

import queue
import threading

import pytest

from pvc.core.events import Due
from pvc.daemon.timer import MonotonicTimer

SOON_S = 0.05
HOUR_S = 3600.0


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def due():
    return queue.SimpleQueue()


@pytest.fixture
def timer(due):
    timer = MonotonicTimer(due.put)
    timer.start()
    yield timer
    timer.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def asked(due, clock):
    """A timer that does not begin to look before it is started."""
    timer = MonotonicTimer(due.put, clock)
    yield timer
    timer.close()


def names(due, number):
    return [due.get(timeout=30).wait for _ in range(number)]


def test_waits_end_in_the_order_of_their_time(asked, clock, due):
    asked.wait("later", 2)
    asked.wait("soon", 1)
    clock.now = 2
    asked.start()
    assert names(due, 2) == ["soon", "later"]


def test_a_shorter_wait_does_not_wait_for_a_longer_one(timer, due):
    timer.wait("later", HOUR_S)
    timer.wait("soon", SOON_S)
    assert names(due, 1) == ["soon"]


def test_it_is_reported_as_the_core_expects_it(timer, due):
    timer.wait("vm boot", 0)
    assert due.get(timeout=30) == Due("vm boot")


def test_a_wait_that_is_asked_for_again_begins_anew_and_ends_once(asked, clock, due):
    asked.wait("again", 1)
    asked.wait("again", 3)
    asked.wait("between", 2)
    clock.now = 3
    asked.start()
    assert names(due, 2) == ["between", "again"]
    asked.wait("last", 0)
    assert names(due, 1) == ["last"]


def test_a_cancelled_wait_does_not_end(asked, clock, due):
    asked.wait("cancelled", 1)
    asked.cancel("cancelled")
    asked.wait("last", 2)
    clock.now = 2
    asked.start()
    assert names(due, 1) == ["last"]


def test_ten_thousand_waits_need_one_thread(timer, due):
    before = set(threading.enumerate())  # of which an earlier test's may be about to end
    for number in range(10_000):
        timer.wait(str(number), SOON_S)
    assert set(threading.enumerate()) <= before
    assert sorted(names(due, 10_000), key=int) == [str(number) for number in range(10_000)]
