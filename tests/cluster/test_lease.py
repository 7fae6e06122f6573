"""The session is relied upon for as long as it must exist, by our own count."""

import math

import pytest

from pvc.cluster.lease import Lease, boot_clock


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lease(clock):
    lease = Lease(6.0, clock)
    lease.granted(9.0, clock.now)
    return lease


def test_before_a_session_there_is_no_lease(clock):
    lease = Lease(6.0, clock)
    assert lease.age_s() == math.inf
    assert lease.over()


def test_it_counts_from_the_sending_not_from_the_answer(lease, clock):
    clock.now += 5
    lease.acked(1001.0)
    assert lease.age_s() == 4


def test_a_late_answer_to_an_old_request_does_not_age_it(lease, clock):
    clock.now += 5
    lease.acked(1004.0)
    lease.acked(1001.0)
    assert lease.age_s() == 1


def test_it_is_over_when_the_granted_time_has_passed(lease, clock):
    clock.now += 9
    assert not lease.over()
    clock.now += 0.001
    assert lease.over()


def test_a_heartbeat_is_due_after_a_quarter_without_an_answer(lease, clock):
    clock.now += 2.2
    assert not lease.beat_due()
    lease.acked(clock.now)
    clock.now += 2.25
    assert lease.beat_due()


def test_one_heartbeat_is_under_way_at_a_time(lease, clock):
    clock.now += 3
    lease.beat_sent()
    clock.now += 3
    assert not lease.beat_due()
    lease.acked(1003.0)
    assert lease.beat_due()


def test_a_server_is_silent_after_a_third_without_an_answer_to_a_heartbeat(lease, clock):
    clock.now += 8
    assert not lease.silent()
    lease.beat_sent()
    clock.now += 3
    assert not lease.silent()
    clock.now += 0.1
    assert lease.silent()


def test_an_answer_to_a_later_request_ends_the_silence_and_one_to_an_earlier_does_not(lease, clock):
    lease.beat_sent()
    clock.now += 4
    lease.acked(999.0)
    assert lease.silent()
    lease.acked(1001.0)
    assert not lease.silent()


def test_a_new_connection_begins_anew(lease, clock):
    lease.beat_sent()
    clock.now += 8
    lease.granted(4.0, clock.now)
    assert (lease.silent(), lease.age_s(), lease.granted_s) == (False, 0, 4.0)


def test_silence_leaves_time_to_find_another_server():
    """A quarter until the heartbeat and a third for its answer: two fifths of the session are left."""
    assert 1 / 4 + 1 / 3 < 2 / 3


def test_the_clock_counts_since_boot():
    assert 0 < boot_clock() <= boot_clock()
