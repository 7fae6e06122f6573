"""A node's transitions as writes: how a daemon enters, how it is locked out, and what no fencer writes any more once it is wrong."""

from dataclasses import replace

import pytest

from pvc.cluster import znodes
from pvc.cluster.commit import commit
from pvc.cluster.evidence import NotRead
from pvc.cluster.formats import decode_boot, decode_stats
from pvc.cluster.node_changes import keepalive
from pvc.cluster.records import Boot, NodeStats
from pvc.cluster.store import Absent, Refused, Set, Why
from pvc.core.facts import Self, Watch
from pvc.errors import Refused as RefusedByRule
from pvc.fsm.states import Daemon, Fence, Flush, Power
from pvc.fsm.views import NodeLife
from tests.cluster.small_cluster import AT, SmallCluster

SUSPECT = Watch(concerns=True)
DUE = Watch(reading=Power.on, due=True)
OFF = Watch(reading=Power.off)


@pytest.fixture
def cluster():
    """Three nodes that work."""
    return SmallCluster("n1", "n2", "n3")


@pytest.fixture
def dead(cluster):
    """The same without n1, which n2 has declared dead."""
    cluster.die("n1")
    cluster.move_node("n2", "n1", watch=SUSPECT)
    cluster.move_node("n2", "n1", watch=DUE)
    assert cluster.node("n1").value.life == NodeLife(Daemon.dead, Flush.ready, Fence.throws, "n2")
    return cluster


def refused(store, change, path):
    """The reason why this change is refused, at this path."""
    with pytest.raises(Refused) as caught:
        commit(store, change)
    assert caught.value.path == path
    return caught.value.why


def boot_of(cluster, name):
    """The boot record of a node."""
    return cluster.seen(znodes.boot(name), lambda data: decode_boot(name, data))


# ---- a daemon enters and stays


def test_a_new_node_enters_with_everything_it_needs(cluster):
    cluster.check()
    record = cluster.node("n1").value
    assert (record.life, record.boot, record.machine.cpus) == (NodeLife(Daemon.run), "kernel-n1", 8)
    assert boot_of(cluster, "n1").value == Boot(1, "kernel-n1")
    assert cluster.client.read(znodes.alive("n1")).owner == cluster.stores["n1"].session_id
    assert set(cluster.client.children(znodes.node("n1"))) == {"domains", "events", "stats"}


def test_a_daemon_that_starts_anew_locks_its_former_self_out_at_once(cluster):
    old, token = cluster.stores["n1"], cluster.tokens["n1"]
    cluster.join("n1")
    assert boot_of(cluster, "n1").value == Boot(2, "kernel-n1")
    assert cluster.client.read(znodes.alive("n1")).owner == cluster.stores["n1"].session_id
    version = cluster.client.read(znodes.stats("n1")).version
    assert refused(old, keepalive("n1", NodeStats(1), version, token), znodes.boot("n1")) is Why.VERSION


def test_a_proof_of_life_from_another_kernel_boot_is_not_taken_over(cluster):  # H77
    with pytest.raises(RefusedByRule, match="another kernel boot"):
        cluster.join_change("n1", "another-machine")
    cluster.die("n1")
    cluster.join("n1", "rebooted")
    assert (cluster.node("n1").value.boot, boot_of(cluster, "n1").value) == ("rebooted", Boot(2, "rebooted"))


def test_two_daemons_that_start_at_once_do_not_both_enter(cluster):
    first, second = cluster.join_change("n4", "a"), cluster.join_change("n4", "b")
    commit(cluster.session(), first)
    assert refused(cluster.session(), second, znodes.boot("n4")) is Why.EXISTS


def test_a_keepalive_says_what_was_measured(cluster):
    path = znodes.stats("n1")
    stats = NodeStats(7, 100, 60, 40, 50, 0.5, 3, 2)
    commit(cluster.stores["n1"], keepalive("n1", stats, cluster.client.read(path).version, cluster.tokens["n1"]))
    assert decode_stats("n1", cluster.client.read(path).data) == stats


def test_a_daemon_that_leaves_writes_that_in_its_own_name(cluster):
    change = cluster.change_of_node("n1", "n1", own=Self(joined=True, stopping=True))
    cluster.join("n1")
    assert refused(cluster.stores["n1"], change, znodes.boot("n1")) is Why.VERSION


