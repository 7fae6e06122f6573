"""What real libvirtds make of faults in a live migration: never more than the checker's model of them allows.

In the paused hand-over a copy at the target does not run by itself. So whatever breaks, at most one guest runs; what remains at source and
target is one of the ends that `pvc.check.hypervisor` knows.
"""

import os
import signal
from contextlib import contextmanager

import pytest

from pvc.core import events as e
from pvc.fsm.states import Effect, Guest, Handover, Job
from pvc.hypervisor import MigrationProgress
from tests.hypervisor.world import HV1, HV2, Script, inventories, jobs_done, last, until

pytestmark = pytest.mark.long

SETTLED_S = 60
COMPLETE = (Guest.absent, Guest.held)
STAYED = (Guest.running, Guest.absent)
STAYED_TWICE = (Guest.running, Guest.held)
LEFT_PAUSED = (Guest.paused, Guest.held)
LEFT_ALONE = (Guest.paused, Guest.absent)  # the same, and then the copy dies
LOST = (Guest.absent, Guest.absent)
NOT_YET = MigrationProgress(0, 0, 0, 0, 0, 0)
ENDS = {COMPLETE, STAYED, STAYED_TWICE, LEFT_PAUSED}


@contextmanager
def held_at_switchover(real, uuid):
    """Inside, the source has stopped its guest and sent all of it, and the target cannot take it over: its libvirtd stands still.

    Nothing depends on how fast the host is. The copy creeps until the target's libvirtd is frozen, and only then gets through; the source's
    libvirtd waits for the other's answer, six seconds long (`lab.services`), and the guest waits with it.
    """
    source, target = real.machines[HV1].host, real.machines[HV2].host
    stopped = ["paused", "(migrating)"]
    until(lambda: (real.ports[HV1].hypervisor.progress(uuid) or NOT_YET).total_mib, SETTLED_S, "memory is sent")
    with real.freeze(HV2):
        target.slow(None)
        until(lambda: source.virsh("domstate", "--reason", uuid).split() == stopped, SETTLED_S, "the guest was stopped for its hand-over")
        yield


def migrate(real, act):
    """A migration into which this happens at its switchover; its UUID, and how often guests had been counted on either host before."""
    script = Script(real)
    uuid = script.create(HV1, slow=True)
    real.guest_is_up(HV1, uuid)
    script.admit(HV2, uuid)
    counted = {host: len(inventories(real.events(host))) for host in (HV1, HV2)}
    old = real.ports[HV1]
    before = script.give(HV1, uuid, Effect.migrate, target=HV2)
    with held_at_switchover(real, uuid):
        act(uuid)
    since = before if real.ports[HV1] is old else 0
    real.wait(HV1, lambda events: over(events[since:], uuid), SETTLED_S, "no job is in flight")
    return uuid, counted


def over(events, uuid):
    """Whether no job of this VM is in flight any more, for a Core that has taken these events."""
    busy = True
    for event in events:
        match event:
            case e.JobDone(uuid=one, job=Job.migrate) if one == uuid:
                busy = False
            case e.Inventory(jobs=jobs):
                busy = uuid in jobs
    return not busy and not isinstance(events[-1], e.HypervisorLost)


def ends(real, uuid):
    """What both ports believe, once nothing changes any more: the end of the migration as the cores see it."""
    def now():
        return last(real.events(HV1), uuid), last(real.events(HV2), uuid)

    until(lambda: Guest.unknown not in now() and now()[1] is not Guest.incoming, SETTLED_S, f"both sides know, not {now()}")
    return now()


def test_the_targets_libvirtd_frozen_at_the_switchover(real):
    def wait_for_both(uuid):
        real.wait(HV1, lambda events: jobs_done(events, uuid, Job.migrate), SETTLED_S, "the source gives up")
        real.wait(HV2, lambda events: isinstance(events[-1], e.HypervisorLost), SETTLED_S, "the target's port has lost it")

    uuid, counted = migrate(real, wait_for_both)
    real.wait(HV2, lambda events: len(inventories(events)) > counted[HV2], SETTLED_S, "the target is counted again")
    assert ends(real, uuid) in {STAYED, STAYED_TWICE}
    assert real.running_on(uuid) == [HV1]


def test_the_link_cut_at_the_switchover(real):
    """Nothing arrives any more, and nobody says so: QEMU waits for TCP to give up, which the hosts are told to do soon."""
    uuid, _ = migrate(real, lambda uuid: real.machines[HV2].host.cut())
    assert ends(real, uuid) in ENDS | {LEFT_ALONE}
    assert len(real.running_on(uuid)) <= 1


@pytest.mark.parametrize("host", [HV1, HV2])
def test_a_libvirtd_killed_at_the_switchover(real, host):
    uuid, counted = migrate(real, lambda uuid: real.kill_libvirtd(host))
    real.wait(host, lambda events: len(inventories(events)) > counted[host], SETTLED_S, "it is counted again")
    assert ends(real, uuid) in ENDS
    assert len(real.running_on(uuid)) <= 1


