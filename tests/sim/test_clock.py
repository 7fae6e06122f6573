"""Virtual time: in order, and only when it is told to pass."""

from pvc.sim.clock import Clock


def run(clock, until):
    while (due := clock.take(until)) is not None:
        due.action()


def test_what_is_due_happens_in_order_and_what_is_due_at_once_in_the_order_asked_for():
    clock, seen = Clock(), []
    for seconds, name in ((2.0, "c"), (1.0, "a"), (1.0, "b"), (5.0, "late")):
        clock.after(seconds, name, lambda name=name: seen.append((clock.now, name)))
    run(clock, 3.0)
    assert seen == [(1.0, "a"), (1.0, "b"), (2.0, "c")]
    assert clock.now == 3.0


def test_what_was_cancelled_does_not_happen():
    clock, seen = Clock(), []
    clock.after(1.0, "it", lambda: seen.append("it")).cancel()
    assert clock.next_at() is None
    run(clock, 2.0)
    assert seen == []


def test_time_never_goes_back():
    clock, seen = Clock(), []
    run(clock, 5.0)
    clock.after(-3.0, "past", lambda: seen.append(clock.now))
    run(clock, 5.0)
    assert seen == [5.0]


def test_what_comes_every_interval_comes_for_the_first_time_after_one():
    clock, seen = Clock(), []
    clock.every(2.0, "tick", lambda: seen.append(clock.now))
    run(clock, 7.0)
    assert seen == [2.0, 4.0, 6.0]
