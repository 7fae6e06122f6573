"""The table of watches: bounded, complete, and no value reported that is not the latest known."""

import pytest

from pvc.cluster.store import Changed, Relisted, Znode
from pvc.cluster.watches import CHILDREN, DATA, WINDOW, Watches

A, B = (DATA, "/a"), (DATA, "/b")


class Bench:
    """Reads stay open until a test answers them."""

    def __init__(self):
        self.reads, self.events = [], []
        self.watches = Watches(lambda key, generation: self.reads.append((key, generation)), self.events.append)

    def answer(self, key, version, generation=1):
        self.reads.remove((key, generation))
        self.watches.looked(key, generation, self.event(key, version, generation))

    def event(self, key, version, generation=1):
        return Changed(key[1], Znode(b"", version), generation)

    def keys(self):
        return [key for key, _ in self.reads]


@pytest.fixture
def bench():
    bench = Bench()
    bench.watches.begin(1)
    bench.events.clear()
    return bench


def test_nothing_is_read_before_a_connection():
    bench = Bench()
    bench.watches.add(A)
    bench.watches.relist()
    assert (bench.reads, bench.events) == ([], [])
    bench.watches.begin(1)
    assert bench.reads == [(A, 1)]


def test_a_value_is_reported_once(bench):
    bench.watches.add(A)
    bench.answer(A, 0)
    bench.watches.fired(A)
    bench.answer(A, 0)
    bench.watches.fired(A)
    bench.answer(A, 1)
    assert bench.events == [bench.event(A, 0), bench.event(A, 1)]


def test_what_fires_while_it_is_read_is_read_again(bench):
    """H15: the answer may be older than the event."""
    bench.watches.add(A)
    bench.watches.fired(A)
    bench.watches.fired(A)
    assert bench.keys() == [A]
    bench.answer(A, 0)
    assert bench.keys() == [A]
    bench.answer(A, 2)
    assert bench.keys() == []
    assert bench.events[-1] == bench.event(A, 2)


def test_reads_under_way_are_bounded_and_all_have_their_turn(bench):
    keys = [(DATA, f"/{number}") for number in range(WINDOW * 3)]
    for key in keys:
        bench.watches.add(key)
    bench.watches.relist()
    answered = []
    while bench.reads:
        assert len(bench.reads) <= WINDOW
        key, _ = bench.reads[0]
        answered.append(key)
        bench.answer(key, 0)
    assert set(answered) == set(keys)
    assert bench.events[-1] == Relisted(1)
    assert bench.events.count(Relisted(1)) == 1


def test_a_refresh_reads_one_key_and_each_has_its_turn(bench):
    for key in (A, B):
        bench.watches.add(key)
        bench.answer(key, 0)
    for key in (A, B, A):
        bench.watches.refresh()
        assert bench.keys() == [key]
        bench.answer(key, 0)
    bench.watches.refresh()
    bench.answer(B, 1)
    assert bench.events[2:] == [bench.event(B, 1)]


def test_a_refresh_of_nothing_reads_nothing(bench):
    bench.watches.refresh()
    assert bench.keys() == []


def test_a_relist_ends_when_all_were_read_after_it_began(bench):
    bench.watches.add(A)
    bench.watches.add(B)
    bench.watches.relist()
    bench.answer(A, 0)
    bench.answer(B, 0)
    assert Relisted(1) not in bench.events
    bench.answer(A, 0)
    assert Relisted(1) not in bench.events
    bench.answer(B, 0)
    assert bench.events[-1] == Relisted(1)


def test_a_relist_does_not_wait_for_what_nobody_watches_any_more(bench):
    bench.watches.add(A)
    bench.answer(A, 0)
    bench.watches.relist()
    bench.watches.remove(A)
    assert bench.events[-1] == Relisted(1)
    bench.answer(A, 5)
    assert bench.events[-1] == Relisted(1)


def test_a_refused_read_does_not_hold_up_the_relist(bench):
    bench.watches.add(A)
    bench.watches.add(B)
    bench.answer(A, 0)
    bench.answer(B, 0)
    bench.watches.relist()
    bench.watches.failed(A, 1)
    bench.answer(B, 0)
    assert bench.events[-1] == Relisted(1)


def test_answers_of_another_connection_count_for_nothing(bench):
    bench.watches.add(A)
    bench.watches.end()
    bench.watches.looked(A, 1, bench.event(A, 0))
    bench.watches.begin(2)
    bench.watches.looked(A, 1, bench.event(A, 0))
    bench.watches.failed(A, 1)
    assert bench.events == []
    bench.answer(A, 0, 2)
    assert bench.events == [bench.event(A, 0, 2), Relisted(2)]


def test_a_new_connection_reads_everything_again_and_nothing_twice(bench):
    bench.watches.add(A)
    bench.watches.add((CHILDREN, "/a"))
    bench.reads.clear()
    bench.watches.begin(2)
    assert bench.reads == [(A, 2), ((CHILDREN, "/a"), 2)]


def test_who_watches_again_while_the_old_read_is_open_gets_the_latest(bench):
    bench.watches.add(A)
    bench.watches.remove(A)
    bench.watches.add(A)
    bench.answer(A, 0)
    bench.answer(A, 1)
    assert bench.events[-1] == bench.event(A, 1)


def test_a_watch_that_fires_after_unwatch_reads_nothing(bench):
    bench.watches.add(A)
    bench.answer(A, 0)
    bench.watches.remove(A)
    bench.watches.fired(A)
    assert bench.reads == []
    assert len(bench.watches) == 0
