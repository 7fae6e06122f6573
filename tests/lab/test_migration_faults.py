"""A live migration whose parts fail, each at its moment: never two running copies, never none that stays none, and nothing left of it.

Both ways to hand over are tried: the copy that stays paused until the record says who owns it, and libvirt's own for a guest whose disk
QEMU has locked.
"""

from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from lab import wait_until
from pvc.fsm.states import Handover, Migration
from tests.lab.holds import Switchover
from tests.lab.record import REACH_S
from tests.lab.stage import KILL

pytestmark = pytest.mark.lab
# libvirt gives up a peer within 8 s: what is left must be copied in much less, also on a machine that has little left.
LEFT_MIB = 25


# -- Faults while it copies --------------------------------------------------------------------------------------------


def source_libvirtd_killed(stage):
    """It leaves its guests, and is started again at once, as by systemd."""
    stage.restart_libvirtd("source")


def target_libvirtd_killed(stage):
    stage.restart_libvirtd("target")


def source_qemu_killed(stage):
    stage.kill_guest("source")


def target_qemu_killed(stage):
    stage.kill_guest("target")


def link_cut(stage):
    """Until libvirt has given up."""
    stage.lab.cut(stage.source, stage.target)
    wait_until(lambda: stage.life.phase is not Migration.moving, REACH_S, "libvirt gives up")
    stage.lab.heal(stage.source, stage.target)


def link_and_zookeeper_cut(stage):
    """Neither side reaches the other, or ZooKeeper."""
    with ExitStack() as cut:
        for role in ("source", "target"):
            cut.enter_context(stage.without_zookeeper(role))
        stage.lab.cut(stage.source, stage.target)
        cut.callback(stage.lab.heal, stage.source, stage.target)
        stage.copy_goes("target")


def source_without_zookeeper(stage):
    """A migration that still copies is broken off: nobody could say afterwards who owns it."""
    with stage.without_zookeeper("source"):
        stage.copy_goes("target")


def target_without_zookeeper(stage):
    with stage.without_zookeeper("target"):
        wait_until(lambda: stage.has_said("target", "ZooKeeper: not connected"), REACH_S, "the target notices")
        stage.faster()
        stage.copy_goes("source")


def ensemble_stopped(stage):
    stage.lab.kill_ensemble()
    stage.copy_goes("target")
    stage.lab.start_ensemble()


COPYING = {
    "source's libvirtd killed": source_libvirtd_killed,
    "target's libvirtd killed": target_libvirtd_killed,
    "source's QEMU killed": source_qemu_killed,
    "target's QEMU killed": target_qemu_killed,
    "link cut": link_cut,
    "link and ZooKeeper cut": link_and_zookeeper_cut,
    "source without ZooKeeper": source_without_zookeeper,
    "target without ZooKeeper": target_without_zookeeper,
    "ensemble stopped": ensemble_stopped,
}


@pytest.mark.parametrize("fault", COPYING.values(), ids=COPYING)
def test_a_fault_while_it_copies(stage_for, fault):
    stage = stage_for("web")
    stage.up()
    boots = stage.boots()
    with stage.copying():
        fault(stage)
    stage.rests()
    stage.ticks_on()
    if fault is not source_qemu_killed:
        assert stage.boots() == boots, "it did not go on, it began anew"
    else:
        assert len(stage.boots()) == len(boots) + 1


# -- Faults at the switchover ------------------------------------------------------------------------------------------
#
# Each prepares the fault while it copies; then the copying is let to its end, and what comes next happens under the fault.


@contextmanager
def answer_lost(stage):
    """The target is told to take over and does; that it did is lost, and the source gives it up."""
    with stage.without_answers():
        yield
        stage.migration_ends()


@contextmanager
def request_lost(stage):
    """The target is never told."""
    with stage.without_requests():
        yield
        stage.migration_ends()


@contextmanager
def target_libvirtd_frozen(stage):
    """It is told, does not act on it until the source has given it up, and then acts."""
    with stage.frozen("target", "libvirtd"):
        yield
        stage.migration_ends()


@contextmanager
def target_libvirtd_killed_there(stage):
    with stage.frozen("target", "libvirtd"):
        yield
        stage.restart_libvirtd("target")


@contextmanager
def source_libvirtd_killed_before(stage):
    """It dies when the source is stopped and the target not told yet, or not listening."""
    with stage.frozen("target", "libvirtd"):
        yield
        stage.host("source").kill("libvirtd")
    stage.host("source").start("libvirtd")


