"""The watchdog: fed only after a write that was sent after the last feeding, so a machine is off when its peers say so, come what may."""

import random

import pytest

from pvc.agent.watchdog import MARGIN_S, Feeder, reset_after_s
from pvc.cluster import znodes
from pvc.cluster.formats import decode_node
from pvc.cluster.store import Delete, NotConnected, Set
from pvc.errors import PvcError
from tests.agent.small_cluster import SmallCluster

W = 12.0


class Bitten(BaseException):
    """The machine is reset in the middle of whatever it does."""


class Machine:
    """A clock that jumps where a test wants the process to stand still, and a watchdog that bites by that clock."""

    timeout_s = W

    def __init__(self, pause=lambda: 0.0):
        self.now, self.pause, self.fed_at, self.disarmed = 0.0, pause, None, False

    def stand_still(self):
        self.now += self.pause()
        if self.fed_at is not None and not self.disarmed and self.now >= self.fed_at + W:
            raise Bitten

    def arm(self):
        self.stand_still()
        self.fed_at = self.now
        return self

    def feed(self):
        self.stand_still()
        self.fed_at = self.now

    def disarm(self):
        self.disarmed = True


class World:
    """The feeder of hv1 in a small cluster, and what it says."""

    def __init__(self, machine):
        self.small = SmallCluster(nodes=3, vms=0)
        self.machine, self.executor = machine, self.small.agents["hv1"].executor
        self.told, self.complaints = [], []
        heard = {"say": self.told.append, "complain": self.complaints.append}
        self.feeder = Feeder("hv1", self.small.stores["hv1"], machine.arm, lambda: self.executor.token, **heard)

    @property
    def announced(self):
        return decode_node("hv1", self.small.client.read(znodes.node("hv1")).data).fencing.reset_s


def test_it_is_armed_then_fed_then_announced():
    world = World(Machine())
    assert (world.feeder.turn(), world.machine.fed_at, world.announced) == (False, 0.0, 0)
    world.machine.now = 3.0
    assert (world.feeder.turn(), world.machine.fed_at) == (True, 3.0)
    assert world.announced == reset_after_s(W) == 3 * W + MARGIN_S


def test_who_joins_anew_withdraws_the_announcement_and_makes_it_again():
    world = World(Machine())
    world.feeder.turn()
    world.feeder.turn()
    world.small.kill_daemon("hv1")
    world.small.start_daemon("hv1")
    world.small.settle()
    assert world.announced == 0
    world.feeder._store, world.executor = world.small.stores["hv1"], world.small.agents["hv1"].executor
    world.feeder.turn()
    assert world.announced == reset_after_s(W)


def test_without_its_proof_of_life_nobody_feeds():
    """Its session has ended, and it has another one; its peers have begun to count."""
    world = World(Machine())
    world.feeder.turn()
    world.feeder.turn()
    world.machine.now = 5.0
    world.small.client.multi([Delete(znodes.alive("hv1"), world.small.client.read(znodes.alive("hv1")).version)])
    assert (world.feeder.turn(), world.machine.fed_at) == (False, 0.0)


def test_a_former_self_does_not_feed():
    world = World(Machine())
    world.feeder.turn()
    boot = world.small.client.read(znodes.boot("hv1"))
    world.small.client.multi([Set(znodes.boot("hv1"), boot.data, boot.version)])
    world.machine.now = 5.0
    assert (world.feeder.turn(), world.machine.fed_at) == (False, 0.0)


def test_without_zookeeper_nobody_feeds(monkeypatch):
    world = World(Machine())
    world.feeder.turn()

    def away(ops):
        raise NotConnected("there is no quorum")

    monkeypatch.setattr(world.feeder._store, "multi", away)
    assert not world.feeder.turn()


def test_a_watchdog_that_cannot_be_relied_upon_is_never_announced():
    world = World(Machine())

    def refuse():
        raise PvcError("it is disarmed by whoever closes it")

    world.feeder._arm = refuse
    assert not any(world.feeder.turn() for _ in range(3))
    assert world.announced == 0
    assert len(world.complaints) == 1, "it is said once"


@pytest.mark.parametrize("seed", range(300))
def test_the_machine_is_reset_before_its_peers_say_so_wherever_it_stood_still(seed):
    """The process stops anywhere for any time, and its session ends at any time: the last feeding is before E + W.

    The kernel may feed once more when the process dies, and the machine is reset W after that: before E + 3 W in all.
    """
    chance = random.Random(seed)
    machine = Machine(lambda: chance.choice((0.0, 0.0, chance.uniform(0, 1), chance.uniform(0, W * 1.2))))
    world = World(machine)
    real = world.feeder._store.multi
    ends_at, gone = chance.uniform(0, 5 * W), []

    def multi(ops):
        machine.stand_still()
        if machine.now >= ends_at and not gone:
            gone.append(ends_at)
            world.small.stores["hv1"].disconnect()
        if gone:
            raise NotConnected("its session has ended")
        versions = real(ops)
        machine.stand_still()
        return versions

    world.feeder._store.multi = multi
    try:
        while machine.now < ends_at + 6 * W:
            world.feeder.turn()
            machine.now += W / 4
            machine.stand_still()
    except Bitten:
        assert not world.announced or machine.fed_at < ends_at + W  # before that nobody counts on it
        return
    assert machine.fed_at is None, "nothing has reset the machine"
