"""The command line over a cluster in memory, as a process would run it."""

import io
from types import SimpleNamespace

import pytest

from pvc.cli.access import Access
from pvc.cli.main import main
from pvc.client.ear import Ear
from pvc.cluster.memory import MemoryStore
from tests.client.world import World, xml


class Shell:
    """Runs command lines; each is a client of its own."""

    def __init__(self, world, capsys, monkeypatch, tmp_path):
        self.world, self.capsys, self.monkeypatch, self.path = world, capsys, monkeypatch, tmp_path
        monkeypatch.delenv("PVC_ZOOKEEPER", raising=False)

    def access(self):
        """The way to the cluster in memory."""
        return Access("zk1:2181/pvc", self.path / "pvc.conf", self._store, self._ear, "anna@desk")

    def _store(self, options):
        store = MemoryStore(self.world.small.ensemble, session_timeout_s=1000.0)
        self.world.clients.append(store)
        return store

    def _ear(self):
        return Ear(clock=lambda: self.world.small.ensemble.now, idle=self.world.turn)

    def __call__(self, *arguments, typed=None):
        """Run it; `typed` is what somebody at a terminal answers."""
        self.capsys.readouterr()
        self.monkeypatch.setattr("pvc.cli.output.is_terminal", lambda: typed is not None)
        self.monkeypatch.setattr("sys.stdin", io.StringIO(typed or ""))
        with pytest.raises(SystemExit) as ended:
            main.main(list(arguments), "pvc", obj=self.access())
        out, err = self.capsys.readouterr()
        if typed is not None:
            out = out.lstrip(" ")  # click 8.1 ends each question on stderr with a space on stdout
        return SimpleNamespace(code=ended.value.code, out=out, err=err)

    def file(self, name, memory_mib=512):
        """A file with the XML of a VM."""
        path = self.path / f"{name}.xml"
        path.write_bytes(xml(name, memory_mib))
        return str(path)


@pytest.fixture
def world():
    """Three nodes that work."""
    return World()


@pytest.fixture
def pvc(world, capsys, monkeypatch, tmp_path):
    """The command line, as a function."""
    return Shell(world, capsys, monkeypatch, tmp_path)


@pytest.fixture
def web1(pvc):
    """A VM that is off, at home on hv1."""
    assert pvc("vm", "define", pvc.file("web1"), "--home", "hv1").code == 0
    return "web1"
