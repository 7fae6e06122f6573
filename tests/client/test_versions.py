"""Daemons and clients one version apart in one cluster: whatever the one writes, the others read, act on, and leave what they do not know.

The next version adds a field to every object of every record; the one before knows nothing of those that came last. Records of another
format (`v`) are nobody's but that version's: `tests/cluster/test_records.py`.
"""

import json
from types import MappingProxyType

import pytest

from pvc.cluster import znodes
from pvc.cluster.formats import decode_node
from pvc.cluster.memory import MemoryStore
from pvc.cluster.store import Create, Set
from pvc.core.settings import PUBLISHED
from pvc.fsm.states import Daemon, Domain, Flush
from tests.agent.small_cluster import SmallCluster
from tests.client.world import World, xml

NEW = "of-next-year"
YOUNGEST = {*PUBLISHED, "unheard", "locked", "ordered", "reset_s", "fault", "guid", "locks", "libvirt"}
"""Fields that an earlier version did not write. Each has a default, or no cluster could be upgraded node by node."""


class Told(MemoryStore):
    """A store of a process of another version: `told` makes of a record what that version would write over `before`."""

    def multi(self, ops):
        return super().multi([self._other(op) for op in ops])

    def _other(self, op):
        if not isinstance(op, Create | Set) or not op.data.startswith(b"{"):
            return op
        present = self.read(op.path) if isinstance(op, Set) else None
        before = json.loads(present.data) if present is not None and present.data else {}
        data = json.dumps(self.told(json.loads(op.data), before)).encode()
        return Create(op.path, data, op.ephemeral) if isinstance(op, Create) else Set(op.path, data, op.version)


class Next(Told):
    """A version that knows one more field of everything."""

    def told(self, value, before):
        parts = {name: self.told(part, {}) if isinstance(part, dict) else part for name, part in value.items()}
        return {**parts, NEW: {"rack": [7, None]}}


class Previous(Told):
    """A version that has not heard of the youngest fields: it writes none, and leaves those that are there."""

    def told(self, value, before):
        kept = {name: part for name, part in value.items() if name not in YOUNGEST or name in before}
        return {name: self.told(part, before.get(name) or {}) if isinstance(part, dict) else part for name, part in kept.items()}


class Mixed(SmallCluster):
    """A daemon of each version."""

    versions = MappingProxyType({"hv1": Next, "hv2": MemoryStore, "hv3": Previous})

    def store_of(self, name):
        return self.versions[name]


@pytest.fixture(params=[Next, MemoryStore, Previous], ids=["newer", "same", "older"])
def client(request):
    """A client of each version, and the world it is in."""
    world = World()
    world.small = Mixed(nodes=3, vms=0)
    found = world.client(make=request.param)
    return found, world, request.param


def raw(world, path):
    return json.loads(world.small.client.read(path).data)


def test_a_vm_lives_its_life_among_three_versions(client):
    cluster, world, version = client
    cluster.define(xml("web1"), home="hv1", why="new")
    uuid = cluster.domain("web1").uuid
    cluster.wait_for(cluster.start("web1", "hv1"), timeout_s=60)
    for target in ("hv2", "hv3", "hv1", "hv3", "hv2", "hv1"):  # each version hands over to each
        cluster.wait_for(cluster.migrate("web1", target), timeout_s=120)
        assert cluster.domain("web1").life.owner == target
    cluster.wait_for(cluster.restart("web1"), timeout_s=120)
    cluster.wait_for(cluster.shutdown("web1"), timeout_s=120)
    assert cluster.domain("web1").life.state is Domain.stop
    record = raw(world, znodes.domain(uuid))
    assert record[NEW], "the newer daemon wrote it, and no older one took it out"
    assert version is not Next or record["policy"][NEW], "nor what the newer client said"
    entries = raw(world, znodes.history(uuid))["entries"]
    assert entries[-1]["to"] == "stop"
    cluster.wait_for(cluster.undefine("web1"), timeout_s=60)
    assert cluster.domains() == {}


def test_a_node_is_emptied_and_given_back_whatever_version_it_has(client):
    cluster, world, _ = client
    cluster.define(xml("web1"), home="hv1")
    cluster.wait_for(cluster.start("web1", "hv1"), timeout_s=60)
    for name in ("hv1", "hv2", "hv3"):
        assert cluster.wait_for_node(cluster.flush(name), "flush", timeout_s=120) == f"{name} is flushed"
        assert cluster.wait_for_node(cluster.ready(name), "ready", timeout_s=120) == f"{name} is ready"
        assert cluster.node(name).record.life.flush is Flush.ready
    assert raw(world, znodes.node("hv1"))["machine"][NEW]


@pytest.mark.parametrize("lost", ["hv1", "hv2", "hv3"])
def test_a_lost_node_is_recovered_whatever_version_it_has_and_the_others_have(client, lost):
    cluster, world, _ = client
    cluster.define(xml("web1"), home=lost)
    cluster.wait_for(cluster.start("web1", lost), timeout_s=60)
    before = raw(world, znodes.node(lost))
    world.small.power_off(lost)
    for _ in range(120):
        world.quiet(1)
        if cluster.domain("web1").life.owner not in (lost, None):
            break
        for name in list(world.small.agents):
            world.small.end_power_job(name, ok=True)
    world.quiet()
    assert cluster.domain("web1").life.owner != lost
    assert cluster.node(lost).record.life.daemon is Daemon.fenced
    after = raw(world, znodes.node(lost))
    assert {name: after["machine"][name] for name in before["machine"]} == before["machine"]
    assert lost != "hv1" or after[NEW], "its peers wrote over what a newer daemon had said"


def test_a_daemon_is_upgraded_and_goes_back(client):
    """The same node with an older and a newer daemon: its guest runs on, and what only the newer one knows is still there."""
    cluster, world, _ = client
    cluster.define(xml("web1"), home="hv2")
    cluster.wait_for(cluster.start("web1", "hv2"), timeout_s=60)
    epoch = cluster.domain("web1").life.epoch
    for version in (Next, Previous, MemoryStore):
        world.small.stores["hv2"].close()
        world.small.kill_daemon("hv2")
        world.small.versions = {**Mixed.versions, "hv2": version}
        world.small.start_daemon("hv2")
        world.quiet()
        record = cluster.domain("web1")
        assert (record.life.state, record.life.owner, record.life.epoch) == (Domain.start, "hv2", epoch)
        assert decode_node("hv2", world.small.client.read(znodes.node("hv2")).data).life.daemon is Daemon.run
    assert raw(world, znodes.node("hv2"))[NEW]
