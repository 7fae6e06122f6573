"""Who is shot and who is not: pardons, fencers that die, devices that do not answer, brakes. Nothing is recovered without proof."""

import pytest

from lab import wait_until
from pvc.fsm.states import Daemon, Domain, Fence
from tests.lab.ward import RECOVERY_S

pytestmark = pytest.mark.lab
IN_ITS_OWN_TIME = 12
"""Keepalives: more than dead time and saving throws together."""


def test_a_node_that_comes_back_within_the_throws_is_pardoned(ward_for):
    ward = ward_for(throws_ticks="100")
    ward.up("web", ward.victim)
    boot = ward.lab[ward.victim].boot_id
    with ward.cut(ward.victim):
        assert ward.reach_fence(ward.victim, Fence.throws).daemon is Daemon.dead
        ward.ticks_on("web", ward.victim)
    ward.works(ward.victim)
    assert ward.shots_at(ward.victim) == 0
    assert ward.lab[ward.victim].boot_id == boot
    assert ward.states_of(ward.victim)[-3:] == [Daemon.dead, Daemon.init, Daemon.run]
    ward.stays("web", ward.victim)
    ward.settles()


def test_a_fencer_that_dies_with_its_shot_in_flight_is_replaced(ward):
    """Its device takes its time; the one who ordered it does not live to see it."""
    ward.up("web", ward.victim)
    ward.lab.bmcs[ward.victim].behave("slow", 8)
    with ward.cut(ward.victim):
        fencer = ward.reach_fence(ward.victim, Fence.shot).by
        wait_until(lambda: ward.shots_at(ward.victim), RECOVERY_S, "the order has reached its device")
        ward.kill_daemon(fencer)
        heir = ward.recovered("web", ward.victim)
        assert ward.holders_of(ward.victim)[-2:] == [fencer, heir]
    ward.lab[fencer].start_pvcd()
    ward.works(fencer)
    ward.settles()


def test_without_an_answer_from_its_device_nothing_is_recovered_until_somebody_gives_their_word(ward):
    """Power lost, device and all. It cannot be known from here; a person who looked can say so, or the device, once it answers."""
    ward.up("web", ward.victim)
    ward.up("db", ward.victim, disk=True)
    ward.lab.bmcs[ward.victim].behave("broken")
    ward.lab[ward.victim].power_off()
    wait_until(lambda: ward.node(ward.victim).daemon is Daemon.unfenced, RECOVERY_S, "the node is unfenced")
    assert "unfenced" in ward.lab.pvc("node", "list").stdout
    assert {ward.life(name).owner for name in ("web", "db")} == {ward.victim}
    assert ward.lab.guests() == []
    done = ward.lab.pvc("node", "fence", ward.victim, "--confirm-off", "--reason", "the rack is dark", "--yes")
    assert ward.victim in done.stdout + done.stderr
    for name in ("web", "db"):
        assert ward.recovered(name, ward.victim) != ward.victim
    assert ward.node(ward.victim).daemon is Daemon.fenced
    ward.settles()


def test_nobody_is_shot_while_the_cluster_is_held(ward):
    ward.up("web", ward.victim)
    ward.client.hold(True, "the switch is being replaced")
    with ward.cut(ward.victim):
        fencer = ward.reach_fence(ward.victim, Fence.throws).by
        ward.keepalives(fencer, IN_ITS_OWN_TIME)
        assert (ward.node(ward.victim).fence, ward.shots_at(ward.victim)) == (Fence.throws, 0)
        ward.stays("web", ward.victim)
        ward.client.hold(False)
        assert ward.recovered("web", ward.victim) in ward.others
        assert not ward.lab[ward.victim].is_on
    ward.settles()


def test_a_daemon_that_was_frozen_and_shot_at_writes_nothing_when_it_wakes(ward):
    """It wakes between the order and the end of its power: its guests still run, its session is gone, and it must not join."""
    ward.up("web", ward.victim)
    ward.lab.bmcs[ward.victim].behave("slow", 6)
    ward.lab[ward.victim].freeze("pvcd")
    ward.reach_fence(ward.victim, Fence.shot)
    ward.lab[ward.victim].thaw("pvcd")
    ward.ticks_on("web", ward.victim)
    assert ward.recovered("web", ward.victim) in ward.others
    assert Daemon.init not in ward.states_of(ward.victim)[ward.states_of(ward.victim).index(Daemon.dead) :]
    assert ward.life("web").state is Domain.start
    ward.settles()
