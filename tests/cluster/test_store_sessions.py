"""The contract of the store: connections, sessions, and what is known when they end."""

import pytest

from pvc.cluster.commit import Change, Outcome, commit, settle
from pvc.cluster.store import Absent, Check, Create, NotConnected, OutcomeUnknown, Refused, Set, State, Why
from tests.cluster.worlds import until_connected_again


@pytest.fixture
def probe(world):
    return world.open()


@pytest.fixture
def writer(world):
    return world.open().store


def test_a_session_begins_connected(probe):
    connected = probe.until_state(State.CONNECTED)
    assert (connected.generation, connected.session_id) == (1, probe.store.session_id)
    assert probe.store.connected
    assert probe.store.session_id != 0


def test_the_granted_timeout_counts_not_the_one_asked_for(world):
    assert world.open(session_timeout_s=0.1).store.session_timeout_s == 1.0
    assert world.open(session_timeout_s=3.0).store.session_timeout_s == 3.0
    assert world.open(session_timeout_s=100.0).store.session_timeout_s == world.LONGEST_S


def test_an_ephemeral_names_its_session_and_ends_with_it(world, probe, writer):
    probe.store.multi([Create("/alive", b"7", ephemeral=True)])
    znode = writer.read("/alive", sync=True)
    assert (znode.ephemeral, znode.owner) == (True, probe.store.session_id)
    assert not writer.read("/").ephemeral
    other = world.open()
    other.store.watch("/alive")
    probe.store.close()  # which does not wait for a busy server for ever
    other.until_data("/alive", None)


def test_a_short_cut_keeps_session_and_ephemerals(world, probe, writer):
    probe.store.multi([Create("/alive", ephemeral=True)])
    session_id = probe.store.session_id
    world.cut(probe)
    probe.until_state(State.SUSPENDED)
    world.mend(probe)
    connected = until_connected_again(probe, 1)
    assert (connected.session_id, connected.generation) == (session_id, 2)
    assert writer.read("/alive", sync=True).owner == session_id
    assert State.LOST not in probe.states()


def test_an_expired_session_is_lost_and_followed_by_a_new_one(world, probe, writer):
    """H8: one client, and the store opens the next session by itself."""
    probe.store.multi([Create("/alive", ephemeral=True)])
    probe.store.watch("/alive")
    probe.until_data("/alive", b"")
    session_id = probe.store.session_id
    world.expire(probe)
    lost = probe.until_state(State.LOST)
    connected = until_connected_again(probe, lost.generation)
    assert lost.session_id == session_id != connected.session_id
    assert probe.states() == [State.CONNECTED, State.SUSPENDED, State.LOST, State.CONNECTED]
    probe.until_data("/alive", None)
    probe.store.multi([Create("/alive", b"new", ephemeral=True)])
    assert writer.read("/alive", sync=True).owner == connected.session_id


def test_what_is_asked_while_away_fails_at_once_and_never_lands(world, probe, writer):
    """kazoo would queue it, block, and let it land after the reconnect."""
    writer.multi([Create("/a")])
    world.cut(probe)
    for request in (lambda: probe.store.multi([Set("/a", b"ghost", 0)]), lambda: probe.store.read("/a"), lambda: probe.store.children("/")):
        with pytest.raises(NotConnected):
            request()
    world.mend(probe)
    until_connected_again(probe, 1)
    probe.settle()
    assert writer.read("/a", sync=True).version == 0


def test_lost_is_said_while_still_away(world):
    """kazoo says nothing before it is connected again: the store counts for itself."""
    probe = world.open(session_timeout_s=4.0)
    world.cut(probe)
    probe.until_state(State.LOST)
    assert probe.states() == [State.CONNECTED, State.SUSPENDED, State.LOST]
    assert probe.store.lease_age_s() > probe.store.session_timeout_s


