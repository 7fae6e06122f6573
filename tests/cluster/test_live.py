"""What kazoo does when it is left to itself, and the store over it does not (H6, H8, H9)."""

import contextlib
import socket
import struct
import threading
import time

import pytest
from kazoo.client import KazooClient
from kazoo.protocol.serialization import Transaction
from kazoo.protocol.states import KeeperState

from pvc.cluster.live import ZooKeeperStore, create_root
from pvc.cluster.options import Options
from pvc.cluster.store import Broken, Changed, Create, Delete, NotConnected, OutcomeUnknown, Refused, Set, State, Why
from tests.cluster.worlds import DEADLINE_S, Probe, ZooKeeperWorld, until_connected_again
from tests.link import Link

pytestmark = pytest.mark.ensemble

MAX_THREADS = 8
SLOW_S = 600


@pytest.fixture
def opened():
    """Open stores that are closed in the end."""
    with contextlib.ExitStack() as stack:

        def open_probe(hosts, chroot="", session_timeout_s=ZooKeeperWorld.LONGEST_S, **options):
            probe = Probe(ZooKeeperStore(Options(tuple(hosts), chroot, session_timeout_s, **options)))
            stack.callback(probe.store.close)
            probe.store.start(probe, DEADLINE_S)
            return probe

        yield open_probe


@pytest.fixture
def linked(zookeeper):
    """A store behind a link of its own, and another that is left in peace."""
    return zookeeper.open(), zookeeper.open().store


# -- Threads and requests ----------------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_hundred_nodes_with_a_hundred_vms_come_back_without_a_thread_more(zookeeper, opened, record_property):
    """H9: kazoo's own watches would take 10,000 threads and 20,000 requests."""
    before = set(threading.enumerate())
    probe = opened(zookeeper.ensemble.hosts, zookeeper.chroot)
    store = probe.store
    nodes = [f"/n{number}" for number in range(100)]
    records = [f"{node}/d{number}" for node in nodes for number in range(100)]
    store.multi([Create(node, b"0") for node in nodes])
    for node in nodes:
        store.multi([Create(path, b"0") for path in records if path.startswith(f"{node}/")])
    for node in nodes:
        store.watch_children(node)
    for path in nodes + records:
        store.watch(path)
    probe.settle(SLOW_S)
    watched = len(nodes) * 2 + len(records)

    requests, began, most = store.requests, time.monotonic(), 0
    generation = store.generation
    store._client.drop()
    while not any(e.generation > generation for e in probe.events if type(e).__name__ == "Relisted"):
        most = max(most, len(set(threading.enumerate()) - before))
        assert time.monotonic() < began + SLOW_S
        time.sleep(0.005)
    took = time.monotonic() - began
    requests = store.requests - requests
    assert most <= MAX_THREADS
    assert watched <= requests <= watched + 100

    probe.forget()
    for node in nodes:
        store.multi([Set(path, b"1", 0) for path in records if path.startswith(f"{node}/")])
    probe.settle(SLOW_S)
    changed = {e.path for e in probe.events if isinstance(e, Changed) and e.znode.version == 1}
    assert changed == set(records)
    record_property("threads", most)
    record_property("requests", requests)
    record_property("seconds", round(took, 2))
    print(f"threads {most}, requests {requests} for {watched} watches, watching again after {took:.2f} s")


def test_sixty_drops_leave_no_thread_and_do_not_stall(linked):
    """What was queued at a drop leaves wake-ups behind in kazoo's pipe: 278 of them, and it would block for ever."""
    probe, _ = linked
    for number in range(150):
        probe.store.watch(f"/{number}")
    probe.settle()
    threads = threading.active_count()
    for _ in range(60):
        generation = probe.store.generation
        probe.link.drop()
        until_connected_again(probe, generation)
        probe.forget()
    probe.until(lambda _: probe.store.connected, "connection")
    probe.settle()
    probe.until(lambda _: threading.active_count() <= threads + 2, "end of the link's threads")


