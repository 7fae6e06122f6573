"""Talking to what supervises services (`lab/init.py`): the first process of a host, or that of the BMCs."""

import json
import os
import select
import signal
import socket
import struct
from pathlib import Path
from typing import Any

from lab.shell import TIMEOUT_S
from pvc.errors import PvcError


class Control:
    """A supervisor by its socket. Whether it is there is asked each time, so any process may hold such an object."""

    def __init__(self, directory: Path, name: str) -> None:
        self._socket = directory / "control"
        self._name = name

    def pid(self) -> int | None:
        """Its process id as seen here; None when there is none."""
        try:
            with self._connect() as line:
                found: int = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
                return found
        except OSError:
            return None

    def order(self, *, check: bool = True, **order: Any) -> dict[str, Any]:
        """Its answer to an order; PvcError when it is gone, or cannot and `check` is set."""
        try:
            with self._connect() as line:
                line.sendall(json.dumps(order).encode() + b"\n")
                answer: dict[str, Any] = json.loads(line.makefile().readline() or '{"error": "its power went"}')
        except OSError as error:
            raise PvcError(f"{self._name} has no power", f"tools/lab host-on {self._name}") from error
        if check and "error" in answer:
            raise PvcError(f"{self._name} could not {order['do']} {order.get('service', '')}: {answer['error']}")
        return answer

    def start(self, service: str) -> None:
        """Start a service; one that runs already is left alone."""
        self.order(do="start", service=service)

    def stop(self, service: str, number: int = signal.SIGTERM) -> int | None:
        """Send a service this signal, wait until it has ended, and return its exit code, negative for a signal."""
        self.thaw(service)
        code: int | None = self.order(do="stop", service=service, signal=int(number))["code"]
        return code

    def freeze(self, service: str) -> None:
        """Stop a service with SIGSTOP: its connections stay, and it answers nothing."""
        self.order(do="signal", service=service, signal=int(signal.SIGSTOP))

    def thaw(self, service: str) -> None:
        """Let a frozen service go on; nothing happens to one that does not run."""
        if self.pid() is not None:
            self.order(check=False, do="signal", service=service, signal=int(signal.SIGCONT))

    def running(self) -> dict[str, int]:
        """The services that run, with their process ids as the supervisor sees them; empty when it is gone."""
        try:
            found: dict[str, int] = self.order(do="list")["running"]
        except PvcError:
            return {}
        return found

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone: with the first process of a PID namespace that is when everything in there is."""
        pid = self.pid()
        if pid is not None:
            _kill(pid)
        self._socket.unlink(missing_ok=True)

    def _connect(self) -> socket.socket:
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(TIMEOUT_S)
        try:
            line.connect(str(self._socket))
        except OSError:
            line.close()
            raise
        return line


def _kill(pid: int) -> None:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        poll = select.poll()
        poll.register(process, select.POLLIN)
        if not poll.poll(TIMEOUT_S * 1000):
            raise PvcError(f"process {pid} does not end after SIGKILL")
    except ProcessLookupError:
        pass
    finally:
        os.close(process)
