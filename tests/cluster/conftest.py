"""The worlds that the contract of the store is tried in."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import ensemble as zk
from tests.cluster.worlds import MemoryWorld, ZooKeeperWorld

OUTAGE_S = 100
LONGEST = f"maxSessionTimeout={ZooKeeperWorld.LONGEST_S * 1000:.0f}\n"


class LongOutage:
    """The process that lives through it, beside the other tests."""

    def __init__(self, root):
        self.directory = Path(tempfile.mkdtemp(prefix="pvc-outage-"))
        self.log = self.directory / "log"
        command = [sys.executable, "-m", "tests.cluster.long_outage", str(self.directory), str(OUTAGE_S)]
        with self.log.open("wb") as log:  # a pipe that nobody reads yet would block whoever logs
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=root, preexec_fn=zk.die_with_parent
            )

    def result(self):
        """What it found out, once it is over."""
        output, _ = self.process.communicate(timeout=OUTAGE_S + 600)
        assert self.process.returncode == 0, self.log.read_text()
        return json.loads(output)

    def end(self):
        """Leave nothing behind, whether it is over or not."""
        self.process.kill()  # its servers die with it
        self.process.communicate()
        shutil.rmtree(self.directory)


@pytest.fixture(scope="session")
def long_outage(request, require):
    """Begins when it is first asked for: whoever has other things to do meanwhile asks early."""
    require("ZooKeeper", zk.available(), "install the Debian package zookeeper")
    outage = LongOutage(request.config.rootpath)
    yield outage
    outage.end()


@pytest.fixture(scope="session")
def shared_ensemble(require, tmp_path_factory):
    """Three servers for all tests, which do not leave one another because the machine stands still for some seconds."""
    require("ZooKeeper", zk.available(), "install the Debian package zookeeper")
    with zk.running(tmp_path_factory.mktemp("ensemble"), sync_ticks=40, extra=LONGEST) as ensemble:
        yield ensemble


@pytest.fixture
def ensemble(shared_ensemble):
    """Three servers that all serve; a test may do to them what it likes."""
    shared_ensemble.start()
    return shared_ensemble


@pytest.fixture(params=["memory", pytest.param("zookeeper", marks=pytest.mark.ensemble)])
def world(request):
    """Either store, on an empty tree."""
    world = MemoryWorld() if request.param == "memory" else ZooKeeperWorld(request.getfixturevalue("ensemble"))
    yield world
    world.close()


@pytest.fixture
def zookeeper(ensemble):
    """The real store, on an empty tree."""
    world = ZooKeeperWorld(ensemble)
    yield world
    world.close()
