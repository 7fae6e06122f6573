"""The store in memory: its faults, and events that wait until their owner hands them out."""

import pytest

from pvc.cluster.commit import Change, commit
from pvc.cluster.ensemble import MemoryEnsemble
from pvc.cluster.memory import MemoryStore
from pvc.cluster.store import Changed, Check, Connection, Create, NotConnected, OutcomeUnknown, Refused, Relisted, Set, State
from tests.cluster.worlds import MemoryProbe


@pytest.fixture
def ensemble():
    return MemoryEnsemble(tick_s=0.5)


def open_probe(ensemble):
    probe = MemoryProbe(MemoryStore(ensemble, 4.0), ensemble)
    probe.store.start(probe)
    return probe


@pytest.fixture
def probe(ensemble):
    return open_probe(ensemble)


@pytest.fixture
def writer(ensemble):
    return open_probe(ensemble).store


def test_nothing_is_reported_until_it_is_delivered(probe, writer):
    probe.store.watch("/a")
    writer.multi([Create("/a")])
    assert probe.events == []
    assert probe.store.waiting
    probe.store.deliver()
    assert not probe.store.waiting
    assert probe.events[0] == Connection(State.CONNECTED, probe.store.session_id, 1)
    probe.until_data("/a", b"")


def test_delivery_is_in_order_and_bounded(probe):
    probe.store.watch("/a")
    assert [probe.store.deliver(1) for _ in range(4)] == [1, 1, 1, 0]
    assert [type(e) for e in probe.events[:2]] == [Connection, Relisted]


def test_a_watch_fires_once_and_the_value_is_that_of_the_delivery(probe, writer):
    """H3: ten writes, one report, of the last."""
    writer.multi([Create("/a")])
    probe.store.watch("/a")
    probe.store.deliver()
    for version in range(10):
        writer.multi([Set("/a", str(version).encode(), version)])
    assert probe.store.deliver() == 1
    assert [e.znode.data for e in probe.reports("/a")] == [b"", b"9"]


def test_events_of_the_last_connection_are_not_reported_in_this_one(probe, writer):
    probe.store.watch("/a")
    probe.store.deliver()
    probe.store.relist()
    writer.multi([Create("/a")])
    probe.forget()
    probe.store.disconnect()
    probe.store.reconnect()
    probe.store.deliver()
    assert [type(e) for e in probe.events] == [Connection, Connection, Changed, Relisted]
    assert {e.generation for e in probe.events[1:]} == {2}
    assert probe.reports("/a")[-1].znode is not None


def test_what_the_ensemble_says_to_a_store_that_is_away_is_lost(probe, writer):
    probe.store.watch("/a")
    probe.store.deliver()
    probe.store.disconnect()
    writer.multi([Create("/a")])
    assert probe.store.deliver() == 1
    assert probe.events[-1].state is State.SUSPENDED


def test_the_lease_ages_only_while_away(ensemble, probe):
    ensemble.advance(50)
    assert probe.store.lease_age_s() == 0
    probe.store.disconnect()
    ensemble.advance(3)
    assert probe.store.lease_age_s() == 3


def test_a_lost_reply_hides_a_refusal_as_well(probe, writer):
    writer.multi([Create("/a")])
    probe.store.lose_next_reply(applied=True)
    with pytest.raises(OutcomeUnknown):
        probe.store.multi([Create("/a")])


def test_a_frozen_process_neither_learns_nor_asks(ensemble, probe, writer):
    probe.store.watch("/a")
    probe.store.deliver()
    probe.store.freeze()
    writer.multi([Create("/a")])
    assert probe.store.deliver() == 0
    with pytest.raises(RuntimeError):
        probe.store.read("/a")
    probe.store.thaw()
    probe.until_data("/a", b"")


def test_a_short_freeze_goes_unnoticed_but_for_the_age_of_the_lease(ensemble, probe):
    session_id = probe.store.session_id
    probe.store.freeze()
    ensemble.advance(3)
    probe.store.thaw()
    assert probe.store.lease_age_s() == 3
    probe.store.deliver()
    assert (probe.states(), probe.store.session_id) == ([State.CONNECTED], session_id)


def test_a_process_that_slept_past_its_session_could_write_but_for_its_boot_token(ensemble, probe, writer):
    """It wakes in a new session before it knows: that is what the token is for."""
    probe.store.multi([Create("/boots"), Create("/alive", ephemeral=True), Create("/a")])
    probe.store.deliver()
    probe.forget()
    probe.store.freeze()
    ensemble.advance(4)
    assert writer.read("/alive") is None
    writer.multi([Set("/boots", b"fenced", 0)])
    probe.store.thaw()
    assert probe.events == []
    with pytest.raises(Refused):
        commit(probe.store, Change("/a", "r", (Set("/a", b"", 0),), (Check("/boots", 0),)))
    assert commit(probe.store, Change("/a", "r", (Set("/a", b"", 0),))) == 1
    probe.store.deliver()
    assert probe.states() == [State.SUSPENDED, State.LOST, State.CONNECTED]


def test_a_process_that_wakes_without_a_quorum_is_suspended(ensemble, probe):
    probe.store.freeze()
    ensemble.advance(4)
    ensemble.lose_quorum()
    probe.store.thaw()
    with pytest.raises(NotConnected):
        probe.store.read("/a")
    ensemble.regain_quorum()
    probe.store.deliver()
    assert probe.states() == [State.CONNECTED, State.SUSPENDED, State.LOST, State.CONNECTED]


@pytest.mark.parametrize("death", [MemoryStore.disconnect, MemoryStore.freeze])
def test_a_process_that_dies_leaves_its_session_to_the_timeout(ensemble, probe, writer, death):
    probe.store.multi([Create("/alive", ephemeral=True)])
    death(probe.store)
    probe.store.close()
    ensemble.advance(3.9)
    assert writer.read("/alive") is not None
    ensemble.advance(0.1)
    assert writer.read("/alive") is None


def test_a_closed_store_reports_nothing(ensemble, probe, writer):
    probe.store.watch("/a")
    probe.store.deliver()
    probe.forget()
    probe.store.close()
    writer.multi([Create("/a")])
    ensemble.lose_quorum()
    ensemble.advance(100)
    probe.store.deliver()
    assert probe.events == []
