"""Looking at guests: what is seen of one is reported in the order in which it was seen, and its claim is brought up to date before.

A look that was overtaken would be a lie: *absent*, read before a guest was started and reported after it, would let another node start it.
So looking at a guest and reporting what was seen is one step for each guest.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pvc.fsm.states import Guest, Job
from pvc.hypervisor.claims import Claims
from pvc.hypervisor.guests import Shown, guest_of
from pvc.hypervisor.ledger import Ledger, Task
from pvc.hypervisor.library import Session
from pvc.hypervisor.troubles import CallFailed


class Sight:
    """Looks at guests of one libvirtd, and tells the ledger."""

    def __init__(self, ledger: Ledger, claims: Claims) -> None:
        self._ledger = ledger
        self.claims = claims
        self._lock = threading.Lock()
        self._looking: dict[str, threading.Lock] = {}
        self._off_by_itself: set[str] = set()

    @contextmanager
    def _one_at_a_time(self, uuid: str) -> Iterator[None]:
        with self._lock:
            one = self._looking.setdefault(uuid, threading.Lock())
        with one:
            yield

    def powers_off(self, uuid: str) -> None:
        """The guest was heard to power itself off; it is gone a moment later."""
        self._off_by_itself.add(uuid)

    def read(self, session: Session, uuid: str) -> Guest:
        """What the guest is now, for a job that has to know; nothing is reported."""
        return self.as_guest(uuid, session.look(uuid))

    def as_guest(self, uuid: str, shown: Shown | None) -> Guest:
        """What libvirt shows, in our words."""
        return guest_of(shown, copy=self.claims.is_copy(uuid))

    def look(self, session: Session, connection: int, uuid: str) -> Guest:
        """Look at a guest after something has happened to it, and report what is news."""
        with self._one_at_a_time(uuid):
            guest = self.read(session, uuid)
            by_itself = self._is_off_by_itself(uuid, guest)
            if self._ledger.is_news(connection, uuid, guest):
                self._note(uuid, guest)
                self._ledger.saw(connection, uuid, guest, by_itself)
            return guest

    def look_after(self, session: Session, task: Task) -> Guest:
        """Look at a guest after its job, and report the end of the job; nothing is reported that nobody waits for any more."""
        uuid = task.uuid
        with self._one_at_a_time(uuid):
            guest = self.read(session, uuid)
            if self._ledger.is_current(task):
                if guest is not Guest.absent:
                    self.claims.note_job(uuid, Job.none, task.life.epoch)
                self._note(uuid, guest)
                self._ledger.end(task, guest)
            return guest

    def has_left(self, task: Task) -> None:
        """The QEMU of a guest that migrates from here has ended: its job is over, whatever libvirt still has to tidy up."""
        with self._one_at_a_time(task.uuid):
            if self._ledger.is_current(task):
                self.claims.is_gone(task.uuid)
                self._ledger.has_left(task)

    def tidied(self, session: Session, task: Task) -> None:
        """libvirt has tidied up after a guest that has left: look what it shows now."""
        if self._ledger.tidied(task):
            with suppress(CallFailed):  # the next list shows it
                self.look(session, task.connection, task.uuid)

    def _is_off_by_itself(self, uuid: str, guest: Guest) -> bool:
        """Whether its own power-off was heard; forgotten once it is gone, or runs again."""
        heard = uuid in self._off_by_itself
        if guest is Guest.absent:
            self._off_by_itself.discard(uuid)
        return heard

    def _note(self, uuid: str, guest: Guest) -> None:
        if guest is Guest.absent:
            self.claims.is_gone(uuid)
        elif guest is Guest.running:
            self.claims.has_run(uuid)
