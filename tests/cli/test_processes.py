"""`pvc` as processes on a real ZooKeeper: started, raced, interrupted, and with nobody there to answer."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from pvc.cluster.options import Options
from pvc.fsm.states import Effect
from tests import ensemble as zk
from tests.client.live_nodes import LiveNode
from tests.client.world import xml

pytestmark = pytest.mark.ensemble

COMMAND = [sys.executable, "-c", "import sys; from pvc.cli.main import main; sys.exit(main(prog_name='pvc'))"]
PATIENT = [sys.executable, "-c", """
import sys
from pvc.cli import access
access.CONNECT_S, access.SESSION_S = 60.0, 30.0
from pvc.cli import doctor
doctor.ASK_S = 60.0
from pvc.cli.main import main
sys.exit(main(prog_name="pvc"))
"""]  # fmt: skip
"""The same on a machine that may stand still for a while: nobody is given up because of that, neither the server nor a session."""
SESSIONS = "maxSessionTimeout=30000"
AGAIN = 5
"""A server that starts may never answer who comes too early; kazoo waits a session for that, divided by the addresses that it knows."""
DEADLINE_S = 120


class Cluster:
    """One server, two nodes, and processes."""

    def __init__(self, ensemble, path):
        self.ensemble, self.path = ensemble, path
        self.address = f"{ensemble.hosts[0]}/pvc"
        self.nodes = {}

    def begin(self, *arguments, command=PATIENT):
        """Start a process."""
        environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"PVC_ZOOKEEPER": self.address}
        return subprocess.Popen(
            [*command, *arguments], env=environment, stdout=-1, stderr=-1, stdin=subprocess.DEVNULL, text=True, preexec_fn=_heed_ctrl_c
        )

    def __call__(self, *arguments):
        """Run a process to its end."""
        return _end(self.begin(*arguments))

    def join(self, *names):
        """Nodes join."""
        options = Options(self.ensemble.hosts * AGAIN, "/pvc", session_timeout_s=30.0)
        for name in names:
            self.nodes[name] = LiveNode(name, options, self.nodes)
            self.nodes[name].start()
        deadline = time.monotonic() + DEADLINE_S
        while sum(node["state"] == "run" for node in json.loads(self("node", "list", "-o", "json").stdout)["nodes"]) < len(names):
            assert time.monotonic() < deadline, "the nodes do not join"

    def vm(self, name):
        """What is known of a VM."""
        return json.loads(self("vm", "info", name, "-o", "json").stdout)["vm"]

    def define(self, name, home):
        """A VM."""
        path = self.path / f"{name}.xml"
        path.write_bytes(xml(name))
        done = self("vm", "define", str(path), "--home", home)
        assert done.returncode == 0, done.stderr


def _heed_ctrl_c():
    """A shell lets what it runs in the background ignore Ctrl-C, and whatever that starts inherits it: tests run there too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _end(process):
    process.stdout_text, process.stderr_text = process.communicate(timeout=DEADLINE_S)
    return subprocess.CompletedProcess(process.args, process.returncode, process.stdout_text, process.stderr_text)


@pytest.fixture(scope="module")
def cluster(require, tmp_path_factory):
    """A cluster of two nodes, created by `pvc init`."""
    require("ZooKeeper", zk.available(), "install the Debian package zookeeper")
    path = tmp_path_factory.mktemp("pvc")
    with zk.running(path, servers=1, extra=SESSIONS) as ensemble:
        cluster = Cluster(ensemble, path)
        assert cluster("vm", "list").returncode == 3
        assert cluster("init", "office", "--yes").returncode == 0
        cluster.join("hv1", "hv2")
        yield cluster
        for node in cluster.nodes.values():
            node.stop()


def test_a_vm_is_started_moved_and_removed(cluster):
    cluster.define("web1", "hv1")
    done = cluster("vm", "start", "web1")
    assert (done.returncode, done.stderr, done.stdout.splitlines()[-1]) == (0, "", "web1 runs on hv1.")
    assert [line[20:].partition(" (")[0] for line in done.stdout.splitlines()[:-1]] == [
        "web1: stop -> place",
        "web1: place -> boot",
        "web1: boot -> start",
    ]
    assert cluster("vm", "migrate", "web1").stdout.splitlines()[-1] == "web1 runs on hv2."
    assert cluster("node", "flush", "hv2", "--yes").stdout.splitlines()[-1] == "hv2 is flushed."
    assert cluster.vm("web1")["owner"] == "hv1"
    assert cluster("node", "ready", "hv2").returncode == 0
    assert cluster("vm", "undefine", "web1", "--yes").returncode == 0
    assert cluster("vm", "list", "-o", "name").stdout == ""


