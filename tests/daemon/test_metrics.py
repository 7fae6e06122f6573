"""Metrics, read as Prometheus reads them: by the official parser, from a daemon that is at work."""

import contextlib
import re
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pvc.agent.ports import Moved
from pvc.cluster.records import ClusterConfig, DomainRecord, Hold, NodeRecord, NodeStats, Unreadable
from pvc.core.core import Core
from pvc.core.objects import KnownDomain, KnownNode
from pvc.daemon.machine import LISTENING
from pvc.daemon.metrics import Exporter
from pvc.errors import PvcError
from pvc.fsm.states import Daemon, Domain, Fence, Guest, Want
from pvc.fsm.views import Life, NodeLife
from tests import ensemble as zk
from tests.daemon.conftest import TERM

WEB, DB = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


def samples(text):
    """Every sample, by its name and labels."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        for sample in family.samples:
            found[(sample.name, *sorted(sample.labels.items()))] = sample.value
    return found


class Scene:
    """A core that knows a small cluster, and a clock that stands still."""

    def __init__(self):
        self.now = 0.0
        self.core = Core("hv1")
        known = self.core.known
        known.config = ClusterConfig("id", "office", hold=Hold(True, "admin", "network work"))
        known.alive = frozenset({"hv1"})
        known.nodes["hv1"] = KnownNode(NodeRecord("hv1", NodeLife(Daemon.run)), stats=NodeStats(tick=1, memory_free_mib=1000, load=0.5))
        known.nodes["hv2"] = KnownNode(NodeRecord("hv2", NodeLife(Daemon.dead, fence=Fence.throws)))
        life = Life(home="hv2", owner="hv2", state=Domain.start, want=Want.start)
        known.domains[WEB] = KnownDomain(DomainRecord(WEB, "web1", "g1", life, 64, 1), guest=Guest.absent)
        known.domains[DB] = KnownDomain(Unreadable(DB, "it is torn", b""))
        self.exporter = Exporter("127.0.0.1", 0, self.core, lambda: self.now)

    def scrape(self):
        return samples(generate_latest(self.exporter.registry).decode())

    def moved(self, of, machine, trigger, at):
        self.now = at
        self.exporter.moved(Moved(of, machine, "a", "b", trigger, "because"))


@pytest.fixture
def scene():
    return Scene()


def test_every_node_and_vm_is_shown_as_it_is_known_here(scene):
    found = scene.scrape()
    assert found["pvc_node_state", ("fence", "throws"), ("flush", "ready"), ("node", "hv2"), ("state", "dead")] == 1
    assert (found["pvc_node_alive", ("node", "hv1")], found["pvc_node_alive", ("node", "hv2")]) == (1, 0)
    assert found["pvc_node_memory_free_mib", ("node", "hv1")] == 1000
    labels = (("guest", "absent"), ("owner", "hv2"), ("state", "start"), ("uuid", WEB), ("vm", "web1"), ("want", "start"))
    assert found["pvc_vm_state", *labels] == 1
    assert found["pvc_unreadable_records",] == 1
    assert found["pvc_hold",] == 1


def test_exactly_one_state_of_the_session_is_so(scene):
    states = {name[1][1]: value for name, value in scene.scrape().items() if name[0] == "pvc_session_state"}
    assert [state for state, value in states.items() if value] == ["closed"]
    assert len(states) > 4


def test_transitions_are_counted_by_machine(scene):
    for _ in range(2):
        scene.moved("web1", "domain", "claim", 0.0)
    labels = (("dest", "b"), ("machine", "domain"), ("source", "a"), ("trigger", "claim"))
    assert scene.scrape()["pvc_transitions_total", *labels] == 2


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("pvc_start_seconds", [("web1", "domain", "claim"), ("web1", "domain", "started")]),
        ("pvc_migration_seconds", [("web1", "migration", "accept"), ("web1", "domain", "migrated")]),
        ("pvc_failover_seconds", [("hv2", "fence", "suspect"), ("web1", "domain", "recover")]),
    ],
)
def test_what_takes_time_is_measured_from_its_first_transition_to_its_last(scene, name, steps):
    for (of, machine, trigger), at in zip(steps, (10.0, 14.5), strict=True):
        scene.moved(of, machine, trigger, at)
    found = scene.scrape()
    assert (found[f"{name}_sum",], found[f"{name}_count",]) == (4.5, 1)
    assert found[f"{name}_bucket", ("le", "2.0")] == 0


def test_what_nobody_saw_begin_is_not_measured(scene):
    scene.moved("web1", "domain", "started", 1.0)
    scene.moved("db1", "domain", "recover", 1.0)
    assert scene.scrape()["pvc_start_seconds_count",] == 0
    assert scene.scrape()["pvc_failover_seconds_count",] == 0


def test_every_metric_that_the_documents_name_is_there_with_its_labels(scene):
    text = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    scene.moved("web1", "domain", "ended", 1.0)
    families = {family.name: family for family in text_string_to_metric_families(generate_latest(scene.exporter.registry).decode())}
    labels = {name: {label for sample in family.samples for label in sample.labels} for name, family in families.items()}
    for name, inside in re.findall(r"\b(pvc_[a-z_]+)(?:\{([^}]*)\})?", text):
        found = labels[name.removesuffix("_total") if name not in labels else name]
        assert set(re.findall(r"(?:^|, ?)([a-z]+)", re.sub(r'"[^"]*"', "", inside))) <= found, (name, inside)


def test_a_port_that_is_taken_is_said(scene):
    port = zk.free_port()
    Exporter("127.0.0.1", port, scene.core).start()
    with pytest.raises(PvcError, match=f"port {port}: .*in use"):
        Exporter("127.0.0.1", port, scene.core).start()


@pytest.mark.ensemble
def test_a_daemon_is_scraped_while_it_works(world):
    world.create()
    port = zk.free_port()
    daemon = world.daemon(metrics_listen=f"127.0.0.1:{port}").start()
    world.client.until_node("hv1", "run")
    daemon.until_says("node init -> run")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        found = samples(answer.read().decode())
    assert found["pvc_session_state", ("state", "live")] == 1
    assert ("pvc_transitions_total", ("dest", "run"), ("machine", "node"), ("source", "init"), ("trigger", "ready")) in found
    assert daemon.send(TERM).ended() == 0


@pytest.mark.ensemble
def test_nobody_listens_unless_asked_to(world):
    world.create()
    daemon = world.daemon().start()
    world.client.until_node("hv1", "run")
    process, own = Path(f"/proc/{daemon.process.pid}"), set()
    for link in (process / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it works meanwhile, and closes what it has read
            own.add(str(link.readlink()))
    rows = [line.split() for line in (process / "net/tcp").read_text().splitlines()[1:]]
    assert [row for row in rows if row[3] == LISTENING and f"socket:[{row[9]}]" in own] == []
