"""Traces in words."""

import pytest

from pvc.check import words
from pvc.check.explore import explore
from pvc.check.space import Size, Space
from pvc.fsm.states import By, Handover
from pvc.fsm.tables import TABLES


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        (("vm0", "client", "start", 1), "an admin says 'start' about vm1 on hv2"),
        (("vm0", "claim", 0, None), "hv1 claims vm1 and creates the guest"),
        (("vm1", "claim", 0, None, "reply lost"), "hv1 claims vm2 and creates the guest, and dies before it gives the order"),
        (("vm0", "recover", 0, 1), "hv1 recovers vm1 from its owner, which is proven off, choosing hv2"),
        (("vm0", "migrate done", 0, 1), "libvirt completes the migration of vm1 from hv1 to hv2"),
        (("vm0", "create fails", 1), "the create job of vm1 on hv2 fails"),
        (("power lost", 2), "hv3 loses its power"),
        (("shoot", 0, 1), "hv1 orders the power of hv2 to be cut"),
        (("read", 0, 1, "off"), "hv1 reads the power of hv2 again: off"),
        (("ready", 1), "an admin gives hv2 back"),
        (("ready", 1, 1), "hv2 is ready for work"),
    ],
)
def test_a_move_is_a_sentence(label, sentence):
    assert words.sentence(label) == sentence


def test_every_row_that_the_system_fires_has_a_sentence():
    told = {*words.ABOUT_VM, *words.ABOUT_NODE}
    partners = set().union(*(table.partner_triggers for table in TABLES.values()))
    for name in ("domain", "migration", "node", "fence", "flush"):
        for row in TABLES[name].rows:
            if row.by & ~By.CLIENT and row.trigger not in partners | {"leave"}:
                assert row.trigger in told, row


@pytest.mark.parametrize("handover", Handover)
@pytest.mark.parametrize("exact", [False, True])
def test_every_move_of_the_models_can_be_told(handover, exact):
    space = Space(Size(2, 1, handover, exact=exact))
    found = explore(space, most=30_000)
    for level in found.levels:
        for number in level[:: max(1, len(level) // 100)].tolist():
            state = space.unpack(number)
            assert list(words.situation(state))
            for label, _, _ in space.steps(state):
                assert "{" not in words.sentence(label)