@contextmanager
def source_libvirtd_killed_after(stage):
    """It dies when the target has taken over, and the source does not know."""
    with stage.without_answers():
        yield
        wait_until(lambda: stage.libvirt_shows("target") not in ("paused (migrating)", ""), REACH_S, "the target has taken over")
        stage.host("source").kill("libvirtd")
    stage.host("source").start("libvirtd")


@contextmanager
def source_dead(stage):
    """libvirtd and QEMU of the source die, the target is not told."""
    with stage.frozen("target", "libvirtd"):
        yield
        stage.host("source").kill("libvirtd")
        stage.kill_guest("source")
    stage.host("source").start("libvirtd")


@contextmanager
def source_pvcd_killed(stage):
    """Together with the answer, so that the one who starts anew finds what libvirt made of it."""
    with stage.without_answers():
        yield
        stage.end("source", KILL)
        stage.begin("source")
        stage.migration_ends()


@contextmanager
def both_pvcds_killed(stage):
    """Nobody is left who would decide; both are back before libvirt has given up."""
    with stage.without_answers():
        yield
        for role in ("source", "target"):
            stage.end(role, KILL)
            stage.begin(role)
        stage.migration_ends()


@contextmanager
def link_cut_there(stage):
    """The target hears of it and takes over, behind a link that is cut."""
    with ExitStack() as held:
        held.enter_context(stage.frozen("target", "libvirtd"))
        yield
        stage.lab.cut(stage.source, stage.target)
        held.close()
        stage.migration_ends()
    stage.lab.heal(stage.source, stage.target)


@contextmanager
def target_qemu_killed_there(stage):
    """The copy was complete, and the source can still go on.

    With libvirt's own hand-over the copy has run by then, and the source, which never heard of it, goes on from the switchover: what
    the copy did is undone, but for its disk. ADR 9 says so. That both run at once is what its lock prevents.
    """
    with stage.without_answers():
        yield
        wait_until(lambda: stage.libvirt_shows("target") not in ("paused (migrating)", ""), REACH_S, "the target has taken over")
        if by_libvirt := stage.life.handover is Handover.libvirt:
            wait_until(lambda: stage.target in stage.runs_on(), REACH_S, "it has run there")
        stage.kill_guest("target")
        stage.copy_goes("target")
        if by_libvirt:
            stage.watcher.goes_back(stage.name)
        stage.migration_ends()


@contextmanager
def target_qemu_killed_after(stage):
    """The copy was the only one: nothing is left but to start the guest anew."""
    with ExitStack() as held:
        for role in ("source", "target"):
            held.enter_context(stage.frozen(role, "pvcd"))
        yield
        stage.copy_goes("source")
        stage.kill_guest("target")


@contextmanager
def without_zookeeper(*roles_and_stage):
    """Who owns it cannot be written, or not be read, for longer than a session lasts."""
    *roles, stage = roles_and_stage
    with ExitStack() as held:
        for role in roles:
            held.enter_context(stage.without_zookeeper(role))
        yield
        stage.copy_goes("source")
        for role in roles:
            wait_until(lambda role=role: stage.has_said(role, "the session has ended or may have"), REACH_S, f"{role} has no session")


SWITCHOVER = {
    "answer lost": answer_lost,
    "request lost": request_lost,
    "target's libvirtd frozen": target_libvirtd_frozen,
    "target's libvirtd killed": target_libvirtd_killed_there,
    "source's libvirtd killed before": source_libvirtd_killed_before,
    "source's libvirtd killed after": source_libvirtd_killed_after,
    "source dead": source_dead,
    "source's pvcd killed": source_pvcd_killed,
    "both pvcds killed": both_pvcds_killed,
    "link cut": link_cut_there,
    "target's QEMU killed": target_qemu_killed_there,
    "target's QEMU killed when it is the only one": target_qemu_killed_after,
    "source without ZooKeeper": partial(without_zookeeper, "source"),
    "target without ZooKeeper": partial(without_zookeeper, "target"),
    "both without ZooKeeper": partial(without_zookeeper, "source", "target"),
}


@pytest.mark.parametrize("handover", ["paused", "libvirt"])
@pytest.mark.parametrize("fault", SWITCHOVER.values(), ids=SWITCHOVER)
def test_a_fault_at_the_switchover(stage_for, fault, handover):
    stage = stage_for("web") if handover == "paused" else stage_for("db", disk=True)
    stage.handover = handover
    stage.up()
    with Switchover(stage) as switchover, ExitStack() as copying:
        copying.enter_context(stage.copying(LEFT_MIB))
        with fault(stage):
            copying.close()
            switchover.wait()
    stage.rests()
    stage.ticks_on()
