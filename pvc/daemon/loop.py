"""The core loop: the one thread that decides. Everything else puts what happens into its inbox and goes on."""

import logging
import queue
import threading
from collections.abc import Callable

from pvc.agent.agent import Agent
from pvc.agent.executor import Forgotten
from pvc.cluster import znodes
from pvc.cluster.formats import decode_config
from pvc.cluster.records import ClusterConfig, NodeRecord
from pvc.cluster.store import Broken, Changed, Connection, State
from pvc.cluster.store import Event as StoreEvent
from pvc.core.events import Due, Event, HypervisorLost, Inventory
from pvc.daemon.device_tests import DeviceTester
from pvc.daemon.notify import Notifier
from pvc.daemon.surroundings import NodeHypervisor
from pvc.daemon.timer import MonotonicTimer
from pvc.errors import PvcError
from pvc.fsm.states import Daemon, Guest

log = logging.getLogger("pvcd")

TURN_S = 0.5
"""An idle loop turns so often, so that one which does not turn can be told from it."""
PRECOPY = "pvcd suspended"
PRECOPY_S = 2.0
"""Without ZooKeeper for so long, nobody could say who owns a guest whose migration ends; while it still copies it can stay."""


class CoreLoop:
    """Feeds the agent from the inbox until it is told to end.

    ``left`` is called once, when the node has left, with whether its record says so; ``failed`` when the loop cannot go on; ``news`` when
    libvirt was lost or has come back, which others should hear before the next keepalive is due.
    """

    def __init__(
        self,
        agent: Agent,
        cluster: str,
        *,
        hypervisor: NodeHypervisor,
        timer: MonotonicTimer,
        notifier: Notifier,
        inbox: "queue.SimpleQueue[Event | StoreEvent | None]",
        left: Callable[[bool], None],
        failed: Callable[[str], None],
        news: Callable[[], None],
        tests: DeviceTester,
    ) -> None:
        self.turns = 0
        self._agent = agent
        self._cluster = cluster
        self._hypervisor = hypervisor
        self._timer = timer
        self._notifier = notifier
        self._inbox = inbox
        self._left: Callable[[bool], None] | None = left
        self._failed = failed
        self._news = news
        self._tests = tests
        self._libvirt = True  # the preflight has just asked it
        self._thread = threading.Thread(target=self._run, name="core", daemon=True)

    def start(self) -> None:
        """Begin to decide."""
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Decide nothing more."""
        self._inbox.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while self._turn():
                self.turns += 1
                self._notifier.alive()
        except PvcError as error:
            self._failed(f"{error.message}; {error.next_step}" if error.next_step else error.message)
        except Forgotten as error:
            self._failed(f"{error}; guests run on, and nothing is automated until somebody has looked")
        except Exception as error:
            log.exception("the core loop failed")
            self._failed(f"the core loop failed: {error!r}")

    def _turn(self) -> bool:
        try:
            item = self._inbox.get(timeout=TURN_S)
        except queue.Empty:
            return True
        if item is None:
            return False
        self._take(item)
        while self._agent.step():
            self.turns += 1
            self._notifier.alive()
        self._after()
        if isinstance(item, HypervisorLost | Inventory):
            self._libvirt_is(isinstance(item, Inventory))
        return True

    def _libvirt_is(self, there: bool) -> None:
        if there is not self._libvirt:
            self._libvirt = there
            self._news()

    def _take(self, item: Event | StoreEvent) -> None:
        match item:
            case Connection():
                self._connection(item)
            case Changed(path=znodes.CONFIG):
                self._same_cluster(item)
            case Changed(path=path) if path == self._tests.path:
                self._tests.changed(item)
                return
            case Broken(why=why):
                raise PvcError(f"the ZooKeeper client cannot go on: {why}")
            case Due(wait=name) if name == PRECOPY:
                log.warning("ZooKeeper: away for %g s; a migration that still copies is broken off, its guest stays here", PRECOPY_S)
                self._hypervisor.abort_precopy()
                return
        self._agent.put(item)

    def _connection(self, change: Connection) -> None:
        if change.state is State.CONNECTED:
            self._timer.cancel(PRECOPY)
            log.info("ZooKeeper: connected, session %#x", change.session_id)
        elif change.state is State.SUSPENDED:
            self._timer.wait(PRECOPY, PRECOPY_S)
            log.warning("ZooKeeper: not connected; guests run on, nothing is decided")
        else:
            log.warning("ZooKeeper: the session has ended or may have; guests run on, this node joins anew when it is connected")

    def _same_cluster(self, change: Changed) -> None:
        """ZooKeeper may have been wiped or replaced while nobody was connected: its records are not ours then."""
        if change.znode is None:
            raise PvcError("the record of the cluster is gone from ZooKeeper", "restore it; guests run on meanwhile")
        config = decode_config(change.znode.data)
        if isinstance(config, ClusterConfig) and config.id != self._cluster:
            other = f"ZooKeeper holds another cluster now: {config.id} instead of {self._cluster}"
            raise PvcError(other, "correct it; guests run on meanwhile")

    def _after(self) -> None:
        known = self._agent.core.known
        mine = known.nodes.get(known.me)
        daemon = mine.record.life.daemon if mine is not None and isinstance(mine.record, NodeRecord) else None
        guests = sum(domain.guest not in (Guest.absent, Guest.unknown) for domain in known.domains.values())
        session = self._agent.core.session.state
        self._notifier.status(f"{guests} VM{'s' if guests != 1 else ''}, session {session}, {daemon or 'not in the cluster yet'}")
        works = daemon in (Daemon.init, Daemon.run)
        if self._left is not None and known.stopping and not (known.joined and works):
            self._left(not works)
            self._left = None
