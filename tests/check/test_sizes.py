"""The sizes that every change must pass: what is safe, by the coarse model, and what settles, by the exact one."""

import pytest

from pvc.check.explore import explore
from pvc.check.liveness import settle
from pvc.check.space import Size, Space
from pvc.fsm.states import Handover


def safe(nodes, vms, handover, faults=None):
    """Whether every state was visited, and none of them violates anything."""
    found = explore(Space(Size(nodes, vms, handover, exact=False)), faults)
    return found.complete and found.violation is None


@pytest.mark.parametrize("handover", Handover)
def test_two_nodes_and_one_vm_are_safe_under_any_number_of_faults(handover):
    assert safe(2, 1, handover)


@pytest.mark.parametrize("handover", Handover)
def test_two_nodes_and_two_vms_are_safe_under_any_number_of_faults(handover):
    assert safe(2, 2, handover)


@pytest.mark.parametrize("handover", Handover)
def test_three_nodes_and_one_vm_are_safe_under_any_number_of_faults(handover):
    assert safe(3, 1, handover)


@pytest.mark.parametrize("handover", Handover)
def test_three_nodes_and_two_vms_are_safe_under_two_faults(handover):
    assert safe(3, 2, handover, faults=2)


@pytest.mark.parametrize("handover", Handover)
@pytest.mark.parametrize("faults", [0, 1])
def test_everything_settles(exact, handover, faults):
    found, _ = exact(handover, faults)
    assert found.complete
    assert found.violation is None
    assert settle(found)
