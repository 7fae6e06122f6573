"""What an admin does about a lost node: their word, what follows from it, and when it is refused."""

import pytest

from pvc.errors import NotFound, Refused, UsageProblem
from pvc.fsm.states import Daemon, Domain, Fence
from tests.client.test_nodes import up


def lost(world, name="hv2"):
    """The node has no power, and nobody hears from its device."""
    world.small.power_off(name)
    world.small.ensemble.advance(60)
    world.quiet(5)


def test_a_word_that_a_node_is_off_recovers_what_it_owned_and_is_kept(cluster, world):
    up(cluster, "web1", "hv2")
    lost(world)
    assert cluster.domain("web1").life.owner == "hv2"
    cluster.confirm_off("hv2", "the rack is dark")
    world.quiet()
    record = cluster.node("hv2").record
    assert (record.life.daemon, record.life.fence) == (Daemon.fenced, Fence.proven)
    assert "anna@desk gave their word that it is off: the rack is dark" in record.fence.reason
    assert cluster.domain("web1").life.state is Domain.start
    assert cluster.domain("web1").life.owner in ("hv1", "hv3")


def test_a_node_that_answers_is_not_off_whatever_anybody_says(cluster):
    with pytest.raises(Refused, match="hv2 holds its session"):
        cluster.confirm_off("hv2", "I think so")
    assert cluster.node("hv2").record.life.fence is Fence.none


def test_a_word_needs_a_reason_and_a_node(cluster, world):
    lost(world)
    with pytest.raises(UsageProblem, match="needs a reason"):
        cluster.confirm_off("hv2", " ")
    with pytest.raises(NotFound, match='no node called "hv9"'):
        cluster.confirm_off("hv9", "gone")
    cluster.confirm_off("hv2", "gone")
    with pytest.raises(Refused, match="it is proven already"):
        cluster.confirm_off("hv2", "gone")