def test_requests_of_many_threads_are_bounded_not_refused(linked):
    """Were kazoo's pipe full when the connection drops, its thread and the one that fills it would wait for each other."""
    probe, _ = linked
    names = [f"/{number}" for number in range(100)]
    probe.store.multi([Create(name) for name in names])
    found, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                found.append(probe.store.read_many(names, sync=True))
            except NotConnected:
                stop.wait(0.002)

    threads = [threading.Thread(target=read, daemon=True) for _ in range(20)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        generation, count = probe.store.generation, len(found)
        probe.until(lambda _, count=count: len(found) > count, "reads")
        probe.link.drop()
        until_connected_again(probe, generation)
    stop.set()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert not any(thread.is_alive() for thread in threads)
    assert all(None not in f.values() and len(f) == 100 for f in found)


# -- Nothing lands that was said not to be sent ------------------------------------------------------------------------


def test_no_write_is_a_ghost_however_often_the_connection_drops(linked):
    """Applied means applied, not sent means never; only an unknown outcome may be either."""
    probe, witness = linked
    stop, outcomes = threading.Event(), []

    def write(thread):
        number = 0
        while not stop.is_set():
            number += 1
            path = f"/{thread}-{number}"
            try:
                probe.store.multi([Create(path)])
                outcomes.append((path, "applied"))
            except (NotConnected, OutcomeUnknown) as error:
                outcomes.append((path, type(error).__name__))
                stop.wait(0.002)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(40):
        generation = probe.store.generation
        count = len(outcomes)
        probe.until(lambda _, count=count: len(outcomes) > count + 3, "writes")
        probe.link.drop()
        until_connected_again(probe, generation)
    stop.set()
    for thread in threads:
        thread.join()

    there = {f"/{name}" for name in witness.children("/", sync=True)}
    kinds = {kind: {path for path, k in outcomes if k == kind} for kind in ("applied", "NotConnected", "OutcomeUnknown")}
    assert kinds["applied"] <= there
    assert not kinds["NotConnected"] & there
    assert all(kinds.values()), {kind: len(paths) for kind, paths in kinds.items()}


def test_a_request_that_leaves_as_the_connection_goes_does_not_land_later(linked, monkeypatch):
    """kazoo clears its queue first and takes requests on after: one that comes between would wait for the reconnect."""
    probe, witness = linked
    original, passed, outcomes = KazooClient._call, threading.Event(), []

    def late(client, request, result):
        if isinstance(request, Transaction):
            probe.link.cut()
            patience = time.monotonic() + 1
            while client.client_state == KeeperState.CONNECTED and time.monotonic() < patience:
                time.sleep(0.01)
            passed.set()
        return original(client, request, result)

    def write():
        try:
            probe.store.multi([Create("/ghost")])
        except (NotConnected, OutcomeUnknown) as error:
            outcomes.append(error)

    with monkeypatch.context() as patched:
        patched.setattr(KazooClient, "_call", late)
        writer = threading.Thread(target=write)
        writer.start()
        assert passed.wait(DEADLINE_S)
        probe.link.mend()
        until_connected_again(probe, 1)
    for _ in range(3):  # what is left in the queue would go out before these
        assert probe.store.read("/ghost", sync=True) is None
    writer.join()
    assert len(outcomes) == 1
    assert witness.read("/ghost", sync=True) is None


# -- Silent and dead servers ---------------------------------------------------------------------------------------------


def test_a_silent_server_is_left_in_time_to_keep_the_session(ensemble, opened):
    """kazoo pings only while nothing else is sent, and would stay with a server that never answers."""
    link = Link(ensemble.hosts[0])
    probe = opened([link.host, *ensemble.hosts[1:]])
    session_id = probe.store.session_id
    probe.forget()
    link.silence()
    with pytest.raises(OutcomeUnknown):
        probe.store.multi([Create("/never-answered")])
    probe.until_state(State.SUSPENDED)
    assert until_connected_again(probe, 1).session_id == session_id
    assert State.LOST not in probe.states()
    link.close()


def test_a_host_that_swallows_calls_holds_nobody_up_for_a_session(ensemble, opened):
    """As behind a firewall: kazoo would wait for a whole session before it tries the next."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, contextlib.ExitStack() as callers:
        for _ in range(3):  # more than it has room for: further calls are not even refused
            caller = callers.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(deaf.getsockname())
        began = time.monotonic()
        probe = opened([f"127.0.0.1:{deaf.getsockname()[1]}", *ensemble.hosts], session_timeout_s=24.0)
        assert 2.9 < time.monotonic() - began < 24.0
        assert probe.store.connected


def test_the_first_host_is_tried_first(ensemble, opened):
    for number in range(3):
        hosts = ensemble.hosts[number:] + ensemble.hosts[:number]
        probe = opened(hosts, session_timeout_s=60.0)  # of which each host gets its part to answer in
        host, port = probe.store._client._connection._socket.getpeername()
        assert f"{host}:{port}" == hosts[0]


def test_the_next_host_is_tried_when_the_first_is_gone(ensemble, opened):
    link = Link(ensemble.hosts[0])
    probe = opened([link.host, ensemble.hosts[1]])
    session_id = probe.store.session_id
    link.cut()
    assert until_connected_again(probe, 1).session_id == session_id
    link.close()


def test_a_moment_without_name_resolution_is_survived(linked, monkeypatch):
    """kazoo 2.8 ends its thread then, and nothing more is ever heard of it."""
    probe, _ = linked
    resolve, asked = socket.getaddrinfo, threading.Event()

    def fail(*args, **kwargs):
        asked.set()
        raise socket.gaierror("no name server")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    probe.link.drop()
    assert asked.wait(DEADLINE_S)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    until_connected_again(probe, 1)


def test_closing_takes_seconds_even_when_nobody_answers(zookeeper):
    probe = zookeeper.open(session_timeout_s=60.0)
    probe.link.silence()
    began = time.monotonic()
    probe.store.close()
    assert time.monotonic() - began < 12  # kazoo would wait for two thirds of what was granted


def test_nothing_is_left_when_a_store_is_closed(zookeeper):
    before = set(threading.enumerate())  # of which those of an earlier test's links may be about to end
    probe = Probe(ZooKeeperStore(Options(zookeeper.ensemble.hosts)))
    for _ in range(3):
        with pytest.raises(NotConnected):
            ZooKeeperStore(Options(("127.0.0.1:1",))).start(probe, timeout_s=0.2)
    probe.store.start(probe, DEADLINE_S)
    probe.store.close()
    assert set(threading.enumerate()) <= before
    with pytest.raises(AssertionError):
        probe.store.start(probe)


# -- Answers that kazoo does not understand --------------------------------------------------------------------------------


def test_an_error_code_that_kazoo_does_not_know_is_a_refusal(linked):
    """Its connection thread would die of it and the caller wait for ever."""
    probe, _ = linked
    probe.link.spoil_next_reply(lambda frame: frame[:12] + struct.pack(">i", -98765))
    deadline = time.monotonic() + DEADLINE_S
    refused = None
    while refused is None and time.monotonic() < deadline:  # a heartbeat may have had the spoiled answer
        try:
            probe.store.read("/a")
        except Refused as error:
            refused = error
        probe.link.spoil_next_reply(lambda frame: frame[:12] + struct.pack(">i", -98765))
    assert refused is not None
    assert refused.why is Why.OTHER
    assert not any(isinstance(e, Broken) for e in probe.events)
    assert probe.store.connected


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_death_of_kazoos_thread_is_reported(linked):
    """Nothing else would tell: kazoo's thread ends, and every request waits for an answer."""
    probe, _ = linked
    probe.store.watch("/a")
    probe.settle()
    probe.link.spoil_next_reply(lambda frame: struct.pack(">i", 1_000_000) + frame[4:])
    probe.store.relist()
    broken = probe.until(lambda events: next((e for e in events if isinstance(e, Broken)), None), "Broken")
    assert "thread" in broken.why
    assert not probe.store.connected
    with pytest.raises(NotConnected):
        probe.store.multi([Create("/a")])


def test_a_quota_is_a_refusal(zookeeper, opened):
    """kazoo 2.8 has no name for it."""
    store = zookeeper.open().store
    plain = opened(zookeeper.ensemble.hosts).store
    quota = "/zookeeper/quota"
    above = [quota]
    for segment in zookeeper.chroot.split("/")[1:]:
        above.append(f"{above[-1]}/{segment}")
    for path in above[1:]:
        if plain.read(path) is None:
            plain.multi([Create(path)])
    limits = b"count=-1,bytes=-1,byteHardLimit=-1,countHardLimit=2"
    plain.multi([Create(f"{above[-1]}/zookeeper_limits", limits), Create(f"{above[-1]}/zookeeper_stats", b"count=1,bytes=0")])
    store.multi([Create("/a")])

    def fill():
        for number in range(100):  # the leader counts what it has applied itself, a moment behind what a follower has answered
            store.multi([Create(f"/b{number}")])

    with pytest.raises(Refused) as refused:
        fill()
    assert refused.value.why is Why.QUOTA
    plain.multi([Delete(f"{above[-1]}/zookeeper_limits", 0), Delete(f"{above[-1]}/zookeeper_stats", -1)])


# -- Credentials -----------------------------------------------------------------------------------------------------------


def test_what_a_cluster_creates_is_its_own(ensemble, opened):
    """H88: nobody else reads it, writes it, or adds to it."""
    chroot, auth = "/guarded", (("digest", "pvc:s3cret"),)
    create_root(Options(ensemble.hosts, chroot, auth=auth), DEADLINE_S)
    ours = opened(ensemble.hosts, chroot, auth=auth)
    ours.store.multi([Create("/a", b"1")])
    for credentials in ((), (("digest", "pvc:wrong"),)):
        theirs = opened(ensemble.hosts, chroot, auth=credentials)
        for request in (
            lambda store: store.read("/a"),
            lambda store: store.children("/"),
            lambda store: store.multi([Set("/a", b"2", 0)]),
            lambda store: store.multi([Create("/b")]),
        ):
            with pytest.raises(Refused) as refused:
                request(theirs.store)
            assert refused.value.why is Why.NO_AUTH
        theirs.store.watch("/a")
        theirs.settle()
        assert theirs.reports("/a") == []
    ours.link = None
    ours.store._client.drop()
    until_connected_again(ours, 1)
    assert ours.store.read("/a").data == b"1"


def test_an_acl_lets_others_read_and_no_more(ensemble, opened):
    chroot = "/readable"
    settings = {"auth": (("digest", "pvc:s3cret"),), "acl": ("auth::cdrwa", "world:anyone:r")}
    create_root(Options(ensemble.hosts, chroot, **settings), DEADLINE_S)
    opened(ensemble.hosts, chroot, **settings).store.multi([Create("/a", b"1")])
    theirs = opened(ensemble.hosts, chroot).store
    assert theirs.read("/a", sync=True).data == b"1"
    with pytest.raises(Refused) as refused:
        theirs.multi([Set("/a", b"2", 0)])
    assert refused.value.why is Why.NO_AUTH


def test_a_root_is_created_once_and_with_its_parents(ensemble, opened):
    options = Options(ensemble.hosts, "/one/two/three")
    for _ in range(2):
        create_root(options, DEADLINE_S)
    assert opened(ensemble.hosts, options.chroot).store.children("/") == ()
    create_root(Options(ensemble.hosts), DEADLINE_S)


def test_a_missing_root_is_seen_at_the_first_write(ensemble, opened):
    probe = opened(ensemble.hosts, "/nowhere")
    assert probe.store.read("/") is None
    with pytest.raises(Refused) as refused:
        probe.store.multi([Create("/a")])
    assert refused.value.why is Why.MISSING
