"""An ensemble that goes back in time together: its election begins a new epoch, so every number of a transaction is higher than before."""

import shutil

import pytest

from pvc.cluster import znodes
from pvc.cluster.formats import decode_stats
from tests import ensemble as zk
from tests.daemon.conftest import World

pytestmark = [pytest.mark.ensemble, pytest.mark.long]


@pytest.fixture
def wide_world(require, tmp_path):
    """Three servers of which each may be stopped."""
    require("zookeeper", zk.available(), "a daemon needs a real one")
    with zk.running(tmp_path / "zookeeper", servers=3, sync_ticks=40, extra="maxSessionTimeout=20000\n") as ensemble:
        world = World(ensemble, tmp_path)
        yield world
        world.end()


def test_three_servers_that_were_restored_together_are_noticed_at_once_and_at_the_next_start(wide_world):
    world, servers = wide_world, wide_world.ensemble.servers
    world.create()
    daemon = world.daemon(session_timeout=20, dead_ticks=60).start()  # a new session would be a new start, and that one is missed first
    world.client.until_node("hv1", "run")

    def ticks(least):
        path = znodes.stats("hv1")
        return decode_stats("hv1", world.client.until(lambda found: decode_stats("hv1", found.data).tick >= least, path).data).tick

    before = ticks(3)
    for server in servers:
        server.freeze()
    for server in servers:
        shutil.copytree(server.directory / "data", world.folder / f"snapshot{server.number}")
    for server in servers:
        server.thaw()
    ticks(before + 8)
    world.ensemble.kill()
    for server in servers:
        shutil.rmtree(server.directory / "data")
        shutil.copytree(world.folder / f"snapshot{server.number}", server.directory / "data")
    world.ensemble.start()
    assert daemon.ended() == 1
    daemon.until_says("keepalives of this node are not there any more")
    assert daemon.start().ended() == 1
    daemon.until_says("nothing is automated on this node")
