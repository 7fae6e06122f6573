"""Waiting: by events, with everything told, through outages, and never longer than asked."""

import pytest

from pvc.client.goals import Verdict
from pvc.cluster import znodes
from pvc.cluster.records import MAX_HISTORY_ENTRIES
from pvc.cluster.store import Changed, Connection, State
from pvc.errors import NoQuorum, Refused, TimedOut
from pvc.fsm.states import Domain
from tests.client.world import xml


@pytest.fixture
def web1(cluster):
    """A VM at home on hv1."""
    return cluster.define(xml("web1"), home="hv1")


def test_each_transition_is_told_once_and_those_before_the_command_are_not(cluster, web1):
    cluster.wait_for(cluster.start("web1"), timeout_s=60)
    said = []
    assert cluster.wait_for(cluster.stop("web1"), said.append, 60) == "web1 is off (stop)"
    assert said == [
        "web1: stop, it stays start (by anna@desk)",
        "web1: start -> destroy (halt by hv1)",
        "web1: destroy -> stop (off by hv1)",
    ]


def test_the_reason_of_a_failure_is_told(cluster, world, web1):
    world.fails.add("create")
    said = []
    with pytest.raises(Refused):
        cluster.wait_for(cluster.start("web1"), said.append, 300)
    assert any("boot -> place (ended by hv1): It failed to start" in line for line in said)


def test_a_long_story_is_told_to_its_end(cluster, world, web1):
    for _ in range(MAX_HISTORY_ENTRIES):
        cluster.set_policy("web1", shutdown_timeout_s=61)
    said = []
    cluster.wait_for(cluster.start("web1"), said.append, 60)
    assert len(said) == 3


def test_waiting_ends_in_time_and_the_operation_goes_on(cluster, world, web1):
    world.lazy = True
    with pytest.raises(TimedOut, match="web1 is still boot: it goes on"):
        cluster.wait_for(cluster.start("web1"), timeout_s=30)
    world.lazy = False
    assert cluster.wait_until("web1", lambda record: _running(record)) == "up"


def _running(record):
    return Verdict(True, "up") if record.life.state is Domain.start else None


def test_a_timeout_of_nothing_is_not_a_wait(cluster, world, web1):
    before = world.small.ensemble.now
    with pytest.raises(TimedOut):
        cluster.wait_for(cluster.start("web1"), timeout_s=0)
    assert world.small.ensemble.now == before


def test_an_outage_is_told_and_waited_through(cluster, world, web1):
    asked = cluster.start("web1")
    world.lazy = True
    world.idles = [lambda: None, cluster.store.disconnect, lambda: None, cluster.store.reconnect, lambda: setattr(world, "lazy", False)]
    said = []
    assert cluster.wait_for(asked, said.append, 60) == "web1 runs on hv1"
    assert any("ZooKeeper does not answer" in line for line in said)
    assert said[-1].startswith("web1: boot -> start")


def test_what_was_before_the_command_is_not_taken_for_its_end(cluster, world, web1):
    cluster.wait_for(cluster.start("web1"), timeout_s=60)
    world.lazy = True
    asked = cluster.restart("web1")  # the record says `start` before and after it
    with pytest.raises(TimedOut):
        cluster.wait_for(asked, timeout_s=20)


def test_an_event_of_an_earlier_watch_is_not_taken_for_its_end(cluster, world, web1):
    path = znodes.domain(web1.uuid)
    early = cluster.store.read(path)  # off, and wanted off
    cluster.wait_for(cluster.start("web1"), timeout_s=60)
    world.lazy = True
    asked = cluster.stop("web1")
    world.idles = [lambda: cluster.ear.hear(Changed(path, early, cluster.store.generation))]
    with pytest.raises(TimedOut):
        cluster.wait_for(asked, timeout_s=20)


def test_an_outage_that_is_over_is_not_told(cluster, web1):
    asked, said = cluster.start("web1"), []
    cluster.ear.hear(Connection(State.SUSPENDED, 1, 1))
    cluster.wait_for(asked, said.append, 60)
    assert not any("ZooKeeper" in line for line in said)


@pytest.mark.parametrize(("verb", "said"), [("stop", "somebody wants web1 stop now"), ("undefine", "somebody wants web1 delete now")])
def test_somebody_who_decides_otherwise_meanwhile_is_named_as_the_reason(cluster, world, web1, verb, said):
    other = world.client("ben@hall")
    asked = cluster.start("web1")
    world.lazy = True
    world.idles = [lambda: None, lambda: getattr(other, verb)("web1")]
    with pytest.raises(Refused, match=said):
        cluster.wait_for(asked, timeout_s=60)


def test_a_vm_that_is_defined_anew_meanwhile_is_another_one(cluster, world, web1):
    other = world.client("ben@hall")
    asked = cluster.start("web1")
    data = cluster.dump("web1")

    def replaced():
        other.undefine("web1")
        other.define(data, home="hv1")

    world.idles = [replaced]
    with pytest.raises(Refused, match="undefined and defined again"):
        cluster.wait_for(asked, timeout_s=60)


def test_a_lost_answer_is_looked_up_and_not_repeated(cluster, world, web1):
    cluster.store.lose_next_reply(applied=True)
    world.idles = [cluster.store.reconnect]
    asked = cluster.start("web1")
    assert cluster.wait_for(asked, timeout_s=60) == "web1 runs on hv1"
    assert [entry.trigger for entry in cluster.history("web1")].count("start") == 1


def test_a_request_that_was_lost_is_decided_again(cluster, world, web1):
    cluster.store.lose_next_reply(applied=False)
    world.idles = [cluster.store.reconnect]
    assert cluster.start("web1").life.state is Domain.place
    assert [entry.trigger for entry in cluster.history("web1")].count("start") == 1


def test_an_answer_that_stays_away_is_said_to_be_unknown(cluster, world, web1):
    cluster.store.lose_next_reply(applied=True)
    with pytest.raises(NoQuorum, match="this may have been done, or not"):
        cluster.start("web1")


def test_without_a_connection_nothing_is_sent(cluster, web1):
    cluster.store.disconnect()
    with pytest.raises(Exception, match="nothing was sent") as caught:
        cluster.start("web1")
    assert caught.value.exit_code == 5


def test_a_node_that_does_not_answer_is_named_at_once(cluster, world, web1):
    cluster.wait_for(cluster.start("web1"), timeout_s=60)
    world.small.power_off("hv1")
    world.small.ensemble.advance(8)
    said = []
    asked = cluster.stop("web1")
    with pytest.raises(TimedOut):
        cluster.wait_for(asked, said.append, 0)
    assert said == ["web1: hv1 does not answer: this goes on when it is back, or proven off"]
