"""The process around an agent: its ports, its threads, its signals, its end.

Threads only enqueue, and one decides (`loop`). The end has an order: the node's state first, the session last, so that nobody takes a node
that stops for one that died (H79, H80).
"""

import itertools
import logging
import os
import queue
import random
import signal
import threading
from dataclasses import replace
from functools import partial

from pvc.agent.agent import Agent
from pvc.agent.remembered import Remembered, look_back, objection
from pvc.cluster import znodes
from pvc.cluster.live import ZooKeeperStore
from pvc.cluster.node_changes import Joining
from pvc.cluster.records import NodeRecord, NodeStats
from pvc.cluster.store import Event as StoreEvent
from pvc.cluster.store import NotConnected
from pvc.core.events import Event, StatsSeen, StopAsked
from pvc.daemon import machine
from pvc.daemon.config import DaemonConfig
from pvc.daemon.deadman import Deadman, end_at_once
from pvc.daemon.device_tests import DeviceTester
from pvc.daemon.homecoming import Homecoming
from pvc.daemon.keepalive import Keepalive
from pvc.daemon.logs import AgentLog
from pvc.daemon.loop import CoreLoop
from pvc.daemon.notify import Notifier
from pvc.daemon.past import gone_back
from pvc.daemon.power import PowerPool
from pvc.daemon.preflight import CONNECT_TIMEOUT_S, Ready, options
from pvc.daemon.progress import ProgressWriter
from pvc.daemon.signals import listen
from pvc.daemon.state import remember
from pvc.daemon.surroundings import Calls, MakeHypervisor
from pvc.daemon.timer import MonotonicTimer
from pvc.daemon.watchdog import LinuxWatchdog, WatchdogKeeper
from pvc.errors import NotFound, PvcError

log = logging.getLogger("pvcd")

LEAVE_S = 10.0
"""How long the node may take to write that it stops."""
CLOSE_S = 10.0
"""How long the threads may take to end after that, session included."""
REFRESH_S = 5.0
"""How often one of the watched znodes is read again, whatever their number."""
REMEMBER_EACH = 12
"""After this many of them, what must be known before the next start is written down."""


