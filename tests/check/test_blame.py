"""What is judged beyond what the records say: orders, jobs, copies, and guests that are lost."""

import pytest

from pvc.check.coarse import CoarseNodeModel
from pvc.check.explore import explore, trace
from pvc.check.space import Size, Space
from pvc.fsm import guards as g
from pvc.fsm.states import Domain
from tests.check.planted import planted, without


def found(space, faults):
    """The first violation in words, and the number of moves there."""
    result = explore(space, faults, most=3_000_000)
    assert result.violation is not None
    return next(filter(None, space.verdicts(result.violation))), len(trace(result, result.violation))


def test_two_jobs_at_once():
    rules = planted("domain", "overdue", lambda row: row.dest is None, guards=lambda row: without(row, g.INTERRUPTIBLE))
    verdict, moves = found(Space(Size(2, 1), rules), 0)
    assert verdict == "a destroy job was ordered while a destroy job is in flight"
    assert moves <= 9


def test_a_copy_that_the_target_drops_although_it_was_given_it():
    rules = planted("domain", "discard_copy", guards=lambda row: without(row, g.STRAY_COPY))
    verdict, moves = found(Space(Size(2, 1), rules), 0)
    assert verdict == "a copy was dropped that the migration may need"
    assert moves <= 12


def test_a_vm_that_is_called_started_although_its_guest_does_not_run():
    rules = planted("domain", "migrated", guards=lambda row: without(row, g.RUNS))
    verdict, moves = found(Space(Size(2, 1), rules), 0)
    assert verdict == "a VM is called started while its guest does not run"
    assert moves <= 12


def test_a_migration_that_is_called_over_while_libvirt_copies():
    rules = planted("domain", "call_off", guards=lambda row: without(row, g.IDLE))
    verdict, moves = found(Space(Size(2, 1), rules), 0)
    assert verdict == "a VM was let go of while a migrate job is in flight"
    assert moves <= 9


def test_a_write_that_changes_nothing():
    rules = planted("domain", "stop", lambda row: g.NOT_STOP_YET in row.guards, guards=())
    verdict, moves = found(Space(Size(2, 1), rules), 0)
    assert verdict == "a write changes nothing: whoever has a reason for it has it again at once"
    assert moves <= 4


def test_a_restart_that_gets_lost_in_a_migration():
    rules = planted("domain", "migrate", guards=lambda row: without(row, g.NOT_RESTART_YET))
    verdict, moves = found(Space(Size(2, 1), rules), 0)
    assert verdict == "a restart that was asked for is forgotten"
    assert moves <= 6


def test_a_migration_to_where_the_guest_is():
    rules = planted("domain", "migrate", guards=lambda row: without(row, g.CHOICE_OTHER))
    verdict, moves = found(Space(Size(2, 1), rules), 0)
    assert verdict == "a VM is sent to where it is"
    assert moves <= 5


@pytest.mark.parametrize(("trigger", "faults"), [("suspect", 0), ("confirm", None)])
def test_a_fence_for_a_node_that_holds_its_session(trigger, faults):
    rules = planted("fence", trigger, guards=lambda row: without(row, g.LOST))
    verdict, moves = found(Space(Size(2, 0), rules), faults)
    assert verdict == "a node that holds its session is under a fence"
    assert moves <= 3


@pytest.mark.parametrize(("table", "trigger", "guard"), [("domain", "migrate_failed", g.HOPELESS), ("migration", "abort", g.CALLED_OFF)])
def test_a_migration_that_is_given_up_for_nothing(table, trigger, guard):
    rules = planted(table, trigger, guards=lambda row: without(row, guard))
    verdict, moves = found(Space(Size(2, 1), rules), 0)
    assert verdict == "a migration is given up that may succeed"
    assert moves <= 8


@pytest.mark.parametrize(
    ("trigger", "guard", "wrong"),
    [
        ("relocate", g.COLD, "a guest that is wanted up is told to go off"),
        ("go_home", g.HOME_FITS, "a VM is sent to a node that may not take it"),
    ],
)
def test_a_guest_that_is_moved_against_its_policy_or_to_nowhere(trigger, guard, wrong):
    rules = planted("domain", trigger, guards=lambda row: without(row, guard))
    assert found(Space(Size(2, 1), rules), 0)[0] == wrong


def test_a_guest_that_is_lost_although_nothing_failed():
    rules = planted("domain", "ended", lambda row: row.dest is Domain.place, guards=lambda row: without(row, g.NOT_MOVING))
    verdict, moves = found(Space(Size(2, 1), rules, calm=True), 0)
    assert verdict == "a guest was lost without a fault"
    assert moves <= 12


def test_a_fence_device_that_confirms_what_it_did_not_do():
    space = Space(Size(2, 1, exact=False), node_model=CoarseNodeModel(lies=True))
    verdict, moves = found(space, None)
    assert verdict == "a VM was recovered while its guest runs"
    assert moves <= 9
