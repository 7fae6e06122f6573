"""Spaces that several tests look at: each is explored once."""

from functools import cache

import pytest

from pvc.check.coverage import recording
from pvc.check.explore import explore
from pvc.check.space import Size, Space


@cache
def _exact(handover, faults):
    rules = recording()
    return explore(Space(Size(2, 1, handover), rules), faults), rules.fired


@pytest.fixture(scope="session")
def exact():
    """Call it as exact(handover, faults): the exploration of two nodes and one VM, and the rows that fired."""
    yield _exact
    _exact.cache_clear()
