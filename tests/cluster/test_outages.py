"""Servers die, freeze and lose their quorum; sessions and the truth about them survive."""

import contextlib
import signal
import subprocess
import sys
import time

import pytest

from pvc.cluster.commit import Change, Outcome, commit, settle
from pvc.cluster.live import ZooKeeperStore
from pvc.cluster.options import Options
from pvc.cluster.patient import PatientStore
from pvc.cluster.store import Create, NotConnected, OutcomeUnknown, Set, State
from tests import ensemble as zk
from tests.cluster.conftest import LONGEST
from tests.cluster.sleeper import ALIVE, BOOT
from tests.cluster.worlds import DEADLINE_S, Probe, until_connected_again

pytestmark = pytest.mark.ensemble

SESSION_S = 20.0
"""Of who is to keep it, whatever else the machine has to do."""
SHORT_S = 12.0
"""Of who waits for its end."""


@pytest.fixture(scope="module")
def shared_ensemble(require, tmp_path_factory):
    """Three servers of our own, which soon notice that one of them is frozen."""
    require("ZooKeeper", zk.available(), "install the Debian package zookeeper")
    with zk.running(tmp_path_factory.mktemp("outages"), extra=LONGEST) as ensemble:
        yield ensemble


@pytest.fixture(autouse=True)
def long_outage_under_way(request):
    """The last test here takes the result of what lasts longer than all the others, so that begins with the first of them."""
    if any("long_outage" in item.fixturenames and item.path == request.path for item in request.session.items):
        request.getfixturevalue("long_outage")


def connect(zookeeper, server, request, make=ZooKeeperStore, session_s=SESSION_S):
    """A store whose first host is this server, and whose others are the rest."""
    hosts = (server.host, *(host for host in zookeeper.ensemble.hosts if host != server.host))
    probe = Probe(make(Options(hosts, zookeeper.chroot, session_s)))
    request.addfinalizer(probe.store.close)
    probe.store.start(probe, DEADLINE_S)
    return probe


@pytest.fixture(params=["leader", "follower"])
def server(zookeeper, request):
    """The leader, or a follower."""
    ensemble = zookeeper.ensemble
    return ensemble.leader() if request.param == "leader" else ensemble.followers()[0]


@pytest.fixture
def probe(zookeeper, server, request):
    """Connected to this server."""
    return connect(zookeeper, server, request)


def test_a_killed_leader_costs_a_pause_and_no_session(zookeeper, probe):
    session_id = probe.store.session_id
    probe.store.multi([Create("/alive", ephemeral=True), Create("/a")])
    probe.store.watch("/a")
    probe.until_data("/a", b"")
    zookeeper.ensemble.leader().kill()
    assert until_connected_again(probe, 1).session_id == session_id
    until_written(probe, Set("/a", b"1", 0))
    probe.until_data("/a", b"1")
    assert probe.store.read("/alive", sync=True).owner == session_id
    assert State.LOST not in probe.states()


def test_a_killed_follower_costs_a_pause_and_no_session(zookeeper, request):
    follower = zookeeper.ensemble.followers()[0]
    probe = connect(zookeeper, follower, request)
    session_id = probe.store.session_id
    follower.kill()
    assert until_connected_again(probe, 1).session_id == session_id
    assert State.LOST not in probe.states()


def test_a_frozen_leader_is_replaced_and_costs_no_session(zookeeper, probe):
    session_id = probe.store.session_id
    probe.store.multi([Create("/a")])
    zookeeper.ensemble.leader().freeze()
    assert until_connected_again(probe, 1).session_id == session_id
    until_written(probe, Set("/a", b"1", 0))


@pytest.fixture
def patience(monkeypatch):
    """As much of it as a busy machine may need."""
    monkeypatch.setattr("pvc.cluster.patient.PATIENCE_S", DEADLINE_S)


@pytest.mark.usefixtures("patience")
def test_who_is_patient_is_answered_by_the_next_server(zookeeper, request):
    """What an admin asks while a host dies waits for an answer, and is not refused."""
    follower = zookeeper.ensemble.followers()[0]
    store = connect(zookeeper, follower, request, PatientStore, SHORT_S).store
    store.multi([Create("/a")])
    follower.freeze()
    assert store.read("/a", sync=True).version == 0
    assert store.generation > 1
    zookeeper.ensemble.start()
    zookeeper.ensemble.leader().kill()
    assert store.children("/", sync=True) == ("a",)


@pytest.mark.usefixtures("patience")
def test_patience_ends_where_no_server_is_left(zookeeper, request, monkeypatch):
    probe = connect(zookeeper, zookeeper.ensemble.followers()[0], request, PatientStore)
    store = probe.store
    store.multi([Create("/a")])
    for server in zookeeper.ensemble.servers:
        server.kill()
    probe.until(lambda _: not store.connected, "end of the connection")  # what is sent before that is sent, as far as anybody can tell
    with monkeypatch.context() as patched:
        patched.setattr("pvc.cluster.patient.PATIENCE_S", 2.0)
        with pytest.raises(NotConnected):
            store.multi([Set("/a", b"ghost", 0)])
    zookeeper.ensemble.start()
    assert store.read("/a", sync=True).version == 0


