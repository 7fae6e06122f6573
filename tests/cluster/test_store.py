"""The contract of the store: requests and their refusals. Every test runs over both stores."""

import pytest

from pvc.cluster.limits import MAX_DATA_BYTES, MAX_MULTI_OPS
from pvc.cluster.store import ANY_VERSION, GONE, Absent, Check, Create, Delete, NotConnected, Refused, Set, Why
from tests.cluster.worlds import DEADLINE_S


@pytest.fixture
def store(world):
    return world.open().store


def test_what_does_not_exist_reads_as_none(store):
    assert store.read("/a") is None
    assert store.children("/a") is None
    assert store.read("/a/b") is None


def test_data_is_what_was_written(store):
    store.multi([Create("/a", "grüß dich".encode())])
    assert store.read("/a").data.decode() == "grüß dich"
    store.multi([Set("/a", b"", 0)])
    assert store.read("/a").data == b""


def test_versions_count_writes_and_restart_with_the_znode(store):
    """Why a record carries a generation: the version alone does not tell a znode from its successor."""
    store.multi([Create("/a")])
    first = store.read("/a")
    store.multi([Set("/a", b"1", 0)])
    assert (first.version, store.read("/a").version) == (0, 1)
    store.multi([Delete("/a", 1)])
    store.multi([Create("/a")])
    again = store.read("/a")
    assert (again.version, again.czxid > first.czxid) == (0, True)


def test_a_set_keeps_the_birth_and_moves_the_change(store):
    store.multi([Create("/a")])
    born = store.read("/a")
    store.multi([Set("/a", b"1", 0)])
    now = store.read("/a")
    assert born.czxid == born.mzxid == now.czxid
    assert now.mzxid > born.mzxid


def test_a_multi_answers_every_operation_with_the_version_after_it(store):
    store.multi([Create("/a"), Create("/b"), Create("/c")])
    ops = [Check("/a", 0), Set("/a", b"1", 0), Delete("/b", 0), Check("/c", ANY_VERSION), Absent("/d"), Create("/e")]
    assert store.multi(ops) == (0, 1, GONE, ANY_VERSION, GONE, 0)


def test_operations_of_a_multi_see_those_before_them(store):
    store.multi([Create("/a"), Create("/a/b"), Set("/a", b"1", 0), Check("/a", 1), Delete("/a/b", 0)])
    assert (store.read("/a").data, store.children("/a")) == (b"1", ())


REFUSED = [
    (Set("/there", b"", 1), Why.VERSION),
    (Delete("/there", 1), Why.VERSION),
    (Check("/there", 1), Why.VERSION),
    (Create("/there"), Why.EXISTS),
    (Absent("/there"), Why.EXISTS),
    (Create("/gone/child"), Why.MISSING),
    (Set("/gone", b"", 0), Why.MISSING),
    (Delete("/gone", ANY_VERSION), Why.MISSING),
    (Check("/gone", ANY_VERSION), Why.MISSING),
    (Absent("/gone/child"), Why.MISSING),
    (Delete("/parent", ANY_VERSION), Why.NOT_EMPTY),
    (Create("/ephemeral/child"), Why.EPHEMERAL_PARENT),
    (Create("/", b""), Why.EXISTS),
    (Delete("/", ANY_VERSION), Why.INVALID),
]


@pytest.mark.parametrize(("op", "why"), REFUSED, ids=[f"{type(op).__name__} {op.path} {why.name}" for op, why in REFUSED])
def test_a_refused_multi_names_the_operation_and_leaves_nothing_behind(store, op, why):
    """H1: what was not applied never looks applied, and nothing of a refused multi is."""
    store.multi([Create("/there"), Create("/parent"), Create("/parent/child"), Create("/ephemeral", ephemeral=True)])
    before = [Create("/before"), Absent("/nothing"), Set("/parent", b"new", 0), Delete("/parent/child", 0), Create("/parent/child")]
    with pytest.raises(Refused) as refused:
        store.multi([*before, op, Create("/after")])
    assert (refused.value.op, refused.value.why) == (op, why)
    assert store.children("/") == ("ephemeral", "parent", "there")
    assert store.children("/parent") == ("child",)
    assert (store.read("/parent").data, store.read("/parent").version) == (b"", 0)


def test_the_first_refused_operation_is_the_one_that_is_named(store):
    with pytest.raises(Refused) as refused:
        store.multi([Check("/first", 0), Check("/second", 0)])
    assert refused.value.path == "/first"
    assert "/first" in str(refused.value)


MALFORMED = [
    Set("/a", b"", ANY_VERSION),
    Create("a"),
    Create(""),
    Create("/a/"),
    Create("//a"),
    Create("/a//b"),
    Create("/a/../b"),
    Create("/a/./b"),
    Create("/a\0b"),
    Create("/a\nb"),
]


