"""Orders on guests, carried out: each becomes calls to libvirt on a worker, and ends with a look at the guest.

Whether a call succeeded is only told to people. When its connection broke, nothing is reported: the next count says what is.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from pvc.cluster.domain_xml import DomainFacts, check_domain_xml
from pvc.core.facts import JOBS
from pvc.errors import PvcError
from pvc.fsm.states import Effect, Guest, Handover, Job
from pvc.fsm.views import Life
from pvc.hypervisor.claims import Phase
from pvc.hypervisor.ledger import Ledger, Task
from pvc.hypervisor.library import Session
from pvc.hypervisor.options import HypervisorOptions, MigrationProgress
from pvc.hypervisor.sight import Sight
from pvc.hypervisor.troubles import CallFailed, Trouble
from pvc.hypervisor.workers import Workers

LIBVIRT_PORT = 16509
WATCH_S = 1.0
"""Between two looks at a migration's statistics, and between two tries to break one off."""

CheckXml = Callable[[bytes], DomainFacts]


class Jobs:
    """Carries out the orders of one Core over whatever session is open."""

    def __init__(
        self,
        options: HypervisorOptions,
        ledger: Ledger,
        sight: Sight,
        *,
        xml_of: Callable[[str], bytes],
        address_of: Callable[[str], str],
        say: Callable[[str], None],
        check_xml: CheckXml = check_domain_xml,
    ) -> None:
        self._options, self._ledger, self._sight, self._claims = options, ledger, sight, sight.claims
        self._xml_of, self._address_of, self._say, self._check_xml = xml_of, address_of, say, check_xml
        self._workers = Workers("libvirt-job", options.workers)
        self._movers = Workers("libvirt-migration", options.migrations_out)
        self._helpers = Workers("libvirt-abort", options.migrations_out + 2)
        self.session: Session | None = None
        self.progress: dict[str, MigrationProgress] = {}
        self._calls: dict[Effect, Callable[[Session, Task], None]] = {
            Effect.create: self._create,
            Effect.shutdown: lambda session, task: session.shutdown(task.uuid),
            Effect.destroy: lambda session, task: session.destroy(task.uuid),
            Effect.discard: self._discard,
            Effect.migrate: self._migrate,
            Effect.resume: self._resume,
            Effect.suspend: lambda session, task: session.suspend(task.uuid),
        }

    # ---- taking orders, on the Core's thread

    def order(self, uuid: str, effect: Effect, life: Life) -> None:
        """Take an order; its end is reported."""
        if effect is Effect.admit:
            self._admit(uuid, life)
        elif effect is Effect.abort_job:
            self._abort(uuid, life)
        else:
            self._begin(uuid, effect, life)

    def _admit(self, uuid: str, life: Life) -> None:
        try:
            self._claims.put(uuid, life.epoch, Phase.copy)
        except PvcError as error:
            self._say(f"{error}; the migration will be denied")

    def _begin(self, uuid: str, effect: Effect, life: Life) -> None:
        task = self._ledger.begin(uuid, JOBS[effect], effect, life)
        session = self.session
        if task is None or session is None:
            self._say(f"the order to {effect} {uuid} was given before the guests were counted anew; it is decided again")
            return
        pool = self._movers if effect is Effect.migrate else self._workers
        pool.give(task, lambda: self._run(session, task))

    def _abort(self, uuid: str, life: Life) -> None:
        task = self._ledger.abort(uuid)
        session = self.session
        if task is not None and self._movers.take_back(task):
            self._helpers.give(task, lambda: self._finish(session, task) if session else None)
        elif task is not None and session is not None:
            self._helpers.give(task, lambda: self._break_off(session, task))
        elif session is not None:  # it has ended already, and its end is on its way
            late = self._ledger.begin(uuid, Job.abort, Effect.abort_job, life)
            if late is not None:
                self._helpers.give(late, lambda: self._finish(session, late))

    # ---- carrying them out, on a worker

    def _run(self, session: Session, task: Task) -> None:
        effect = task.effect
        assert effect is not None
        try:
            if not task.aborted.is_set():
                self._claims.note_job(task.uuid, task.job, task.life.epoch)
                self._calls[effect](session, task)
        except PvcError as error:
            already = isinstance(error, CallFailed) and error.trouble is Trouble.gone and task.job in (Job.destroy, Job.shutdown)
            if not already:
                task.trouble = str(error)
                self._say(f"{effect} {task.uuid}: {error}")
        self._finish(session, task)

    def _finish(self, session: Session, task: Task) -> None:
        """Look at the guest, and report the end; without an answer nothing is reported, because nothing is known."""
        task.ended.set()
        try:
            self._sight.look_after(session, task)
        except CallFailed as failed:
            if failed.trouble is not Trouble.connection and self._ledger.is_current(task):
                self._say(f"after the {task.job} of {task.uuid} its guest cannot be looked at: {failed}")
                self._ledger.end(task, Guest.unknown)

    def _create(self, session: Session, task: Task) -> None:
        uuid = task.uuid
        data = self._xml_of(uuid)
        facts = self._check_xml(data)
        if facts.uuid != uuid:
            raise PvcError(f"its XML is that of {facts.uuid}, so it is not started", "define the VM again")
        there = session.look(uuid)
        if there is not None:
            raise PvcError(f"libvirt has a domain of it already, {there.state}, so it is not started", "look at it with virsh")
        self._claims.put(uuid, task.life.epoch, Phase.create, Job.create)
        session.create(data.decode())
        try:
            session.mark(uuid, self._options.name)
        except CallFailed as failed:
            self._say(f"{uuid} runs, but could not be marked as ours: {failed}")

    def _discard(self, session: Session, task: Task) -> None:
        if self._sight.read(session, task.uuid) is Guest.running:
            raise PvcError("it runs: an order to drop a copy never stops a guest")
        session.destroy(task.uuid)

    def _resume(self, session: Session, task: Task) -> None:
        if self._sight.read(session, task.uuid) is Guest.incoming:
            raise PvcError("its copy is not complete, so it cannot run")
        session.resume(task.uuid)
        self._claims.has_run(task.uuid)

    # ---- migrations

    def _migrate(self, session: Session, task: Task) -> None:
        address = self._address_of(str(task.life.target))
        uri = self._options.migration_uri.format(address=address)
        self._reach(uri)
        self.watch(session, task)
        paused = task.life.handover is Handover.paused
        session.migrate(task.uuid, uri, self._options.data_uri.format(address=address), self._options, paused=paused)

    def _reach(self, uri: str) -> None:
        """Fail in seconds where libvirt would wait for minutes: the target's libvirtd must take connections at this address (H46)."""
        parts = urlsplit(uri)
        if "+tcp" not in parts.scheme or parts.hostname is None:
            return
        try:
            socket.create_connection((parts.hostname, parts.port or LIBVIRT_PORT), self._options.reach_timeout_s).close()
        except OSError as error:
            raise PvcError(f"the target's libvirt is not reached at {uri}: {error}", "look at its migration address") from error

    def watch(self, session: Session, task: Task) -> None:
        """Follow a migration's statistics until it is over."""
        threading.Thread(target=self._watch, args=(session, task), name="libvirt-progress", daemon=True).start()

    def _watch(self, session: Session, task: Task) -> None:
        adopted = task.effect is None
        while not task.ended.is_set():
            try:
                progress = session.progress(task.uuid)
            except CallFailed as failed:
                progress = None if failed.trouble in (Trouble.gone, Trouble.state) else self.progress.get(task.uuid)
            if progress is not None:
                self.progress[task.uuid] = progress
            elif adopted:
                self._finish(session, task)
                break
            task.stirred.wait(WATCH_S)
            task.stirred.clear()
        self.progress.pop(task.uuid, None)

    def _break_off(self, session: Session, task: Task) -> None:
        """Break it off until it is over: in its first moments libvirt has no job to break off yet."""
        while not task.ended.is_set() and not session.closed.is_set():
            try:
                session.abort(task.uuid)
            except CallFailed as failed:
                if failed.trouble is Trouble.connection:
                    return
            task.ended.wait(WATCH_S)

    def abort_precopy(self) -> None:
        """Break off every migration whose guest still runs here; one in its switchover is left to end."""
        session = self.session
        for task in self._ledger.migrations():
            if self._movers.take_back(task):
                self._helpers.give(task, lambda task=task: self._finish(session, task) if session else None)  # type: ignore[misc]
            elif session is not None:
                self._helpers.give(task, lambda task=task: self._abort_running(session, task))  # type: ignore[misc]

    def _abort_running(self, session: Session, task: Task) -> None:
        try:
            shown = session.look(task.uuid)
            if shown is not None and shown.state == "RUNNING":
                session.abort(task.uuid)
        except CallFailed as failed:
            self._say(f"the migration of {task.uuid} could not be broken off: {failed}")
