"""How far the migrations away from this node are, for whoever waits for one: one write a second at most and one more for each end, and none
while nothing moves.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pvc.agent.ports import Moved
from pvc.cluster import znodes
from pvc.cluster.formats import encode_progress
from pvc.cluster.progress import MAX_LEAVING, Leaving, Progress
from pvc.cluster.records import DomainOutline, DomainRecord, Unreadable
from pvc.cluster.store import Check, Create, Refused, Set, Store, StoreError, Why
from pvc.daemon.surroundings import Moving
from pvc.fsm.states import Migration

log = logging.getLogger("pvcd")

INTERVAL_S = 1.0
"""Also how often libvirt is asked."""
LINGER_S = 10.0
"""How long the end of a migration is told: beyond what whoever waits for it needs to read it."""


Records = Callable[[], Mapping[str, DomainRecord | DomainOutline | Unreadable | None]]


class Ended(NamedTuple):
    """A migration that left this node, and until when that is told."""

    told: Leaving
    until: float


class ProgressWriter:
    """Publishes the migrations of one node. ``records`` are the VMs that its daemon knows; ``figures`` and ``halted``, since when a guest
    stands still for its migration, are libvirt's word. None of them waits.
    """

    def __init__(
        self,
        node: str,
        store: Store,
        *,
        token: Callable[[], int | None],
        records: Records,
        figures: Callable[[str], Moving | None],
        halted: Callable[[str], float | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node, self._store = node, store
        self._token, self._records, self._figures, self._halted, self._clock = token, records, figures, halted, clock
        self._ended: dict[str, Ended] = {}
        self._stirred = threading.Event()
        self._said: Progress | None = None
        self._version: int | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Write no more; waits so long for a write that is on its way."""
        self._closing.set()
        self._stirred.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def moved(self, transition: Moved) -> None:
        """Hear of a transition as soon as it is written: with this one the guest is no longer this node's."""
        if (transition.machine, transition.trigger) != ("migration", "hand_over"):
            return
        now = self._clock()
        for uuid, record in self._records().items():
            since = self._halted(uuid) if isinstance(record, DomainRecord) and record.name == transition.of else None
            if since is not None and isinstance(record, DomainRecord):
                left = Leaving(uuid, str(record.life.op_id), stood_ms=round(1000 * (now - since)))
                self._ended[uuid] = Ended(left, now + LINGER_S)
                self._stirred.set()

    def tick(self) -> bool:
        """Look once, and write if there is anything new; returns whether there was a write. What cannot be written now is no loss."""
        token, found = self._token(), Progress(tuple(self._leaving())[:MAX_LEAVING])
        if token is None or found == (self._said or Progress()):
            return False
        try:
            self._write(found, token)
        except StoreError as error:
            log.debug("no progress of migrations: %s", error)
            self._version = None
            return False
        self._said = found
        return True

    def _leaving(self) -> list[Leaving]:
        now = self._clock()
        moving = {(uuid, told.op): told for uuid, record in self._records().items() if (told := self._of(uuid, record)) is not None}
        for uuid, one in list(self._ended.items()):
            if one.until <= now:
                self._ended.pop(uuid)
            else:
                moving[uuid, one.told.op] = one.told  # also while the core loop has yet to learn that it is over
        return [moving[key] for key in sorted(moving)]

    def _of(self, uuid: str, record: object) -> Leaving | None:
        if not isinstance(record, DomainRecord) or record.life.owner != self._node or record.life.phase is not Migration.moving:
            return None
        seen = self._figures(uuid)
        if seen is None:
            return None
        names = ("seconds", "total_mib", "remaining_mib", "rate_mib_s", "iteration", "throttle", "downtime_ms")
        return Leaving(uuid, str(record.life.op_id), **{name: getattr(seen, name) for name in names})

    def _write(self, progress: Progress, token: int) -> None:
        path, data = znodes.progress(self._node), encode_progress(self._node, progress)
        if self._version is None:
            present = self._store.read(path)
            self._version = None if present is None else present.version
        op = Create(path, data) if self._version is None else Set(path, data, self._version)
        try:
            (version, _) = self._store.multi([op, Check(znodes.boot(self._node), token)])
        except Refused as refused:
            if refused.why in (Why.VERSION, Why.EXISTS, Why.MISSING):
                self._version = None  # looked up with the next one
            raise
        self._version = version

    def _run(self) -> None:
        while True:
            self._stirred.wait(INTERVAL_S)
            self._stirred.clear()
            if self._closing.is_set():
                return
            try:
                self.tick()
            except Exception:
                log.exception("no progress of migrations")  # it is only shown, so nothing ends because of it
