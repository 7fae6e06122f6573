"""A node is emptied and given back, on real hosts: nothing is lost, whatever happens in between, and what cannot be done is said."""

import pytest

from lab import wait_until
from pvc.cluster.records import Method
from pvc.fsm.states import Domain, Flush, Migration
from tests.lab.admin import PATIENCE_S

pytestmark = pytest.mark.lab
PARALLEL = 2
"""Migrations that a node begins by itself at a time, by default."""
FEW = ("vm1", "vm2", "vm3")


def started(admin, names=FEW, **options):
    """These VMs run on hv1, and tick: an emulated guest that is copied while its kernel sets up its clock may wait for it for ever."""
    for name in names:
        admin.define(name, "hv1", **options)
    for asked in [admin.ask("start", name, "hv1") for name in names]:
        admin.client.wait_for(asked)
    for name in names:
        admin.ticks_on(name, "hv1")


def reach_flush(admin, state, node="hv1"):
    """Wait until the node's record says so."""
    wait_until(lambda: admin.flush(node) is state, PATIENCE_S, f"{node} is {state}")


def all_home(admin, names=FEW):
    """Wait until each runs on hv1 undisturbed, and see that its guest goes on counting there and was never started anew."""
    for name in names:
        admin.reach(name, "at home", lambda record: record.life.state is Domain.start and record.life.owner == "hv1")
    for name in names:
        admin.ticks_on(name, "hv1")
        assert admin.copies(name) == ["hv1"]


def none_was_reset(admin, names=FEW):
    assert {name: len(admin.boots(name)) for name in names} == dict.fromkeys(names, 1)


def most_at_a_time(admin, host, begin, end="hand_over"):
    """How many migrations a daemon had under way at most, by what it said that it did."""
    most = now = 0
    for line in admin.lab[host].log("pvcd").splitlines():
        now += (f"({begin})" in line) - (f"({end})" in line)
        most = max(most, now)
    return most


def test_a_flushed_node_is_empty_and_ready_brings_its_guests_home(admin):
    names = tuple(f"vm{number}" for number in range(5))
    started(admin, names)
    for name in names:
        admin.ticks_on(name, "hv1")
    done = admin.lab.pvc("node", "flush", "hv1", "--yes", "--reason", "new disks")
    assert "hv1 is flushed." in done.stdout
    assert admin.flush("hv1") is Flush.flushed
    assert admin.lab["hv1"].guests() == []
    assert len(admin.lab.guests()) == len(names)
    assert {admin.life(name).home for name in names} == {"hv1"}
    assert most_at_a_time(admin, "hv1", "evacuate") == PARALLEL

    admin.lab.pvc("node", "ready", "hv1")
    all_home(admin, names)
    none_was_reset(admin, names)
    assert max(most_at_a_time(admin, host, "go_home") for host in ("hv2", "hv3")) <= PARALLEL
    assert admin.flush("hv1") is Flush.ready


def test_a_flushed_node_is_given_nothing(admin):
    admin.lab.pvc("node", "flush", "hv1", "--yes")
    admin.define("vm1", "hv1")
    admin.do("start", "vm1")
    assert admin.life("vm1").owner in ("hv2", "hv3"), "not even what is at home there"
    admin.lab.pvc("node", "ready", "hv1")
    admin.reach("vm1", "at home", lambda record: record.life.state is Domain.start and record.life.owner == "hv1")


def test_each_guest_leaves_as_its_policy_says(admin):
    for name, method in (("vm1", Method.live), ("vm2", Method.cold), ("vm3", Method.none)):
        admin.define(name, "hv1", {"migration": method})
        admin.do("start", name, "hv1")
    for name in FEW:
        admin.ticks_on(name, "hv1")
    done = admin.lab.pvc("node", "flush", "hv1", "--yes", "--timeout", "5", check=False)
    assert done.returncode == 4
    assert "vm3 cannot leave: its policy is to stay where it is" in done.stdout
    admin.reach("vm2", "elsewhere", lambda record: record.life.state is Domain.start and record.life.owner != "hv1")
    wait_until(lambda: len(admin.boots("vm2")) == 2, PATIENCE_S, "vm2 was shut down and started")
    assert admin.flush("hv1") is Flush.flush
    admin.ticks_on("vm3", "hv1")
    admin.client.set_policy("vm3", migration=Method.live)
    reach_flush(admin, Flush.flushed)
    admin.lab.pvc("node", "ready", "hv1")
    all_home(admin)
    none_was_reset(admin, ("vm1", "vm3"))
    assert len(admin.boots("vm2")) == 3, "vm2 came home as it went"