def test_what_an_admin_looks_at(cluster):
    cluster.define("looked", "hv1")
    assert cluster("vm", "start", "looked", "hv1").returncode == 0
    for words in (("vm", "explain", "looked"), ("node", "explain", "hv1"), ("node", "history", "hv1"), ("status",)):
        done = cluster(*words, "-o", "json")
        assert (done.returncode, done.stderr, json.loads(done.stdout)["version"]) == (0, "", 1), words
    found = {one["about"]: one["level"] for one in json.loads(cluster("doctor", "-o", "json").stdout)["findings"]}
    assert (found["cluster"], found["session"], found["quorum"]) == ("ok", "ok", "warning")  # of one server
    dry = json.loads(cluster("node", "flush", "hv1", "--dry-run", "-o", "json").stdout)["dry_run"]
    assert (dry["possible"], dry["steps"][1]) == (True, "looked (512 MiB) to hv2, live")
    assert cluster("vm", "info", "looked", "-o", "yaml").stdout.startswith("version: 1\nvm:\n  name: looked\n")
    assert cluster("fsm", "show", "domain", "--of", "looked").stdout.splitlines()[0] == "looked in domain"
    assert '"name": "looked"' in cluster("cluster", "backup", "-").stdout


def test_what_follows_the_cluster_sees_what_happens_and_ends_with_ctrl_c(cluster):
    cluster.define("followed", "hv1")
    followers = [cluster.begin(*words) for words in (("events", "-f", "-n", "1"), ("vm", "list", "followed", "-w"), ("top",))]
    guards = [threading.Timer(DEADLINE_S, follower.kill) for follower in followers]  # a line that never comes ends the test
    for guard in guards:
        guard.start()
    first = [follower.stdout.readline() for follower in followers]
    assert all(first)
    assert cluster("vm", "start", "followed", "hv1").returncode == 0
    awaited = ("followed: boot -> start (started by hv1)", "followed: ", "followed: ")
    for follower, words in zip(followers, awaited, strict=True):
        while words not in (line := follower.stdout.readline()):
            assert line, f"{follower.args} has ended"
    for follower, guard in zip(followers, guards, strict=True):
        guard.cancel()
        follower.send_signal(signal.SIGINT)
        assert (_end(follower).returncode, follower.stderr_text) == (0, "")


def test_names_are_completed_from_a_real_cluster(cluster):
    cluster.define("tabbed", "hv1")
    environment = {"_PVC_COMPLETE": "bash_complete", "COMP_WORDS": "pvc vm start tab", "COMP_CWORD": "3", "PVC_ZOOKEEPER": cluster.address}
    done = subprocess.run(COMMAND, env={**os.environ, **environment}, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.stderr == ""
    assert done.stdout in ("plain,tabbed\n", "\n")  # a machine that is busy for a third of a second offers nothing


def test_two_at_once_start_it_once_and_the_other_is_told(cluster):
    cluster.define("race", "hv1")
    racers = [cluster.begin("vm", "start", "race", node) for node in ("hv1", "hv2")]
    done = [_end(racer) for racer in racers]
    assert sorted(one.returncode for one in done) == [0, 1]
    loser = next(one for one in done if one.returncode == 1)
    assert "race cannot be started" in loser.stderr
    assert [entry["trigger"] for entry in json.loads(cluster("vm", "history", "race", "-o", "json").stdout)["history"]].count("start") == 1


def test_ctrl_c_leaves_the_operation_alone(cluster):
    cluster.define("slow", "hv1")
    cluster.nodes["hv1"].slow.add(Effect.create)
    waiting = cluster.begin("vm", "start", "slow", "hv1")
    assert "stop -> place" in waiting.stdout.readline()
    assert "place -> boot" in waiting.stdout.readline()
    waiting.send_signal(signal.SIGINT)
    done = _end(waiting)
    assert (done.returncode, done.stderr) == (130, "interrupted: start of slow goes on\nNext: to undo it: pvc vm stop slow\n")
    assert cluster.vm("slow")["state"] == "boot"


def test_nothing_of_kazoo_is_on_the_terminal_when_the_server_goes_and_comes(cluster):
    cluster.define("patient", "hv2")
    cluster.nodes["hv2"].slow.add(Effect.create)
    waiting = cluster.begin("vm", "start", "patient", "hv2")
    waiting.stdout.readline()
    assert "place -> boot" in waiting.stdout.readline()
    cluster.ensemble.kill()
    assert "ZooKeeper does not answer" in waiting.stdout.readline()
    cluster.ensemble.start()
    cluster.nodes["hv2"].finish(cluster.vm("patient")["uuid"])
    done = _end(waiting)
    assert (done.returncode, done.stderr, done.stdout.splitlines()[-1]) == (0, "", "patient runs on hv2.")


def test_a_server_that_does_not_answer_is_no_quorum_within_seconds(cluster):
    (server,) = cluster.ensemble.servers
    server.freeze()
    try:
        began = time.monotonic()
        done = _end(cluster.begin("vm", "list", "-o", "json", command=COMMAND))
        assert time.monotonic() - began < 60  # seconds, on a machine that stands still for a while; the server would be silent for ever
    finally:
        server.thaw()
    assert (done.returncode, done.stdout, json.loads(done.stderr)["code"]) == (5, "", 5)
