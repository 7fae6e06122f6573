"""A cluster of 10,000 VMs while ZooKeeper bounces: what `row-58-many-vms-while-zookeeper-bounces` tells of a hundred.

To start that many one by one would take most of the time, so they are there when the daemons come.
"""

import pytest

from pvc.cluster import znodes
from pvc.cluster.ensemble import MemoryEnsemble
from pvc.cluster.formats import encode_domain
from pvc.cluster.records import DomainRecord
from pvc.cluster.store import Create
from pvc.fsm.states import Domain, Guest, Want
from pvc.fsm.views import Life
from pvc.sim.cluster import SimCluster

GEN = "gen-1"
ALWAYS_READ = 6
"""The cluster's record, three lists, and the own boot record and statistics."""


def crowded(nodes, vms):
    """A cluster whose daemons have taken over so many guests, which run on all nodes in turn; all of them were away for a moment."""
    cluster = SimCluster(nodes, memory_mib=1 << 20)
    cluster.run_until(cluster.all_run, 120.0, "every node has joined")
    for name in cluster.daemons:
        cluster.stop_daemon(name)
    cluster.run(1.0)
    for number in range(vms):
        settle(cluster, f"vm{number}", f"hv{number % nodes + 1}")
    for name in cluster.daemons:
        cluster.start_daemon(name)
    cluster.run_until(cluster.all_run, 300.0, "every node works again")
    cluster.run(30.0)
    return cluster


def settle(cluster, name, node):
    """A VM that runs on this node, by its record and in truth."""
    uuid = cluster.uuid(name)
    record = DomainRecord(uuid, name, GEN, Life(state=Domain.start, want=Want.start, home=node, owner=node, epoch=1), 512, 1)
    ops = [Create(znodes.name(name), uuid.encode()), Create(znodes.domain(uuid), encode_domain(record))]
    ops += [Create(znodes.generation(uuid, GEN)), Create(znodes.xml(uuid), cluster.xml(name)), Create(znodes.index_entry(node, uuid))]
    MemoryEnsemble.multi(cluster.ensemble, cluster.admin.store.session_id, ops)  # unseen: no row explains it
    cluster.witness.domains[uuid] = record
    cluster.world.machines[node].libvirtd.become(uuid, Guest.running, "it runs already")


def bounced(cluster, seconds):
    """What is written and said from when ZooKeeper goes for so long."""
    before = len(cluster.witness.trace)
    cluster.ensemble_down()
    cluster.run(0.0)
    cluster.run(seconds)
    cluster.ensemble_down(down=False)
    cluster.run(60.0)
    return cluster.witness.trace[before:]


def of(story, event):
    return [line.fields for line in story if line.event == event]


@pytest.mark.parametrize(("nodes", "vms"), [(4, 40), pytest.param(100, 10_000, marks=pytest.mark.marathon)])
def test_when_zookeeper_bounces_each_daemon_reads_what_concerns_its_node_and_nothing_else_happens(nodes, vms):
    cluster = crowded(nodes, vms)
    assert (cluster.all_rest(), len(cluster.witness.domains)) == (True, vms)
    for _ in range(3):
        story = bounced(cluster, 4.0)
        synced = of(story, "synced")
        assert sorted(one["node"] for one in synced) == sorted(cluster.daemons)
        assert max(one["took_s"] for one in synced) < 10.0
        assert {one["requests"] for one in synced} == {ALWAYS_READ + nodes + vms // nodes}
        assert {one["state"] for one in of(story, "session")} == {"suspended", "connected"}
        assert of(story, "record") == of(story, "fence") == of(story, "guest_end") == []
    assert not cluster.settled()
