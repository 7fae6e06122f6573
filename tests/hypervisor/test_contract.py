"""What every hypervisor port owes the Core; the bodies run over real libvirtds, and over simulated ones."""

import pytest

from pvc.core import events as e
from pvc.fsm.states import Effect, Guest, Job
from tests.hypervisor.world import HV1, HV2, SOON_S, inventories, jobs_done, last

pytestmark = pytest.mark.long


def test_a_guest_is_created_and_destroyed(world, script):
    uuid = script.create(HV1)
    assert world.running_on(uuid) == [HV1]
    assert script.do(HV1, uuid, Effect.destroy, Job.destroy) is Guest.absent
    assert world.running_on(uuid) == []


def test_create_replaces_nothing(world, script):
    uuid = script.create(HV1)
    assert script.do(HV1, uuid, Effect.suspend, Job.suspend) is Guest.paused
    assert script.do(HV1, uuid, Effect.create, Job.create) is Guest.paused


def test_a_job_on_what_is_not_there_ends_too(world, script):
    uuid = world.define()
    assert script.do(HV1, uuid, Effect.destroy, Job.destroy) is Guest.absent
    assert script.do(HV1, uuid, Effect.resume, Job.resume) is Guest.absent
    assert script.do(HV1, uuid, Effect.shutdown, Job.shutdown) is Guest.absent


def test_a_guest_is_suspended_and_resumed(world, script):
    uuid = script.create(HV1)
    assert script.do(HV1, uuid, Effect.suspend, Job.suspend) is Guest.paused
    assert world.running_on(uuid) == []
    assert script.do(HV1, uuid, Effect.resume, Job.resume) is Guest.running
    assert world.running_on(uuid) == [HV1]


def test_discard_never_stops_a_guest_that_runs(world, script):
    uuid = script.create(HV1)
    assert script.do(HV1, uuid, Effect.discard, Job.destroy) is Guest.running
    script.do(HV1, uuid, Effect.suspend, Job.suspend)
    assert script.do(HV1, uuid, Effect.discard, Job.destroy) is Guest.absent


def test_a_guest_that_dies_is_seen_gone_and_not_by_itself(world, script):
    uuid = script.create(HV1)
    world.kill_guest(HV1, uuid)
    script.shows(HV1, uuid, Guest.absent)
    (seen,) = [event for event in world.events(HV1) if isinstance(event, e.GuestSeen) and event.guest is Guest.absent]
    assert not seen.by_itself


def test_a_guest_that_powers_itself_off_says_so(world, script):
    uuid = script.create(HV1)
    world.guest_powers_off(HV1, uuid)
    script.shows(HV1, uuid, Guest.absent)
    (seen,) = [event for event in world.events(HV1) if isinstance(event, e.GuestSeen) and event.guest is Guest.absent]
    assert seen.by_itself


def test_a_shutdown_is_a_request_that_a_deaf_guest_ignores(world, script):
    uuid = script.create(HV1, heeds=False)
    assert script.do(HV1, uuid, Effect.shutdown, Job.shutdown) is Guest.running
    assert script.do(HV1, uuid, Effect.destroy, Job.destroy) is Guest.absent


def test_a_daemon_that_starts_anew_counts_what_is_there(world, script):
    uuid, other = script.create(HV1), script.create(HV1)
    script.do(HV1, other, Effect.suspend, Job.suspend)
    world.restart_port(HV1)
    count = script.counted(HV1)
    assert {uuid: Guest.running, other: Guest.paused} == dict(count.guests)
    assert not count.jobs
    assert {uuid, other} <= count.claimed


def test_libvirtd_killed_is_lost_and_counted_again(world, script):
    uuid = script.create(HV1)
    world.kill_libvirtd(HV1)
    world.wait(HV1, lambda events: len(inventories(events)) >= 2, SOON_S, "it is counted again")
    assert any(isinstance(event, e.HypervisorLost) for event in world.events(HV1))
    assert last(world.events(HV1), uuid) is Guest.running
    assert script.do(HV1, uuid, Effect.destroy, Job.destroy) is Guest.absent


def test_a_frozen_libvirtd_makes_guests_unknown_within_seconds(world, script):
    uuid = script.create(HV1)
    with world.freeze(HV1):
        world.wait(HV1, lambda events: isinstance(events[-1], e.HypervisorLost), SOON_S, "it is noticed")
        assert last(world.events(HV1), uuid) is Guest.unknown
    script.shows(HV1, uuid, Guest.running)


