"""What this daemon knows and has done, for Prometheus: read at each scrape from what the core loop keeps, which never waits for it.

The one file that imports `prometheus_client`, and only a daemon whose configuration asks for metrics imports this file.
"""

import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric

from pvc import __version__
from pvc.agent.ports import Moved
from pvc.cluster.records import DomainRecord, NodeRecord, NodeStats, Unreadable
from pvc.core.core import Core
from pvc.errors import PvcError
from pvc.fsm.states import Connection

STARTS_S = (0.5, 1, 2, 5, 10, 20, 60, 120)
MIGRATIONS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600)
FAILOVERS_S = (1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 300, 600)

STATISTICS = {
    "memory_total_mib": "Memory of the node.",
    "memory_free_mib": "Memory that new guests may take, the reserve left out.",
    "memory_allocated_mib": "Memory promised to guests.",
    "load": "Its load average over a minute.",
    "vcpus": "Virtual CPUs of its guests.",
    "domains": "Its guests.",
}
"""Of a node's keepalive, by the names that they have there."""


class Exporter:
    """Serves metrics over HTTP once it is started. Nothing of it blocks the core loop."""

    def __init__(self, host: str, port: int, core: Core, clock: Callable[[], float] = time.monotonic) -> None:
        self._host, self._port = host, port
        self._known, self._clock = core.known, clock
        registry = self.registry = CollectorRegistry()
        registry.register(View(core))
        self._transitions = Counter(
            "pvc_transitions", "Transitions that this daemon has fired.", ["machine", "trigger", "source", "dest"], registry=registry
        )
        self._starts = Histogram(
            "pvc_start_seconds", "From the claim of a VM until its guest ran here.", buckets=STARTS_S, registry=registry
        )
        self._migrations = Histogram(
            "pvc_migration_seconds", "From the admission of a guest until it ran here.", buckets=MIGRATIONS_S, registry=registry
        )
        self._failovers = Histogram(
            "pvc_failover_seconds",
            "From the suspicion of a node until a VM of it was given to another, by the daemon that held the fence.",
            buckets=FAILOVERS_S,
            registry=registry,
        )
        self._since: dict[tuple[str, str], float] = {}

    def start(self) -> None:
        """Begin to serve; raises PvcError when nobody can listen there."""
        try:
            start_http_server(self._port, self._host, self.registry)
        except (OSError, OverflowError) as error:
            why = f"metrics cannot be served at {self._host} port {self._port}: {error}"
            raise PvcError(why, "correct metrics_listen, or end what listens there") from error

    def moved(self, transition: Moved) -> None:
        """Count a transition, and measure what it begins or ends."""
        self._transitions.labels(transition.machine, transition.trigger, transition.source, transition.dest).inc()
        of = transition.of
        match transition.machine, transition.trigger:
            case "domain", "claim":
                self._since["start", of] = self._clock()
            case "domain", "started":
                self._end("start", of, self._starts)
            case "migration", "accept":
                self._since["migration", of] = self._clock()
            case "domain", "migrated":
                self._end("migration", of, self._migrations)
            case "fence", "suspect" | "adopt":
                # Who adopts a fence was told of the suspicion by the record; its own clock begins here.
                self._since["fence", of] = self._clock()
            case "domain", "recover":
                self._recovered(of)

    def _end(self, what: str, of: str, histogram: Histogram) -> None:
        began = self._since.pop((what, of), None)
        if began is not None:
            histogram.observe(self._clock() - began)

    def _recovered(self, vm: str) -> None:
        """The record as it is known still names the node that is dead."""
        owner = next((record.life.owner for record in self._known.records() if record.name == vm), None)
        began = self._since.get(("fence", owner or ""))
        if began is not None:
            self._failovers.observe(self._clock() - began)


class View:
    """How the cluster looks from here, at the moment of a scrape: records are replaced, never changed, so any thread may read them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def collect(self) -> Iterator[Metric]:
        """Everything, each time anew."""
        yield _gauge("pvc_info", "The version of this daemon, and its node.", {"version": __version__, "node": self._core.known.me})
        now = self._core.session.state
        session = GaugeMetricFamily("pvc_session_state", "The connection to ZooKeeper; only live decides anything.", labels=["state"])
        for state in Connection:
            session.add_metric([state.value], float(state is now))
        yield session
        config = self._core.known.config
        yield _gauge("pvc_hold", "Whether the cluster is held, so that no node is shot.", {}, config is not None and config.hold.on)
        yield from self._nodes()
        yield from self._domains()

    def _nodes(self) -> Iterator[Metric]:
        state = GaugeMetricFamily("pvc_node_state", "1 for the state of each node.", labels=["node", "state", "flush", "fence"])
        alive = GaugeMetricFamily("pvc_node_alive", "Whether a node holds its proof of life.", labels=["node"])
        figures = {name: GaugeMetricFamily(f"pvc_node_{name}", words, labels=["node"]) for name, words in STATISTICS.items()}
        for name, known in list(self._core.known.nodes.items()):
            alive.add_metric([name], float(name in self._core.known.alive))
            record, stats = known.record, known.stats
            if isinstance(record, NodeRecord):
                life = record.life
                state.add_metric([name, life.daemon.value, life.flush.value, life.fence.value], 1)
            if isinstance(stats, NodeStats):
                for figure, family in figures.items():
                    family.add_metric([name], getattr(stats, figure))
        yield from (state, alive, *figures.values())

    def _domains(self) -> Iterator[Metric]:
        state = GaugeMetricFamily(
            "pvc_vm_state",
            "1 for the state of each VM that this daemon follows: what it owns, is to take, or is the home of.",
            labels=["vm", "uuid", "state", "want", "owner", "guest"],
        )
        unreadable = 0
        for uuid, known in list(self._core.known.domains.items()):
            record = known.record
            unreadable += isinstance(record, Unreadable)
            if isinstance(record, DomainRecord):
                life = record.life
                state.add_metric([record.name, uuid, life.state.value, life.want.value, life.owner or "", known.guest.value], 1)
        yield state
        yield _gauge("pvc_unreadable_records", "Records of VMs that this daemon cannot read, and leaves alone.", {}, unreadable)


def _gauge(name: str, words: str, labels: dict[str, str], value: float = 1) -> Metric:
    family = GaugeMetricFamily(name, words, labels=list(labels))
    family.add_metric(list(labels.values()), float(value))
    return family