@pytest.mark.parametrize("op", MALFORMED, ids=repr)
def test_a_malformed_operation_never_leaves(store, op):
    """H2 for the set without a version; kazoo would take `//` and `..` for another path."""
    with pytest.raises(Refused) as refused:
        store.multi([op])
    assert (refused.value.op, refused.value.why) == (op, Why.INVALID)
    assert store.children("/") == ()


@pytest.mark.parametrize("path", ["", "a", "/a/", "/../a"])
def test_a_malformed_path_is_not_read_or_watched(store, path):
    for request in (store.read, store.children, store.watch, store.watch_children):
        with pytest.raises(Refused):
            request(path)


def test_the_largest_data_passes_and_one_byte_more_is_refused(store):
    """ZooKeeper would drop the connection instead."""
    store.multi([Create("/a", bytes(MAX_DATA_BYTES))])
    assert len(store.read("/a").data) == MAX_DATA_BYTES
    with pytest.raises(Refused) as refused:
        store.multi([Create("/b", bytes(MAX_DATA_BYTES + 1))])
    assert refused.value.why is Why.TOO_LARGE
    assert store.connected


def test_a_multi_is_bounded_in_bytes(store):
    with pytest.raises(Refused) as refused:
        store.multi([Create(f"/{name}", bytes(MAX_DATA_BYTES // 2)) for name in "abcd"])
    assert refused.value.why is Why.TOO_LARGE
    assert store.children("/") == ()


def test_a_multi_is_bounded_in_operations_and_absence_counts_twice(store):
    store.multi([Absent(f"/{number}") for number in range(MAX_MULTI_OPS // 2)])
    store.multi([Create(f"/{number}") for number in range(MAX_MULTI_OPS)])
    for ops in ([Absent(f"/x{number}") for number in range(MAX_MULTI_OPS // 2 + 1)], [Check("/", 0)] * (MAX_MULTI_OPS + 1), []):
        with pytest.raises(Refused) as refused:
            store.multi(ops)
        assert refused.value.why in (Why.TOO_LARGE, Why.INVALID)


def test_children_are_sorted_names(store):
    store.multi([Create("/a"), Create("/a/z"), Create("/a/ä"), Create("/a/b"), Create("/a/z/deep")])
    assert store.children("/a") == ("b", "z", "ä")
    assert store.children("/a/b") == ()


def test_many_are_read_in_the_order_asked_for(store):
    names = [f"/{number}" for number in range(60)]
    store.multi([Create(name, name.encode()) for name in names])
    found = store.read_many(["/missing", *reversed(names)], sync=True)
    assert list(found) == ["/missing", *reversed(names)]
    assert found.pop("/missing") is None
    assert [znode.data.decode() for znode in found.values()] == list(found)
    assert store.read_many([]) == {}


def test_a_synced_read_sees_what_another_has_written(world):
    writer, reader = world.open().store, world.open().store
    writer.multi([Create("/a"), Create("/a/b")])
    for version in range(20):
        writer.multi([Set("/a", str(version).encode(), version)])
        assert reader.read("/a", sync=True).data == str(version).encode()
    assert reader.children("/a", sync=True) == ("b",)


def test_of_two_that_write_the_same_version_one_is_refused(world):
    first, second = world.open().store, world.open().store
    first.multi([Create("/a")])
    second.multi([Set("/a", b"second", 0)])
    with pytest.raises(Refused) as refused:
        first.multi([Set("/a", b"first", 0)])
    assert refused.value.why is Why.VERSION
    assert first.read("/a", sync=True).data == b"second"


def test_the_highest_transaction_seen_only_grows(store):
    before = store.last_zxid
    store.multi([Create("/a")])
    written = store.last_zxid
    assert written > before
    assert store.read("/a").czxid == written


def test_nothing_answers_before_the_start_and_after_the_end(world):
    probe = world.probe()
    for request in (lambda: probe.store.read("/a"), lambda: probe.store.children("/a"), lambda: probe.store.multi([Create("/a")])):
        with pytest.raises(NotConnected):
            request()
    probe.store.start(probe, DEADLINE_S)
    probe.store.close()
    probe.store.close()
    assert not probe.store.connected
    with pytest.raises(NotConnected):
        probe.store.multi([Create("/a")])


def test_a_start_without_a_server_fails_and_can_be_repeated(world):
    probe = world.unreachable()
    with pytest.raises(NotConnected):
        probe.store.start(probe, timeout_s=1)
    assert probe.events == []
    world.mend(probe)
    if not probe.store.connected:
        probe.store.start(probe, DEADLINE_S)
    assert probe.store.read("/") is not None
