"""Decision and write may be one step in the model, because the store refuses a write that was overtaken."""

import pytest

from pvc.check.coarse import CoarseGuestModel
from pvc.check.explore import explore
from pvc.check.slow import SlowGuestModel
from pvc.check.space import Size, Space
from pvc.fsm.states import Handover


class SlowCoarse(SlowGuestModel, CoarseGuestModel):
    """Writes that take their time, in the coarse model."""


def slow_space(handover, careless=False):
    """Two nodes and one VM, with slow writes."""
    return Space(Size(2, 1, handover, exact=False), guest_model=SlowCoarse(2, handover, careless=careless))


@pytest.mark.parametrize("handover", Handover)
def test_writes_that_take_their_time_are_safe(handover):
    found = explore(slow_space(handover), 1)
    assert found.complete
    assert found.violation is None


@pytest.mark.parametrize("handover", Handover)
def test_writes_without_a_check_of_the_version_are_not(handover):
    assert explore(slow_space(handover, careless=True), 1).violation is not None
