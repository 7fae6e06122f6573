"""When a watch went off is told with the value that is read afterwards, which may be a later one."""

import time

import pytest

from pvc.cluster.live import ZooKeeperStore
from pvc.cluster.options import Options
from pvc.cluster.store import Znode
from pvc.cluster.watches import DATA

KEY = (DATA, "/x")


@pytest.fixture
def events():
    return []


@pytest.fixture
def store(events):
    """A store whose connection is this test: what kazoo would call, it calls."""
    store = ZooKeeperStore(Options(("localhost:1",)))
    store._session.listen(events.append)
    store._up()
    store.watch("/x")
    return store


def read(store, version):
    store._report(KEY, 0, Znode(b"", version))


def test_it_is_the_moment_of_the_watch_not_of_the_read(store, events):
    read(store, 1)
    before = time.monotonic()
    store._fired(KEY)
    after = time.monotonic()
    read(store, 3)
    first, second = [event for event in events if getattr(event, "path", "") == "/x"]
    assert first.noticed_at is None
    assert before <= second.noticed_at <= after


def test_a_watch_that_went_off_before_the_connection_was_lost_says_nothing_of_what_is_read_after(store, events):
    read(store, 1)
    store._fired(KEY)
    store._down()
    store._up()
    read(store, 3)
    assert [event.noticed_at for event in events if getattr(event, "path", "") == "/x"] == [None, None]
