"""The first process of a host: sets up what is the host's own, starts its services, and listens to the lab.

It runs as process 1 of a PID namespace, and with it ends everything in there at once, as without power. It is started by
its path and imports nothing of ours: a host boots in a fraction of a second, with any Python. Without a host name it sets
up nothing, and only keeps services: those of the BMCs, which run beside the hosts.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

BINDS = ("run", "etc/libvirt", "var/lib/libvirt", "var/log/libvirt", "var/cache/libvirt")
BOOT_ID = "/proc/sys/kernel/random/boot_id"
PR_SET_PDEATHSIG = 1
# A service that could not work is tried again after this, as systemd does.
RETRY_S = 1.0
# So long somebody who has something to say may take to say it: on a busy machine they are not there at once.
ORDER_S = 60.0


def set_up(directory: Path, hostname: str) -> None:
    """Make the host's own files the ones that are seen, and its name the one that is told."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.sethostname(hostname.encode(), len(hostname)):
        raise OSError(ctypes.get_errno(), "cannot set the host name")
    for path in BINDS:
        _bind(directory / "root" / path, f"/{path}")
    _bind(directory / "hosts", "/etc/hosts")
    _bind(directory / "boot_id", BOOT_ID)


def _bind(source: Path, target: str) -> None:
    subprocess.run(["mount", "--bind", str(source), target], check=True)


def stay_on_leash(lock: Path) -> None:
    """End when the process that holds this lock ends."""

    def wait() -> None:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def die_with_parent() -> None:
    """For a service about to be started: end when its supervisor does. In a PID namespace that goes without saying."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Init:
    """Starts, stops and counts the services of a host."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._ended: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._waiting: list[tuple[str, socket.socket]] = []
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)

    def serve(self) -> None:
        """Boot, and do as told until the power goes."""
        wake, alarm = socket.socketpair()
        wake.setblocking(False)
        alarm.setblocking(False)
        signal.set_wakeup_fd(alarm.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for name in self._specs():
            if self._specs()[name]["boot"]:
                self._start(name)
        self._listener.bind(str(self._directory / "control"))
        self._listener.listen(16)
        self._selector.register(wake, selectors.EVENT_READ, lambda: wake.recv(4096))
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        while True:
            for key, _ in self._selector.select(self._pause()):
                key.data()
            self._reap()
            for name in [name for name, due in self._due.items() if due <= time.monotonic()]:
                self._start(name)

    def _pause(self) -> float | None:
        return max(0.0, min(self._due.values()) - time.monotonic()) if self._due else None

    def _specs(self) -> dict[str, Any]:
        specs: dict[str, Any] = json.loads((self._directory / "services.json").read_text())
        return specs

    # -- Services ------------------------------------------------------------------------------------------------------

    def _start(self, name: str) -> int:
        self._due.pop(name, None)
        if name not in self._running:
            spec = self._specs()[name]
            with open(spec["log"], "ab") as log:
                self._running[name] = subprocess.Popen(
                    spec["argv"], env=spec["env"], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    preexec_fn=None if os.getpid() == 1 else die_with_parent,
                )  # fmt: skip
            self._ended.pop(name, None)
        return self._running[name].pid

    def _reap(self) -> None:
        """Take down who ended: services, and orphans of theirs such as guests."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for name in [name for name, process in self._running.items() if process.pid == pid]:
                self._note_end(name, os.waitstatus_to_exitcode(status))

    def _note_end(self, name: str, code: int) -> None:
        self._running.pop(name).returncode = code
        self._ended[name] = code
        told = [line for waited, line in self._waiting if waited == name]
        self._waiting = [(waited, line) for waited, line in self._waiting if waited != name]
        for line in told:
            self._answer(line, {"code": code})
        # Killed is killed: only a service that itself gave up is tried again.
        if code > 0 and not told and self._specs()[name]["retry"]:
            self._due[name] = time.monotonic() + RETRY_S

    # -- Orders --------------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        line, _ = self._listener.accept()
        line.settimeout(ORDER_S)
        with contextlib.suppress(OSError, ValueError):
            text = line.makefile().readline()
            if not text:
                line.close()
                return
            order = json.loads(text)
            try:
                self._obey(order, line)
            except (KeyError, OSError) as error:
                self._answer(line, {"error": f"{type(error).__name__}: {error}"})

    def _obey(self, order: dict[str, Any], line: socket.socket) -> None:
        name = order.get("service", "")
        if order["do"] == "list":
            running = {name: process.pid for name, process in self._running.items()}
            self._answer(line, {"running": running, "ended": self._ended})
        elif order["do"] == "start":
            self._answer(line, {"pid": self._start(name)})
        elif order["do"] == "signal":
            os.kill(self._running[name].pid, order["signal"])
            self._answer(line, {})
        elif order["do"] == "stop":
            self._stop(name, order["signal"], line)

    def _stop(self, name: str, number: int, line: socket.socket) -> None:
        """Signal it and answer when it has ended; with none running, at once."""
        self._due.pop(name, None)
        if name not in self._running:
            self._answer(line, {"code": self._ended.get(name)})
            return
        self._waiting.append((name, line))
        os.kill(self._running[name].pid, number)

    def _answer(self, line: socket.socket, answer: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            line.sendall(json.dumps(answer).encode() + b"\n")
        line.close()


def main() -> None:
    """init.py DIRECTORY HOSTNAME|"" [LOCK]."""
    directory = Path(sys.argv[1])
    if len(sys.argv) > 3:
        stay_on_leash(Path(sys.argv[3]))
    if sys.argv[2]:
        set_up(directory, sys.argv[2])
    Init(directory).serve()


if __name__ == "__main__":
    main()
