"""The connection to libvirtd: opened, counted over, watched, and opened again with a back-off when it breaks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from itertools import chain, repeat

from pvc.fsm.states import Guest, Job
from pvc.fsm.views import Life
from pvc.hypervisor.claims import Phase
from pvc.hypervisor.jobs import Jobs
from pvc.hypervisor.ledger import MIGRATES, Ledger, Task
from pvc.hypervisor.library import Session, Size
from pvc.hypervisor.options import GuestFigures, HypervisorOptions
from pvc.hypervisor.sight import Sight
from pvc.hypervisor.troubles import CallFailed, Trouble
from pvc.hypervisor.workers import Workers

log = logging.getLogger(__name__)

LOOKERS = 4
UNKNOWN_AGAIN_S = 1.0
"""When a guest is looked at again whose state was between two others."""
SOON_S = (1.0, 4.0)
"""When guests are counted again on a new connection: a libvirtd that starts kills copies which it cannot complete, and sends no event."""
MAX_COUNTS = 24
"""How often guests are counted at most before what is still unsettled is reported as unknown."""


class Keeper:
    """Keeps one session open, one after the other; `jobs` works over the one that counts."""

    def __init__(self, options: HypervisorOptions, ledger: Ledger, sight: Sight, jobs: Jobs, say: Callable[[str], None]) -> None:
        self._options, self._ledger, self._sight, self._jobs, self._say = options, ledger, sight, jobs, say
        self._lookers = Workers("libvirt-look", LOOKERS)
        self._sizes: dict[str, Size] = {}
        self._lock = threading.Lock()
        self._early: set[str] | None = None
        self._session: Session | None = None
        self._connection = 0
        self._closing = threading.Event()
        self._told = ""
        self._thread = threading.Thread(target=self._keep, name="libvirt", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def close(self) -> None:
        """Report nothing more, and let go."""
        self._closing.set()
        self._ledger.close()
        session, self._session, self._jobs.session = self._session, None, None
        if session is not None:
            session.close()

    def figures(self) -> GuestFigures:
        """What the guests that are here take, as last seen."""
        sizes = [self._sizes.get(uuid, Size(0, 0)) for uuid in self._ledger.guests()]
        return GuestFigures(len(sizes), sum(size.vcpus for size in sizes), sum(size.memory_mib for size in sizes))

    # ---- the life of a connection, on the thread of its own

    def _keep(self) -> None:
        pause = self._options.reopen_s
        while not self._closing.is_set():
            self._connection += 1
            if self._serve(self._connection):
                pause = self._options.reopen_s
            self._closing.wait(pause)
            pause = min(2 * pause, self._options.reopen_max_s)

    def _serve(self, connection: int) -> bool:
        """Open a connection, and stay with it until it breaks; whether guests were counted over it."""
        self._early = set()
        try:
            session = Session(self._options, partial(self._stirred, connection), partial(self._lost, connection))
        except CallFailed as failed:
            self._tell(f"libvirt at {self._options.uri} cannot be reached: {failed}; it is tried again, guests are left alone")
            return False
        self._session = session
        counted = False
        try:
            self._begin(session, connection)
            counted = True
            pauses = chain(SOON_S, repeat(self._options.relist_s))
            while not session.closed.wait(next(pauses)):
                self._relist(session, connection)
        except CallFailed as failed:
            self._lost(connection, str(failed))
        except Exception as error:
            log.exception("the connection to libvirt is given up for an error that nobody foresaw, and opened anew")
            self._lost(connection, f"{type(error).__name__}: {error}")
        finally:
            session.close()
            self._lost(connection, "it was let go")
        return counted

    def _lost(self, connection: int, why: str) -> None:
        """Also on libvirt's event thread, which must not wait."""
        if self._ledger.lost(connection) and not self._closing.is_set():
            lost = f"libvirt at {self._options.uri} is lost: {why}"
            self._tell(f"{lost}; what its guests do is unknown until it answers, and they are left alone")

    def _tell(self, sentence: str) -> None:
        """Say it once, not at every try."""
        if sentence != self._told:
            self._told = sentence
            self._say(sentence)

    # ---- counting

    def _begin(self, session: Session, connection: int) -> None:
        """Count until nothing that was asked over an earlier connection can still happen, and report."""
        guests = self._count_settled(session)
        tasks = self._still_migrating(session, connection, guests)
        self._note(guests, {task.uuid for task in tasks})
        for task in tasks:
            guests[task.uuid] = Guest.running  # paused at most for its hand-over, which its job decides
        self._jobs.session = session
        if self._closing.is_set():
            return
        self._ledger.counted(connection, guests, tasks, frozenset(self._sight.claims.all()))
        for task in tasks:
            self._jobs.moves.follow(session, task)
        here = sum(guest is not Guest.absent for guest in guests.values())
        self._told = ""
        log.info("libvirt at %s answers: %d guests are here", self._options.uri, here)
        with self._lock:
            early, self._early = self._early or set(), None
        for uuid in early:
            self._look_soon(session, connection, uuid)
        self._measure(session)

    def _count_settled(self, session: Session) -> dict[str, Guest]:
        """Count once; where the end of a job was not seen, until two counts in a row agree on its guest."""
        doubt = [uuid for uuid, claim in self._sight.claims.all().items() if claim.job is not Job.none]
        guests = self._count(session)
        for _ in range(MAX_COUNTS if doubt else 0):
            before = [guests.get(uuid, Guest.absent) for uuid in doubt]
            if session.closed.wait(self._options.settle_s):
                raise CallFailed(Trouble.connection, "it broke while its guests were counted")
            guests = self._count(session)
            now = [guests.get(uuid, Guest.absent) for uuid in doubt]
            if now == before and Guest.unknown not in now:
                break
        return guests

    def _count(self, session: Session) -> dict[str, Guest]:
        return {uuid: self._sight.as_guest(uuid, shown) for uuid, shown in session.count().items()}

    def _still_migrating(self, session: Session, connection: int, guests: dict[str, Guest]) -> list[Task]:
        """Migrations that an earlier connection, or an earlier daemon, has begun: they go on without whoever asked."""
        found = []
        for uuid, claim in self._sight.claims.all().items():
            if claim.job in MIGRATES and guests.get(uuid, Guest.absent) is not Guest.absent and self._migrates(session, uuid):
                found.append(Task(uuid, Job.migrate, None, Life(epoch=claim.epoch), connection))
        return found

    def _migrates(self, session: Session, uuid: str) -> bool:
        try:
            return session.progress(uuid) is not None
        except CallFailed as failed:
            if failed.trouble is Trouble.connection:
                raise
            return failed.trouble is Trouble.busy

    def _note(self, guests: dict[str, Guest], migrating: set[str]) -> None:
        """Bring the claims up to date with what was counted: a guest that is gone must not begin by what was asked before."""
        claims = self._sight.claims
        for uuid, claim in claims.all().items():
            guest = guests.get(uuid, Guest.absent)
            if guest is Guest.absent and (claim.phase is not Phase.copy or claim.job is not Job.none):
                claims.is_gone(uuid)
            elif guest is not Guest.unknown and uuid not in migrating:
                claims.note_job(uuid, Job.none, claim.epoch)
            if guest is Guest.running:
                claims.has_run(uuid)

    def _relist(self, session: Session, connection: int) -> None:
        """Count again: an event that was lost costs a minute at most."""
        now, before = self._count(session), self._ledger.guests()
        for uuid in {*now, *before}:
            if now.get(uuid, Guest.absent) is not before.get(uuid, Guest.absent):
                self._look_soon(session, connection, uuid)
        self._sight.claims.sweep()
        self._measure(session)

    def _measure(self, session: Session) -> None:
        for uuid in self._ledger.guests():
            try:
                self._sizes[uuid] = session.size(uuid)
            except CallFailed as failed:
                if failed.trouble is Trouble.connection:
                    raise
        for uuid in set(self._sizes) - set(self._ledger.guests()):
            self._sizes.pop(uuid, None)

    # ---- what happens to guests

    def _stirred(self, connection: int, uuid: str, by_itself: bool) -> None:
        """Something happened to this domain; on libvirt's event thread."""
        session = self._session
        if by_itself:
            self._sight.powers_off(uuid)
        task = self._ledger.task(uuid)
        if task is not None:
            task.stirred.set()
        with self._lock:
            if self._early is not None:
                self._early.add(uuid)
            elif session is not None:
                self._look_soon(session, connection, uuid)

    def _look_soon(self, session: Session, connection: int, uuid: str) -> None:
        self._lookers.give((connection, uuid), lambda: self._look(session, connection, uuid))

    def _look(self, session: Session, connection: int, uuid: str) -> None:
        try:
            guest = self._sight.look(session, connection, uuid)
            if guest is not Guest.absent and uuid not in self._sizes:
                self._sizes[uuid] = session.size(uuid)
        except CallFailed:
            return  # a broken connection is counted over anew, and what libvirt did not tell shows in the next list
        if guest is Guest.unknown:
            again = threading.Timer(UNKNOWN_AGAIN_S, self._look_soon, (session, connection, uuid))
            again.daemon = True
            again.start()