# ---- a fence


def test_whoever_suspects_a_node_that_is_back_is_refused(cluster):
    cluster.die("n1")
    change = cluster.change_of_node("n2", "n1", watch=SUSPECT)
    alive = cluster.session()
    alive.multi([cluster.join_change("n1", "kernel-n1").ops[-1]])  # its session alone, before its record
    assert refused(cluster.stores["n2"], change, znodes.alive("n1")) is Why.EXISTS


@pytest.mark.parametrize(("watch", "fence"), [(DUE, Fence.shot), (OFF, Fence.proven)])
def test_no_shot_and_no_proof_of_a_node_that_is_alive(dead, watch, fence):
    change = dead.change_of_node("n2", "n1", watch=watch)
    assert Absent(znodes.alive("n1")) in change.guards
    dead.session().multi([dead.join_change("n1", "kernel-n1").ops[-1]])
    assert refused(dead.stores["n2"], change, znodes.alive("n1")) is Why.EXISTS
    assert dead.node("n1").value.life.fence is not fence


def test_a_shot_does_not_overtake_the_hold(dead):
    change = dead.change_of_node("n2", "n1", watch=DUE)
    znode = dead.client.read(znodes.CONFIG)
    dead.client.multi([Set(znodes.CONFIG, znode.data, znode.version)])
    assert refused(dead.stores["n2"], change, znodes.CONFIG) is Why.VERSION


def test_a_shot_is_refused_when_another_node_has_changed_since_the_brakes_were_looked_at(dead):
    """Two fencers that shoot at the same moment would both find that nobody shoots."""
    change = dead.change_of_node("n2", "n1", watch=DUE)
    znode = dead.client.read(znodes.node("n3"))
    dead.client.multi([Set(znodes.node("n3"), znode.data, znode.version)])
    assert refused(dead.stores["n2"], change, znodes.node("n3")) is Why.VERSION


def test_a_reading_is_proof_even_during_a_hold(dead):
    change = dead.change_of_node("n2", "n1", watch=OFF)
    znode = dead.client.read(znodes.CONFIG)
    dead.client.multi([Set(znodes.CONFIG, znode.data, znode.version)])
    commit(dead.stores["n2"], change)
    assert dead.node("n1").value.life.daemon is Daemon.fenced


def test_two_fencers_do_not_both_claim(cluster):  # H61
    cluster.die("n1")
    first, second = (cluster.change_of_node(me, "n1", watch=SUSPECT) for me in ("n2", "n3"))
    commit(cluster.stores["n2"], first)
    assert refused(cluster.stores["n3"], second, znodes.node("n1")) is Why.VERSION


def test_a_proof_takes_the_boot_token_and_keeps_the_boot(dead):
    before = boot_of(dead, "n1")
    dead.move_node("n2", "n1", watch=OFF)
    after = boot_of(dead, "n1")
    assert (after.value, after.version) == (before.value, before.version + 1)


def test_a_proof_takes_the_token_of_a_newer_version_too(dead):
    path = znodes.boot("n1")
    dead.client.multi([Set(path, b'{"v": 2, "of": "tomorrow"}', 0)])
    dead.move_node("n2", "n1", watch=OFF)
    assert (dead.client.read(path).data, dead.client.read(path).version) == (b'{"v": 2, "of": "tomorrow"}', 2)


def test_a_proof_of_a_node_whose_boot_record_nobody_read_is_not_written(dead):
    from pvc.cluster.node_changes import node_change
    from pvc.core.decide import RULES

    move = RULES.node_moves("n2", "n1", dead.facts(), OFF, Self())[0]
    transition = dead.transition(move.table, move.row, move.by, "n2")
    with pytest.raises(NotRead, match="boot"):
        node_change(dead.node("n1"), RULES.after(move), transition, dead.relied("n2"))


def test_an_operators_word_takes_the_boot_token_and_needs_the_node_to_be_gone(cluster):  # H89
    cluster.die("n1")
    change = cluster.ask_node("fence", "confirm", "n1")
    assert Absent(znodes.alive("n1")) in change.guards
    commit(cluster.client, change)
    assert cluster.node("n1").value.life == NodeLife(Daemon.fenced, Flush.ready, Fence.proven, None)
    assert cluster.client.read(znodes.boot("n1")).version == 1


