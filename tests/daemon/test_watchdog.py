"""The kernel's watchdog: what is asked of the device, and when it is let go."""

import array
import os
from pathlib import Path

import pytest

from pvc.daemon import watchdog
from pvc.daemon.watchdog import LinuxWatchdog, WatchdogKeeper
from pvc.errors import PvcError
from tests.agent.test_watchdog import Machine, W, World


def kept():
    """A world, and the keeper of its node."""
    world = World(Machine())
    return world, WatchdogKeeper("hv1", world.small.stores["hv1"], world.machine.arm, W, lambda: world.executor.token)


@pytest.mark.parametrize("stopped", [True, False])
def test_it_is_disarmed_only_where_the_record_says_that_the_node_was_stopped(stopped):
    world, keeper = kept()
    keeper.turn()
    keeper.close(stopped)
    assert world.machine.disarmed is stopped


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
