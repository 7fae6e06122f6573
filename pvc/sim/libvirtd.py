"""A simulated libvirtd and the guests below it, with the behaviour that was measured with libvirt 9.

Guests are processes of their own: they run on when libvirtd is frozen, killed or restarted. A call that was sent to a frozen libvirtd waits
there, and is carried out when it goes on, whoever is still interested. A guest that goes while libvirtd is down is missing afterwards,
without an event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pvc.fsm.states import Guest, Job
from pvc.fsm.views import Life
from pvc.sim.clock import Due
from pvc.sim.migration import Migration

if TYPE_CHECKING:
    from pvc.sim.machine import Machine

Finish = Callable[[], None]
EVENT_S = 0.002
"""From a change of a guest until a client of libvirtd hears of it."""


class Client(Protocol):
    """A connection to a libvirtd."""

    def domain_event(self, uuid: str, by_itself: bool) -> None:
        """Something happened to this guest; what it is now has to be asked."""

    def closed(self) -> None:
        """The connection is gone."""

    def silent(self, silent: bool) -> None:
        """It does not answer keepalives any more, or again."""


@dataclass(slots=True, eq=False)
class Work:
    """A job under way: what is done when its time is over, and who wants to know."""

    uuid: str
    job: Job
    act: Callable[[], None]
    done: list[Finish]
    due: Due | None = None
    left_s: float = 0.0


class Libvirtd:
    """One host's libvirtd; ``running`` says whether there is a process, ``frozen`` whether it does anything."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.world = machine.world
        self.running = False
        self.frozen = False
        self.guests: dict[str, Guest] = {}
        self.work: dict[str, Work | Migration] = {}
        self.doors: dict[str, str | None] = {}
        self.clients: list[Client] = []
        self._asked: set[str] = set()
        self._waiting: list[Callable[[], None]] = []
        self._unsaid: dict[str, bool] = {}
        self._suspended: set[str] = set()

    @property
    def answers(self) -> bool:
        """Whether a call is answered."""
        return self.machine.up and self.running and not self.frozen

    def guest(self, uuid: str) -> Guest:
        """What is true of this guest here."""
        return self.guests.get(uuid, Guest.absent)

    def migrations(self) -> Iterator[Migration]:
        """The live migrations that leave from here."""
        return (work for work in tuple(self.work.values()) if isinstance(work, Migration))

    def jobs(self) -> dict[str, Job]:
        """The jobs under way."""
        return {uuid: work.job for uuid, work in self.work.items()}

    # ---- guests

    def become(self, uuid: str, guest: Guest, why: str, by_itself: bool = False) -> None:
        """Let a guest be this from now on; those who are connected hear of it."""
        before = self.guest(uuid)
        if before is guest:
            return
        self.guests[uuid] = guest
        if guest is Guest.absent:
            del self.guests[uuid]
            self._asked.discard(uuid)
            self._suspended.discard(uuid)
        self.world.guest_changed(self.machine.name, uuid, before, guest, why)
        if self.answers:
            self._say(uuid, by_itself)
        elif self.running:
            self._unsaid[uuid] = by_itself

    def _say(self, uuid: str, by_itself: bool) -> None:
        for client in tuple(self.clients):
            client.domain_event(uuid, by_itself)

    def dies(self, uuid: str, why: str = "its process died", by_itself: bool = False) -> None:
        """A guest's process ends; a migration of it breaks."""
        if self.guest(uuid) is not Guest.absent:
            self.become(uuid, Guest.absent, why, by_itself)
            self.world.changed()

    def suspend_for_switchover(self, uuid: str) -> None:
        """A migration stops a guest here; libvirtd itself lets it go on should it find it so after a restart."""
        self._suspended.add(uuid)
        self.become(uuid, Guest.paused, "its migration switches over")

    def keep_suspended(self, uuid: str) -> None:
        """The other side runs it, or may: a restart of libvirtd does not let it go on."""
        self._suspended.discard(uuid)

    # ---- calls

    def call(self, what: Callable[[], None]) -> None:
        """Carry out a call, or keep it until libvirtd goes on; without libvirtd it is lost."""
        if self.answers:
            what()
        elif self.running and self.frozen:
            self._waiting.append(what)

    def begin(self, uuid: str, job: Job, done: Finish) -> None:
        """Begin a job that takes its time."""
        assert uuid not in self.work, f"two jobs at once for {uuid} on {self.machine.name}: {self.work[uuid].job} and {job}"
        seconds = self._seconds(uuid, job)
        work = Work(uuid, job, self._act(uuid, job), [done], left_s=seconds)
        self.work[uuid] = work
        self._run(work)

    def migrate(self, uuid: str, life: Life, done: Finish) -> None:
        """Begin to move a guest to the node that its record names."""
        assert uuid not in self.work, f"two jobs at once for {uuid} on {self.machine.name}: {self.work[uuid].job} and migrate"
        migration = Migration(self, self.world.machines[str(life.target)].libvirtd, uuid, life, [done])
        self.work[uuid] = migration
        migration.begin()

    def abort(self, uuid: str, done: Finish) -> None:
        """End a migration before its switchover; answered when it is over, one way or the other."""
        work = self.work.get(uuid)
        if isinstance(work, Migration):
            work.done.append(done)
            work.abort()
        else:
            done()

    def over(self, uuid: str) -> None:
        """A job has ended, however."""
        work = self.work.pop(uuid)
        for done in work.done:
            self.call(done)

    def _run(self, work: Work) -> None:
        def end() -> None:
            work.act()
            self.over(work.uuid)

        work.due = self.world.clock.after(work.left_s, f"{self.machine.name} {work.job} {work.uuid}", end)

    def _seconds(self, uuid: str, job: Job) -> float:
        if job is Job.create:
            return self.world.profile(uuid).start_s * self.world.between(0.7, 1.3)
        return self.world.between(0.3, 1.8) if job is Job.destroy else self.world.between(0.02, 0.1)

    def _act(self, uuid: str, job: Job) -> Callable[[], None]:
        then = {Job.create: self._create, Job.destroy: self._destroy, Job.resume: self._resume, Job.suspend: self._suspend}[job]
        return lambda: then(uuid)

    def _create(self, uuid: str) -> None:
        fails = self.guest(uuid) is not Guest.absent or self.world.fails_to_start(uuid, self.machine.name)
        self.world.attempted(self.machine.name, uuid, not fails)
        if not fails:
            self.become(uuid, Guest.running, "it was started")

    def _destroy(self, uuid: str) -> None:
        self.dies(uuid, "its power was cut")

    def _resume(self, uuid: str) -> None:
        if self.guest(uuid) in (Guest.held, Guest.paused):
            self._suspended.discard(uuid)
            self.become(uuid, Guest.running, "it was resumed")

    def _suspend(self, uuid: str) -> None:
        if self.guest(uuid) is Guest.running:
            self.become(uuid, Guest.paused, "it was suspended")

    def shutdown(self, uuid: str) -> None:
        """Ask a guest to power itself off, which it does in its own time, or never."""
        profile = self.world.profile(uuid)
        if self.guest(uuid) is Guest.running and profile.obeys and uuid not in self._asked:
            self._asked.add(uuid)
            self.world.clock.after(profile.shutdown_s, f"{self.machine.name} shuts {uuid} down", lambda: self._powered_off(uuid))

    def _powered_off(self, uuid: str) -> None:
        if uuid in self._asked:
            self.dies(uuid, "it powered itself off", by_itself=True)

    # ---- the life of the process

    def start(self) -> None:
        """The process starts, and finds the guests that are there."""
        if self.running or not self.machine.up:
            return
        self.running, self.frozen = True, False
        for uuid in tuple(self._suspended):
            self._suspended.discard(uuid)
            self.become(uuid, Guest.running, "libvirtd found it stopped amid a migration")
        self.world.changed()

    def kill(self) -> None:
        """The process dies: calls and jobs with it, guests not. Whether a job did its work by then is chance."""
        if not self.running:
            return
        self.running = self.frozen = False
        self._waiting.clear()
        self._unsaid.clear()
        for uuid, work in tuple(self.work.items()):
            if isinstance(work, Work):
                if work.due is not None:
                    work.due.cancel()
                del self.work[uuid]
                if self.world.chance.random() < 0.5:
                    work.act()
        self.world.changed()  # migrations break by themselves
        clients, self.clients = self.clients, []
        for client in clients:
            client.closed()

    def freeze(self) -> None:
        """The process stops (SIGSTOP): nobody is answered, nothing is told, no job ends."""
        if not self.answers:
            return
        self.frozen = True
        for work in self.work.values():
            if isinstance(work, Work) and work.due is not None:
                work.due.cancel()
                work.left_s = max(0.0, work.due.at - self.world.clock.now)
        self._tell_silence(True)

    def thaw(self) -> None:
        """The process goes on: what waited is done first, then what happened meanwhile is told."""
        if not self.frozen:
            return
        self.frozen = False
        waiting, self._waiting = self._waiting, []
        for work in tuple(self.work.values()):
            if isinstance(work, Work):
                self._run(work)
        for what in waiting:
            what()
        self._tell_silence(False)
        unsaid, self._unsaid = self._unsaid, {}
        for uuid, by_itself in unsaid.items():
            self._say(uuid, by_itself)

    def _tell_silence(self, silent: bool) -> None:
        for client in tuple(self.clients):
            client.silent(silent)
        self.world.changed()

    def vanish(self) -> None:
        """The host has lost its power."""
        self.running = self.frozen = False
        for work in self.work.values():
            if isinstance(work, Work) and work.due is not None:
                work.due.cancel()
        self.work = {uuid: work for uuid, work in self.work.items() if isinstance(work, Migration)}
        for uuid in tuple(self.guests):
            self.become(uuid, Guest.absent, "its host lost its power")
        self.doors.clear()
        for kept in (self._waiting, self._unsaid, self._suspended, self._asked, self.clients):
            kept.clear()
