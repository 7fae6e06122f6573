"""The watchdog: fed only after a write that was sent after the last feeding, so a machine is off when its peers say so, come what may."""

import array
import os
import random
from pathlib import Path

import pytest

from pvc.cluster import znodes
from pvc.cluster.formats import decode_node
from pvc.cluster.store import Delete, NotConnected, Set
from pvc.daemon import watchdog
from pvc.daemon.watchdog import MARGIN_S, LinuxWatchdog, WatchdogKeeper, reset_after_s
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
    """The keeper of hv1 in a small cluster."""

    def __init__(self, machine):
        self.small = SmallCluster(nodes=3, vms=0)
        self.machine, self.executor = machine, self.small.agents["hv1"].executor
        self.keeper = WatchdogKeeper(
            "hv1", self.small.stores["hv1"], machine.arm, W, lambda: self.executor.token
        )

    @property
    def announced(self):
        return decode_node("hv1", self.small.client.read(znodes.node("hv1")).data).fencing.reset_s


def test_it_is_armed_then_fed_then_announced():
    world = World(Machine())
    assert (world.keeper.turn(), world.machine.fed_at, world.announced) == (False, 0.0, 0)
    world.machine.now = 3.0
    assert (world.keeper.turn(), world.machine.fed_at) == (True, 3.0)
    assert world.announced == reset_after_s(W) == 3 * W + MARGIN_S


def test_who_joins_anew_withdraws_the_announcement_and_makes_it_again():
    world = World(Machine())
    world.keeper.turn()
    world.keeper.turn()
    world.small.kill_daemon("hv1")
    world.small.start_daemon("hv1")
    world.small.settle()
    assert world.announced == 0
    world.keeper._store, world.executor = world.small.stores["hv1"], world.small.agents["hv1"].executor
    world.keeper.turn()
    assert world.announced == reset_after_s(W)


def test_without_its_proof_of_life_nobody_feeds():
    """Its session has ended, and it has another one; its peers have begun to count."""
    world = World(Machine())
    world.keeper.turn()
    world.keeper.turn()
    world.machine.now = 5.0
    world.small.client.multi([Delete(znodes.alive("hv1"), world.small.client.read(znodes.alive("hv1")).version)])
    assert (world.keeper.turn(), world.machine.fed_at) == (False, 0.0)


def test_a_former_self_does_not_feed():
    world = World(Machine())
    world.keeper.turn()
    boot = world.small.client.read(znodes.boot("hv1"))
    world.small.client.multi([Set(znodes.boot("hv1"), boot.data, boot.version)])
    world.machine.now = 5.0
    assert (world.keeper.turn(), world.machine.fed_at) == (False, 0.0)


def test_without_zookeeper_nobody_feeds(monkeypatch):
    world = World(Machine())
    world.keeper.turn()

    def away(ops):
        raise NotConnected("there is no quorum")

    monkeypatch.setattr(world.keeper._store, "multi", away)
    assert not world.keeper.turn()


@pytest.mark.parametrize("stopped", [True, False])
def test_it_is_disarmed_only_where_the_record_says_that_the_node_was_stopped(stopped):
    world = World(Machine())
    world.keeper.turn()
    world.keeper.close(stopped)
    assert world.machine.disarmed is stopped


def test_a_watchdog_that_cannot_be_relied_upon_is_never_announced():
    world = World(Machine())

    def refuse():
        raise PvcError("it is disarmed by whoever closes it")

    world.keeper._arm = refuse
    assert not any(world.keeper.turn() for _ in range(3))
    assert world.announced == 0


@pytest.mark.parametrize("seed", range(300))
def test_the_machine_is_reset_before_its_peers_say_so_wherever_it_stood_still(seed):
    """The process stops anywhere for any time, and its session ends at any time: the last feeding is before E + W.

    The kernel may feed once more when the process dies, and the machine is reset W after that: before E + 3 W in all.
    """
    chance = random.Random(seed)
    machine = Machine(lambda: chance.choice((0.0, 0.0, chance.uniform(0, 1), chance.uniform(0, W * 1.2))))
    world = World(machine)
    real = world.keeper._store.multi
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

    world.keeper._store.multi = multi
    try:
        while machine.now < ends_at + 6 * W:
            world.keeper.turn()
            machine.now += W / 4
            machine.stand_still()
    except Bitten:
        assert not world.announced or machine.fed_at < ends_at + W  # before that nobody counts on it
        return
    assert machine.fed_at is None, "nothing has reset the machine"


# ---- the device


@pytest.fixture
def device(tmp_path, monkeypatch):
    """A pipe in place of a device, and what it says of itself: `device(options, timeout)`."""
    path = tmp_path / "watchdog"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def says(options, timeout=15):
        def ioctl(file, request, buffer, mutate):
            assert isinstance(buffer, array.array)
            if request == watchdog.GETSUPPORT:
                buffer[0] = options
            elif request == watchdog.GETTIMEOUT:
                buffer[0] = timeout
            return 0

        monkeypatch.setattr(watchdog.fcntl, "ioctl", ioctl)
        return path, lambda: os.read(reader, 100)

    yield says
    os.close(reader)


def test_a_device_is_fed_and_disarmed_by_the_magic_letter_alone(device):
    path, written = device(watchdog.MAGIC_CLOSE, timeout=30)
    found = LinuxWatchdog(path, 15)
    assert found.timeout_s == 30, "what the device has taken counts, not what it was asked for"
    found.feed()
    assert written() == b"\0"
    found.disarm()
    assert written() == b"V"


def test_a_device_that_its_closing_disarms_is_refused(device):
    path, written = device(0)
    with pytest.raises(PvcError, match="disarmed by whoever closes it"):
        LinuxWatchdog(path, 15)
    assert written() == b"V"


def test_what_is_no_watchdog_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PvcError, match="no watchdog that can be set"):
        LinuxWatchdog(tmp_path / "file", 15)
    with pytest.raises(PvcError, match="cannot be opened"):
        LinuxWatchdog(Path(tmp_path / "none"), 15)
