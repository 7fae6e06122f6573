"""A second VM changes nothing for the first: budgets apart, no decision about one VM reads another."""

from dataclasses import replace

import numpy as np
import pytest

from pvc.check.arrays import distinct
from pvc.check.explore import explore
from pvc.check.space import Size, Space
from pvc.fsm.states import Handover
from tests.check.renumbered import Renumbered


def _pairs(names, vms):
    """Every node part together with one VM's block, as numbers of ``names``."""
    space = Space(replace(names.size, vms=vms))
    found = explore(space)
    assert found.violation is None
    node, blocks = space.split(np.concatenate(found.levels))
    there = Renumbered(space, names)
    parts = [names.canonical(there.node[node], there.block[blocks[:, d]].reshape(-1, 1)) for d in range(vms)]
    return distinct(np.concatenate(parts))


@pytest.mark.parametrize("handover", Handover)
def test_what_one_of_two_vms_goes_through_a_single_one_goes_through_too(handover):
    names = Space(Size(2, 1, handover, exact=False))
    assert np.array_equal(_pairs(names, 2), _pairs(names, 1))
