"""When a command is done, judged record by record."""

from dataclasses import replace

import pytest

from pvc.client.goals import GOALS, Asked, goal_of
from pvc.cluster.records import DomainRecord
from pvc.core.decide import RULES
from pvc.fsm.domain import DOMAIN
from pvc.fsm.states import By, Domain, Kind, Migration, Want
from pvc.fsm.views import Life

UP = Life(Domain.start, Want.start, owner="hv1", home="hv1", epoch=3)
OFF = Life(home="hv1")
MOVING = replace(UP, state=Domain.migrate, target="hv2", phase=Migration.moving, kind=Kind.migrate)


def record(life, gen="first", reason="Because."):
    """A VM."""
    return DomainRecord("6f1c0a52-8a0e-4c7e-9f60-0d2c5a0b6a11", "web1", gen, life, 512, 1, reason=reason)


def judged(trigger, before, after, now):
    """Done (True), failed (False), or going on (None)."""
    verdict = goal_of(Asked(trigger, record(before), after, 1))(now)
    return None if verdict is None else verdict.ok


def test_every_command_of_a_client_has_somebody_who_judges_it():
    assert set(GOALS) == {row.trigger for row in DOMAIN.rows if row.by & By.CLIENT}
    assert RULES.tables["domain"] is DOMAIN


PLACED = replace(OFF, state=Domain.place, want=Want.start, target="hv1")
ARRIVED = replace(UP, owner="hv2", epoch=4)


@pytest.mark.parametrize(
    ("trigger", "before", "after", "now", "ok"),
    [
        ("start", OFF, PLACED, record(PLACED), None),
        ("start", OFF, PLACED, record(replace(UP, state=Domain.boot)), None),
        ("start", OFF, PLACED, record(UP), True),
        ("start", OFF, PLACED, record(replace(OFF, state=Domain.failed, want=Want.start)), False),
        ("start", OFF, PLACED, record(replace(OFF, state=Domain.stop, want=Want.start)), False),  # it powered itself off
        ("start", OFF, PLACED, record(replace(UP, want=Want.stop)), False),
        ("start", OFF, PLACED, None, False),
        ("start", OFF, PLACED, record(UP, gen="second"), False),
        ("start", OFF, PLACED, record(replace(OFF, state=Domain.conflict, want=Want.start, target="hv3")), False),
        ("restart", UP, UP, record(UP), None),  # it has not begun
        ("restart", UP, UP, record(replace(UP, state=Domain.restart)), None),
        ("restart", UP, UP, record(replace(UP, epoch=4)), True),
        ("restart", UP, UP, record(replace(OFF, state=Domain.failed, want=Want.start)), False),
        ("stop", UP, UP, record(replace(UP, want=Want.stop)), None),
        ("stop", UP, UP, record(OFF), True),
        ("stop", UP, UP, record(UP), False),
        ("stop", UP, UP, None, False),
        ("undefine", UP, UP, None, True),
        ("undefine", UP, UP, record(replace(UP, want=Want.delete)), None),
        ("undefine", UP, UP, record(OFF), False),
        ("disable", UP, UP, record(replace(OFF, state=Domain.disable, want=Want.disable)), True),
        ("migrate", UP, MOVING, record(MOVING), None),
        ("migrate", UP, MOVING, record(ARRIVED), True),
        ("migrate", UP, MOVING, record(UP), False),
        ("migrate", UP, MOVING, record(replace(PLACED, target="hv3")), None),  # it died on its way, and is placed again
        ("migrate", UP, MOVING, record(replace(UP, owner="hv3")), False),
        ("migrate", UP, MOVING, None, False),
        ("move", OFF, replace(OFF, home="hv2"), record(replace(OFF, home="hv2")), True),
        ("cancel", MOVING, MOVING, record(MOVING), None),
        ("cancel", MOVING, MOVING, record(UP), True),
        ("cancel", MOVING, MOVING, record(ARRIVED), False),
        ("resolve_keep", replace(OFF, state=Domain.conflict, target="hv2"), UP, record(UP), True),
    ],
)
def test_a_command_is_done_failed_or_going_on(trigger, before, after, now, ok):
    assert judged(trigger, before, after, now) is ok


def test_a_failure_tells_the_reason_of_the_record():
    verdict = goal_of(Asked("start", record(OFF), PLACED, 1))(record(replace(OFF, state=Domain.failed), reason="No disk."))
    assert verdict.sentence == "web1 failed: No disk."
