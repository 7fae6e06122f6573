"""The admin's client of a simulated cluster reads only what has changed, and says what a client says that reads everything."""

from pathlib import Path

import pytest

from pvc.client.snapshot import Reader, Snapshot
from pvc.cluster.store import NotConnected
from pvc.sim.cluster import SimCluster
from pvc.sim.scenario_file import scenario_of
from pvc.sim.schedule import Schedule, Sizes
from pvc.sim.stage import Stage


def as_read(cluster: SimCluster, *, anew: bool) -> tuple[Snapshot, list[str], list[str]] | None:
    """What a command sees, and in which order; None without a connection."""
    reader = Reader(cluster.admin.store) if anew else cluster.admin.reader
    try:
        snapshot = reader.snapshot(stats=True, domains=True)
    except NotConnected:
        return None
    return snapshot, list(snapshot.nodes), list(snapshot.domains)


def agrees(cluster: SimCluster) -> bool:
    return as_read(cluster, anew=False) == as_read(cluster, anew=True)


@pytest.mark.parametrize("seed", range(4))
def test_it_says_what_everybody_reads_whatever_happens(seed):
    stage = Stage(scenario_of(Schedule(seed, Sizes((3,), (4,), 120.0)).scenario(), Path("by chance")), seed)
    for step in stage.scenario.steps:
        stage.cluster.run(stage.trace.began + step.at - stage.cluster.now)
        assert agrees(stage.cluster), step
        stage.do(step)
        assert agrees(stage.cluster), step


def test_vms_come_and_go_in_order():
    cluster = SimCluster(2)
    cluster.run_until(cluster.all_run)
    cluster.run(10.0)
    for name in ("vm1", "vm2", "vm3"):
        cluster.define(name, "hv1")
        assert agrees(cluster)
    cluster.admin.undefine("vm2")
    assert agrees(cluster)
    cluster.run(5.0)
    assert agrees(cluster)
    cluster.define("vm2", "hv2")
    assert agrees(cluster)
    cluster.admin.start("vm2")
    cluster.run(1.0)
    assert agrees(cluster)


def test_of_servers_that_come_back_with_older_data_it_reads_everything():
    cluster = SimCluster(2)
    cluster.run_until(cluster.all_run)
    cluster.run(10.0)
    cluster.define("vm1", "hv1")
    copy = cluster.ensemble.snapshot()
    cluster.define("vm2", "hv1")
    cluster.admin.start("vm1")
    assert agrees(cluster)
    cluster.ensemble_down()
    assert as_read(cluster, anew=False) is None
    cluster.ensemble_down(False)
    cluster.ensemble.restore(copy)
    cluster.run(1.0)
    assert agrees(cluster)
    assert [record.name for record in cluster.admin.snapshot().records()] == ["vm1"]


def test_what_did_not_change_is_not_read_again():
    cluster = SimCluster(2)
    cluster.run_until(cluster.all_run)
    for number in range(20):
        cluster.define(f"vm{number}", "hv1")
    cluster.admin.snapshot()
    asked = cluster.admin.store.requests
    cluster.admin.snapshot()
    assert cluster.admin.store.requests == asked + 1, "the cluster's record"
    cluster.admin.start("vm7")
    asked = cluster.admin.store.requests
    cluster.admin.snapshot()
    assert cluster.admin.store.requests == asked + 2, "that and one VM"
