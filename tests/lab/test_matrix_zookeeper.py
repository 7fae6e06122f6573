"""What can befall ZooKeeper and the network, beyond test_outages: rows of docs/fault-matrix.md."""

import pytest

from lab import wait_until
from lab.reset import _wipe as wipe
from tests.lab.admin import PATIENCE_S
from tests.lab.stage import Stage
from tests.lab.ward import RECOVERY_S

pytestmark = pytest.mark.lab
LONG_S = 100


def guests(ward):
    """Where each guest is, in which process, and in which boot."""
    return {guest.name: (guest.host, guest.pid, tuple(ward.boots(guest.name))) for guest in ward.lab.guests()}


def ticks(ward, name, number):
    """So many ticks of a guest later, by its own clock; one a second."""
    wanted = len(ward.lab.ticks(name)) + number
    wait_until(lambda: len(ward.lab.ticks(name)) >= wanted, 10 * number, f"{name} ticks {number} times")


def sessions(ward):
    """The sessions that nodes hold their proof of life by."""
    return dict(ward.ledger()._alive)


@pytest.mark.parametrize("seconds", [18, pytest.param(LONG_S, marks=pytest.mark.marathon)])
def test_the_whole_ensemble_is_away(ward, seconds):
    """For three dead times, and for longer than any: no guest is touched, nobody is shot, and no session is lost but by the ensemble."""
    for number, host in enumerate(ward.lab.hosts):
        ward.up(f"web{number}", host)
    before, boots = guests(ward), {host.name: host.boot_id for host in ward.lab.hosts.values()}
    ward.lab.kill_ensemble()
    ticks(ward, "web0", seconds)
    ward.lab.start_ensemble()
    ward.works(*ward.lab.hosts)
    ward.keepalives("hv1", 20)
    assert guests(ward) == before
    assert {host.name: host.boot_id for host in ward.lab.hosts.values()} == boots
    assert sum(ward.shots_at(name) for name in ward.lab.hosts) == 0
    ward.settles()


def test_a_host_dies_while_the_ensemble_is_away(ward):
    """Of all that could not be heard, it alone does not come back, and it alone is taken for dead."""
    for name, host in (("web", ward.victim), ("db", ward.others[0])):
        ward.up(name, host)
    ward.lab.kill_ensemble()
    ward.lab[ward.victim].power_off()
    ticks(ward, "db", 10)
    for name in ward.others:
        ward.lab[name].start("zookeeper")
    wait_until(ward.lab.has_quorum, RECOVERY_S, "the two that are left serve")
    ward.recovered("web", ward.victim)
    ward.stays("db", ward.others[0])
    assert [ward.shots_at(name) for name in ward.lab.hosts] == [0, 0, 0]
    ward.settles()


def test_every_daemon_is_started_anew_while_the_ensemble_is_away(ward):
    """They wait for it, as systemd would have them, find their guests, and start none."""
    ward.up("web", ward.victim)
    before = guests(ward)
    ward.lab.kill_ensemble()
    for name in ward.lab.hosts:
        ward.kill_daemon(name)
        ward.lab[name].start_pvcd()
    ticks(ward, "web", 10)
    ward.lab.start_ensemble()
    ward.works(*ward.lab.hosts)
    assert guests(ward) == before
    ward.settles()


def test_a_leader_that_hangs(ward_for):
    """Another is elected; sessions that outlast that go on."""
    ward = ward_for(session_timeout="10", dead_ticks="20", boot_grace="20")
    ward.up("web", ward.victim)
    before, leader = guests(ward), ward.lab.leader()
    leader.freeze("zookeeper")
    try:
        wait_until(lambda: _another_leads(ward, leader), PATIENCE_S, "another server leads")
        ward.works(*ward.lab.hosts)
    finally:
        leader.thaw("zookeeper")
    wait_until(ward.lab.has_quorum, PATIENCE_S, "all of them serve")
    assert guests(ward) == before
    assert sum(ward.shots_at(name) for name in ward.lab.hosts) == 0
    ward.settles()


def _another_leads(ward, frozen):
    return any(host.zookeeper_mode() == "leader" for host in ward.lab.hosts.values() if host is not frozen)


def test_zookeeper_has_lost_everything(ward):
    """Whatever it holds now is not this cluster: no daemon works on it, and no guest is touched."""
    ward.up("web", ward.victim)
    before = guests(ward)
    servers = ",".join(host.zookeeper for host in ward.lab.servers.values())
    wipe(servers)
    for name in ward.lab.hosts:
        wait_until(lambda name=name: _has_refused(ward, name), RECOVERY_S, f"{name} refuses to go on")
    ward.lab.pvc("init", "lab", "--yes")
    for name in ward.lab.hosts:
        wait_until(lambda name=name: ward.said(name, "belongs to the cluster"), RECOVERY_S, f"{name} refuses the new cluster")
    assert guests(ward) == before
    assert ward.lab.working_nodes() == []


def _has_refused(ward, name):
    return "pvcd" not in ward.lab[name].running() or ward.said(name, "cluster")


@pytest.mark.marathon
def test_a_link_that_loses_a_third(ward_for):
    """Of what the node sends, and of what it is sent: nobody is shot, and nothing moves."""
    ward = ward_for(keepalive_interval="5", session_timeout="20", boot_grace="180")
    ward.up("web", ward.victim)
    before = guests(ward)
    ward.lab[ward.victim].lose(30)
    ticks(ward, "web", 90)
    ward.lab[ward.victim].lose(0)
    ward.works(*ward.lab.hosts)
    assert guests(ward) == before
    assert sum(ward.shots_at(name) for name in ward.lab.hosts) == 0
    ward.settles()


def test_zookeeper_goes_between_a_guest_that_was_started_and_the_word_of_it(ward_for):
    """libvirt has started it, and nobody could write so: it is found running, and is not started again."""
    ward = ward_for(dead_ticks="60", boot_grace="60")
    stage = Stage(ward.lab, ward.watcher, "web")
    stage.off()
    with stage.gate("source", "started") as reached:
        stage.ask("start", stage.source)
        reached()
        with stage.without_zookeeper("source"):
            wait_until(lambda: stage.has_said("source", "not connected"), RECOVERY_S, "it notices")
    stage.rests()
    stage.ticks_on()
    assert len(stage.boots()) == 1
    stage.close()
    ward.works(stage.source)
    ward.settles()
