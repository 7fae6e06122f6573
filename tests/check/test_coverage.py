"""Every row fires somewhere in the exact model, or it is written down why it cannot."""

import pytest

from pvc.check.coverage import EXCUSED, recording, silent
from pvc.check.explore import explore
from pvc.check.space import Size, Space
from pvc.fsm.states import Handover
from pvc.fsm.tables import TABLES


def test_every_row_fires_but_those_that_are_excused(exact):
    fired = exact(Handover.paused, 1)[1] | exact(Handover.libvirt, 1)[1]
    assert set(silent(fired)) == EXCUSED


def test_without_a_fault_no_guest_is_lost_and_nobody_is_shot(exact):
    for handover in Handover:
        quiet = silent(exact(handover, 0)[1])
        assert {"domain ended 2", "domain give_up", "domain recover 4", "fence shoot"} <= set(quiet)


def test_a_row_that_fires_is_taken_down_with_its_partner():
    rules = recording()
    explore(Space(Size(1, 1), rules), 0)
    fired = {row.trigger for row in rules.fired}
    assert {"start", "claim", "started"} <= fired
    assert len(silent(())) == sum(len(table.rows) for table in TABLES.values())


@pytest.mark.parametrize("name", sorted(EXCUSED))
def test_an_excuse_names_a_row_that_exists(name):
    assert name in silent(())
