"""What systemd is told: that the daemon is ready, what it does, and that its core loop still turns."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping


class Notifier:
    """Writes to the socket that systemd names in the environment; does nothing where there is none. Never blocks."""

    def __init__(self, environment: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.monotonic) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._clock = clock
        self._fed_at = -1e9
        self._status = ""
        # Half of what systemd allows, as its manual asks for.
        self._feed_s = int(environment.get("WATCHDOG_USEC", "0")) / 1e6 / 2

    def ready(self) -> None:
        """Starting is over."""
        self._send("READY=1")

    def status(self, sentence: str) -> None:
        """One line for `systemctl status`."""
        if sentence != self._status:
            self._status = sentence
            self._send(f"STATUS={sentence}")

    def stopping(self) -> None:
        """The daemon ends by itself."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The core loop has turned; without this for WatchdogSec systemd ends the process."""
        if self._feed_s and self._clock() - self._fed_at >= self._feed_s:
            self._fed_at = self._clock()
            self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as line:  # systemd that does not listen must not stop us
            line.sendto(text.encode(), self._address)