def test_a_fence_is_not_adopted_from_a_fencer_that_is_back(dead):
    dead.die("n2")
    change = dead.change_of_node("n3", "n1", watch=SUSPECT)
    assert Absent(znodes.alive("n2")) in change.guards
    dead.join("n2")
    assert refused(dead.stores["n3"], change, znodes.alive("n2")) is Why.EXISTS


def test_a_fence_is_not_adopted_from_a_fencer_whose_record_has_changed(dead):
    dead.join("n2")  # alive, and not yet in `run`: it does not hold the fence
    change = dead.change_of_node("n3", "n1", watch=SUSPECT)
    dead.move_node("n2", "n2", own=Self(joined=True, inventory=True))
    assert refused(dead.stores["n3"], change, znodes.node("n2")) is Why.VERSION


def test_a_node_does_not_join_out_of_the_hands_of_a_fencer_that_is_back(dead):
    dead.move_node("n2", "n1", watch=DUE)
    assert dead.node("n1").value.life.daemon is Daemon.fencing
    dead.die("n2")
    change = dead.join_change("n1", "kernel-n1")
    dead.join("n2")
    assert refused(dead.session(), change, znodes.alive("n2")) is Why.EXISTS


def test_a_fence_tells_since_when_and_why_and_counts_its_shots(dead):
    dead.move_node("n2", "n1", watch=DUE)
    fence = dead.node("n1").value.fence
    assert (fence.since, fence.tries) == (AT, 1)
    dead.move_node("n2", "n1", watch=Watch(reading=Power.on))
    assert dead.node("n1").value.fence.reason == "The order failed, or nothing confirms it: no proof, no recovery (H63)."
    dead.move_node("n2", "n1", watch=DUE)
    assert dead.node("n1").value.fence.tries == 2
    dead.move_node("n2", "n1", watch=OFF)
    dead.join("n1")
    assert dead.node("n1").value.fence.tries == 0


def test_a_node_that_joins_again_keeps_its_flush(cluster):
    commit(cluster.client, cluster.ask_node("flush", "flush", "n1"))
    cluster.join("n1")
    assert cluster.node("n1").value.life.flush is Flush.flush


def test_what_others_added_to_a_node_survives_its_restart(cluster):
    path = znodes.node("n1")
    znode = cluster.client.read(path)
    cluster.client.multi([Set(path, znode.data.replace(b'"v":1', b'"v":1,"rack":"r7"'), znode.version)])
    cluster.join("n1")
    assert b'"rack":"r7"' in cluster.client.read(path).data


def test_an_order_is_not_written(cluster):
    cluster.die("n1")
    cluster.move_node("n2", "n1", watch=SUSPECT)
    with pytest.raises(ValueError, match="only gives orders"):
        cluster.change_of_node("n2", "n1")


def test_the_versions_of_a_read_are_needed(dead):
    with pytest.raises(NotRead):
        dead.change_of_node("n2", "n1", watch=DUE, relied=replace(dead.relied("n2"), config=None))


# ---- its past


def test_a_node_keeps_its_last_transitions_whoever_made_them(dead):
    dead.join("n1")
    entries = dead.events("n1").value.entries
    assert [(entry.machine, entry.trigger, entry.source, entry.dest, entry.who) for entry in entries] == [
        ("node", "join", "stop", "init", "n1"),
        ("node", "ready", "init", "run", "n1"),
        ("fence", "suspect", "none", "evidence", "n2"),
        ("fence", "declare", "evidence", "throws", "n2"),
        ("node", "die", "run", "dead", "n2"),
        ("node", "join", "dead", "init", "n1"),
        ("fence", "clear", "throws", "none", "n1"),
    ]
    assert {entry.of for entry in entries} == {"n1"}


def test_a_past_that_cannot_be_read_stops_nobody(cluster):
    path = znodes.events("n1")
    cluster.client.multi([Set(path, b"?", cluster.client.read(path).version)])
    cluster.die("n1")
    cluster.move_node("n2", "n1", watch=SUSPECT)
    assert cluster.node("n1").value.life.fence is Fence.evidence
    assert cluster.client.read(path).data == b"?"
