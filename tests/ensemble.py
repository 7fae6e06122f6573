"""A real ZooKeeper ensemble on loopback, each server of which can be killed, frozen and restarted.

    with running(directory) as ensemble:
        store = ZooKeeperStore(Options(ensemble.hosts))

Every process started here is ended here, by its own id, also after a failure: the kernel kills what a killed test run
leaves behind.
"""

import atexit
import contextlib
import ctypes
import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from lab import zookeeper

START_TIMEOUT_S = 180
LEADING = ("leader", "standalone")
PR_SET_PDEATHSIG = 1

# Below the range of outgoing connections: a port of ours must not be taken while its server is down.
FIRST_PORT, LAST_PORT, OURS = 21000, 30000, 300
_claim = socket.socket(socket.AF_UNIX)
atexit.register(_claim.close)
"""Held as long as this process lives, that no other one takes the same ports: what is free now may be a server's that is down."""


def available() -> bool:
    """Whether ZooKeeper is installed."""
    return zookeeper.available()


def _ports_of_our_own() -> range:
    for first in range(FIRST_PORT, LAST_PORT, OURS):
        with contextlib.suppress(OSError):
            _claim.bind(f"\0pvc-test-ports-{first}")
            return range(first, first + OURS)
    raise AssertionError("no ports are left: too many test runs at a time")


_ports = itertools.cycle(_ports_of_our_own())


def free_port() -> int:
    """A port nobody uses now."""
    for port in _ports:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable")


def die_with_parent() -> None:
    """For a process about to be started: end when the one that starts it ends, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Server:
    """One server: its files, its port, and its process while it runs."""

    def __init__(self, number: int, directory: Path) -> None:
        self.number, self.directory = number, directory
        self.port, self.peer_port, self.election_port = free_port(), free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def configure(self, members: str, tick_ms: int, sync_ticks: int, extra: str) -> None:
        data = self.directory / "data"
        data.mkdir(parents=True)
        (data / "myid").write_text(str(self.number))
        text = zookeeper.config(data, self.port, tick_ms=tick_ms, sync_ticks=sync_ticks)
        (self.directory / "zoo.cfg").write_text(f"{text}{extra}\n{members}")

    def start(self, java: str) -> None:
        """Start it; `Ensemble.wait` tells when it serves."""
        environment = os.environ | zookeeper.environment(self.directory, java)
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                zookeeper.command(self.directory / "zoo.cfg"),
                cwd=self.directory, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent, start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """Stop it: connections stay, nothing is answered."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    def ask(self, word: str) -> str:
        """The answer to a four-letter word, empty when there is none."""
        return zookeeper.ask("127.0.0.1", self.port, word)

    def mode(self) -> str:
        """leader, follower or standalone; empty when it does not serve."""
        return zookeeper.mode("127.0.0.1", self.port)


class Ensemble:
    """Several servers with one tree."""

    def __init__(
        self, directory: Path, servers: int = 3, tick_ms: int = 500, sync_ticks: int = 10, extra: str = "", java: str = ""
    ) -> None:
        self._java = java
        self.servers = [Server(number, directory / f"server{number}") for number in range(1, servers + 1)]
        members = "".join(f"server.{s.number}=127.0.0.1:{s.peer_port}:{s.election_port}\n" for s in self.servers)
        for server in self.servers:
            server.configure(members if servers > 1 else "", tick_ms, sync_ticks, extra)

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(server.host for server in self.servers)

    def start(self) -> None:
        """Start what does not run, thaw what is frozen, and wait until all serve."""
        for server in self.servers:
            server.thaw()
            if server.process is None or server.process.poll() is not None:
                server.start(self._java)
        self.wait()

    def kill(self) -> None:
        """All at the same moment."""
        for server in self.servers:
            if server.process is not None:
                server.process.kill()
        for server in self.servers:
            server.kill()

    def wait(self) -> None:
        """Wait until all servers serve, one of them as leader: one that was frozen takes itself for that for a while."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._serving():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no ensemble after {START_TIMEOUT_S} s; see {self.servers[0].directory / 'log'}")
            time.sleep(0.1)

    def _serving(self) -> bool:
        modes = [server.mode() for server in self.servers]
        return all(modes) and sum(mode in LEADING for mode in modes) == 1

    def leader(self) -> Server:
        """The one that leads; it is waited for, because a busy server may not say so in time."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            for server in self.servers:
                if server.mode() in LEADING:
                    return server
            if time.monotonic() > deadline:
                raise TimeoutError(f"no leader after {START_TIMEOUT_S} s; see {self.servers[0].directory / 'log'}")
            time.sleep(0.1)

    def followers(self) -> list[Server]:
        leader = self.leader()
        return [server for server in self.servers if server is not leader]


@contextlib.contextmanager
def running(directory: Path, **settings: object) -> Iterator[Ensemble]:
    """An ensemble that serves, and is gone afterwards."""
    ensemble = Ensemble(directory, **settings)
    try:
        ensemble.start()
        yield ensemble
    finally:
        ensemble.kill()
