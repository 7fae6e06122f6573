"""The worlds that the contract of the store is tried in."""

import pytest

from tests import ensemble as zk
from tests.cluster.worlds import MemoryWorld, ZooKeeperWorld


@pytest.fixture(scope="session")
def shared_ensemble(require, tmp_path_factory):
    """Three servers for all tests."""
    require("ZooKeeper", zk.available(), "install the Debian package zookeeper")
    with zk.running(tmp_path_factory.mktemp("ensemble")) as ensemble:
        yield ensemble


@pytest.fixture
def ensemble(shared_ensemble):
    """Three servers that all serve; a test may do to them what it likes."""
    shared_ensemble.start()
    return shared_ensemble


@pytest.fixture(params=["memory", pytest.param("zookeeper", marks=pytest.mark.ensemble)])
def world(request):
    """Either store, on an empty tree."""
    world = MemoryWorld() if request.param == "memory" else ZooKeeperWorld(request.getfixturevalue("ensemble"))
    yield world
    world.close()


@pytest.fixture
def zookeeper(ensemble):
    """The real store, on an empty tree."""
    world = ZooKeeperWorld(ensemble)
    yield world
    world.close()