def test_lost_is_said_once(world):
    """First by the lease, then by the ensemble: the second adds nothing."""
    probe, other = world.open(session_timeout_s=4.0), world.open()
    probe.store.multi([Create("/alive", ephemeral=True)])
    session_id = probe.store.session_id
    world.cut(probe)
    probe.until_state(State.LOST)
    other.store.watch("/alive")
    other.until_data("/alive", None)
    world.mend(probe)
    assert until_connected_again(probe, 1).session_id != session_id
    assert probe.states() == [State.CONNECTED, State.SUSPENDED, State.LOST, State.CONNECTED]


def test_the_lease_is_young_while_connected(world, probe):
    for _ in range(3):
        probe.settle()
        assert probe.store.lease_age_s() < probe.store.session_timeout_s * 2 / 3


def test_the_lease_of_a_store_without_a_session_is_infinitely_old(world):
    assert world.probe().store.lease_age_s() == float("inf")


CHANGE = Change("/a", "r1", (Set("/a", b"r1", 0), Create("/index")))


def applied(znode):
    return znode.data == b"r1"


def test_a_change_whose_reply_was_lost_is_found_to_be_applied(world, probe, writer):
    writer.multi([Create("/a")])
    world.lose_next_reply(probe, applied=True)
    with pytest.raises(OutcomeUnknown):
        commit(probe.store, CHANGE)
    assert settle(probe.store, CHANGE, applied) is Outcome.UNKNOWN
    world.mend(probe)
    until_connected_again(probe, 1)
    assert settle(probe.store, CHANGE, applied) is Outcome.APPLIED
    assert writer.read("/index", sync=True) is not None


def test_a_change_that_was_lost_itself_is_found_not_to_be_applied(world, probe, writer):
    writer.multi([Create("/a")])
    world.lose_next_reply(probe, applied=False)
    with pytest.raises(OutcomeUnknown):
        commit(probe.store, CHANGE)
    world.mend(probe)
    until_connected_again(probe, 1)
    assert settle(probe.store, CHANGE, applied) is Outcome.NOT_APPLIED
    assert commit(probe.store, CHANGE) == 1


def test_only_one_reply_is_lost(world, probe):
    world.lose_next_reply(probe, applied=True)
    with pytest.raises(OutcomeUnknown):
        probe.store.multi([Create("/a")])
    world.mend(probe)
    until_connected_again(probe, 1)
    probe.store.multi([Create("/b")])
    assert probe.store.children("/") == ("a", "b")


def test_a_boot_token_stops_who_lost_it_even_in_a_new_session(world, probe, writer):
    """The rule for a process that slept past its session while others recovered from it."""
    probe.store.multi([Create("/boots"), Create("/boots/n1", b"1"), Create("/alive", ephemeral=True), Create("/a")])
    change = Change("/a", "r1", (Set("/a", b"r1", 0),), (Check("/boots/n1", 0),))
    world.expire(probe)
    probe.until_state(State.LOST)
    until_connected_again(probe, 1)
    writer.multi([Absent("/alive"), Set("/boots/n1", b"fenced", 0)])
    with pytest.raises(Refused) as refused:
        commit(probe.store, change)
    assert (refused.value.op, refused.value.why) == (Check("/boots/n1", 0), Why.VERSION)
    assert writer.read("/a", sync=True).version == 0


def test_absence_stops_who_would_write_over_a_returned_session(world, probe, writer):
    """The fencer's last look: the victim's proof of life must still be gone when the shot is written."""
    writer.multi([Create("/alive"), Create("/fence")])
    shot = Change("/fence", "r1", (Set("/fence", b"shot", 0),), (Absent("/alive/n1"),))
    probe.store.multi([Create("/alive/n1", ephemeral=True)])
    with pytest.raises(Refused) as refused:
        commit(writer, shot)
    assert (refused.value.op, refused.value.why) == (Absent("/alive/n1"), Why.EXISTS)
    other = world.open()
    other.store.watch("/alive/n1")
    probe.store.close()
    other.until_data("/alive/n1", None)
    assert commit(writer, shot) == 1
