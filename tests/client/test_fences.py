"""What an admin does about a lost node: their word, what follows from it, and when it is refused."""

import pytest

from pvc.cluster import znodes
from pvc.cluster.device_tests import DeviceTest, DeviceTests, decode_tests, encode_tests
from pvc.cluster.records import FenceMethod
from pvc.cluster.store import Set
from pvc.core import events as e
from pvc.errors import NotFound, Refused, UsageProblem
from pvc.fsm.states import Daemon, Domain, Effect, Fence, Power
from tests.client.test_nodes import up


def lost(world, name="hv2"):
    """The node has no power, and nobody hears from its device."""
    world.small.power_off(name)
    world.small.ensemble.advance(60)
    world.quiet(5)


def test_a_word_that_a_node_is_off_recovers_what_it_owned_and_is_kept(cluster, world):
    up(cluster, "web1", "hv2")
    lost(world)
    assert cluster.domain("web1").life.owner == "hv2"
    cluster.confirm_off("hv2", "the rack is dark")
    world.quiet()
    record = cluster.node("hv2").record
    assert (record.life.daemon, record.life.fence) == (Daemon.fenced, Fence.proven)
    assert "anna@desk gave their word that it is off: the rack is dark" in record.fence.reason
    assert cluster.domain("web1").life.state is Domain.start
    assert cluster.domain("web1").life.owner in ("hv1", "hv3")


def test_a_node_that_answers_is_not_off_whatever_anybody_says(cluster):
    with pytest.raises(Refused, match="hv2 holds its session"):
        cluster.confirm_off("hv2", "I think so")
    assert cluster.node("hv2").record.life.fence is Fence.none


def test_a_word_needs_a_reason_and_a_node(cluster, world):
    lost(world)
    with pytest.raises(UsageProblem, match="needs a reason"):
        cluster.confirm_off("hv2", " ")
    with pytest.raises(NotFound, match='no node called "hv9"'):
        cluster.confirm_off("hv9", "gone")
    cluster.confirm_off("hv2", "gone")
    with pytest.raises(Refused, match="it is proven already"):
        cluster.confirm_off("hv2", "gone")


def answer(world, reading_after_shot):
    """Every power job ends: a reading with on, a shot with this."""
    for name, straw in world.small.straws.items():
        jobs, straw.power_jobs[:] = list(straw.power_jobs), []
        for node, effect, ticket in jobs:
            reading = reading_after_shot if effect is Effect.power_off else Power.on
            if name in world.small.agents:
                world.small.agents[name].put(e.PowerRead(node, ticket, reading))
    world.small.settle()


def test_an_order_shoots_at_once_whatever_brakes_others(cluster, world):
    """Even during a hold, and with most nodes gone: an operator has looked why."""
    up(cluster, "web1", "hv2")
    cluster.hold(True, "switch work")
    world.small.kill_daemon("hv3")
    world.small.kill_daemon("hv2")
    world.small.ensemble.advance(60)
    world.quiet(3)
    answer(world, Power.on)
    assert cluster.node("hv2").record.life.fence is not Fence.shot
    told, said = cluster.order_shot("hv2", "it hangs"), []
    assert cluster.node("hv2").record.life.ordered
    with pytest.raises(Refused, match="ordered to be shot already"):
        cluster.order_shot("hv2")
    world.idles = [lambda: answer(world, Power.off)] * 20
    assert cluster.wait_for_shot(told, said.append, 60) == "hv2 is proven off: what it owned is being recovered"
    assert any("its fence is shot, by hv1" in line for line in said)
    record = cluster.node("hv2").record
    assert (record.life.daemon, record.life.ordered, record.fence.tries) == (Daemon.fenced, False, 1)


def test_an_order_whose_shot_proves_nothing_is_said_and_not_repeated_at_once(cluster, world):
    up(cluster, "web1", "hv2")
    world.small.kill_daemon("hv2")
    world.small.ensemble.advance(10)
    told = cluster.order_shot("hv2")
    world.idles = [lambda: answer(world, Power.on)] * 20
    with pytest.raises(Refused, match="the shot at hv2 proved nothing"):
        cluster.wait_for_shot(told, timeout_s=60)
    assert cluster.node("hv2").record.fence.tries == 1
    assert cluster.domain("web1").life.owner == "hv2"


def test_a_node_that_answers_is_not_shot_by_order(cluster):
    with pytest.raises(Refused, match="hv2 holds its session"):
        cluster.order_shot("hv2")


def daemons_answer(world, *names, works):
    """These daemons answer whoever asks for a test."""
    for name in names:
        path, found = znodes.device_tests(name), world.small.client.read(znodes.device_tests(name))
        asked = decode_tests(name, found.data).asked
        results = (DeviceTest("hv1", FenceMethod.ipmi, Power.on), DeviceTest("hv2", FenceMethod.ipmi, Power.on if works else Power.silent))
        world.small.client.multi([Set(path, encode_tests(name, DeviceTests(asked, asked, "now", results)), found.version)])


def test_every_daemon_is_asked_what_it_reads_and_who_does_not_answer_is_named(cluster, world):
    world.idles = [lambda: daemons_answer(world, "hv1", "hv3", works=False)]
    found = cluster.test_devices("hv2", 20)
    assert [(one.tester, one.said and one.said.works) for one in found] == [("hv1", False), ("hv3", False), ("hv2", None)]
    assert cluster.nodes()["hv2"].unfenceable_from == ("hv1", "hv3")
    world.idles = [lambda: daemons_answer(world, "hv1", "hv2", "hv3", works=True)]
    assert len(cluster.test_devices()) == 6
    assert cluster.nodes()["hv2"].unfenceable_from == ()
