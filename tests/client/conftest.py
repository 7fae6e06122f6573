"""A cluster of straw, and a client of it."""

import pytest

from tests.client.world import World


@pytest.fixture
def world():
    """Three nodes that work."""
    return World()


@pytest.fixture
def cluster(world):
    """A client of it."""
    return world.client()
