"""Orders on guests, carried out: each becomes calls to libvirt on a worker, and ends with a look at the guest.

Whether a call succeeded is only told to people. When its connection broke, nothing is reported: the next count says what is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from pvc.cluster.domain_xml import DomainFacts, check_domain_xml
from pvc.core.facts import JOBS
from pvc.errors import PvcError
from pvc.fsm.states import Effect, Guest, Job
from pvc.fsm.views import Life
from pvc.hypervisor.claims import Phase
from pvc.hypervisor.ledger import Ledger, Task
from pvc.hypervisor.library import Session
from pvc.hypervisor.moves import Moves
from pvc.hypervisor.options import HypervisorOptions
from pvc.hypervisor.sight import Sight
from pvc.hypervisor.troubles import CallFailed, Trouble
from pvc.hypervisor.workers import Workers

log = logging.getLogger(__name__)

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
        self._xml_of, self._say, self._check_xml = xml_of, say, check_xml
        self._workers = Workers("libvirt-job", options.workers)
        self.session: Session | None = None
        self.moves = Moves(options, ledger, sight, address_of=address_of, say=say, finish=self.finish)
        self._calls: dict[Effect, Callable[[Session, Task], None]] = {
            Effect.create: self._create,
            Effect.shutdown: lambda session, task: session.shutdown(task.uuid),
            Effect.destroy: lambda session, task: session.destroy(task.uuid),
            Effect.discard: self._discard,
            Effect.migrate: self.moves.migrate,
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
        pool = self.moves.workers if effect is Effect.migrate else self._workers
        pool.give(task, lambda: self._run(session, task))

    def _abort(self, uuid: str, life: Life) -> None:
        task, session = self._ledger.abort(uuid), self.session
        if session is not None and task is not None:
            self.moves.abort(session, task)
        elif session is not None:  # it has ended already, and its end is on its way
            late = self._ledger.begin(uuid, Job.abort, Effect.abort_job, life)
            if late is not None:
                self._workers.give(late, lambda: self.finish(session, late))

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
        except Exception as error:
            log.exception("%s %s ended in an error that nobody foresaw", effect, task.uuid)
            task.trouble = f"{type(error).__name__}: {error}"
        self.finish(session, task)
        self._sight.tidied(session, task)

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

    # ---- the end of a job

    def finish(self, session: Session, task: Task) -> None:
        """Look at the guest, and report the end; without an answer nothing is reported, because nothing is known."""
        task.ended.set()
        try:
            self._sight.look_after(session, task)
        except CallFailed as failed:
            if failed.trouble is not Trouble.connection and self._ledger.is_current(task):
                self._say(f"after the {task.job} of {task.uuid} its guest cannot be looked at: {failed}")
                self._ledger.end(task, Guest.unknown)
