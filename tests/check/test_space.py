"""Leaving out names hides nothing."""

from dataclasses import replace

import numpy as np
import pytest

from pvc.check.arrays import distinct
from pvc.check.explore import explore
from pvc.check.liveness import settle
from pvc.check.space import Size, Space
from pvc.fsm.states import Handover
from tests.check.renumbered import Renumbered


def _all(found):
    return np.concatenate(found.levels)


def _same_states(size, faults):
    """Whether the space without names has the states of the one with names; and how many each has."""
    reduced = Space(size)
    plain = Space(replace(size, symmetry=False))
    less, whole = explore(reduced, faults), explore(plain, faults)
    assert less.violation is None
    assert whole.violation is None
    numbers = distinct(Renumbered(plain, reduced).of(_all(whole)))
    return np.array_equal(numbers, distinct(_all(less))), less, whole


@pytest.mark.parametrize(
    ("size", "faults"),
    [
        (Size(2, 1, Handover.paused, exact=False), None),
        (Size(2, 1, Handover.libvirt, exact=False), None),
        (Size(2, 1, Handover.libvirt), 0),
        (Size(1, 2, exact=False), None),
        (Size(2, 2, Handover.libvirt, exact=False), 1),
        (Size(3, 0), 0),
    ],
)
def test_a_state_is_reached_without_names_if_it_is_reached_with_names(size, faults):
    same, less, whole = _same_states(size, faults)
    assert same
    assert less.states < whole.states
    if size.exact:
        assert bool(settle(whole)) is bool(settle(less)) is True


def test_a_number_is_unpacked_to_the_state_that_it_stands_for():
    space = Space(Size(2, 2, exact=False))
    start = space.initial()
    assert space.pack(space.unpack(start)) == start


@pytest.mark.parametrize("exact", [False, True])
def test_every_reached_state_is_its_own_least_form(exact):
    space = Space(Size(2, 1, exact=exact))
    found = explore(space, 1 if not exact else 0, most=20_000)
    assert all(space.pack(space.unpack(number)) == number for level in found.levels for number in level.tolist())


def test_many_at_once_have_the_successors_of_one_at_a_time():
    space = Space(Size(2, 1))
    found = explore(space, 0, most=2000)
    for number in found.levels[5][:200].tolist():
        at_once = set(space.successors(np.array([number])).state.tolist())
        singly = {space.pack(after) for _, _, after in space.steps(space.unpack(number))}
        assert at_once | {number} == singly | {number}


def test_a_heir_finds_the_same_states_as_its_base():
    base = Space(Size(2, 1, exact=False))
    found = explore(base)
    heir = Space(Size(2, 1, exact=False))
    heir.inherit(base, set(), set())
    assert explore(heir).states == found.states
