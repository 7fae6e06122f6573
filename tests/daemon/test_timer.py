"""One thread that counts durations."""

import queue
import threading

import pytest

from pvc.core.events import Due
from pvc.daemon.timer import MonotonicTimer

SOON_S = 0.05
LATER_S = 0.2


@pytest.fixture
def due():
    return queue.SimpleQueue()


@pytest.fixture
def timer(due):
    timer = MonotonicTimer(due.put)
    timer.start()
    yield timer
    timer.close()


def names(due, number):
    return [due.get(timeout=30).wait for _ in range(number)]


def test_waits_end_in_the_order_of_their_time(timer, due):
    timer.wait("later", LATER_S)
    timer.wait("soon", SOON_S)
    assert names(due, 2) == ["soon", "later"]


def test_it_is_reported_as_the_core_expects_it(timer, due):
    timer.wait("vm boot", 0)
    assert due.get(timeout=30) == Due("vm boot")


def test_a_wait_that_is_asked_for_again_begins_anew_and_ends_once(timer, due):
    timer.wait("again", SOON_S)
    timer.wait("again", LATER_S)
    timer.wait("between", SOON_S * 2)
    assert names(due, 2) == ["between", "again"]
    timer.wait("last", SOON_S)
    assert names(due, 1) == ["last"]


def test_a_cancelled_wait_does_not_end(timer, due):
    timer.wait("cancelled", SOON_S)
    timer.cancel("cancelled")
    timer.wait("last", LATER_S)
    assert names(due, 1) == ["last"]


def test_ten_thousand_waits_need_one_thread(timer, due):
    before = threading.active_count()
    for number in range(10_000):
        timer.wait(str(number), SOON_S)
    assert threading.active_count() == before
    assert sorted(names(due, 10_000), key=int) == [str(number) for number in range(10_000)]