class NodeDaemon:
    """One node's daemon, from the end of its preflight to the end of its process."""

    def __init__(self, ready: Ready, make_hypervisor: MakeHypervisor, notifier: Notifier) -> None:
        config = ready.config
        self._config, self._remembered, self._notifier = config, ready.remembered, notifier
        self._inbox: queue.SimpleQueue[Event | StoreEvent | None] = queue.SimpleQueue()
        self._notices: queue.SimpleQueue[signal.Signals | str | bool] = queue.SimpleQueue()
        self._told = False
        self._closing = threading.Event()
        self._store = ZooKeeperStore(options(config))
        self._timer = MonotonicTimer(self._inbox.put)
        self._watchdog = self._make_watchdog(config)
        self._tests = DeviceTester(config.node, self._store, config.fence_of, token=self._token, now=machine.wall_clock)
        self._power = PowerPool(
            config.fence_of, self._inbox.put, entitled=self._entitled, distrusted=self._tests.distrusted, guid_of=self._guid_of
        )
        self._log = AgentLog()
        calls = Calls(self._xml_of, self._address_of, self._inbox.put, self._log.say)
        self._hypervisor = make_hypervisor(config, ready.boot, calls)
        self._agent = self._make_agent(ready)
        self._core = self._make_core(ready.cluster.id)
        self._keepalive = Keepalive(
            config.node,
            self._store,
            config.settings.keepalive_interval_s,
            token=self._token,
            measure=lambda tick: self._measure(tick, self._agent.core.known.inventory),
            seen=lambda stats: self._inbox.put(StatsSeen(stats)),
            gone_back=self._gone_back,
        )
        self._progress = ProgressWriter(
            config.node,
            self._store,
            token=self._token,
            records=lambda: {uuid: known.record for uuid, known in list(self._agent.core.known.domains.items())},
            figures=self._hypervisor.progress,
            halted=self._hypervisor.halted,
        )
        counters = {"the core loop": lambda: self._core.turns, "the keepalive": lambda: self._keepalive.turns}
        self._deadman = Deadman(counters, config.settings.own_lease_s, end_at_once)
        self._home = Homecoming(config.node, self._store, self._token, machine.wall_clock) if config.take_home else None
        self._chores = threading.Thread(target=self._do_chores, name="chores", daemon=True)

    def _make_agent(self, ready: Ready) -> Agent:
        config = ready.config
        first = self._measure(1, libvirt=True)  # the preflight has just asked it
        joining = Joining(ready.boot, ready.machine, config.migration_address, ready.fencing, first)
        agent = Agent(
            config.node,
            self._store,
            joining,
            hypervisor=self._hypervisor,
            power=self._power,
            timer=self._timer,
            log=self._log,
            now=machine.wall_clock,
            settings=config.settings,
            look_back=lambda: look_back(self._store, config.node, self._known, config.state_file),
        )
        agent.put(StatsSeen(first))
        return agent

    def _make_watchdog(self, config: DaemonConfig) -> WatchdogKeeper:
        arm = partial(LinuxWatchdog, config.watchdog_device, config.watchdog_timeout_s) if config.watchdog_device else None
        return WatchdogKeeper(config.node, self._store, arm, config.watchdog_timeout_s, self._token)

    def _make_core(self, cluster: str) -> CoreLoop:
        return CoreLoop(
            self._agent,
            cluster,
            hypervisor=self._hypervisor,
            timer=self._timer,
            notifier=self._notifier,
            inbox=self._inbox,
            left=self._notices.put,
            failed=self._notices.put,
            news=lambda: self._keepalive.hurry(),
            tests=self._tests,
        )

    def _serve_metrics(self) -> None:
        """Where they are asked for. A daemon works without them, so what is wrong with them is a warning."""
        if self._config.metrics_listen is None:
            return
        try:
            from pvc.daemon.metrics import Exporter

            exporter = Exporter(*self._config.metrics_listen, self._agent.core)
            exporter.start()
            self._log.hearers.append(exporter.moved)
        except (ImportError, PvcError) as error:
            log.warning("no metrics: %s", error)

    def run(self) -> int:
        """Work until a signal comes or nothing can go on; returns the exit code. Only on the main thread."""
        remember(self._config.state_file, self._remembered)
        listen(self._on_signal)
        self._serve_metrics()
        self._log.hearers += [self._progress.moved, *([self._home.moved] if self._home else [])]
        self._agent.begin()  # before the store: what is reported of the first connection must include all of this
        try:
            self._store.start(self._inbox.put, CONNECT_TIMEOUT_S)
        except NotConnected as error:
            raise PvcError(f"ZooKeeper: {error.message}", error.next_step) from error
        guards = (self._tests, self._watchdog, self._deadman)
        for part in (self._timer, self._hypervisor, self._core, self._keepalive, self._progress, *guards, self._chores):
            part.start()
        self._notifier.ready()
        code = 1
        try:
            code = self._until_told()
        finally:
            self._close(stopped=code == 0)
        return code

    # ---- the end

    def _until_told(self) -> int:
        timeout = None
        while True:
            try:
                notice = self._notices.get(timeout=timeout)
            except queue.Empty:
                notice = False
            match notice:
                case signal.Signals():
                    log.info("%s: this node leaves; its guests run on", notice.name)
                    self._notifier.stopping()
                    self._inbox.put(StopAsked())
                    timeout = LEAVE_S
                case str():
                    log.critical("%s", notice)
                    return 1
                case bool():
                    if not notice:
                        log.error("this node could not write that it stops: its record says that it works, so its peers will suspect it")
                    return 0 if notice else 1

    def _on_signal(self, number: signal.Signals) -> None:
        if self._told:
            os._exit(1)  # whoever asks twice will not wait
        self._told = True
        self._notices.put(number)

    def _close(self, stopped: bool) -> None:
        guard = threading.Timer(CLOSE_S, os._exit, (1,))
        guard.daemon = True
        guard.start()
        self._closing.set()
        self._watchdog.close(stopped)
        self._deadman.close()
        self._keepalive.close(CLOSE_S)
        self._progress.close(CLOSE_S)
        self._core.close(CLOSE_S)
        self._power.close()
        self._tests.close()
        self._timer.close()
        self._hypervisor.close()
        self._remember()
        self._store.close()
        guard.cancel()
        log.info("the session is closed")

    # ---- now and then

    def _do_chores(self) -> None:
        for number in itertools.count(1):
            if self._closing.wait(REFRESH_S * random.uniform(0.75, 1.25)):  # not all nodes at the same time
                return
            self._store.refresh()
            self._look_back()
            if self._home is not None:
                self._home.turn()
            if number % REMEMBER_EACH == 0:
                self._remember()

    def _gone_back(self, now: tuple[int, int]) -> None:
        """The own statistics are of an earlier version than this daemon has written."""
        known = self._known()
        wrong = objection(known, replace(known, stats_born=now[0], stats_version=now[1]), self._config.state_file)
        if wrong is not None:
            self._notices.put(f"{wrong.message}; {wrong.next_step}")

    def _look_back(self) -> None:
        wrong = gone_back(self._store, options(self._config), self._config.node, self._known(), self._config.state_file)
        if wrong is not None:
            self._notices.put(f"{wrong.message}; {wrong.next_step}")

    def _known(self) -> Remembered:
        token = self._token()
        version = self._remembered.boot_version if token is None else token
        before, written = self._remembered, self._keepalive.written
        stats = written if written[0] else (before.stats_born, before.stats_version)  # nothing was written yet
        return Remembered(before.cluster, version, self._store.last_zxid, *stats)

    def _token(self) -> int | None:
        """The boot token that this daemon joined with; None before."""
        return self._agent.executor.token

    def _remember(self) -> None:
        try:
            remember(self._config.state_file, self._known())
        except PvcError as error:
            log.warning("%s", error)

    # ---- what others ask, on their threads

    def _entitled(self) -> bool:
        """Whether this daemon has just heard from ZooKeeper: two thirds of a session can be relied upon."""
        return self._store.connected and self._store.lease_age_s() < self._config.settings.session_timeout_s * 2 / 3

    def _measure(self, tick: int, libvirt: bool) -> NodeStats:
        figures = self._hypervisor.figures()
        sums = machine.GuestSums(figures.domains, figures.vcpus, figures.memory_allocated_mib)
        return machine.measure(tick, sums, self._config.memory_reserve_mib, libvirt)

    def _xml_of(self, uuid: str) -> bytes:
        znode = self._store.read(znodes.xml(uuid), sync=True)
        if znode is None:
            raise NotFound(f"there is no XML of the VM {uuid} in ZooKeeper", "define the VM again")
        return znode.data

    def _address_of(self, node: str) -> str:
        """Where a node takes migrations."""
        record = self._record_of(node)
        return node if record is None else record.migration_address or node

    def _guid_of(self, node: str) -> str | None:
        """What its fence device has to tell of itself."""
        record = self._record_of(node)
        return None if record is None else record.fencing.guid

    def _record_of(self, node: str) -> NodeRecord | None:
        """Records are replaced, never changed, so the core's may be read from any thread."""
        known = self._agent.core.known.nodes.get(node)
        return known.record if known is not None and isinstance(known.record, NodeRecord) else None
