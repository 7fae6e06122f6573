"""A running daemon looks back after each connection: nothing that a restored ZooKeeper says is acted upon."""

import pytest

from pvc.agent.feed import Feed
from pvc.agent.remembered import Remembered, look_back
from pvc.cluster import znodes
from pvc.cluster.ensemble import MemoryEnsemble
from pvc.cluster.formats import encode_stats
from pvc.cluster.memory import MemoryStore
from pvc.cluster.records import NodeStats
from pvc.cluster.store import Create, NotConnected, Refused, Set, Why
from pvc.core import events as e
from pvc.errors import PvcError

STATS = encode_stats("hv1", NodeStats(tick=1))


@pytest.fixture
def ensemble():
    return MemoryEnsemble(tick_s=0.5)


@pytest.fixture
def store(ensemble):
    store = MemoryStore(ensemble, session_timeout_s=6.0)
    parents = ("/config", "/alive", "/nodes", "/nodes/hv1", "/boots", "/nodes/hv1/domains")
    store.start(lambda event: None)
    store.multi([*(Create(path) for path in parents), Create(znodes.stats("hv1"), STATS), Create(znodes.boot("hv1"))])
    return store


def known(store):
    znode = store.read(znodes.stats("hv1"))
    return Remembered("c1", 0, store.last_zxid, znode.czxid, znode.version)


def test_what_was_written_since_is_no_objection(store):
    before = known(store)
    store.multi([Set(znodes.stats("hv1"), STATS, 0)])
    look_back(store, "hv1", lambda: before, "/state.json")


def test_what_was_written_and_is_gone_is_one(ensemble, store):
    copy = ensemble.snapshot()
    store.multi([Set(znodes.stats("hv1"), STATS, 0)])
    before = known(store)
    ensemble.restore(copy)
    with pytest.raises(PvcError, match="1 keepalives of this node are not there any more"):
        look_back(store, "hv1", lambda: before, "/state.json")


class Synced:
    """The feed of hv1, which looks back as a test says."""

    def __init__(self, ensemble, answers):
        self.answers, self.seen = answers, []
        self.store = MemoryStore(ensemble, session_timeout_s=6.0)
        self.feed = Feed(self.store, "hv1", self.look_back)
        self.feed.begin()
        self.store.start(lambda event: self.seen.extend(self.feed.take(event)))

    def look_back(self):
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer

    def synced(self):
        self.store.deliver()
        return self.seen.count(e.Synced())


def test_nothing_counts_as_synced_before_it_was_looked_back(ensemble, store):
    answers = [NotConnected("for a moment"), NotConnected("for a moment"), None]
    assert (Synced(ensemble, answers).synced(), answers) == (1, [])


def test_what_may_not_be_read_is_not_asked_for_again(ensemble, store):
    answers = [Refused(znodes.boot("hv1"), Why.NO_AUTH)]
    assert (Synced(ensemble, answers).synced(), answers) == (1, [])


def test_an_objection_ends_it_before_anything_counts(ensemble, store):
    here = Synced(ensemble, [PvcError("it has gone back")])
    with pytest.raises(PvcError, match="gone back"):
        here.synced()
    assert e.Synced() not in here.seen


def test_it_is_looked_back_after_each_connection(ensemble, store):
    here = Synced(ensemble, [None, None])
    assert here.synced() == 1
    here.store.disconnect()
    here.store.reconnect()
    assert (here.synced(), here.answers) == (2, [])
