"""What can befall a node, its daemon, its device and its fencer, beyond test_fencing and test_recovery: rows of docs/fault-matrix.md."""

import os
import signal

import pytest

from lab import wait_until
from lab.reset import new_cluster
from lab.watch import Watcher
from pvc.fsm.states import Daemon, Domain, Fence
from tests.lab.admin import PATIENCE_S
from tests.lab.stage import Stage
from tests.lab.ward import RECOVERY_S, SHORT, Ward

pytestmark = pytest.mark.lab
IN_ITS_OWN_TIME = 20
"""Keepalives: far more than dead time and saving throws together."""


# -- Daemons -----------------------------------------------------------------------------------------------------------


def test_a_daemon_that_is_killed_and_not_started_again(ward):
    ward.up("web", ward.victim)
    ward.kill_daemon(ward.victim)
    ward.recovered("web", ward.victim)
    assert ward.shots_at(ward.victim) == 1
    ward.settles()


def test_a_daemon_that_is_frozen_for_less_than_a_session(ward_for):
    ward = ward_for(session_timeout="10", dead_ticks="20", boot_grace="20")
    ward.up("web", ward.victim)
    before = ward.states_of(ward.victim)
    ward.lab[ward.victim].freeze("pvcd")
    ward.keepalives(ward.others[0], 3)
    ward.lab[ward.victim].thaw("pvcd")
    ward.keepalives(ward.victim, 3)
    assert ward.states_of(ward.victim) == before
    assert ward.phases_of(ward.victim)[-1] == Fence.none
    ward.stays("web", ward.victim)
    ward.settles()


def test_a_daemon_that_wakes_before_the_shot(ward_for):
    ward = ward_for(throws_ticks="100")
    ward.up("web", ward.victim)
    ward.lab[ward.victim].freeze("pvcd")
    ward.reach_fence(ward.victim, Fence.throws)
    ward.lab[ward.victim].thaw("pvcd")
    ward.works(ward.victim)
    assert ward.shots_at(ward.victim) == 0
    ward.stays("web", ward.victim)
    ward.settles()


def test_a_whole_machine_that_hangs_and_goes_on(ward_for):
    """Its guests stand still as well, and wake before anybody has taken them over."""
    ward = ward_for(throws_ticks="100")
    ward.up("web", ward.others[0])
    ward.up("db", ward.victim)
    ward.lab[ward.victim].freeze_all()
    ward.reach_fence(ward.victim, Fence.throws)
    ward.lab[ward.victim].thaw_all()
    ward.works(*ward.lab.hosts)
    ward.stays("db", ward.victim)
    ward.settles()


def test_a_daemon_that_wakes_after_a_device_lied(lab):
    """What nothing can prevent is noticed: the machine was said to be off and was not. The old copy is suspended, and goes."""
    with_lie = Watcher(lab)
    with_lie.start()
    new_cluster(lab, **SHORT)
    ward = Ward(lab, with_lie)
    ward.expected = {"I1", "I2"}
    try:
        ward.up("web", ward.victim)
        lab.bmcs[ward.victim].behave("lie")
        lab[ward.victim].freeze("pvcd")
        wait_until(lambda: ward.life("web").owner in ward.others, RECOVERY_S, "it was taken over")
        heir = ward.life("web").owner
        wait_until(lambda: ward.ticks_at("web", heir), PATIENCE_S, "it runs there")
        lab[ward.victim].thaw("pvcd")
        wait_until(lambda: ward.copies("web") == [heir], RECOVERY_S, "the old copy goes")
        assert ward.said(ward.victim, "web")
        assert any(complaint.startswith("I2") for complaint in ward.ledger().complaints), "the rules would have told"
        assert not [complaint for complaint in ward.ledger().complaints if complaint.startswith("I5")]
    finally:
        lab[ward.victim].thaw("pvcd")
        ward.close()
        with_lie.stop()


