"""The watchdog of a simulated machine, and the daemon that feeds it."""

import pytest

from pvc.cluster.records import FenceMethod
from pvc.errors import PvcError
from pvc.fsm.states import Daemon
from pvc.sim.cluster import SimCluster
from pvc.sim.knobs import Fences
from pvc.sim.machine import Mood
from pvc.sim.world import World

W = 12.0


@pytest.fixture
def machine():
    machine = World().add("hv1")
    machine.power_on(0.0)
    pass_time(machine, 1.0)
    return machine


def pass_time(machine, seconds):
    clock = machine.world.clock
    until = clock.now + seconds
    while (due := clock.take(until)) is not None:
        if not due.cancelled:
            due.action()


def test_one_that_is_not_fed_resets_its_machine_once(machine):
    machine.watchdog.arm(W)
    pass_time(machine, W - 0.1)
    assert machine.boots == 1
    pass_time(machine, 5 * W)
    assert (machine.boots, machine.on) == (2, True)


def test_one_that_is_fed_disarmed_or_was_never_armed_does_not(machine):
    for what in (machine.watchdog.feed, machine.watchdog.disarm, machine.watchdog.left):
        machine.watchdog.arm(W)
        pass_time(machine, W - 0.1)
        what()
        pass_time(machine, W - 0.2)
        machine.watchdog.disarm()
        assert machine.boots == 1
    machine.watchdog.left()
    pass_time(machine, 3 * W)
    assert machine.boots == 1, "whose process has ended armed none"


def test_a_machine_that_went_off_has_none_armed(machine):
    machine.watchdog.arm(W)
    machine.power_off()
    pass_time(machine, 3 * W)
    assert not machine.on


def test_where_there_is_none_it_cannot_be_armed(machine):
    machine.watchdog.there = False
    with pytest.raises(PvcError, match="No such file"):
        machine.watchdog.arm(W)


@pytest.fixture
def cluster():
    return working(Fences(FenceMethod.watchdog, W))


def working(fencing):
    """Three nodes that are fenced so, and have armed their watchdogs."""
    cluster = SimCluster(0)
    cluster.fencing = fencing
    for name in ("hv1", "hv2", "hv3"):
        cluster.add_node(name, boot_s=0.0)
    cluster.run_until(cluster.all_run, 60.0)
    cluster.run(W)
    return cluster


def boots(cluster):
    return [machine.boots for machine in cluster.world.machines.values()]


def test_a_daemon_that_works_feeds_it_and_announces_it(cluster):
    cluster.run(10 * W)
    assert boots(cluster) == [1, 1, 1]
    assert cluster.node("hv1").fencing.reset_s == 46


def test_a_daemon_that_was_stopped_has_disarmed_it_and_one_that_was_killed_has_not(cluster):
    cluster.stop_daemon("hv1")
    cluster.kill_daemon("hv2")
    cluster.run(W - 1.0)
    assert boots(cluster) == [1, 1, 1]
    cluster.run(2.0)
    assert boots(cluster) == [1, 2, 1]


@pytest.mark.parametrize("what", ["freeze", "hang"])
def test_a_daemon_that_stands_still_does_not_feed_it(cluster, what):
    cluster.daemons["hv1"].freeze() if what == "freeze" else cluster.daemons["hv1"].hang(W + 2.0)
    cluster.run(W + 1.0)
    assert boots(cluster) == [2, 1, 1]


def test_a_node_is_proven_off_when_the_announced_time_is_over(cluster):
    cluster.power_off("hv3")
    cluster.run(46 + cluster.settings.session_timeout_s - 1.0)
    assert cluster.node("hv3").life.daemon is Daemon.dead
    cluster.run(2.0)
    assert cluster.node("hv3").life.daemon is Daemon.fenced


def test_a_node_whose_device_is_silent_is_proven_off_by_its_watchdog():
    """It has both, and the device lost its power with the node."""
    cluster = working(Fences(FenceMethod.ipmi, W))
    cluster.world.machines["hv3"].bmc.mood = Mood.silent
    cluster.power_off("hv3")
    cluster.run(46 + 2 * cluster.settings.session_timeout_s)
    assert cluster.node("hv3").life.daemon is Daemon.fenced
