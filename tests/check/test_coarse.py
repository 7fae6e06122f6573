"""The coarse model has every behaviour of the exact one: what is safe in it is safe."""

import numpy as np
import pytest

from pvc.check.arrays import distinct
from pvc.check.block import Block, Slot
from pvc.check.coarse import JOB_AS, coarse
from pvc.check.explore import CHUNK
from pvc.check.space import FAULTS, Size, Space
from pvc.fsm.states import Handover
from tests.check.renumbered import Renumbered


def _coarse_block(block):
    slots = tuple(Slot(slot.guest, JOB_AS.get(slot.job, slot.job)) for slot in block.slots)
    return Block(coarse(block.life), slots, block.broken)


def _pairs(source, dest, free, states):
    """Edges as one number each: which of the sorted ``states`` they join, and whether they cost a fault."""
    return (np.searchsorted(states, source) * len(states) + np.searchsorted(states, dest)) * 2 + free


def _missing(found):
    """The first exact edge without a coarse one, and how many edges were looked at."""
    space = found.space
    size = space.size
    coarse_space = Space(Size(size.nodes, size.vms, size.handover, exact=False))
    projection = Renumbered(space, coarse_space, coarse_space.node_model.tidied, _coarse_block)
    looked_at = 0
    for level in found.levels:
        for start in range(0, len(level), CHUNK):
            chunk = level[start : start + CHUNK]
            edges = space.successors(chunk)
            source, dest = projection.of(chunk)[edges.source], projection.of(edges.state)
            looked_at += len(source)
            free = ~np.isin(edges.kind, FAULTS)
            bad = np.flatnonzero(_has_no_twin(coarse_space, source, dest, free))
            if len(bad):
                return (int(chunk[edges.source[bad[0]]]), int(edges.state[bad[0]])), looked_at
    return None, looked_at


def _has_no_twin(coarse_space, source, dest, free):
    states = distinct(source)
    twins = coarse_space.successors(states)
    known = distinct(np.concatenate([states, source, dest, twins.state]))
    twin_free = ~np.isin(twins.kind, FAULTS)
    have = distinct(_pairs(states[twins.source], twins.state, twin_free, known))
    # A free coarse edge also stands for one that costs a fault: it hides nothing, it only comes sooner.
    asked = _pairs(source, dest, free, known)
    return (source != dest) & ~np.isin(asked, have) & ~(~free & np.isin(asked + 1, have))


@pytest.mark.parametrize("handover", Handover)
def test_every_move_of_the_exact_model_is_a_move_of_the_coarse_one(exact, handover):
    found, _ = exact(handover, 1)
    missing, looked_at = _missing(found)
    assert looked_at > 20_000_000
    if missing is not None:
        before, after = (found.space.unpack(number) for number in missing)
        labels = [label for label, _, state in found.space.steps(before) if found.space.pack(state) == missing[1]]
        pytest.fail(f"the coarse model lacks {labels}: from {before} to {after}")


def test_a_coarse_model_that_lacks_a_move_is_noticed(exact, monkeypatch):
    found, _ = exact(Handover.paused, 0)
    monkeypatch.setattr("pvc.check.coarse.LEFT_OPEN", frozenset())
    monkeypatch.setattr("pvc.check.coarse.kept", lambda row: row.guards)
    assert _missing(found)[0] is not None
