"""The five phases of a daemon, as a process on a real ZooKeeper. Each test names the promise that it holds the daemon to."""

import pytest

from pvc.cluster import znodes
from pvc.cluster.formats import decode_stats
from tests.daemon.conftest import INT, QUIT, TERM

pytestmark = pytest.mark.ensemble


def test_a_node_that_was_never_here_is_created_and_reaches_run(world):
    """ "If it does not, it adds the required keys for the new node" and "the node sets its daemon status to `run`"."""
    world.create()
    world.daemon().start()
    record = world.client.until_node("hv1", "run")
    assert record.machine.cpus > 0
    assert record.machine.libvirt == "9.0.0"
    assert decode_stats("hv1", world.client.store.read(znodes.stats("hv1")).data).tick >= 1


@pytest.mark.parametrize("number", [TERM, INT, QUIT])
def test_on_a_signal_it_says_stop_and_ends_its_session_last(world, number):
    """ "On shutdown, the daemon performs a cleanup, sets its daemon state to `stop`, and terminates the Zookeeper connection"."""
    world.create()
    daemon = world.daemon().start()
    world.client.until_node("hv1", "run")
    assert daemon.send(number).ended() == 0
    world.client.until_alive()
    world.client.until_node("hv1", "stop")
    assert (daemon.folder / "closed").exists()
