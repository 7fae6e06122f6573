"""A node that was fenced and is back takes its VMs home, where its configuration says so: once, and never what an admin flushed."""

from types import SimpleNamespace

import pytest

from pvc.cluster import znodes
from pvc.cluster.formats import decode_history
from pvc.cluster.store import NotConnected, Set
from pvc.daemon.homecoming import WHY, Homecoming
from pvc.fsm.states import Domain, Flush
from tests.client.world import World, xml


def rests(world):
    world.quiet(60)


@pytest.fixture
def back():
    """hv2 has lost its power, its VM was recovered elsewhere, and hv2 works again."""
    world = World()
    client = world.client()
    client.define(xml("web"), home="hv2")
    client.start("web")
    rests(world)
    assert client.domain("web").life.owner == "hv2"
    found = SimpleNamespace(world=world, client=client, small=world.small)
    die(found)
    heard = []
    world.small.straws["hv2"].moved = heard.append
    world.small.power_on("hv2")
    rests(world)
    found.home = keeper(found)
    for transition in heard:
        found.home.moved(transition)
    return found


def die(found):
    found.small.power_off("hv2")
    found.small.ensemble.advance(60)
    rests(found.world)
    found.client.confirm_off("hv2", "no light is on")
    rests(found.world)


def keeper(found):
    executor = found.small.agents["hv2"].executor
    return Homecoming("hv2", found.small.stores["hv2"], lambda: executor.token, lambda: "now")


def entries(found):
    path = znodes.events("hv2")
    return decode_history(path, found.small.client.read(path).data).entries


def test_what_was_recovered_elsewhere_comes_home(back):
    assert back.client.domain("web").life.owner != "hv2"
    assert back.home.turn()
    rests(back.world)
    life = back.client.domain("web").life
    assert (life.state, life.owner) == (Domain.start, "hv2")
    assert back.client.node("hv2").record.life.flush is Flush.ready
    (told,) = [entry for entry in entries(back) if entry.trigger == "ready" and entry.machine == "flush"]
    assert (told.by, told.who, told.why) == ("client", "hv2", WHY)


def test_a_session_that_ends_right_after_the_return_does_not_make_it_a_restart(back):
    """Its server may just be starting as well; the daemon joins anew before it has looked for the first time."""
    join_anew(back)
    assert keeper(back).turn() is False, "a daemon that did not see it return knows of no return"
    assert back.home.turn()
    rests(back.world)
    assert back.client.domain("web").life.owner == "hv2"
    join_anew(back)
    assert not back.home.turn(), "that was the same return"


def join_anew(back):
    token = back.small.agents["hv2"].executor.token
    back.small.stores["hv2"].disconnect()
    back.small.ensemble.advance(60)
    back.small.stores["hv2"].reconnect()
    rests(back.world)
    assert back.small.agents["hv2"].executor.token > token


def test_it_is_done_once_for_each_return(back):
    assert back.home.turn()
    rests(back.world)
    back.client.migrate("web", "hv1")
    rests(back.world)
    assert not back.home.turn()
    assert not keeper(back).turn(), "a daemon that is started anew looks at what was done before"
    assert back.client.domain("web").life.owner == "hv1"


def test_a_daemon_that_was_only_restarted_calls_nobody(back):
    back.small.kill_daemon("hv2")
    back.small.start_daemon("hv2")
    rests(back.world)
    assert not keeper(back).turn()


def test_a_node_that_was_flushed_waits_for_an_admin(back):
    back.small.tell_node("hv2", "flush")
    rests(back.world)
    assert not back.home.turn()
    assert back.client.node("hv2").record.life.flush is Flush.flushed


def test_nothing_is_looked_at_before_the_node_has_joined(back):
    assert not Homecoming("hv2", None, lambda: None, lambda: "now").turn()


def test_a_former_self_gives_nothing_back(back):
    boot = back.small.client.read(znodes.boot("hv2"))
    back.small.client.multi([Set(znodes.boot("hv2"), boot.data, boot.version)])
    assert not back.home.turn()
    assert back.client.node("hv2").record.life.flush is Flush.ready


def test_it_is_tried_again_when_zookeeper_was_away(back, monkeypatch):
    store = back.small.stores["hv2"]

    def away(*arguments, **more):
        raise NotConnected("no server answers", "wait")

    with monkeypatch.context() as patched:
        patched.setattr(store, "multi", away)
        assert not back.home.turn()
    assert back.home.turn()
