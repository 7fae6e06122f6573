"""What systemd and whoever reads the log get from a real daemon, from its preflight to its end."""

import contextlib
import shutil
import socket

import pytest

from tests.daemon.conftest import DEADLINE_S, STOP, TERM

pytestmark = pytest.mark.ensemble

FEW = 20
SECRET = "correct-horse-battery"


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """The other end of the notify protocol."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(DEADLINE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        yield listener


def heard_until(systemd, words):
    """All that it heard, up to this."""
    heard = []
    while words not in heard:
        heard.append(systemd.recv(4096).decode())
    return heard


def rest(systemd, silence_s):
    """All that it hears until it has heard nothing for so long, but not more than a few."""
    systemd.settimeout(silence_s)
    heard = []
    with contextlib.suppress(TimeoutError):
        while len(heard) < FEW:
            heard.append(systemd.recv(4096).decode())
    return heard


def test_it_is_ready_after_its_preflight_and_says_what_it_does(world, systemd):
    world.create()
    daemon = world.daemon().start()
    before = heard_until(systemd, "READY=1")
    assert before[0] == "STATUS=preflight"
    heard_until(systemd, "STATUS=0 VMs, session live, run")
    daemon.send(TERM)
    heard_until(systemd, "STOPPING=1")
    assert daemon.ended() == 0


def test_a_daemon_that_cannot_start_is_never_ready(world, systemd):
    assert world.daemon().start().ended() == 1
    assert rest(systemd, 0.1) == ["STATUS=preflight"]


def test_the_watchdog_hears_nothing_of_a_daemon_that_is_frozen(world, systemd):
    world.create()
    daemon = world.daemon().start()
    heard_until(systemd, "WATCHDOG=1")
    heard_until(systemd, "WATCHDOG=1")
    daemon.send(STOP)
    assert len(rest(systemd, 1.5)) < FEW, "it falls silent"


def test_no_password_is_ever_logged(world, monkeypatch, require):
    require("ipmitool", shutil.which("ipmitool") is not None, "a daemon with a fence device does not start without it")
    monkeypatch.setenv("PVCD_LOG", "debug")
    world.create()
    daemon = world.daemon(fence_method="ipmi", ipmi_hostname="127.0.0.1:9", ipmi_username="pvc", ipmi_password=SECRET)
    (daemon.folder / "pvcd.conf").chmod(0o600)  # it does not start with one that others can read
    daemon.start()
    world.client.until_node("hv1", "run")
    daemon.send(TERM).ended()
    code, said = daemon.run("--check")
    assert (code, "by ipmi at 127.0.0.1:9" in said) == (0, True), said
    assert SECRET not in "\n".join([*daemon.lines, said])
