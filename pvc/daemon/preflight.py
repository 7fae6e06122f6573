"""Preflight: everything that must be so before a daemon touches anything, and all that is wrong said at once.

`pvcd --check` prints what is found; a daemon that starts logs it, and ends when there is a problem (systemd tries again).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from pvc.agent.remembered import Remembered, objection, seen_now
from pvc.cluster import znodes
from pvc.cluster.formats import decode_boot, decode_config
from pvc.cluster.login import secured
from pvc.cluster.names import is_name
from pvc.cluster.options import Options
from pvc.cluster.patient import PatientStore
from pvc.cluster.records import Boot, ClusterConfig, Fencing, Machine
from pvc.cluster.store import Store, StoreError
from pvc.core.settings import Settings
from pvc.daemon import door, machine
from pvc.daemon.config import BadConfig, DaemonConfig, read_config
from pvc.daemon.findings import Finding, Verdict
from pvc.daemon.keys import with_port
from pvc.daemon.preflight_fencing import FencingLook
from pvc.daemon.state import recall
from pvc.daemon.surroundings import HypervisorFacts, Surroundings
from pvc.errors import PvcError

CONFIG_VARIABLE = "PVCD_CONFIG_FILE"
LIBVIRT_TCP_PORT = 16509
CONNECT_TIMEOUT_S = 10.0
LOOPBACK = ("127.", "0000:0000:0000:0000:0000:0000:0000:0001", "0000:0000:0000:0000:0000:ffff:7f")


@dataclass(frozen=True, slots=True)
class Ready:
    """What was learned on the way, for the daemon that now starts. The settings hold the session timeout that was granted."""

    config: DaemonConfig
    cluster: ClusterConfig
    machine: Machine
    boot: str
    remembered: Remembered
    fencing: Fencing


Found = tuple[Settings, ClusterConfig, Remembered]
Say = Callable[[Finding], None]


class Preflight:
    """Looks at one thing after another; each look says what it found, and a problem does not keep the others from being looked at."""

    def __init__(self, say: Say, around: Surroundings, environment: Mapping[str, str]) -> None:
        self._tell = say
        self._around = around
        self._environment = environment
        self._problems = 0

    def run(self) -> Ready | None:
        """Look at everything; None when there is a problem."""
        config = self._config()
        if config is None:
            return None
        boot = self._boot_id()
        fencing = FencingLook(config)
        self._told(fencing.findings())
        self._told(door.findings(config.claims_directory))
        self._metrics(config)
        hypervisor = self._libvirt(config)
        found = self._zookeeper(config, boot, fencing)
        if self._problems or found is None or hypervisor is None:
            return None
        settings, cluster, remembered = found
        described = machine.describe(hypervisor.libvirt, hypervisor.qemu)
        return Ready(replace(config, settings=settings), cluster, described, boot, remembered, fencing.published)

    # ---- what is said

    def _ok(self, sentence: str) -> None:
        self._tell(Finding(Verdict.ok, sentence))

    def _warn(self, sentence: str, next_step: str | None = None) -> None:
        self._tell(Finding(Verdict.warning, sentence, next_step))

    def _problem(self, subject: str, error: PvcError) -> None:
        self._problems += 1
        self._tell(Finding(Verdict.problem, f"{subject}: {error.message}", error.next_step))

    # ---- what is looked at

    def _config(self) -> DaemonConfig | None:
        name = self._environment.get(CONFIG_VARIABLE, "")
        if not name:
            next_step = f"set it, as in {CONFIG_VARIABLE}=/etc/pvc/pvcd.conf"
            self._problem("configuration", PvcError(f"{CONFIG_VARIABLE} is not set, so there is none", next_step))
            return None
        try:
            config = read_config(Path(name), self._around.hostname)
        except BadConfig as bad:
            for sentence in bad.problems[:-1]:
                self._problem(f"configuration {name}", PvcError(sentence))
            self._problem(f"configuration {name}", PvcError(bad.problems[-1], bad.next_step))
            return None
        section = config.file.section_of(config.node)
        self._ok(f"configuration: {name}, section [{section}], for the node {config.node}")
        if section not in config.file.sections and config.file.sections:
            next_step = f"add [{config.node}], or rename this host"
            self._warn(f"configuration: no section is called {config.node}: only [{section}] counts", next_step)
        return config

    def _boot_id(self) -> str:
        try:
            return machine.boot_id()
        except PvcError as error:
            self._problem("kernel", error)
            return ""

    def _told(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._problems += finding.verdict is Verdict.problem
            self._tell(finding)

    def _metrics(self, config: DaemonConfig) -> None:
        """Nothing here keeps a daemon from its work."""
        if config.metrics_listen is None:
            return
        host, port = config.metrics_listen
        if find_spec("prometheus_client") is None:
            self._warn("metrics: the Prometheus client is not installed, so none are served", "apt install python3-prometheus-client")
            return
        self._ok(f"metrics: served at http://{with_port(host, port)}/metrics")
        if not host.startswith(("127.", "::1", "localhost")):
            self._warn(f"metrics: whoever reaches {host} can read which VMs there are", "listen on 127.0.0.1, or let a firewall decide")

    def _libvirt(self, config: DaemonConfig) -> HypervisorFacts | None:
        try:
            facts = self._around.probe(config.libvirt_uri)
        except PvcError as error:
            self._problem("libvirt", error)
            return None
        self._ok(f"libvirt: {facts.libvirt} with QEMU {facts.qemu} at {config.libvirt_uri}")
        self._unauthenticated(config.libvirt_uri)
        return facts

    def _unauthenticated(self, uri: str) -> None:
        """We have given no credentials, so nobody needs any: whoever reaches the port has root on this machine."""
        parts = urlsplit(uri)
        if not parts.scheme.endswith("+tcp"):
            return
        port = parts.port or LIBVIRT_TCP_PORT
        open_to = [address for address in machine.listeners(port) if not address.startswith(LOOPBACK)]
        if open_to:
            self._warn(
                f"libvirt: it listens without authentication on {', '.join(open_to)} port {port}: whoever reaches that is root here",
                "let only the other nodes reach it, by a network of its own or a firewall; or use TLS or SASL",
            )

    def _zookeeper(self, config: DaemonConfig, boot: str, fencing: FencingLook) -> Found | None:
        if len(config.zookeeper) == 1:
            self._warn(
                f"ZooKeeper: only {config.zookeeper[0]} is listed: this node loses its session whenever that server stops",
                "list every server of the ensemble",
            )
        try:
            store = PatientStore(options(config))
        except PvcError as error:
            self._problem("ZooKeeper", error)
            return None
        try:
            store.start(lambda event: None, CONNECT_TIMEOUT_S)
            found = self._cluster(config, store, boot)
            self._told(fencing.peers(name for name in store.children(znodes.NODES) or () if is_name(name)))
            return found
        except StoreError as error:
            self._problem("ZooKeeper", PvcError(error.message, error.next_step or "start the ensemble, or correct zookeeper and chroot"))
            return None
        finally:
            store.close()

    def _cluster(self, config: DaemonConfig, store: Store, boot: str) -> Found | None:
        granted = store.session_timeout_s
        self._ok(f"ZooKeeper: connected, with sessions of {granted:g} s")
        dead_s = config.settings.dead_ticks * config.settings.keepalive_interval_s
        if granted >= dead_s:
            late = f"it grants sessions of {granted:g} s, which must be less than the dead time of {dead_s:g} s"
            self._problem("ZooKeeper", PvcError(late, "lower minSessionTimeout there, or raise dead_ticks or keepalive_interval"))
        if config.watchdog_device is not None and config.watchdog_timeout_s < 2 * granted:
            hasty = f"it grants sessions of {granted:g} s, of which watchdog_timeout must be two or more, or a moment without it is a reset"
            self._problem("ZooKeeper", PvcError(hasty, "raise watchdog_timeout, or lower minSessionTimeout there"))
        of_node = (path(config.node) for path in (znodes.boot, znodes.alive, znodes.stats))
        found, entered, alive, stats = store.read_many([znodes.CONFIG, *of_node], sync=True).values()
        if found is None:
            nobody = f"there is no cluster at {config.chroot or '/'}"
            self._problem("ZooKeeper", PvcError(nobody, "run `pvc init` once, or correct zookeeper and chroot"))
            return None
        cluster = decode_config(found.data)
        if not isinstance(cluster, ClusterConfig):
            self._problem("ZooKeeper", PvcError(str(cluster), "repair the cluster's record, or install the version of PVC that wrote it"))
            return None
        self._ok(f"cluster: {cluster.name} ({cluster.id})")
        if cluster.hold.on:
            why = cluster.hold.why or "no reason given"
            self._warn(f"cluster: {cluster.hold.by} holds it ({why}): no node is shot")
        if alive is not None and isinstance(life := decode_boot(config.node, alive.data), Boot) and life.boot != boot:
            self._warn(f"cluster: a {config.node} of another kernel boot is alive: its old session, or another machine of this name")
        remembered = seen_now(cluster.id, entered, stats, store.last_zxid)
        if not self._same(config, remembered):
            return None
        return replace(config.settings, session_timeout_s=granted), cluster, remembered

    def _same(self, config: DaemonConfig, now: Remembered) -> bool:
        """Whether this is the cluster that this node knows, and not an older state of it."""
        try:
            before = recall(config.state_file)
        except PvcError as error:
            self._problem("state file", error)
            return False
        wrong = objection(before, now, config.state_file)
        if wrong is not None:
            self._problem("cluster", wrong)
            return False
        self._ok(f"state file: {config.state_file}; {'this is the same cluster' if before.cluster else 'this node was in no cluster yet'}")
        return True


def options(config: DaemonConfig) -> Options:
    """How the store reaches ZooKeeper; raises UsageProblem for a file that cannot be used."""
    return secured(Options(config.zookeeper, config.chroot, config.settings.session_timeout_s), config.login)
