"""Live migrations from here: begun, followed, broken off, and over as soon as the guest cannot run here any more."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from pvc.errors import PvcError
from pvc.fsm.states import Handover
from pvc.hypervisor import qemu
from pvc.hypervisor.ledger import Ledger, Task
from pvc.hypervisor.library import Session
from pvc.hypervisor.options import HypervisorOptions, MigrationProgress
from pvc.hypervisor.sight import Sight
from pvc.hypervisor.troubles import CallFailed, Trouble
from pvc.hypervisor.workers import Workers

LIBVIRT_PORT = 16509
WATCH_S = 1.0
"""Between two looks at a migration's statistics, and between two tries to break one off."""

Finish = Callable[[Session, Task], None]


class Moves:
    """Migrations from this node: as many at a time as were allowed, the others wait; `finish` reports the end of one."""

    def __init__(
        self,
        options: HypervisorOptions,
        ledger: Ledger,
        sight: Sight,
        *,
        address_of: Callable[[str], str],
        say: Callable[[str], None],
        finish: Finish,
    ) -> None:
        self._options, self._ledger, self._sight = options, ledger, sight
        self._address_of, self._say, self._finish = address_of, say, finish
        self.workers = Workers("libvirt-migration", options.migrations_out)
        self._breakers = Workers("libvirt-abort", options.migrations_out + 2)
        self.progress: dict[str, MigrationProgress] = {}

    # ---- one migration

    def migrate(self, session: Session, task: Task) -> None:
        """Move a guest, as its record says; returns when libvirt is done with it."""
        address = self._address_of(str(task.life.target))
        uri = self._options.migration_uri.format(address=address)
        self._reach(uri)
        process = qemu.find(task.uuid)
        if process is not None:
            _thread(self._await_departure, task, process)
        self.follow(session, task)
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

    def _await_departure(self, task: Task, process: int) -> None:
        try:
            while not task.ended.is_set():
                if qemu.has_ended(process, WATCH_S):
                    self._sight.has_left(task)
                    break
        finally:
            os.close(process)

    # ---- its figures

    def follow(self, session: Session, task: Task) -> None:
        """Read a migration's statistics until it is over; one that an earlier connection began is reported then."""
        _thread(self._follow, session, task)

    def _follow(self, session: Session, task: Task) -> None:
        found = task.effect is None
        while not task.ended.is_set():
            try:
                progress = session.progress(task.uuid)
            except CallFailed as failed:
                progress = None if failed.trouble in (Trouble.gone, Trouble.state) else self.progress.get(task.uuid)
            if progress is not None:
                self.progress[task.uuid] = progress
            elif found:
                self._finish(session, task)
                break
            task.stirred.wait(WATCH_S)
            task.stirred.clear()
        self.progress.pop(task.uuid, None)

    # ---- breaking it off

    def abort(self, session: Session, task: Task) -> None:
        """Break a migration off, or let one that waits for its turn not begin."""
        begun = not self.workers.take_back(task)
        self._breakers.give(task, lambda: self._break_off(session, task) if begun else self._finish(session, task))

    def _break_off(self, session: Session, task: Task) -> None:
        """Break it off until it is over: in its first moments libvirt has no job to break off yet."""
        while not task.ended.is_set() and not session.closed.is_set():
            try:
                session.abort(task.uuid)
            except CallFailed as failed:
                if failed.trouble is Trouble.connection:
                    return
            task.ended.wait(WATCH_S)

    def abort_precopy(self, session: Session) -> None:
        """Break off every migration whose guest still runs here; one in its switchover is left to end."""
        for task in self._ledger.migrations():
            self._abort_precopy(session, task)

    def _abort_precopy(self, session: Session, task: Task) -> None:
        begun = not self.workers.take_back(task)
        self._breakers.give(task, lambda: self._abort_running(session, task) if begun else self._finish(session, task))

    def _abort_running(self, session: Session, task: Task) -> None:
        try:
            shown = session.look(task.uuid)
            if shown is not None and shown.state == "RUNNING":
                session.abort(task.uuid)
        except CallFailed as failed:
            self._say(f"the migration of {task.uuid} could not be broken off: {failed}")


def _thread(work: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, name="libvirt-move", daemon=True).start()
