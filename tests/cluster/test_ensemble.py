"""The ensemble in memory keeps sessions as ZooKeeper does, on a clock that only its owner moves."""

import math

import pytest

from pvc.cluster.ensemble import MemoryEnsemble
from pvc.cluster.memory import MemoryStore
from pvc.cluster.store import Create, Delete, SessionLost, Set, State
from tests.cluster.worlds import MemoryProbe


@pytest.fixture
def ensemble():
    return MemoryEnsemble(tick_s=0.5)


def open_probe(ensemble, session_timeout_s=4.0):
    probe = MemoryProbe(MemoryStore(ensemble, session_timeout_s), ensemble)
    probe.store.start(probe)
    return probe


@pytest.fixture
def probe(ensemble):
    return open_probe(ensemble)


def test_a_connected_session_never_ends(ensemble, probe):
    for _ in range(100):
        ensemble.advance(100)
    probe.store.deliver()
    assert probe.states() == [State.CONNECTED]


def test_a_silent_session_ends_after_its_timeout_and_not_before(ensemble, probe):
    other = open_probe(ensemble)
    probe.store.multi([Create("/alive", ephemeral=True)])
    probe.store.disconnect()
    ensemble.advance(3.9)
    assert other.store.read("/alive") is not None
    ensemble.advance(0.1)
    assert other.store.read("/alive") is None


def test_a_return_in_time_gives_the_session_its_full_timeout_again(ensemble, probe):
    session_id = probe.store.session_id
    for _ in range(5):
        probe.store.disconnect()
        ensemble.advance(3.9)
        probe.store.reconnect()
    assert probe.store.session_id == session_id


def test_after_a_long_calm_silence_counts_from_when_it_began(ensemble, probe):
    late = open_probe(ensemble, session_timeout_s=9.0)
    session_id = late.store.session_id
    ensemble.advance(1)
    assert ensemble.due_at == math.inf
    ensemble.advance(100)
    assert probe.store.lease_age_s() == 0
    late.store.freeze()
    assert ensemble.due_at < math.inf
    ensemble.advance(8)
    assert late.store.lease_age_s() == 8
    late.store.thaw()
    ensemble.advance(1)
    assert (late.store.lease_age_s(), late.store.session_id) == (0, session_id)
    session_id = probe.store.session_id
    probe.store.disconnect()
    ensemble.advance(4)
    probe.store.reconnect()
    assert probe.store.session_id != session_id


def test_no_session_ends_while_there_is_no_quorum(ensemble, probe):
    """H60: after an outage every session gets its full time again, so nobody looks dead who only waited."""
    session_id = probe.store.session_id
    probe.store.multi([Create("/alive", ephemeral=True)])
    ensemble.lose_quorum()
    ensemble.advance(100)
    probe.store.deliver()
    assert probe.states() == [State.CONNECTED, State.SUSPENDED, State.LOST]
    ensemble.regain_quorum()
    probe.store.deliver()
    assert (probe.store.connected, probe.store.session_id) == (True, session_id)
    assert probe.store.read("/alive").owner == session_id


def test_who_stays_away_when_the_quorum_returns_has_its_full_timeout(ensemble, probe):
    other = open_probe(ensemble)
    probe.store.multi([Create("/alive", ephemeral=True)])
    probe.store.disconnect()
    ensemble.lose_quorum()
    ensemble.advance(100)
    ensemble.regain_quorum()
    ensemble.advance(3.9)
    assert other.store.read("/alive") is not None
    ensemble.advance(0.1)
    assert other.store.read("/alive") is None
    probe.store.reconnect()
    probe.store.deliver()
    assert probe.states() == [State.CONNECTED, State.SUSPENDED, State.LOST, State.CONNECTED]


