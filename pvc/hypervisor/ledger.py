"""What the Core was told, and what it believes: the one place from which events are reported, in an order that can be relied on.

A count is authoritative: with it the Core forgets every job that it does not name. So nothing of an earlier connection is reported after
that is known to be lost, and an order that the Core gave before it has read the latest count is not carried out: it would be forgotten
while it is in flight.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from pvc.core import events as e
from pvc.fsm.states import Effect, Guest, Job
from pvc.fsm.views import Life

MIGRATES = (Job.migrate, Job.abort)


class Counted(Mapping[str, Guest]):
    """The guests of one count; it notes when it is first read."""

    def __init__(self, guests: Mapping[str, Guest]) -> None:
        self._guests = dict(guests)
        self.was_read = False

    def __getitem__(self, uuid: str) -> Guest:
        self.was_read = True
        return self._guests[uuid]

    def __iter__(self) -> Iterator[str]:
        self.was_read = True
        return iter(self._guests)

    def __len__(self) -> int:
        return len(self._guests)

    def __repr__(self) -> str:
        return repr(self._guests)


@dataclass(eq=False)
class Task:
    """A job in flight: `ended` is set when nothing more can come of it, or its connection is lost; `aborted` when it was broken off.

    `trouble` is why its call failed, in libvirt's words.
    """

    uuid: str
    job: Job
    effect: Effect | None
    life: Life
    connection: int
    ended: threading.Event = field(default_factory=threading.Event)
    aborted: threading.Event = field(default_factory=threading.Event)
    stirred: threading.Event = field(default_factory=threading.Event)
    trouble: str = ""


class Ledger:
    """Guests and jobs as the Core knows them, of the connection that counts; connection 0 is none."""

    def __init__(self, report: Callable[[e.Event], None]) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._connection = 0
        self._count: Counted | None = None
        self._guests: dict[str, Guest] = {}
        self._tasks: dict[str, Task] = {}
        self._leaving: set[str] = set()

    # ---- the connection

    def counted(self, connection: int, guests: Mapping[str, Guest], tasks: list[Task], claimed: frozenset[str]) -> None:
        """All guests were counted on this connection, and these jobs are under way."""
        with self._lock:
            self._connection = connection
            self._guests = {uuid: guest for uuid, guest in guests.items() if guest is not Guest.absent}
            self._tasks = {task.uuid: task for task in tasks}
            self._count = Counted(self._guests)
            self._report(e.Inventory(self._count, {task.uuid: task.job for task in tasks}, claimed))

    def lost(self, connection: int) -> bool:
        """This connection is lost; whether that is news."""
        with self._lock:
            if connection != self._connection:
                return False
            self._connection = 0
            for task in self._tasks.values():
                task.ended.set()
                task.stirred.set()
            self._tasks, self._guests, self._leaving = {}, {}, set()
            self._report(e.HypervisorLost())
            return True

    def close(self) -> None:
        """Nothing is reported any more."""
        with self._lock:
            self._connection, self._report = 0, _nowhere

    # ---- jobs

    def begin(self, uuid: str, job: Job, effect: Effect, life: Life) -> Task | None:
        """An order becomes a job; None when it was given before the latest count was known, and is decided again."""
        with self._lock:
            if not self._connection or self._count is None or not self._count.was_read:
                return None
            task = Task(uuid, job, effect, life, self._connection)
            if job is not Job.shutdown:  # its call ends at once, and in the Core's eyes it lasts until the guest is gone
                self._tasks[uuid] = task
            return task

    def abort(self, uuid: str) -> Task | None:
        """The migration of this VM, from now on an abort; None when none is in flight any more."""
        with self._lock:
            task = self._tasks.get(uuid)
            if task is None or task.job not in MIGRATES:
                return None
            task.job = Job.abort
            task.aborted.set()
            return task

    def is_current(self, task: Task) -> bool:
        """Whether the Core still waits for this job."""
        with self._lock:
            return task.connection == self._connection and (task.job is Job.shutdown or self._tasks.get(task.uuid) is task)

    def end(self, task: Task, guest: Guest) -> None:
        """A job has ended, and this is what its guest shows since."""
        with self._lock:
            task.ended.set()
            if task.connection != self._connection:
                return
            if self._tasks.get(task.uuid) is task:
                del self._tasks[task.uuid]
            self._keep(task.uuid, guest)
            self._report(e.JobDone(task.uuid, task.job, guest, task.trouble))

    def has_left(self, task: Task) -> None:
        """The guest of a migration cannot run here any more, so its job is over, and the new owner may let it run.

        Until `tidied`, libvirt shows what is not true any more, and takes no guest of that name: nobody may count on one, or on none.
        """
        self.end(task, Guest.absent)
        with self._lock:
            if task.connection == self._connection:
                self._leaving.add(task.uuid)
                self._guests[task.uuid] = Guest.unknown
                self._report(e.GuestSeen(task.uuid, Guest.unknown))

    def tidied(self, task: Task) -> bool:
        """libvirt is done with a guest that may have left: what it shows counts again; whether it did not before."""
        with self._lock:
            counted = task.connection != self._connection or task.uuid not in self._leaving
            if not counted:
                self._leaving.discard(task.uuid)
            return not counted

    def task(self, uuid: str) -> Task | None:
        """The job of this VM in flight."""
        with self._lock:
            return self._tasks.get(uuid)

    def migrations(self) -> list[Task]:
        """Every migration from here in flight."""
        with self._lock:
            return [task for task in self._tasks.values() if task.job in MIGRATES]

    # ---- guests

    def is_news(self, connection: int, uuid: str, guest: Guest) -> bool:
        """Whether the Core knows this guest otherwise, and a job under way does not explain what it shows."""
        with self._lock:
            return self._is_news(connection, uuid, guest)

    def saw(self, connection: int, uuid: str, guest: Guest, by_itself: bool = False) -> None:
        """A guest was looked at; what is news is reported."""
        with self._lock:
            if self._is_news(connection, uuid, guest):
                self._keep(uuid, guest)
                self._report(e.GuestSeen(uuid, guest, by_itself and guest is Guest.absent))

    def _is_news(self, connection: int, uuid: str, guest: Guest) -> bool:
        known = self._guests.get(uuid, Guest.absent)
        counts = connection == self._connection and uuid not in self._leaving
        return counts and known is not guest and not self._hides(uuid, guest)

    def guests(self) -> dict[str, Guest]:
        """The guests that are here, as last reported."""
        with self._lock:
            return dict(self._guests)

    def _keep(self, uuid: str, guest: Guest) -> None:
        if guest is Guest.absent:
            self._guests.pop(uuid, None)
        else:
            self._guests[uuid] = guest

    def _hides(self, uuid: str, guest: Guest) -> bool:
        """In the middle of a job a guest shows what will not last: libvirt pauses it to start it, and to hand it over."""
        task = self._tasks.get(uuid)
        return task is not None and guest not in (Guest.absent, Guest.running)


def _nowhere(event: e.Event) -> None:
    """To whom a closed port reports."""