def test_a_guest_that_dies_while_nobody_looks(ward_for):
    """Its daemon and its libvirtd are away as well. It is found missing when they are back, and that counts once."""
    ward = ward_for(dead_ticks="100", boot_grace="100")
    ward.up("web", ward.victim)
    host, pid = ward.lab[ward.victim], ward.pid("web")
    ward.kill_daemon(ward.victim)
    host.kill("libvirtd")
    os.kill(pid, signal.SIGKILL)
    host.start("libvirtd")
    host.start_pvcd()
    ward.hears("web", boots=2)
    ward.reach_state("web", Domain.start)
    assert ward.triggers("web").count("ended") == 1
    ward.settles()


def test_a_node_that_was_stopped_is_never_shot(ward):
    ward.up("web", ward.victim)
    ward.lab[ward.victim].stop_pvcd()
    ward.keepalives(ward.others[0], IN_ITS_OWN_TIME)
    assert ward.node(ward.victim).daemon is Daemon.stop
    assert ward.shots_at(ward.victim) == 0
    ward.stays("web", ward.victim)
    ward.lab[ward.victim].power_off()
    ward.recovered("web", ward.victim)
    assert ward.shots_at(ward.victim) == 0
    ward.settles()


def test_a_node_that_reaches_everything_but_zookeeper(ward):
    ward.up("web", ward.victim)
    with Stage(ward.lab, ward.watcher, "web").without_zookeeper(ward.victim):
        ward.recovered("web", ward.victim)
    assert not ward.lab[ward.victim].is_on
    assert ward.shots_at(ward.victim) == 1
    ward.settles()


# -- Devices -----------------------------------------------------------------------------------------------------------


@pytest.mark.marathon
def test_a_device_that_accepts_orders_and_does_nothing(ward):
    """No proof, no recovery, however often it says yes. When it works again, so does the fence."""
    ward.up("web", ward.victim)
    ward.lab.bmcs[ward.victim].behave("ignore")
    with ward.cut(ward.victim):
        wait_until(lambda: ward.node(ward.victim).daemon is Daemon.unfenced, RECOVERY_S, "it is unfenced")
        assert ward.life("web").owner == ward.victim
        ward.ticks_on("web", ward.victim)
        ward.verify()
        ward.lab.bmcs[ward.victim].behave("well")
        ward.recovered("web", ward.victim)
        assert ward.shots_at(ward.victim) >= 2
    ward.settles()


def test_a_device_that_is_slow(ward):
    """45 s until the power goes: longer than anybody waits for one shot, and still only the power that reads off counts."""
    ward.up("web", ward.victim)
    ward.lab.bmcs[ward.victim].behave("slow", 45)
    with ward.cut(ward.victim):
        ward.recovered("web", ward.victim)
    ward.settles()


def test_a_device_without_power_that_answers_again(ward):
    """Silent, not broken: each question takes its whole time."""
    ward.up("web", ward.victim)
    ward.lab.bmcs[ward.victim].silence()
    ward.lab[ward.victim].power_off()
    wait_until(lambda: ward.node(ward.victim).daemon is Daemon.unfenced, RECOVERY_S, "it is unfenced")
    assert ward.life("web").owner == ward.victim
    ward.lab.bmcs[ward.victim].answer()
    ward.recovered("web", ward.victim)
    ward.settles()


def test_a_node_that_returns_while_its_fence_has_failed(ward):
    """Another boot of its kernel: what it had is gone, and it says so itself."""
    ward.up("web", ward.victim)
    ward.lab.bmcs[ward.victim].behave("broken")
    ward.lab[ward.victim].power_off()
    wait_until(lambda: ward.node(ward.victim).daemon is Daemon.unfenced, RECOVERY_S, "it is unfenced")
    ward.lab[ward.victim].power_on()
    ward.works(ward.victim)
    ward.reach_state("web", Domain.start)
    ward.hears("web", boots=2)
    ward.settles()


def test_power_that_reads_off_counts_also_while_the_cluster_is_held(ward):
    ward.up("web", ward.victim)
    ward.client.hold(True, "no shots, please")
    ward.lab[ward.victim].power_off()
    ward.recovered("web", ward.victim)
    assert ward.shots_at(ward.victim) == 0
    ward.settles()


# -- Fencers -----------------------------------------------------------------------------------------------------------


