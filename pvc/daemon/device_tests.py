"""The self-test of fencing: every hour, and when somebody asks, each daemon reads the fence devices of all nodes, its own included.

A device that stopped answering is noticed before it is needed. One that turns out to be another machine's is not believed from then on:
neither its readings count, nor is an order sent to it.
"""

import logging
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pvc.cluster import znodes
from pvc.cluster.device_tests import DeviceTest, DeviceTests, decode_tests, encode_tests
from pvc.cluster.formats import decode_node
from pvc.cluster.names import clipped, is_name
from pvc.cluster.records import MAX_NODES, MAX_WHY, NodeRecord
from pvc.cluster.store import Changed, Check, Create, Set, Store, StoreError, Znode
from pvc.daemon.config import FenceAccess
from pvc.daemon.devices import look_at, wanted_guid
from pvc.daemon.fencers import Fencer, fencer_of
from pvc.errors import PvcError
from pvc.fsm.states import Power

log = logging.getLogger("pvcd")

INTERVAL_S = 3600.0
FIRST_S = 10.0
"""After the start: the guests come first."""
WORKERS = 4


class DeviceTester:
    """Tests on a thread of its own. ``token`` is the boot token, None before the node has joined; ``now`` is wall clock, and only shown."""

    def __init__(
        self,
        node: str,
        store: Store,
        access_of: Callable[[str], FenceAccess],
        *,
        token: Callable[[], int | None],
        now: Callable[[], str],
        first_s: float = FIRST_S,
        recheck_s: float | None = None,
    ) -> None:
        self.path = znodes.device_tests(node)
        self._node, self._store, self._access_of, self._token, self._now, self._first_s = node, store, access_of, token, now, first_s
        self._recheck_s = recheck_s
        self._faults: dict[str, str] = {}
        self._said: dict[str, tuple[Power, str]] = {}
        self._answered = ""
        self._asked, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="device tests", daemon=True)

    def start(self) -> None:
        """Begin, and listen for whoever asks."""
        self._store.watch(self.path)
        self._thread.start()

    def close(self) -> None:
        """Ask no more; what is being asked is given up."""
        self._closing.set()
        self._asked.set()

    def distrusted(self, node: str) -> str:
        """Why the device of this node is not to be believed, as far as was seen; empty when it is."""
        return self._faults.get(node, "")

    def changed(self, event: Changed) -> None:
        """Somebody may have asked; only enqueues."""
        found = None if event.znode is None else decode_tests(self._node, event.znode.data)
        if isinstance(found, DeviceTests) and found.asked not in ("", found.answered, self._answered):
            self._asked.set()

    def _run(self) -> None:
        wait_s = self._first_s * random.uniform(0.5, 1.5)  # not all nodes at the same time
        while True:
            self._asked.wait(wait_s)
            if self._closing.is_set():
                return
            self._asked.clear()
            try:
                self.test()
            except PvcError as error:
                log.warning("the fence devices could not be tested: %s", error)
            except Exception:
                log.exception("the fence devices could not be tested")
            wait_s = INTERVAL_S * random.uniform(0.9, 1.1)

    def test(self) -> None:
        """One round: ask every device, remember which are not believed, say what is new, and publish it."""
        token, before = self._token(), self._read()
        if token is None:
            return
        names = [name for name in self._store.children(znodes.NODES) or () if is_name(name)][:MAX_NODES]
        alive = frozenset(self._store.children(znodes.ALIVE) or ())
        records = self._store.read_many([znodes.node(name) for name in names])
        with ThreadPoolExecutor(WORKERS, "device") as pool:
            results = tuple(pool.map(lambda name: self._look(name, records[znodes.node(name)], name in alive), names))
        if self._closing.is_set():
            return
        self._faults = {one.node: one.fault for one in results if one.fault}
        for one in results:
            self._tell(one)
        self._publish(before, results, token)

    def _look(self, name: str, znode: Znode | None, alive: bool) -> DeviceTest:
        access = self._access_of(name)
        fencer = fencer_of(access, self._closing)
        if fencer is None:
            return DeviceTest(name, access.method, Power.unread)
        record = None if znode is None else decode_node(name, znode.data)
        published = record.fencing.guid if isinstance(record, NodeRecord) else None
        look = look_at(fencer, wanted_guid(access, published), lives=alive)
        if look.fault and look.reading is Power.off and not self._still_alive(name, fencer):
            return DeviceTest(name, access.method, look.reading)
        return DeviceTest(name, access.method, look.reading, clipped(look.fault, MAX_WHY))

    def _still_alive(self, name: str, fencer: Fencer) -> bool:
        """Whether a node that reads off really lives. The session of one that has just died goes on for its timeout: wait for two."""
        self._closing.wait(self._recheck_s if self._recheck_s is not None else 2 * self._store.session_timeout_s)
        return self._store.read(znodes.alive(name), sync=True) is not None and fencer.read() is Power.off

    def _tell(self, one: DeviceTest) -> None:
        seen = (one.reading, one.fault)
        if self._said.get(one.node) == seen:
            return
        self._said[one.node] = seen
        if one.fault:
            log.error("the fence device of %s is not believed: %s", one.node, one.fault)
        elif one.reading is Power.silent:
            log.warning("the fence device of %s does not answer from here: this node could not fence it", one.node)

    def _read(self) -> Znode | None:
        return self._store.read(self.path, sync=True)

    def _publish(self, before: Znode | None, results: tuple[DeviceTest, ...], token: int) -> None:
        """As the answer to the request that was there before; one that came meanwhile is answered by another round."""
        old = None if before is None else decode_tests(self._node, before.data)
        asked = old.asked if isinstance(old, DeviceTests) else ""
        data = encode_tests(self._node, DeviceTests(asked, asked, clipped(self._now(), 64), results))
        write = Create(self.path, data) if before is None else Set(self.path, data, before.version)
        try:
            self._store.multi([Check(znodes.boot(self._node), token), write])
            self._answered = asked
        except StoreError as error:
            log.info("what the fence devices said is not published: %s", error)
            self._asked.set()
            self._closing.wait(1.0)
