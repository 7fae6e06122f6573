"""What systemd hears."""

import os
import socket

import pytest

from pvc.daemon.notify import Notifier


@pytest.fixture
def systemd(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        yield listener


def said(listener, number):
    return [listener.recv(1000).decode() for _ in range(number)]


def test_readiness_state_and_end_are_told(systemd):
    notifier = Notifier({"NOTIFY_SOCKET": systemd.getsockname()})
    notifier.ready()
    notifier.status("run; 3 guests")
    notifier.status("run; 3 guests")
    notifier.stopping()
    assert said(systemd, 3) == ["READY=1", "STATUS=run; 3 guests", "STOPPING=1"]


def test_the_watchdog_is_fed_at_half_of_its_time_and_not_more_often(systemd):
    now = [0.0]
    notifier = Notifier({"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "10000000"}, lambda: now[0])
    for _ in range(3):
        notifier.alive()
    now[0] = 4.9
    notifier.alive()
    notifier.status("between")
    now[0] = 5.0
    notifier.alive()
    assert said(systemd, 3) == ["WATCHDOG=1", "STATUS=between", "WATCHDOG=1"]


def test_without_systemd_or_when_it_is_gone_nothing_happens(systemd, tmp_path):
    Notifier({}).ready()
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()


def test_an_abstract_socket_is_found():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        name = f"pvc-test-notify-{os.getpid()}"  # another run of the tests may have one too
        listener.bind(f"\0{name}")
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert said(listener, 1) == ["READY=1"]
