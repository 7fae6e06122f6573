"""What would happen is what then does happen, and a recorded cluster can be played."""

from dataclasses import replace

import pytest

from pvc.cluster.records import FenceMethod, Fencing
from pvc.fsm.states import Domain, Flush
from pvc.sim.cluster import SimCluster
from pvc.sim.foresee import foresee
from pvc.sim.recorded import recorded
from pvc.sim.scenario_file import scenario_of
from pvc.sim.verdict import run


def working(memory_mib=8192, **vms):
    """Three nodes with these VMs up, each at home on the named node; everybody has measured."""
    cluster = SimCluster(3, memory_mib=memory_mib)
    cluster.run_until(cluster.all_run, 60.0)
    for name, home in vms.items():
        cluster.define(name, home, 2048)
        cluster.admin.wait_for(cluster.admin.start(name, home), timeout_s=60.0)
    cluster.run(6.0)
    return cluster


def said_of(cluster):
    return recorded(cluster.admin.snapshot(), "12:00")


def fates(seen):
    return {fate.vm: (fate.before, fate.after, fate.state) for fate in seen.fates}


def test_a_recorded_cluster_is_a_scenario_that_begins_as_it_is(tmp_path):
    cluster = working(web="hv1", db="hv2", cache="hv3")
    cluster.admin.wait_for(cluster.admin.migrate("web", "hv2"), timeout_s=60.0)
    cluster.admin.wait_for(cluster.admin.stop("cache"), timeout_s=60.0)
    cluster.admin.flush("hv3")
    cluster.run_until(lambda: cluster.node("hv3").life.flush is Flush.flushed)
    cluster.run(6.0)
    said = said_of(cluster)
    assert [node["memory_mib"] for node in said["nodes"]] == [8192 - 512] * 3
    assert said["nodes"][2]["flushed"]
    where = {vm["name"]: (vm["home"], vm.get("on"), vm["desired"]) for vm in said["vms"]}
    assert where == {"web": ("hv1", "hv2", "start"), "db": ("hv2", None, "start"), "cache": ("hv3", None, "stop")}
    said["expect_final"] = {"vms": {"web": {"state": "start", "node": "hv2", "home": "hv1"}}, "nodes": {"hv3": {"domain": "flushed"}}}
    verdict = run(scenario_of(said, tmp_path / "recorded.json"))
    assert verdict.failures == []


def test_what_is_foreseen_of_a_lost_node_is_what_happens_when_it_is_lost():
    cluster = working(web="hv1", db="hv1", cache="hv2")
    seen = foresee(said_of(cluster), {"do": "power_off", "node": "hv1"})
    cluster.power_off("hv1")
    cluster.run_until(lambda: all(cluster.life(name).state is Domain.start for name in ("web", "db")) and cluster.running("db"), 120.0)
    cluster.run(10.0)
    assert fates(seen) == {
        "web": ("hv1", *cluster.running("web"), "start"),
        "db": ("hv1", *cluster.running("db"), "start"),
        "cache": ("hv2", "hv2", "start"),
    }
    assert seen.down == []
    assert "hv1: its power is proven off" in [moment.what for moment in seen.moments]
    left = {one.node: one.memory_free_mib for one in seen.nodes}
    assert left == {"hv1": 0} | {name: cluster.admin.node(name).stats.memory_free_mib for name in ("hv2", "hv3")}


def test_what_finds_no_room_stays_down_and_it_is_said_why():
    cluster = working(memory_mib=4608, web="hv1", db="hv2", cache="hv3", mail="hv2", log="hv3")
    seen = foresee(said_of(cluster), {"do": "power_off", "node": "hv1"})
    assert seen.down == ["web"]
    (web,) = [fate for fate in seen.fates if fate.vm == "web"]
    assert web.after is None
    assert "hv2: it has 0 MiB free, web needs 2048 MiB" in web.why


def test_a_node_that_nobody_can_fence_keeps_its_vms_down():
    cluster = working(web="hv1")
    said = said_of(cluster)
    said["nodes"][0]["bmc"] = "silent"
    seen = foresee(said, {"do": "power_off", "node": "hv1"})
    assert seen.down == ["web"]
    assert "hv1 is not proven off" in seen.fates[0].why


@pytest.mark.parametrize(("step", "end"), [({"do": "node_flush", "node": "hv1"}, "flushed"), ({"do": "vm_migrate", "vm": "web"}, "ready")])
def test_moves_are_foreseen_live(step, end):
    seen = foresee(said_of(working(web="hv1")), step)
    assert any(moment.what.startswith("web moves live from hv1 to hv") for moment in seen.moments)
    assert next(one.flush for one in seen.nodes if one.node == "hv1") == end


def test_what_would_be_refused_is_said():
    seen = foresee(said_of(working(web="hv1")), {"do": "vm_migrate", "vm": "web", "to": "hv1"})
    assert "it is there already" in seen.refused or "already" in seen.refused


def test_a_node_without_a_fence_device_is_recorded_as_such():
    cluster = working()
    snapshot = cluster.admin.snapshot()
    node = snapshot.nodes["hv1"]
    # Another record: this one is kept for whoever reads the same bytes, in the next test too.
    bare = replace(node, record=replace(node.record, fencing=Fencing(FenceMethod.none)))
    assert recorded(replace(snapshot, nodes={**snapshot.nodes, "hv1": bare}), "now")["nodes"][0]["bmc"] == "silent"