def test_the_sources_qemu_killed_at_the_switchover(real):
    uuid, _ = migrate(real, lambda uuid: real.kill_guest(HV1, uuid))
    assert ends(real, uuid) in {COMPLETE, LOST}


def test_the_copy_killed_at_the_switchover(real):
    uuid, _ = migrate(real, lambda uuid: real.kill_guest(HV2, uuid))
    assert ends(real, uuid) in {STAYED, LOST}  # the last where the target says that it took it over: a guest can always die


def test_a_daemon_that_dies_at_the_switchover_leaves_it_to_libvirt(real):
    uuid, _ = migrate(real, lambda uuid: real.restart_port(HV1))
    assert ends(real, uuid) == COMPLETE
    assert real.running_on(uuid) == []


def test_a_link_cut_while_copying_costs_nothing(real):
    script = Script(real)
    uuid = script.create(HV1, slow=True)
    script.admit(HV2, uuid)
    before = script.give(HV1, uuid, Effect.migrate, target=HV2)
    script.shows(HV2, uuid, Guest.incoming)
    until(lambda: (real.ports[HV1].hypervisor.progress(uuid) or NOT_YET).total_mib, SETTLED_S, "memory is sent")
    real.machines[HV2].host.cut()
    assert script.done(HV1, uuid, Job.migrate, before) is Guest.running
    assert ends(real, uuid) == STAYED


def test_a_target_that_is_not_there_is_noticed_in_seconds(real):
    script = Script(real)
    uuid = script.create(HV1)
    real.machines[HV2].host.stop("libvirtd")
    assert script.do(HV1, uuid, Effect.migrate, Job.migrate, target=HV2, seconds=SETTLED_S) is Guest.running


def test_without_zookeeper_only_what_still_copies_is_broken_off(real):
    script = Script(real)
    uuid = script.create(HV1, slow=True)
    script.admit(HV2, uuid)
    before = script.give(HV1, uuid, Effect.migrate, target=HV2)
    script.shows(HV2, uuid, Guest.incoming)
    real.ports[HV1].hypervisor.abort_precopy()
    assert script.done(HV1, uuid, Job.migrate, before) is Guest.running
    assert ends(real, uuid) == STAYED


def test_progress_of_a_migration_can_be_read(real):
    script = Script(real)
    uuid = script.create(HV1, slow=True)
    script.admit(HV2, uuid)
    before = script.give(HV1, uuid, Effect.migrate, target=HV2)
    hypervisor = real.ports[HV1].hypervisor
    until(lambda: (hypervisor.progress(uuid) or NOT_YET).total_mib, SETTLED_S, "figures are there")
    assert 0 <= hypervisor.progress(uuid).percent < 100
    script.give(HV1, uuid, Effect.abort_job)
    script.done(HV1, uuid, Job.abort, before)
    until(lambda: hypervisor.progress(uuid) is None, SETTLED_S, "and go with it")


def test_a_third_migration_waits_and_can_be_broken_off_before_it_begins(real):
    script = Script(real)
    uuids = [script.create(HV1, slow=True) for _ in range(3)]
    for uuid in uuids:
        script.admit(HV2, uuid)
        script.give(HV1, uuid, Effect.migrate, target=HV2)
    for uuid in uuids[:2]:
        script.shows(HV2, uuid, Guest.incoming)
    assert last(real.events(HV2), uuids[2]) is Guest.absent
    assert script.do(HV1, uuids[2], Effect.abort_job, Job.abort) is Guest.running
    assert not jobs_done(real.events(HV1), uuids[0], Job.migrate)


def test_a_hung_qemu_hides_no_other_guest(real):
    script = Script(real)
    hung, other = script.create(HV1), script.create(HV1)
    os.kill(real.machines[HV1].qemu(hung), signal.SIGSTOP)
    script.give(HV1, hung, Effect.suspend)
    real.kill_guest(HV1, other)
    script.shows(HV1, other, Guest.absent)
    real.restart_port(HV1)
    assert script.counted(HV1).guests == {hung: Guest.running}
    assert script.do(HV1, hung, Effect.destroy, Job.destroy) is Guest.absent


def test_libvirts_own_handover_runs_on_the_target(real):
    script = Script(real)
    uuid = script.create(HV1)
    script.admit(HV2, uuid)
    assert script.do(HV1, uuid, Effect.migrate, Job.migrate, target=HV2, handover=Handover.libvirt) is Guest.absent
    script.shows(HV2, uuid, Guest.running)
    script.do(HV2, uuid, Effect.suspend, Job.suspend)
    real.restart_port(HV2)
    assert script.counted(HV2).guests == {uuid: Guest.paused}  # it has run here: no copy any more