def test_reads_do_not_renew_the_lease(zookeeper, request):
    """A server that has lost its leader goes on answering them, while the leader may be ending the session."""
    probe = connect(zookeeper, zookeeper.ensemble.followers()[0], request, session_s=SHORT_S)
    zookeeper.ensemble.leader().freeze()
    oldest = 0.0
    with contextlib.suppress(NotConnected):
        while oldest < SHORT_S / 3:
            probe.store.read("/")
            oldest = max(oldest, probe.store.lease_age_s())
    assert oldest > SHORT_S / 4


def test_without_a_quorum_nothing_is_written_and_the_session_waits(zookeeper, server, request):
    """H60: the lease says LOST while it lasts, and the ensemble, back again, still knows the session."""
    ensemble, probe = zookeeper.ensemble, connect(zookeeper, server, request, session_s=SHORT_S)
    session_id = probe.store.session_id
    probe.store.multi([Create("/alive", ephemeral=True), Create("/a")])
    killed = [ensemble.leader(), ensemble.followers()[0]]
    for server in killed:
        server.kill()
    probe.until_state(State.LOST)
    with pytest.raises(NotConnected):
        probe.store.multi([Set("/a", b"ghost", 0)])
    assert probe.store.lease_age_s() > SHORT_S
    ensemble.start()
    assert until_connected_again(probe, 1).session_id == session_id
    assert probe.store.read("/a", sync=True).version == 0
    assert probe.store.read("/alive", sync=True).owner == session_id
    assert probe.states() == [State.CONNECTED, State.SUSPENDED, State.LOST, State.CONNECTED]


def test_a_change_on_its_way_when_the_leader_dies_is_settled(zookeeper, probe):
    """Whatever became of each change, what is said of it is true."""
    probe.store.multi([Create("/a")])
    version, number, said = 0, 0, []
    deadline = time.monotonic() + DEADLINE_S
    zookeeper.ensemble.leader().freeze()
    while OutcomeUnknown not in said and time.monotonic() < deadline:
        number += 1  # a leader that is being frozen may still answer: each change has a name of its own, as real ones have
        request = str(number).encode()
        change = Change("/a", request.decode(), (Set("/a", request, version),))
        try:
            version = commit(probe.store, change)
        except (NotConnected, OutcomeUnknown) as error:
            said.append(type(error))
    assert OutcomeUnknown in said
    until_connected_again(probe, 1)
    outcome = Outcome.UNKNOWN
    while outcome is Outcome.UNKNOWN and time.monotonic() < deadline:
        outcome = settle(probe.store, change, lambda znode: znode.data == request)
    zookeeper.ensemble.start()
    final = probe_read(probe, "/a", deadline)
    assert (final.data == request) == (outcome is Outcome.APPLIED)
    assert final.version == version + (outcome is Outcome.APPLIED)


def test_a_process_that_slept_past_its_session_cannot_write_as_its_former_self(zookeeper):
    """Without the boot token the same write goes through: the new session is as good as any."""
    store = zookeeper.open().store
    command = [sys.executable, "-m", "tests.cluster.sleeper", zookeeper.chroot, "5", *zookeeper.ensemble.hosts]
    sleeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        session_id = int(sleeper.stdout.readline().split()[1])
        store.multi([Create("/guarded"), Create("/bare")])
        sleeper.send_signal(signal.SIGSTOP)
        watcher = zookeeper.open()
        watcher.store.watch(ALIVE)
        watcher.until_data(ALIVE, None)
        store.multi([Set(BOOT, b"fenced", 0)])
        sleeper.send_signal(signal.SIGCONT)
        assert ask(sleeper, "guarded /guarded") == f"refused VERSION {BOOT}"
        assert ask(sleeper, "bare /bare").startswith("applied 1")
        rest, _ = sleeper.communicate(timeout=DEADLINE_S)
        *states, last_session_id = rest.split()
        assert states[0] == "connected"
        assert states[-2:] == ["lost", "connected"]
        assert int(last_session_id) != session_id
    finally:
        sleeper.kill()
        sleeper.wait()
    assert store.read("/guarded", sync=True).version == 0


@pytest.mark.long
def test_a_hundred_seconds_without_an_ensemble_end_no_session(long_outage, record_property):
    """kazoo alone, waiting ever longer before it tries again, loses eight of ten."""
    result = long_outage.result()
    print(result)
    for name, value in result.items():
        record_property(name, value)
    assert result["outage_s"] >= 100
    assert result["granted_s"] == 10
    assert result["lost_by_lease_after_s"] < result["outage_s"] / 2
    assert (result["sessions_lost"], result["ephemerals_kept"]) == (0, 10)
    assert (result["last_states"], result["lost_events"]) == (["suspended lost connected"], 10)


def ask(process, command):
    process.stdin.write(command + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def until_written(probe, op):
    """Write as soon as it can be written; settled, should the connection go once more."""
    deadline = time.monotonic() + DEADLINE_S
    change = Change(op.path, "r", (op,))
    while time.monotonic() < deadline:
        try:
            commit(probe.store, change)
            return
        except NotConnected:
            pass
        except OutcomeUnknown:
            while (outcome := settle(probe.store, change, lambda znode: znode.data == op.data)) is Outcome.UNKNOWN:
                assert time.monotonic() < deadline
            if outcome is Outcome.APPLIED:
                return
    raise AssertionError("never written")


def probe_read(probe, path, deadline):
    while True:
        try:
            return probe.store.read(path, sync=True)
        except NotConnected:
            assert time.monotonic() < deadline
