"""The ensemble in memory answers as ZooKeeper does: whatever is simulated upon it rests on this."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pvc.cluster.ensemble import MemoryEnsemble
from pvc.cluster.live import ZooKeeperStore
from pvc.cluster.memory import MemoryStore
from pvc.cluster.options import Options
from pvc.cluster.store import ANY_VERSION, Absent, Check, Create, Delete, Refused, Set
from tests.cluster.worlds import DEADLINE_S, ZooKeeperWorld

# Few, so that histories meet what they made before.
PATHS = ["/a", "/a/x", "/a/x/deep", "/b"]
paths = st.sampled_from(PATHS)
data = st.sampled_from([b"", b"1", b"2"])
versions = st.integers(0, 2)
loose = st.sampled_from([ANY_VERSION, 0, 0, 1, 2])
ephemeral = st.sampled_from([False, False, False, True])
create = st.builds(Create, paths, data, ephemeral)
change = st.one_of(st.builds(Set, paths, data, versions), st.builds(Delete, paths, loose))
ops = st.one_of(create, create, change, change, st.builds(Check, paths, loose), st.builds(Absent, paths))
multis = st.one_of(ops.map(lambda op: [op]), st.lists(ops, min_size=1, max_size=4))
who = st.sampled_from([0, 1])
# Something to begin with, or nearly all that follows would be refused for want of it.
beginnings = st.tuples(*(st.tuples(who, st.builds(Create, st.just(path), data, ephemeral).map(lambda op: [op])) for path in PATHS))
histories = st.tuples(beginnings, st.lists(st.tuples(who, multis), min_size=1, max_size=12)).map(lambda parts: [*parts[0], *parts[1]])

_numbers = itertools.count()


@pytest.fixture(scope="module")
def sessions(shared_ensemble):
    """Two sessions in the real ensemble."""
    shared_ensemble.start()
    stores = [ZooKeeperStore(Options(shared_ensemble.hosts, session_timeout_s=ZooKeeperWorld.LONGEST_S)) for _ in range(2)]
    for store in stores:
        store.start(lambda _: None, DEADLINE_S)
    yield stores
    for store in stores:
        store.close()


def moved(op, root):
    """The same operation below another root."""
    return type(op)(root + op.path, *(getattr(op, name) for name in op.__slots__[1:]))


def outcome(store, root, operations):
    """What came of a multi: versions, or which operation was refused and why."""
    below = [moved(op, root) for op in operations]
    try:
        return store.multi(below)
    except Refused as refused:
        return below.index(refused.op), refused.why


def picture(store, root):
    """All that can be read, except for the ids that each ensemble gives out itself."""
    znodes = store.read_many([root + path for path in PATHS], sync=True)
    seen = [z and (z.data, z.version, z.ephemeral, z.czxid == z.mzxid) for z in znodes.values()]
    return seen, [store.children(root + path) for path in ["", *PATHS]]


@pytest.mark.ensemble
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories)
def test_every_history_has_the_same_outcome_in_both(sessions, history):
    ensemble = MemoryEnsemble()
    models = [MemoryStore(ensemble) for _ in range(2)]
    for model in models:
        model.start(lambda _: None)
    root = f"/model{next(_numbers)}"
    for store in (sessions[0], models[0]):
        store.multi([Create(root)])
    for session, operations in history:
        assert outcome(models[session], root, operations) == outcome(sessions[session], root, operations)
    assert picture(models[0], root) == picture(sessions[0], root)
