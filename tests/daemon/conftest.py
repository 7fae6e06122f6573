"""A real ensemble, a cluster of its own for each test, and daemons as processes on it."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid

import pytest

from pvc.cluster import znodes
from pvc.cluster.changes import create_cluster
from pvc.cluster.commit import commit
from pvc.cluster.formats import decode_node
from pvc.cluster.live import create_root
from pvc.cluster.options import Options
from pvc.cluster.patient import PatientStore
from pvc.cluster.records import ClusterConfig
from tests import ensemble as zk

DEADLINE_S = 50  # the longest interval of keepalives is more
TICK_S = 0.5
CALM = {"session_timeout": 8.0, "dead_ticks": 40}
"""A daemon that a busy machine does not take its session from."""
HASTY = {"session_timeout": 1.5, "dead_ticks": 6}
"""One whose end, or whose loss, a test waits for."""


@pytest.fixture(scope="session")
def server(require, tmp_path_factory):
    """One ZooKeeper server that nobody stops."""
    require("zookeeper", zk.available(), "a daemon needs a real one")
    with zk.running(tmp_path_factory.mktemp("zookeeper"), servers=1) as ensemble:
        yield ensemble


@pytest.fixture
def own_server(require, tmp_path):
    """One ZooKeeper server that the test may stop."""
    require("zookeeper", zk.available(), "a daemon needs a real one")
    with zk.running(tmp_path / "zookeeper", servers=1) as ensemble:
        yield ensemble


class Watcher:
    """A client that waits for what is to happen."""

    def __init__(self, options):
        self.events = queue.SimpleQueue()
        self.store = PatientStore(options)  # it may have been away as long as a daemon was
        self.store.start(self.events.put, DEADLINE_S)

    def until(self, holds, path, children=False):
        """Wait until this holds for what the path holds; woken by ZooKeeper, not by the clock."""
        (self.store.watch_children if children else self.store.watch)(path)
        deadline = time.monotonic() + DEADLINE_S
        while True:
            value = self.store.children(path) if children else self.store.read(path, sync=True)
            if holds(value):
                return value
            try:
                self.events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{path} is {value} after {DEADLINE_S} s") from None

    def until_node(self, name, state):
        """Wait until the node is in this state, and return its record."""
        znode = self.until(lambda found: found is not None and str(decode_node(name, found.data).life.daemon) == state, znodes.node(name))
        return decode_node(name, znode.data)

    def until_alive(self, *names):
        """Wait until exactly these hold a proof of life."""
        self.until(lambda found: found == names, znodes.ALIVE, children=True)


class World:
    """A chroot of its own on a server, and the folders of its daemons."""

    def __init__(self, ensemble, folder):
        self.ensemble, self.folder, self.daemons = ensemble, folder, []
        self.chroot = f"/t-{uuid.uuid4().hex[:8]}"
        options = Options(ensemble.hosts, self.chroot, 10.0)
        create_root(options, DEADLINE_S)
        self.client = Watcher(options)

    def create(self, **changes):
        """What `pvc init` does."""
        found = ClusterConfig(str(uuid.uuid4()), "test", request="begin", **changes)
        commit(self.client.store, create_cluster(found))
        return found

    def daemon(self, name="hv1", **keys):
        """A daemon's folder and configuration; not started."""
        daemon = Process(name, self.folder / name, self.ensemble.hosts, self.chroot, keys)
        self.daemons.append(daemon)
        return daemon

    def end(self):
        for daemon in self.daemons:
            daemon.kill()
            print(*daemon.lines, sep="\n")  # which pytest shows when the test has failed
        self.client.store.close()


class Process:
    """A `pvcd` with a hypervisor of straw; `lines` are what it has logged so far."""

    def __init__(self, name, folder, hosts, chroot, keys):
        self.name, self.folder, self.process, self.reader = name, folder, None, None
        self.lines, self.logged = [], threading.Condition()
        (folder / "guests").mkdir(parents=True)
        self.straw(hostname=name)
        found = {
            "zookeeper": ", ".join(hosts), "chroot": chroot, "fence_method": "none", "keepalive_interval": TICK_S,
            "state_file": folder / "state.json", "claims_directory": folder / "claims",
        } | CALM | keys  # fmt: skip
        (folder / "pvcd.conf").write_text("[default]\n" + "".join(f"{key} = {value}\n" for key, value in found.items()))

    def straw(self, **settings):
        """How its straw behaves from the next start on."""
        (self.folder / "straw.json").write_text(json.dumps({"hostname": self.name, **settings}))

    @property
    def environment(self):
        return {**os.environ, "PVCD_CONFIG_FILE": str(self.folder / "pvcd.conf")}

    def start(self, *arguments):
        command = [sys.executable, "-m", "tests.daemon.straw", str(self.folder), *arguments]
        self.process = subprocess.Popen(
            command, env=self.environment, stderr=subprocess.PIPE, text=True, preexec_fn=zk.die_with_parent, start_new_session=True
        )
        self.reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self.reader.start()
        return self

    def _read(self, stream):
        with stream:
            for line in stream:
                with self.logged:
                    self.lines.append(line.rstrip())
                    self.logged.notify_all()

    def until_says(self, words):
        """Wait for a line of its log with these words."""
        with self.logged:
            found = self.logged.wait_for(lambda: any(words in line for line in self.lines), DEADLINE_S)
        assert found, f"{words!r} is not in " + "\n".join(self.lines)

    def send(self, number):
        self.process.send_signal(number)
        return self

    def ended(self):
        """Its exit code, once it has ended by itself and all that it has logged is in `lines`."""
        code = self.process.wait(DEADLINE_S)
        self.reader.join(DEADLINE_S)
        return code

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def run(self, *arguments):
        """Start it, wait for its end, and return its exit code and all it said."""
        command = [sys.executable, "-m", "tests.daemon.straw", str(self.folder), *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=DEADLINE_S)
        return done.returncode, done.stdout + done.stderr


TERM, INT, QUIT, STOP, CONT = signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGSTOP, signal.SIGCONT


@pytest.fixture
def world(server, tmp_path):
    """A cluster to be created, with daemons that are gone afterwards."""
    world = World(server, tmp_path)
    yield world
    world.end()


@pytest.fixture
def own_world(own_server, tmp_path):
    """The same on a server that the test may stop."""
    world = World(own_server, tmp_path)
    yield world
    world.end()
