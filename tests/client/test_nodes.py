"""Commands on nodes: emptied with what blocks it named, given back, and forgotten only when nothing is lost with them."""

import pytest

from pvc.cluster import znodes
from pvc.cluster.records import Method
from pvc.core import events as e
from pvc.errors import NotFound, Refused, TimedOut
from pvc.fsm.states import Daemon, Flush
from tests.client.world import World, xml


def up(cluster, name, node, **policy):
    """A VM that runs at home on this node."""
    cluster.define(xml(name), home=node, policy=policy)
    cluster.wait_for(cluster.start(name, node), timeout_s=60)


def gone(world, name):
    """A node that was stopped for good."""
    world.small.agents[name].put(e.StopAsked())
    world.small.settle()
    world.small.stores[name].close()
    del world.small.agents[name]
    world.small.settle()


def test_a_node_is_emptied_and_given_back(cluster, world):
    up(cluster, "web1", "hv1")
    said = []
    world.lazy = True
    world.idles = [lambda: None, lambda: None, lambda: setattr(world, "lazy", False)]
    assert cluster.wait_for_node(cluster.flush("hv1", "new disks"), "flush", said.append, 120) == "hv1 is flushed"
    assert any(line.startswith("hv1: 1 VM left: web1 (migrate to ") for line in said)
    assert cluster.domain("web1").life.owner != "hv1"
    assert cluster.wait_for_node(cluster.ready("hv1"), "ready", timeout_s=120) == "hv1 is ready"
    world.quiet()
    assert cluster.domain("web1").life.owner == "hv1"


def test_what_blocks_a_flush_is_named_with_the_reason_of_each_node(cluster, world):
    up(cluster, "web1", "hv1", nodes=("hv1", "hv2"))
    up(cluster, "web2", "hv1", migration=Method.none)
    cluster.wait_for_node(cluster.flush("hv2"), "flush", timeout_s=60)
    said = []
    with pytest.raises(TimedOut, match="hv1 is not flushed yet: it goes on; left: web1, web2"):
        cluster.wait_for_node(cluster.flush("hv1"), "flush", said.append, 60)
    assert said == [
        "hv1: 2 VMs left\n"
        "  web1 cannot leave: hv2: it is flushed; hv3: the VM's policy does not allow it\n"
        "  web2 cannot leave: its policy is to stay where it is"
    ]
    assert cluster.node("hv1").record.life.flush is Flush.flush


def test_a_flush_that_is_called_off(cluster, world):
    up(cluster, "web1", "hv1", nodes=("hv1",))
    cluster.flush("hv1")
    world.quiet(3)
    assert cluster.wait_for_node(cluster.ready("hv1"), "ready", timeout_s=60) == "hv1 is ready"
    assert cluster.domain("web1").life.owner == "hv1"


def test_a_node_that_does_not_answer_cannot_be_flushed(cluster, world):  # H57
    world.small.power_off("hv1")
    world.small.ensemble.advance(60)
    with pytest.raises(Refused, match="hv1 cannot be flushed: it does not answer"):
        cluster.flush("hv1")


def test_flushing_twice_is_refused_by_the_table(cluster):
    cluster.flush("hv1")
    with pytest.raises(Refused, match="it is being flushed already, or is empty"):
        cluster.flush("hv1")


def test_a_ready_node_that_is_away_is_told_later(cluster, world):
    cluster.wait_for_node(cluster.flush("hv1"), "flush", timeout_s=60)
    gone(world, "hv1")
    told = cluster.ready("hv1")
    assert not told.alive


def test_an_unknown_node_is_told_with_the_nearest(cluster):
    for command in (cluster.flush, cluster.ready, cluster.remove_node, cluster.node):
        with pytest.raises(NotFound, match='no node called "hv11"; did you mean "hv1"'):
            command("hv11")
        with pytest.raises(NotFound):
            command("../hv1")


# ---- the end of a node


def test_a_node_that_was_stopped_and_owns_nothing_is_forgotten(cluster, world):
    gone(world, "hv3")
    boot = cluster.store.read(znodes.boot("hv3")).version
    cluster.remove_node("hv3")
    assert sorted(cluster.nodes()) == ["hv1", "hv2"]
    assert cluster.store.read(znodes.node("hv3")) is None
    assert cluster.store.read(znodes.boot("hv3")).version == boot + 1


def test_a_forgotten_node_may_come_back(world, cluster):
    gone(world, "hv3")
    cluster.remove_node("hv3")
    world.small.start_daemon("hv3")
    world.small.settle()
    assert cluster.node("hv3").record.life.daemon is Daemon.run


def test_a_node_that_is_there_is_not_forgotten(cluster):
    with pytest.raises(Refused, match="hv3 cannot be removed: its daemon is there"):
        cluster.remove_node("hv3")


def test_a_node_that_is_only_away_is_not_forgotten(cluster, world):
    world.small.power_off("hv3")
    world.small.ensemble.advance(60)
    with pytest.raises(Refused, match="it is run, and only a node that was stopped or is proven off is gone"):
        cluster.remove_node("hv3")


def test_a_node_that_owns_a_vm_or_is_its_home_is_not_forgotten(cluster, world):
    up(cluster, "web1", "hv3")
    cluster.define(xml("web2"), home="hv3")
    gone(world, "hv3")
    with pytest.raises(Refused, match="hv3 cannot be removed: it owns, or is to take, web1; it is the home of web2"):
        cluster.remove_node("hv3")
    cluster.move("web2", "hv1")
    with pytest.raises(Refused, match=r"it owns, or is to take, web1$"):
        cluster.remove_node("hv3")


def test_a_vm_that_comes_in_between_keeps_the_node(cluster, world):
    gone(world, "hv3")
    send = cluster.store.multi
    other = world.client("ben@hall")

    def multi(ops):
        cluster.store.multi = send
        other.define(xml("web1"), home="hv3")
        return send(ops)

    cluster.store.multi = multi
    with pytest.raises(Refused, match="it is the home of web1"):
        cluster.remove_node("hv3")
    assert cluster.domain("web1").life.home == "hv3"


def test_a_daemon_that_comes_back_in_between_keeps_the_node(cluster, world):
    gone(world, "hv3")
    send = cluster.store.multi

    def multi(ops):
        cluster.store.multi = send
        world.small.start_daemon("hv3")
        world.small.settle()
        return send(ops)

    cluster.store.multi = multi
    with pytest.raises(Refused, match="its daemon is there"):
        cluster.remove_node("hv3")


def test_an_empty_cluster_says_that_a_vm_has_no_place():
    client = World(nodes=0).client()
    with pytest.raises(Refused, match="no node has joined this cluster yet"):
        client.define(xml("web1"))
