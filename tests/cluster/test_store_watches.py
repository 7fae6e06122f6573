"""The contract of the store: what is watched is reported, whatever happens to it or to the connection."""

import pytest

from pvc.cluster.store import Changed, Create, Delete, Relisted, Set
from tests.cluster.worlds import until_connected_again


@pytest.fixture
def watcher(world):
    return world.open()


@pytest.fixture
def writer(world):
    return world.open().store


def test_a_watch_begins_with_what_is(watcher, writer):
    writer.multi([Create("/a", b"1"), Create("/a/b")])
    watcher.store.watch("/a")
    watcher.store.watch_children("/a")
    assert watcher.until_data("/a", b"1").znode == watcher.store.read("/a")
    watcher.until_children("/a", ("b",))


def test_a_watch_begins_with_what_is_not(watcher):
    watcher.store.watch("/a/b")
    watcher.store.watch_children("/a/b")
    watcher.until_data("/a/b", None)
    watcher.until_children("/a/b", None)


def test_every_last_value_is_reported(watcher, writer):
    """H3: values in between may be lost, the last one never is."""
    writer.multi([Create("/a")])
    watcher.store.watch("/a")
    watcher.until_data("/a", b"")
    for version in range(100):
        writer.multi([Set("/a", str(version).encode(), version)])
    assert watcher.until_data("/a", b"99").znode.version == 100
    versions = [e.znode.version for e in watcher.reports("/a")]
    assert versions == sorted(set(versions))


def test_a_set_to_the_same_data_is_a_change(watcher, writer):
    writer.multi([Create("/a", b"same")])
    watcher.store.watch("/a")
    watcher.until_data("/a", b"same")
    writer.multi([Set("/a", b"same", 0)])
    watcher.until(lambda events: any(isinstance(e, Changed) and e.znode and e.znode.version == 1 for e in events), "version 1")


def test_a_watch_outlives_its_znode_and_its_parent(watcher, writer):
    """H10, and kazoo's own recipe for children dies silently here."""
    watcher.store.watch("/a/b")
    watcher.store.watch_children("/a")
    watcher.until_data("/a/b", None)
    watcher.until_children("/a", None)
    for turn in range(3):
        writer.multi([Create("/a"), Create("/a/b", str(turn).encode())])
        watcher.until_data("/a/b", str(turn).encode())
        watcher.until_children("/a", ("b",))
        writer.multi([Delete("/a/b", 0), Delete("/a", 0)])
        watcher.until_data("/a/b", None)
        watcher.until_children("/a", None)


def test_children_are_watched_and_their_data_is_not(watcher, writer):
    writer.multi([Create("/a"), Create("/a/b")])
    watcher.store.watch_children("/a")
    watcher.until_children("/a", ("b",))
    writer.multi([Set("/a/b", b"1", 0), Set("/a", b"1", 0)])
    writer.multi([Create("/a/c")])
    watcher.until_children("/a", ("b", "c"))
    writer.multi([Delete("/a/b", 1)])
    watcher.until_children("/a", ("c",))
    watcher.settle()
    assert len(watcher.reports("/a")) == 3


def test_data_is_watched_and_children_are_not(watcher, writer):
    writer.multi([Create("/a")])
    watcher.store.watch("/a")
    watcher.until_data("/a", b"")
    writer.multi([Create("/a/b")])
    watcher.settle()
    assert len(watcher.reports("/a")) == 1


def test_nothing_is_reported_after_unwatch(watcher, writer):
    writer.multi([Create("/a"), Create("/b")])
    watcher.store.watch("/a")
    watcher.store.watch_children("/b")
    watcher.until_data("/a", b"")
    watcher.until_children("/b", ())
    watcher.store.unwatch("/a")
    watcher.store.unwatch_children("/b")
    watcher.store.unwatch("/never watched")
    watcher.forget()
    writer.multi([Set("/a", b"1", 0), Create("/b/c")])
    watcher.settle()
    assert watcher.reports("/a") + watcher.reports("/b") == []


def test_a_watch_taken_up_again_begins_with_what_is(watcher, writer):
    writer.multi([Create("/a")])
    watcher.store.watch("/a")
    watcher.until_data("/a", b"")
    watcher.store.unwatch("/a")
    watcher.forget()
    watcher.store.watch("/a")
    watcher.until_data("/a", b"")
    writer.multi([Set("/a", b"1", 0)])
    watcher.until_data("/a", b"1")


