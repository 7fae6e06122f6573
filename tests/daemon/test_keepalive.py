"""The keepalive: what it writes, and when it is well that it writes nothing."""

import queue
from copy import deepcopy

import pytest

from pvc.cluster import znodes
from pvc.cluster.ensemble import MemoryEnsemble
from pvc.cluster.formats import decode_stats, encode_boot, encode_stats
from pvc.cluster.memory import MemoryStore
from pvc.cluster.records import Boot, NodeStats
from pvc.cluster.store import Create, Delete, Set
from pvc.daemon.keepalive import Keepalive

BOOT = encode_boot("hv1", Boot(1, "boot-1"))


@pytest.fixture
def ensemble():
    return MemoryEnsemble(tick_s=0.5)


@pytest.fixture
def store(ensemble):
    """A node that has joined."""
    store = MemoryStore(ensemble, session_timeout_s=6.0)
    store.start(lambda event: None)
    parents = ("/nodes", "/nodes/hv1", "/boots")
    stats = Create(znodes.stats("hv1"), encode_stats("hv1", NodeStats(tick=1)))
    store.multi([*(Create(path) for path in parents), stats, Create(znodes.boot("hv1"), BOOT)])
    return store


class Beating:
    """A keepalive whose measure is a number that a test sets."""

    def __init__(self, store):
        self.load, self.token, self.seen, self.back = 1.0, 0, [], []
        heard = {"seen": self.seen.append, "gone_back": self.back.append}
        self.keepalive = Keepalive("hv1", store, 5.0, token=lambda: self.token, measure=self.measure, **heard)

    def measure(self, tick):
        return NodeStats(tick=tick, load=self.load)

    def tick(self):
        return self.keepalive.tick()


@pytest.fixture
def beating(store):
    return Beating(store)


def written(store):
    znode = store.read(znodes.stats("hv1"))
    return decode_stats("hv1", znode.data), znode.version


def test_each_tick_is_one_write_with_a_number_of_its_own(store, beating):
    assert [beating.tick() for _ in range(3)] == [True] * 3
    stats, version = written(store)
    assert (stats.tick, version) == (4, 3)
    assert [stats.tick for stats in beating.seen] == [2, 3, 4]


def test_it_says_what_is_measured_now(store, beating):
    beating.tick()
    beating.load = 7.5
    beating.tick()
    assert written(store)[0].load == 7.5


def test_before_the_node_has_joined_there_is_nothing_to_write(store, beating):
    beating.token = None
    assert beating.tick()
    assert written(store)[1] == 0


def test_a_new_join_writes_one_too_and_is_no_obstacle(store, beating):
    beating.tick()
    store.multi([Set(znodes.stats("hv1"), encode_stats("hv1", NodeStats(tick=1)), 1), Set(znodes.boot("hv1"), BOOT, 0)])
    beating.token = 1
    assert beating.tick()
    assert written(store)[0].tick == 3


def test_a_daemon_whose_token_is_anothers_writes_no_more_and_that_is_not_well(store, beating):
    beating.tick()
    store.multi([Set(znodes.boot("hv1"), BOOT, 0)])
    assert not beating.tick()
    assert not beating.tick()
    assert written(store)[1] == 1
    assert [stats.tick for stats in beating.seen] == [2]


def test_without_a_connection_nothing_is_kept_alive_and_that_is_well(store, beating):
    beating.tick()
    store.disconnect()
    assert beating.tick()
    assert len(beating.seen) == 1


def test_a_node_whose_statistics_are_gone_is_not_well(store, beating):
    store.multi([Delete(znodes.stats("hv1"), 0)])
    assert not beating.tick()


def test_an_ensemble_that_lost_what_it_acknowledged_is_noticed_by_the_next_keepalive(ensemble, store, beating):
    beating.tick()
    lost = deepcopy(ensemble._tree)
    for _ in range(3):
        beating.tick()
    born, version = beating.keepalive.written
    assert (born, version) == (store.read(znodes.stats("hv1")).czxid, 4)
    ensemble._tree = lost
    beating.tick()
    assert beating.back == [(born, 1)]
    assert written(store)[1] == 1, "nothing is written over it"
    assert beating.keepalive.written == (born, 4)


def test_a_node_that_was_removed_and_joins_anew_has_lost_nothing(store, beating):
    for _ in range(3):
        beating.tick()
    path = znodes.stats("hv1")
    store.multi([Delete(path, 3)])
    store.multi([Create(path, encode_stats("hv1", NodeStats(tick=1)))])
    assert beating.tick()
    assert (beating.back, beating.keepalive.written[1]) == ([], 1)


def test_what_others_should_not_wait_for_is_written_at_once(store):
    written = queue.SimpleQueue()
    keepalive = Keepalive("hv1", store, 600.0, token=lambda: 0, measure=lambda tick: NodeStats(tick=tick), seen=written.put)
    keepalive.start()
    assert written.get(timeout=30).tick == 2
    keepalive.hurry()
    assert written.get(timeout=30).tick == 3
    keepalive.close(5)
    assert written.empty()


def test_its_thread_goes_on_by_itself_and_stops_counting_when_it_cannot_measure(store):
    measured, seen = queue.SimpleQueue(), queue.SimpleQueue()

    def measure(tick):
        measured.put(tick)
        if tick > 3:
            raise ZeroDivisionError
        return NodeStats(tick=tick)

    keepalive = Keepalive("hv1", store, 0.01, token=lambda: 0, measure=measure, seen=seen.put)
    keepalive.start()
    assert [measured.get(timeout=30) for _ in range(4)] == [2, 3, 4, 4]
    keepalive.close(5)
    assert [seen.get(timeout=30).tick for _ in range(2)] == [2, 3]
    assert keepalive.turns == 2