def test_a_job_whose_call_was_frozen_counts_for_nothing_until_all_is_counted(world, script):
    """The create may still happen: absent may only be said once it cannot."""
    uuid = world.define()
    with world.freeze(HV1):
        before = script.give(HV1, uuid, Effect.create)
        world.wait(HV1, lambda events: any(isinstance(event, e.HypervisorLost) for event in events), SOON_S, "it is noticed")
        assert all(done.guest is Guest.unknown for done in jobs_done(world.events(HV1)[before:], uuid, Job.create))
    world.wait(HV1, lambda events: len(inventories(events)) >= 2, SOON_S, "it is counted again")
    said = last(world.events(HV1), uuid)
    later = script.do(HV1, uuid, Effect.destroy, Job.destroy) if said is Guest.running else Guest.absent
    assert later is Guest.absent
    assert world.running_on(uuid) == []


def test_a_guest_moves_paused_and_runs_when_it_is_resumed(world, script):
    uuid = script.create(HV1)
    script.admit(HV2, uuid)
    assert script.do(HV1, uuid, Effect.migrate, Job.migrate, target=HV2) is Guest.absent
    script.shows(HV2, uuid, Guest.held)
    assert world.running_on(uuid) == []
    assert script.do(HV2, uuid, Effect.resume, Job.resume) is Guest.running
    assert world.running_on(uuid) == [HV2]


def test_a_guest_that_has_just_left_may_come_back_once_it_is_said_to_be_absent(world, script):
    """The end of a migration is told before libvirt has tidied up after it, and until then libvirt takes no guest of that name."""
    uuid = script.create(HV1)
    for source, target in ((HV1, HV2), (HV2, HV1), (HV1, HV2)):
        script.admit(target, uuid)
        assert script.do(source, uuid, Effect.migrate, Job.migrate, target=target) is Guest.absent
        assert script.do(target, uuid, Effect.resume, Job.resume) is Guest.running
        script.shows(source, uuid, Guest.absent)
    assert world.running_on(uuid) == [HV2]
    assert script.do(HV2, uuid, Effect.destroy, Job.destroy) is Guest.absent
    assert script.do(HV1, uuid, Effect.create, Job.create) is Guest.running


def test_a_complete_copy_is_still_one_for_a_new_daemon(world, script):
    uuid = script.create(HV1)
    script.admit(HV2, uuid)
    script.do(HV1, uuid, Effect.migrate, Job.migrate, target=HV2)
    script.shows(HV2, uuid, Guest.held)
    world.restart_port(HV2)
    assert script.counted(HV2).guests[uuid] is Guest.held
    assert script.do(HV2, uuid, Effect.discard, Job.destroy) is Guest.absent


def test_a_target_that_has_not_admitted_it_is_not_entered(world, script):
    uuid = script.create(HV1)
    assert script.do(HV1, uuid, Effect.migrate, Job.migrate, target=HV2) is Guest.running
    assert last(world.events(HV2), uuid) is Guest.absent


def test_a_target_that_admitted_it_in_an_earlier_boot_is_not_entered(world, script):
    uuid = script.create(HV1)
    script.admit(HV2, uuid)
    world.reboot_id(HV2)
    assert script.do(HV1, uuid, Effect.migrate, Job.migrate, target=HV2) is Guest.running


def test_a_migration_is_broken_off(world, script):
    uuid = script.create(HV1, slow=True)
    script.admit(HV2, uuid)
    before = script.give(HV1, uuid, Effect.migrate, target=HV2)
    script.shows(HV2, uuid, Guest.incoming)
    assert script.do(HV1, uuid, Effect.abort_job, Job.abort) is Guest.running
    assert not jobs_done(world.events(HV1)[before:], uuid, Job.migrate)
    script.shows(HV2, uuid, Guest.absent)


def test_a_migration_goes_on_without_the_daemon_and_its_end_is_told_to_the_next(world, script):
    uuid = script.create(HV1, slow=True)
    script.admit(HV2, uuid)
    script.give(HV1, uuid, Effect.migrate, target=HV2)
    script.shows(HV2, uuid, Guest.incoming)
    world.restart_port(HV1)
    count = script.counted(HV1)
    assert count.jobs == {uuid: Job.migrate}
    assert count.guests[uuid] is Guest.running
    assert script.do(HV1, uuid, Effect.abort_job, Job.abort) is Guest.running


def test_a_copy_whose_source_dies_is_gone(world, script):
    uuid = script.create(HV1, slow=True)
    script.admit(HV2, uuid)
    before = script.give(HV1, uuid, Effect.migrate, target=HV2)
    script.shows(HV2, uuid, Guest.incoming)
    world.kill_guest(HV1, uuid)
    assert script.done(HV1, uuid, Job.migrate, before) is Guest.absent
    script.shows(HV2, uuid, Guest.absent)


def test_a_guest_whose_copy_dies_runs_on(world, script):
    uuid = script.create(HV1, slow=True)
    script.admit(HV2, uuid)
    before = script.give(HV1, uuid, Effect.migrate, target=HV2)
    script.shows(HV2, uuid, Guest.incoming)
    world.kill_guest(HV2, uuid)
    assert script.done(HV1, uuid, Job.migrate, before) is Guest.running
    script.shows(HV2, uuid, Guest.absent)