def test_without_room_a_flush_says_what_blocks_and_loses_nothing(admin):
    started(admin)
    admin.room("hv2", False)
    admin.room("hv3", False)
    done = admin.lab.pvc("node", "flush", "hv1", "--yes", "--timeout", "3", check=False)
    assert done.returncode == 4
    said = " ".join(done.stdout.split())
    for name in FEW:
        words = [f"{host}: it has 0 MiB free, {name} needs 96 MiB" for host in ("hv2", "hv3")]
        assert f"{name} cannot leave: {'; '.join(words)}" in said
    assert "left: vm1, vm2, vm3" in done.stderr
    for name in FEW:
        admin.ticks_on(name, "hv1")

    admin.room("hv2", True)
    reach_flush(admin, Flush.flushed)
    assert {admin.life(name).owner for name in FEW} == {"hv2"}
    for name in FEW:
        admin.ticks_on(name, "hv2")
    none_was_reset(admin)


def test_a_flush_that_is_called_off_half_way_brings_all_home(admin):
    started(admin)
    admin.client.flush("hv1")
    admin.reach("vm1", "away or on its way", lambda record: record.life.phase is Migration.moving or record.life.owner != "hv1")
    admin.lab.pvc("node", "ready", "hv1")
    all_home(admin)
    none_was_reset(admin)
    assert admin.flush("hv1") is Flush.ready


def test_a_flush_survives_the_death_of_its_daemon(admin):
    started(admin)
    admin.client.flush("hv1")
    admin.reach("vm1", "on its way", lambda record: record.life.phase is not Migration.none or record.life.owner != "hv1")
    admin.lab["hv1"].kill_pvcd()
    admin.lab["hv1"].start_pvcd()
    reach_flush(admin, Flush.flushed)
    assert admin.lab["hv1"].guests() == []
    for name in FEW:
        admin.ticks_on(name, str(admin.life(name).owner))
    none_was_reset(admin)
    admin.lab.pvc("node", "ready", "hv1")
    all_home(admin)


def test_a_flush_survives_a_reboot_of_its_host(admin):
    """What had not left yet died with the host, is started elsewhere, and does not come back until the node is given back."""
    started(admin)
    admin.client.flush("hv1")
    admin.reach("vm1", "on its way", lambda record: record.life.phase is not Migration.none or record.life.owner != "hv1")
    admin.spoiled = True
    admin.lab["hv1"].power_off()
    admin.lab["hv1"].power_on()
    admin.lab["hv1"].start_pvcd()
    for name in FEW:
        admin.reach(name, "elsewhere", lambda record: record.life.state is Domain.start and record.life.owner in ("hv2", "hv3"))
    reach_flush(admin, Flush.flushed)
    assert admin.lab["hv1"].guests() == []
    for name in FEW:
        admin.ticks_on(name, str(admin.life(name).owner))
    admin.lab.pvc("node", "ready", "hv1")
    all_home(admin)


def test_a_guest_that_is_none_of_ours_blocks_no_flush_and_is_not_touched(admin):
    hv1 = admin.lab["hv1"]
    hv1.virsh("create", str(admin.lab.guest_file("stranger")))
    admin.ticks_on("stranger", "hv1")
    pid = admin.pid("stranger")
    started(admin, ("vm1",))
    assert "hv1 is flushed." in admin.lab.pvc("node", "flush", "hv1", "--yes").stdout
    assert [guest.name for guest in hv1.guests()] == ["stranger"]
    hv1.kill_pvcd()
    hv1.start_pvcd()
    wait_until(lambda: "hv1" in admin.lab.working_nodes(), PATIENCE_S, "its daemon has counted it")
    admin.lab.pvc("node", "ready", "hv1")
    all_home(admin, ("vm1",))
    admin.ticks_on("stranger", "hv1")
    assert admin.pid("stranger") == pid
    assert len(admin.boots("stranger")) == 1
    hv1.virsh("destroy", "stranger")
