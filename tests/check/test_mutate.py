"""The rows and guards that carry safety are missed at once; `pvc fsm check --mutate` asks the same of all."""

import pytest

from pvc.check.mutants import Mutant, mutants
from pvc.check.mutate import WORLDS, Judge
from pvc.check.survivors import SURVIVORS
from pvc.fsm import guards as g
from pvc.fsm.tables import TABLES

QUICK = [world for world in WORLDS if not world.size.exact or not world.size.vms or world.endless or world.by_hand or world.cold]


@pytest.fixture(scope="module")
def judge():
    return Judge(QUICK)


def _row(table, trigger, number=0):
    return TABLES[table].rows_for(trigger)[number]


@pytest.mark.parametrize(
    ("mutant", "verdict"),
    [
        (Mutant("domain", _row("domain", "off"), g.ABSENT), "a VM is called stop while its guest runs"),
        (Mutant("domain", _row("domain", "off", 1), g.IDLE), "while its guest runs"),
        (Mutant("domain", _row("domain", "off", 2), g.NOT_MOVING), "while its guest runs"),
        (Mutant("domain", _row("domain", "recover", 3), g.COPY_HARMLESS), "while its guest runs"),
        (Mutant("domain", _row("domain", "claim")), "settle"),
        (Mutant("migration", _row("migration", "hand_over"), g.ABSENT), "while its guest runs"),
        (Mutant("migration", _row("migration", "hand_over")), "settle"),
        (Mutant("migration", _row("migration", "resume")), "settle"),
        (Mutant("migration", _row("migration", "accept")), "cannot be reached"),
        (Mutant("migration", _row("migration", "begin")), "cannot be reached"),
        (Mutant("migration", _row("migration", "wake"), g.PAUSED_HANDOVER), "two guests of one VM run"),
        (Mutant("fence", _row("fence", "prove"), g.READ_OFF), "a VM was recovered while its guest runs"),
        (Mutant("fence", _row("fence", "prove", 2)), "settle"),
        (Mutant("fence", _row("fence", "shoot")), "cannot be reached"),
        (Mutant("fence", _row("fence", "miss")), "cannot be reached"),
        (Mutant("fence", _row("fence", "adopt")), "settle"),
        (Mutant("fence", _row("fence", "declare"), g.NOT_STOPPED), "no partner"),
        (Mutant("node", _row("node", "join"), g.OUTSIDE), "a daemon may not be stopped"),
        (Mutant("fence", _row("fence", "suspect"), g.LOST), "a node that holds its session is under a fence"),
        (Mutant("domain", _row("domain", "collide")), "cannot be reached"),
        (Mutant("domain", _row("domain", "unpause")), "settle"),
        (Mutant("domain", _row("domain", "cleared")), "settle"),
        (Mutant("domain", _row("domain", "cleared", 2)), "settle"),
        (Mutant("domain", _row("domain", "cleared", 3)), "settle"),
        (Mutant("domain", _row("domain", "cleared", 5)), "settle"),
        (Mutant("domain", _row("domain", "suspend_stray")), "settle"),
        (Mutant("domain", _row("domain", "discard_stray")), "settle"),
        (Mutant("domain", _row("domain", "resolve_keep")), "an admin may not say 'resolve_keep' to a VM in conflict"),
        (Mutant("domain", _row("domain", "relocate")), "settle"),
        (Mutant("domain", _row("domain", "stop", 1)), "an admin may not say 'stop'"),
    ],
    ids=lambda value: value.name if isinstance(value, Mutant) else None,
)
def test_what_carries_safety_is_missed(judge, mutant, verdict):
    notice = judge.judge(mutant)
    assert notice is not None
    assert verdict in notice.what


def test_every_mutant_has_a_name_of_its_own():
    names = [mutant.name for mutant in mutants()]
    assert len(names) == len(set(names))


def test_every_reason_is_about_a_mutant_and_given_once():
    excused = [name for _, names in SURVIVORS for name in names]
    assert set(excused) <= {mutant.name for mutant in mutants()}
    assert len(excused) == len(set(excused))