def test_watching_twice_reports_once(watcher, writer):
    watcher.store.watch("/a")
    watcher.store.watch("/a")
    writer.multi([Create("/a")])
    watcher.until_data("/a", b"")
    watcher.settle()
    assert [e.znode and e.znode.version for e in watcher.reports("/a")] in ([None, 0], [0])


def test_a_relist_repeats_nothing(watcher, writer):
    writer.multi([Create("/a")])
    watcher.store.watch("/a")
    watcher.store.watch_children("/a")
    watcher.until_data("/a", b"")
    watcher.until_children("/a", ())
    watcher.forget()
    watcher.settle()
    assert [type(e) for e in watcher.events] == [Relisted]


def test_a_relist_of_nothing_ends(watcher):
    watcher.settle()


def test_what_changed_while_away_is_reported_on_return(world, watcher, writer):
    """H8: a new connection begins with reading everything, and says when that is done."""
    writer.multi([Create("/a"), Create("/b"), Create("/c")])
    for path in ("/a", "/b", "/c"):
        watcher.store.watch(path)
        watcher.store.watch_children(path)
        watcher.until_data(path, b"")
        watcher.until_children(path, ())
    world.cut(watcher)
    writer.multi([Set("/a", b"1", 0), Delete("/b", 0), Create("/c/d")])
    watcher.forget()
    generation = watcher.store.generation
    world.mend(watcher)
    connected = until_connected_again(watcher, generation)
    watcher.until_relisted(connected.generation)
    events = watcher.events[watcher.events.index(connected) :]
    assert events[-1] == Relisted(connected.generation)
    assert {e.path for e in events[1:-1]} == {"/a", "/b", "/c"}
    assert {e.generation for e in events} == {connected.generation}
    watcher.until_data("/a", b"1")
    watcher.until_data("/b", None)
    watcher.until_children("/c", ("d",))
    assert len(watcher.reports("/c")) == 2  # unchanged data too: what was true of another connection is not known of this one


def test_watches_work_on_after_a_return(world, watcher, writer):
    watcher.store.watch("/a")
    watcher.store.watch_children("/")
    watcher.until_data("/a", None)
    generation = watcher.store.generation
    world.cut(watcher)
    world.mend(watcher)
    watcher.until_relisted(generation + 1)
    writer.multi([Create("/a", b"1")])
    watcher.until_data("/a", b"1")
    watcher.until_children("/", ("a",))


def test_a_watch_asked_for_while_away_begins_on_return(world, watcher, writer):
    writer.multi([Create("/a", b"1")])
    world.cut(watcher)
    watcher.store.watch("/a")
    watcher.store.watch_children("/a")
    world.mend(watcher)
    watcher.until_data("/a", b"1")
    watcher.until_children("/a", ())


def test_a_relist_while_away_is_left_to_the_return(world, watcher):
    watcher.store.watch("/a")
    watcher.until_data("/a", None)
    generation = watcher.store.generation
    world.cut(watcher)
    watcher.forget()
    watcher.store.relist()
    world.mend(watcher)
    watcher.until_relisted(generation + 1)


def test_a_refresh_reports_nothing_that_is_known(world, watcher, writer):
    for path in ("/a", "/b"):
        watcher.store.watch(path)
        watcher.until_data(path, None)
    watcher.settle()
    watcher.forget()
    for _ in range(4):
        watcher.store.refresh()
    watcher.settle()
    assert watcher.reports("/a") == watcher.reports("/b") == []


def test_hundreds_of_watches_are_all_reported_and_all_armed(world, watcher, writer):
    """More than are read at a time."""
    names = [f"/{number}" for number in range(350)]
    for start in range(0, 350, 50):
        writer.multi([Create(name, b"0") for name in names[start : start + 50]])
    for name in names:
        watcher.store.watch(name)
    for name in names:
        watcher.until_data(name, b"0")
    for start in range(0, 350, 50):
        writer.multi([Set(name, b"1", 0) for name in names[start : start + 50]])
    for name in names:
        watcher.until_data(name, b"1")