def test_all_ephemerals_of_a_session_go_in_one_transaction(ensemble, probe):
    other = open_probe(ensemble)
    probe.store.multi([Create("/p"), Create("/p/a", ephemeral=True), Create("/p/b", ephemeral=True)])
    other.store.watch_children("/p")
    other.until_children("/p", ("a", "b"))
    zxid = ensemble.zxid
    ensemble.expire(probe.store.session_id)
    other.store.deliver()
    assert ensemble.zxid == zxid + 1
    assert [e.names for e in other.reports("/p")] == [("a", "b"), ()]


def test_an_ephemeral_that_is_anothers_by_now_stays(ensemble, probe):
    other = open_probe(ensemble)
    probe.store.multi([Create("/alive", ephemeral=True)])
    probe.store.multi([Create("/x", ephemeral=True)])
    other.store.multi([Delete("/alive", 0), Create("/alive", ephemeral=True)])
    ensemble.expire(probe.store.session_id)
    assert (other.store.read("/alive").owner, other.store.read("/x")) == (other.store.session_id, None)


def test_an_ended_session_writes_nothing(ensemble, probe):
    session_id = probe.store.session_id
    ensemble.expire(session_id)
    with pytest.raises(SessionLost):
        ensemble.multi(session_id, [Create("/a")])
    assert ensemble.read("/a") is None


def test_the_same_calls_give_the_same_history():
    def history():
        ensemble = MemoryEnsemble()
        probes = [open_probe(ensemble) for _ in range(5)]
        log = []
        for number, probe in enumerate(probes):
            for path in ("/b", "/a", "/c"):
                probe.store.watch(path)
                probe.store.watch_children("/")
            probe.store.multi([Create(f"/{number}", ephemeral=True)])
        for probe in probes[:3]:
            probe.store.disconnect()
        ensemble.advance(100)
        for probe in reversed(probes):
            probe.store.reconnect()
            probe.store.deliver()
            log += probe.events
        return log

    assert history() == history()


# ---- data that is put back


def test_a_copy_that_is_put_back_is_all_there_is(ensemble, probe):
    probe.store.multi([Create("/a", b"then")])
    probe.store.watch("/a")
    probe.store.deliver()
    copy, before = ensemble.snapshot(), ensemble.zxid
    probe.store.multi([Set("/a", b"now", 0), Create("/b")])
    ensemble.restore(copy)
    assert (ensemble.read("/a").data, ensemble.read("/a").version, ensemble.read("/b")) == (b"then", 0, None)
    assert ensemble.zxid > before + 0xFFFF_FFFF - before % 2**32, "the next epoch has begun"
    probe.store.deliver()
    assert probe.states() == [State.CONNECTED, State.SUSPENDED, State.CONNECTED], "its session is in the copy"
    assert probe.store.read("/a").data == b"then"
    probe.store.multi([Set("/a", b"again", 0)])
    assert (ensemble.restore(copy), ensemble.read("/a").data)[1] == b"then", "the copy is as it was"


def test_who_came_after_the_copy_has_lost_its_session_and_who_went_is_not_heard(ensemble, probe):
    probe.store.multi([Create("/alive", ephemeral=True)])
    copy = ensemble.snapshot()
    probe.store.close()
    other = open_probe(ensemble)
    ensemble.restore(copy)
    other.store.deliver()
    assert other.states() == [State.CONNECTED, State.SUSPENDED, State.LOST, State.CONNECTED]
    assert ensemble.read("/alive") is not None
    ensemble.advance(4.0)
    assert ensemble.read("/alive") is None


def test_who_is_frozen_meanwhile_finds_out_when_it_goes_on(ensemble, probe):
    copy = ensemble.snapshot()
    other = open_probe(ensemble)
    other.store.freeze()
    ensemble.restore(copy)
    other.store.thaw()
    other.store.deliver()
    assert other.states()[-2:] == [State.LOST, State.CONNECTED]


def test_a_copy_that_is_put_back_without_a_quorum_waits_for_it(ensemble, probe):
    copy = ensemble.snapshot()
    ensemble.lose_quorum()
    ensemble.restore(copy)
    assert not ensemble.quorum
