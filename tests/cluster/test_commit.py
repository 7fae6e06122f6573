"""One function commits, and nobody guesses what became of a change."""

import pytest

from pvc.cluster.commit import Change, Outcome, commit, settle
from pvc.cluster.ensemble import MemoryEnsemble
from pvc.cluster.memory import MemoryStore
from pvc.cluster.store import ANY_VERSION, GONE, Absent, Check, Create, Delete, NotConnected, OutcomeUnknown, Refused, Set, Why


@pytest.fixture
def store():
    store = MemoryStore(MemoryEnsemble())
    store.start(lambda _: None)
    return store


def mine(znode):
    return znode.data == b"mine"


def test_a_commit_returns_the_version_of_the_primary_record(store):
    assert commit(store, Change("/a", "r", (Create("/index"), Create("/a")))) == 0
    assert commit(store, Change("/a", "r", (Create("/index/b"), Set("/a", b"", 0)), (Check("/index", 0),))) == 1
    assert commit(store, Change("/a", "r", (Check("/a", 1), Delete("/a", 1)))) == GONE


def test_a_lost_race_raises_and_writes_nothing(store):
    """H1"""
    store.multi([Create("/a"), Set("/a", b"other", 0)])
    with pytest.raises(Refused) as refused:
        commit(store, Change("/a", "r", (Create("/index"), Set("/a", b"mine", 0))))
    assert refused.value.why is Why.VERSION
    assert store.read("/index") is None


def test_a_lost_guard_is_named_before_the_conflict_that_follows_from_it(store):
    store.multi([Create("/boots"), Set("/boots", b"fenced", 0)])
    change = Change("/a", "r", (Set("/a", b"mine", 0),))
    with pytest.raises(Refused) as refused:
        commit(store, change.guarded(Check("/boots", 0), Absent("/alive")))
    assert refused.value.op == Check("/boots", 0)


def test_guards_add_up():
    change = Change("/a", "r", (Create("/a"),), (Check("/x", 1),)).guarded(Absent("/y")).guarded(Check("/z", 2))
    assert change.guards == (Check("/x", 1), Absent("/y"), Check("/z", 2))


@pytest.mark.parametrize("ops", [(), (Create("/b"),), (Check("/a", 0),), (Absent("/a"),)])
def test_a_change_that_could_not_be_settled_is_not_made(ops):
    with pytest.raises(ValueError, match="primary record /a"):
        Change("/a", "r", ops)


SETTLED = [
    # what the change does to /a, what was written before and after it got lost, and what can be known
    ("set", [Create("/a")], [], Outcome.NOT_APPLIED),
    ("set", [Create("/a")], [Set("/a", b"mine", 0)], Outcome.APPLIED),
    ("set", [Create("/a")], [Set("/a", b"other", 0)], Outcome.NOT_APPLIED),
    ("set", [Create("/a")], [Set("/a", b"mine", 0), Set("/a", b"other", 1)], Outcome.UNKNOWN),
    ("set", [Create("/a")], [Set("/a", b"mine", 0), Delete("/a", 1)], Outcome.UNKNOWN),
    ("create", [], [], Outcome.NOT_APPLIED),
    ("create", [], [Create("/a", b"mine")], Outcome.APPLIED),
    ("create", [], [Create("/a", b"other")], Outcome.NOT_APPLIED),
    ("create", [], [Create("/a", b"mine"), Set("/a", b"other", 0)], Outcome.UNKNOWN),
    ("delete", [Create("/a")], [], Outcome.NOT_APPLIED),
    ("delete", [Create("/a")], [Delete("/a", 0)], Outcome.APPLIED),
    ("delete", [Create("/a")], [Delete("/a", 0), Create("/a"), Set("/a", b"other", 0)], Outcome.UNKNOWN),
    ("delete whatever", [Create("/a")], [], Outcome.UNKNOWN),
]
OPS = {
    "set": Set("/a", b"mine", 0),
    "create": Create("/a", b"mine"),
    "delete": Delete("/a", 0),
    "delete whatever": Delete("/a", ANY_VERSION),
}


@pytest.mark.parametrize(("kind", "before", "after", "outcome"), SETTLED)
def test_what_became_of_a_lost_change_is_told_only_when_it_is_known(store, kind, before, after, outcome):
    for op in before + after:
        store.multi([op])
    assert settle(store, Change("/a", "r", (OPS[kind],)), mine) is outcome


def test_nothing_is_known_without_a_connection(store):
    change = Change("/a", "r", (Create("/a", b"mine"),))
    store.lose_next_reply(applied=True)
    with pytest.raises(OutcomeUnknown):
        commit(store, change)
    with pytest.raises(NotConnected):
        commit(store, change)
    assert settle(store, change, mine) is Outcome.UNKNOWN
    store.reconnect()
    assert settle(store, change, mine) is Outcome.APPLIED


def test_settling_writes_nothing(store):
    store.multi([Create("/a")])
    zxid = store.last_zxid
    settle(store, Change("/a", "r", (OPS["set"],)), mine)
    store.read("/a")
    assert store.last_zxid == zxid
