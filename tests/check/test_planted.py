"""Defects that were planted on purpose, each found with a short trace: a checker that finds nothing proves nothing."""

from dataclasses import replace

from pvc.check.coarse import CoarseGuestModel
from pvc.check.explore import explore, trace
from pvc.check.guests import GuestModel
from pvc.check.hypervisor import Hypervisor
from pvc.check.liveness import settle
from pvc.check.mutants import with_rows
from pvc.check.slow import SlowGuestModel
from pvc.check.space import Size, Space
from pvc.core.decide import Rules
from pvc.fsm import guards as g
from pvc.fsm.states import Domain, Fence, Handover, Want
from pvc.fsm.tables import TABLES
from tests.check.planted import planted, without


def also(table, trigger, **changes):
    """The rules with a further, faulty row of this trigger: the table stays sound by its own proof, and is wrong all the same."""
    rows = TABLES[table].rows
    row = next(row for row in rows if row.trigger == trigger)
    return Rules(with_rows({table: (replace(row, guards=row.guards[::-1], **changes), *rows)}))


def moves_to(violation, space):
    """How many moves lead to the first violation, which must be this one."""
    found = explore(space)
    assert found.violation is not None, "the defect was not found"
    told = trace(found, found.violation)
    (block,) = told[-1][1].blocks
    assert violation in (block.broken or "two guests of one VM run")
    return len(told)


def coarse(rules):
    return Space(Size(2, 1, exact=False), rules)


def test_a_client_that_writes_stop_itself():
    released = {"want": Want.stop, "owner": None, "target": None}
    rules = planted("domain", "stop", lambda row: Domain.start in row.source, dest=Domain.stop, sets=released)
    assert moves_to("is called stop while its guest runs", coarse(rules)) <= 6


def test_dead_that_counts_as_fenced():
    assert moves_to("recovered while its guest runs", coarse(also("fence", "declare", dest=Fence.proven, joint=PROVE))) <= 9


def test_recovery_after_a_failed_fence():
    assert moves_to("recovered while its guest runs", coarse(also("fence", "miss", dest=Fence.proven, joint=PROVE))) <= 12


PROVE = ("node", "prove")


class SlowCoarse(SlowGuestModel, CoarseGuestModel):
    """Writes that take their time, in the coarse model."""


def test_an_outcome_written_without_a_check_of_the_version():
    space = Space(Size(2, 1, exact=False), guest_model=SlowCoarse(2, careless=True))
    assert moves_to("", space) <= 10


def test_a_rebooted_host_that_has_not_joined_and_receives_a_migration():
    open_door = GuestModelWithOpenDoor(2, Handover.libvirt, hypervisor=Hypervisor(Handover.libvirt, open_door=True))
    assert moves_to("", Space(Size(2, 1, Handover.libvirt, exact=False), guest_model=open_door)) <= 18


class GuestModelWithOpenDoor(CoarseGuestModel):
    """The coarse model; which hypervisor it has is what matters here."""


def stubborn(rules):
    """Migrations to the second node always fail; no fault is needed."""
    model = GuestModel(2, rules=rules, hypervisor=Hypervisor(Handover.paused, stubborn=frozenset({1})))
    return settle(explore(Space(Size(2, 1, symmetry=False), rules, guest_model=model), 0))


def test_a_flush_that_retries_the_same_failing_target_for_ever():
    evacuate = next(row for row in TABLES["domain"].rows if row.trigger == "evacuate")
    verdicts = stubborn(planted("domain", "evacuate", guards=without(evacuate, g.CHOICE_UNTRIED)))
    assert verdicts.unsettled or verdicts.cycles


def test_the_real_flush_comes_to_rest_even_then():
    assert stubborn(Rules(TABLES))
