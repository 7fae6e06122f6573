"""The order of what is reported: on it rests that a Core never believes less to be in flight than there is."""

import threading

import pytest

from pvc.core import events as e
from pvc.fsm.states import Effect, Guest, Job
from pvc.fsm.views import Life
from pvc.hypervisor.ledger import Ledger, Task
from pvc.hypervisor.workers import Workers

VM, OTHER = "vm-1", "vm-2"


@pytest.fixture
def told():
    return []


@pytest.fixture
def ledger(told):
    return Ledger(told.append)


def counted(ledger, told, guests=None, tasks=(), connection=1, read=True):
    ledger.counted(connection, guests or {}, list(tasks), frozenset())
    if read:
        dict(told[-1].guests)
    return told[-1]


def test_an_order_from_before_the_count_was_read_is_not_carried_out(ledger, told):
    """The Core would take the count afterwards, and with it forget the job that is in flight."""
    assert ledger.begin(VM, Job.create, Effect.create, Life()) is None
    event = counted(ledger, told, read=False)
    assert ledger.begin(VM, Job.create, Effect.create, Life()) is None
    assert event.guests.get(VM, Guest.absent) is Guest.absent
    assert ledger.begin(VM, Job.create, Effect.create, Life()) is not None


def test_a_count_is_compared_and_shown_without_harm(ledger, told):
    event = counted(ledger, told, {VM: Guest.running}, read=False)
    assert VM in repr(event)
    assert ledger.begin(VM, Job.destroy, Effect.destroy, Life()) is None
    assert event.guests == {VM: Guest.running}


def test_nothing_of_a_lost_connection_is_reported(ledger, told):
    counted(ledger, told)
    task = ledger.begin(VM, Job.create, Effect.create, Life())
    assert ledger.lost(1)
    assert not ledger.lost(1)
    assert task.ended.is_set()
    ledger.end(task, Guest.running)
    ledger.saw(1, VM, Guest.running)
    assert told[1:] == [e.HypervisorLost()]
    counted(ledger, told, connection=2)
    ledger.end(task, Guest.running)
    ledger.saw(1, VM, Guest.running)
    assert len(told) == 3


def test_a_connection_that_breaks_after_the_next_was_counted_changes_nothing(ledger, told):
    counted(ledger, told, connection=2)
    assert not ledger.lost(1)


def test_only_news_is_reported(ledger, told):
    counted(ledger, told, {VM: Guest.running})
    ledger.saw(1, VM, Guest.running)
    ledger.saw(1, OTHER, Guest.absent)
    ledger.saw(1, VM, Guest.absent, True)
    ledger.saw(1, VM, Guest.absent)
    assert told[1:] == [e.GuestSeen(VM, Guest.absent, True)]


def test_what_a_job_does_on_its_way_is_not_reported(ledger, told):
    counted(ledger, told, {VM: Guest.running})
    task = ledger.begin(VM, Job.migrate, Effect.migrate, Life())
    ledger.saw(1, VM, Guest.paused)
    ledger.end(task, Guest.absent)
    assert told[1:] == [e.JobDone(VM, Job.migrate, Guest.absent)]


def test_what_a_job_has_done_may_show_before_it_ends(ledger, told):
    counted(ledger, told, {VM: Guest.running})
    ledger.begin(VM, Job.migrate, Effect.migrate, Life())
    ledger.saw(1, VM, Guest.absent)
    assert told[1:] == [e.GuestSeen(VM, Guest.absent)]


def test_an_abort_ends_when_the_migration_does(ledger, told):
    counted(ledger, told, {VM: Guest.running})
    task = ledger.begin(VM, Job.migrate, Effect.migrate, Life())
    assert ledger.abort(VM) is task
    ledger.end(task, Guest.running)
    assert told[1:] == [e.JobDone(VM, Job.abort, Guest.running)]
    assert ledger.abort(VM) is None


def test_a_migration_that_was_found_under_way_can_be_broken_off(ledger, told):
    task = Task(VM, Job.migrate, None, Life(), 1)
    event = counted(ledger, told, {VM: Guest.running}, [task])
    assert event.jobs == {VM: Job.migrate}
    assert ledger.abort(VM) is task


def test_a_shutdown_stands_in_nobodys_way(ledger, told):
    counted(ledger, told, {VM: Guest.running})
    shutdown = ledger.begin(VM, Job.shutdown, Effect.shutdown, Life())
    destroy = ledger.begin(VM, Job.destroy, Effect.destroy, Life())
    assert ledger.is_current(shutdown)
    ledger.end(destroy, Guest.absent)
    ledger.end(shutdown, Guest.absent)
    assert [event.job for event in told[1:]] == [Job.destroy, Job.shutdown]


def test_a_closed_port_reports_nothing(ledger, told):
    counted(ledger, told)
    ledger.close()
    ledger.saw(1, VM, Guest.running)
    assert len(told) == 1


# ---- the pool


def test_no_more_threads_work_than_were_allowed():
    workers, gate, running, most = Workers("test", 2), threading.Event(), [], []
    done = threading.Semaphore(0)

    def work():
        running.append(1)
        most.append(len(running))
        gate.wait(60)
        running.pop()
        done.release()

    for number in range(6):
        workers.give(number, work)
    gate.set()
    for _ in range(6):
        assert done.acquire(timeout=60)
    assert max(most) <= 2


def test_the_same_work_waits_once_and_can_be_taken_back():
    workers, gate, did, done = Workers("test", 1), threading.Event(), [], threading.Event()
    workers.give("first", lambda: gate.wait(60))
    for _ in range(3):
        workers.give("second", lambda: did.append("second"))
    workers.give("third", lambda: did.append("third"))
    workers.give("last", done.set)
    assert workers.take_back("third")
    assert not workers.take_back("third")
    gate.set()
    assert done.wait(60)
    assert did == ["second"]


def test_work_that_fails_does_not_end_its_thread(caplog):
    workers, done = Workers("test", 1), threading.Event()
    workers.give("bad", lambda: 1 / 0)
    workers.give("good", done.set)
    assert done.wait(60)
    assert "nobody foresaw" in caplog.text


def test_what_libvirt_shows_of_a_guest_that_has_left_counts_once_libvirt_has_tidied_up(ledger, told):
    """It shows the old copy paused, or none and takes none: by either a Core would decide wrongly."""
    counted(ledger, told, {VM: Guest.running})
    task = ledger.begin(VM, Job.migrate, Effect.migrate, Life())
    ledger.has_left(task)
    assert told[-2:] == [e.JobDone(VM, Job.migrate, Guest.absent), e.GuestSeen(VM, Guest.unknown)]
    for shown in (Guest.paused, Guest.absent):
        ledger.saw(1, VM, shown)
    assert told[-1] == e.GuestSeen(VM, Guest.unknown)
    assert ledger.tidied(task)
    ledger.saw(1, VM, Guest.absent)
    assert told[-1] == e.GuestSeen(VM, Guest.absent)
    assert not ledger.tidied(task)
