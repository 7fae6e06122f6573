"""What comes next is told by the times of this cluster, which its nodes publish, and not by those of the sample file."""

import json
from dataclasses import replace

import pytest

from pvc.cluster import znodes
from pvc.cluster.formats import decode_node, encode_node
from pvc.cluster.records import Machine
from pvc.cluster.store import Set
from pvc.core.settings import Settings
from tests.client.world import World

OURS = Settings(keepalive_interval_s=1.0, session_timeout_s=2.0, throws_ticks=4, migration_timeout_s=45.0)


@pytest.fixture
def world():
    """Nodes with times of their own."""
    return World(settings=OURS)


def waits(pvc, *words):
    """How long the transitions that may come are waited for."""
    told = json.loads(pvc(*words, "-o", "json").out)["next"]
    return {one["trigger"]: one["after_s"] for one in told if one["after_s"] is not None}


def test_a_migration_may_last_as_long_as_the_cluster_says(pvc, world, web1):
    pvc("vm", "start", web1)
    world.lazy = True
    pvc("vm", "migrate", web1, "--no-wait")
    world.quiet(3)
    assert set(waits(pvc, "vm", "explain", web1).values()) == {45.0}


def test_a_lost_node_is_shot_when_the_cluster_says(pvc, world, web1):
    pvc("vm", "start", web1)
    world.small.kill_daemon("hv1")
    found = {}
    for _ in range(60):
        world.quiet(1)
        found |= waits(pvc, "node", "explain", "hv1")
    assert found["shoot"] == 4.0


def test_a_node_tells_its_times(pvc):
    assert "suspected after 2 s, dead after 6 s, shot after 10 s" in pvc("node", "info", "hv1").out
    machine = json.loads(pvc("node", "info", "hv1", "-o", "json").out)["node"]["machine"]
    assert (machine["keepalive_interval_s"], machine["throws_ticks"]) == (1.0, 4)


def test_an_older_daemon_does_not_say_and_a_peer_is_believed(pvc, world, web1):
    pvc("vm", "start", web1)
    for name, store in (("hv1", world.small.client), ("hv2", world.small.client)):
        znode = store.read(znodes.node(name))
        record = replace(decode_node(name, znode.data), machine=Machine())
        store.multi([Set(znodes.node(name), encode_node(record), znode.version)])
    assert "times" not in pvc("node", "info", "hv1").out
    world.lazy = True
    pvc("vm", "migrate", web1, "--no-wait")
    world.quiet(3)
    assert set(waits(pvc, "vm", "explain", web1).values()) == {45.0}


def test_nodes_that_count_by_different_times_are_a_warning(pvc, world):
    found = {one["about"]: one for one in json.loads(pvc("doctor", "-o", "json").out)["findings"]}
    assert (found["times"]["level"], found["times"]["sentence"]) == ("ok", OURS.lost_words)
    znode = world.small.client.read(znodes.node("hv2"))
    record = decode_node("hv2", znode.data)
    other = replace(record, machine=replace(record.machine, throws_ticks=9))
    world.small.client.multi([Set(znodes.node("hv2"), encode_node(other), znode.version)])
    (warned,) = (one for one in json.loads(pvc("doctor", "-o", "json").out)["findings"] if one["about"] == "times")
    assert warned["level"] == "warning"
    assert "hv1, hv3: a lost node is suspected after 2 s, dead after 6 s, shot after 10 s" in warned["sentence"]
    assert "hv2: " in warned["sentence"]