def in_evidence(ward):
    """Its power reads on, and it has long until it is dead."""
    ward.lab.cut(ward.victim)
    return ward.reach_fence(ward.victim, Fence.evidence)


def in_throws(ward):
    ward.lab.cut(ward.victim)
    return ward.reach_fence(ward.victim, Fence.throws)


def after_a_miss(ward):
    ward.lab.bmcs[ward.victim].behave("ignore")
    ward.lab.cut(ward.victim)
    return ward.reach_fence(ward.victim, Fence.failed)


def with_proof(ward):
    """It is off, and nobody can take its VM."""
    ward.client.set_policy("web", nodes=(ward.victim,))
    ward.lab[ward.victim].power_off()
    return ward.reach_fence(ward.victim, Fence.proven)


PHASES = {
    "evidence": (in_evidence, {"dead_ticks": "100", "boot_grace": "100"}),
    "throws": (in_throws, {"throws_ticks": "100"}),
    "failed": (after_a_miss, {}),
    "proven": (with_proof, {}),
}


@pytest.mark.parametrize(("reach", "times"), PHASES.values(), ids=PHASES)
def test_a_fencer_that_dies(ward_for, reach, times):
    """Whoever adopts the fence keeps its phase, and ends it. Then the node loses its power for good, where it had not."""
    ward = ward_for(**times)
    ward.up("web", ward.victim)
    fence = reach(ward)
    ward.kill_daemon(fence.by)
    heir = next(name for name in ward.others if name != fence.by)
    wait_until(lambda: ward.node(ward.victim).by == heir, RECOVERY_S, f"{heir} adopts the fence")
    assert ward.node(ward.victim).fence in (fence.fence, Fence.throws, Fence.proven)
    ward.verify()
    ward.lab.bmcs[ward.victim].behave("well")
    ward.lab[ward.victim].power_off()
    ward.client.set_policy("web", nodes=())
    assert ward.recovered("web", ward.victim) == heir
    ward.lab.heal_all()
    ward.lab[fence.by].start_pvcd()
    ward.works(fence.by)
    ward.settles()


@pytest.mark.marathon
def test_a_fencer_that_dies_in_the_middle_of_a_recovery(ward):
    """Some VMs were given away and some not: the rest follows, and none twice."""
    names = [f"web{number}" for number in range(6)]
    for name in names:
        ward.up(name, ward.victim)
    ward.lab[ward.victim].power_off()
    wait_until(lambda: any(ward.life(name).owner != ward.victim for name in names), RECOVERY_S, "it has begun")
    fencer = ward.node(ward.victim).by
    ward.kill_daemon(fencer)
    ward.lab[fencer].start_pvcd()
    for name in names:
        ward.recovered(name, ward.victim)
    assert all(ward.triggers(name).count("recover") == 1 for name in names)
    ward.settles()


def test_the_heir_dies_as_well(ward):
    """It has claimed the VM, and loses its power while libvirt starts the guest."""
    first = next(name for name in ward.without_leader() if name != ward.victim)
    ward.up("web", ward.victim, {"nodes": (ward.victim, first)})
    with Stage(ward.lab, ward.watcher, "web").gate(first, "prepare") as reached:
        ward.lab[ward.victim].power_off()
        reached()
        ward.client.set_policy("web", nodes=())
        ward.lab[ward.victim].power_on()
        ward.works(ward.victim)
        ward.lab[first].power_off()
    ward.recovered("web", first)
    ward.settles()


# -- At the defaults ---------------------------------------------------------------------------------------------------


def test_at_the_default_times(ward_for):
    """A keepalive each 5 s, a session of 6 s, dead after 30 s, 15 s of saving throws: both ways to die."""
    ward = ward_for(keepalive_interval="5", session_timeout="6", boot_grace="180")
    ward.up("web", ward.victim)
    ward.lab[ward.victim].power_off()
    heir = ward.recovered("web", ward.victim)
    ward.lab[ward.victim].power_on()
    ward.works(*ward.lab.hosts)
    with ward.cut(heir):
        ward.recovered("web", heir)
        assert ward.shots_at(heir) == 1
    ward.settles()
