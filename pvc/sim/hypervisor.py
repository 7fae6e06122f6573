"""The hypervisor port of one simulated daemon: a connection to its host's libvirtd that may break, and what the daemon hears through it.

It owes what every hypervisor port owes: an end for every job, also when the connection broke; no inventory before calls of an earlier
connection have been carried out; and *unknown*, not *absent*, when in doubt.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pvc.cluster.domain_xml import check_domain_xml
from pvc.core import events as e
from pvc.core.facts import JOBS
from pvc.errors import PvcError
from pvc.fsm.states import Effect, Guest, Job
from pvc.fsm.views import Life
from pvc.sim.clock import Due
from pvc.sim.libvirtd import EVENT_S
from pvc.sim.machine import Machine

KEEPALIVE_S = 7.0
"""After how long a connection to a libvirtd that says nothing is given up."""
REOPEN_S = 0.5
REOPEN_MAX_S = 5.0
COUNT_S = 0.05
"""How long it takes to count all guests."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the guests of one host take, for the keepalive."""

    domains: int = 0
    vcpus: int = 0
    memory_allocated_mib: int = 0


class SimHypervisor:
    """Carries out a daemon's orders on its machine, and reports what it sees."""

    def __init__(
        self,
        machine: Machine,
        *,
        xml_of: Callable[[str], bytes],
        report: Callable[[e.Event], None],
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.machine = machine
        self.libvirtd = machine.libvirtd
        self.clock = machine.world.clock
        self.xml_of = xml_of
        self.report = report
        self.say = say
        self.opened = self.ended = False
        self.jobs: dict[str, Job] = {}
        self.count: e.Inventory | None = None
        self._connection = 0
        self._reopen_s = REOPEN_S
        self._silence: Due | None = None

    # ---- the connection

    def start(self) -> None:
        """Connect; the inventory is reported once all guests were counted."""
        self.clock.after(0.0, f"{self.machine.name} opens libvirt", self._open)

    def close(self) -> None:
        """The daemon ends: nothing is reported any more, and what libvirtd was told to do goes on."""
        self.ended = True
        self._hang_up()

    def _hang_up(self) -> None:
        self.opened = False
        self._connection += 1
        if self._silence is not None:
            self._silence.cancel()
        if self in self.libvirtd.clients:
            self.libvirtd.clients.remove(self)

    def _open(self) -> None:
        if self.ended or self.opened:
            return
        if not self.libvirtd.answers:
            self.clock.after(self._reopen_s, f"{self.machine.name} reopens libvirt", self._open)
            self._reopen_s = min(2 * self._reopen_s, REOPEN_MAX_S)
            return
        self.opened, self._reopen_s = True, REOPEN_S
        self._connection += 1
        self.libvirtd.clients.append(self)
        self._later(COUNT_S, self._count)

    def _count(self) -> None:
        """Count the guests; jobs that an earlier connection began are waited for as if they were ours."""
        self.jobs = dict(self.libvirtd.jobs())
        for uuid, job in self.jobs.items():
            self.libvirtd.work[uuid].done.append(self._ending(uuid, job))
        self.count = e.Inventory(dict(self.libvirtd.guests), dict(self.jobs), frozenset(self.machine.claims))
        self._tell(self.count)

    def _later(self, seconds: float, then: Callable[[], None]) -> None:
        """Do this later on this connection, or not at all."""
        connection = self._connection

        def happen() -> None:
            if not self.opened or self._connection != connection:
                return
            if self.libvirtd.frozen:
                self.libvirtd.call(happen)
            else:
                then()

        self.clock.after(seconds, f"{self.machine.name} hears libvirt", happen)

    def _tell(self, event: e.Event) -> None:
        if not self.ended:
            self.report(event)

    def closed(self) -> None:
        """The connection broke: what happened to guests and jobs is unknown until they are counted again."""
        if not self.opened:
            return
        self._hang_up()
        jobs, self.jobs = self.jobs, {}
        for uuid, job in jobs.items():
            self._tell(e.JobDone(uuid, job, Guest.unknown))
        self._tell(e.HypervisorLost())
        self.say(f"libvirt on {self.machine.name} does not answer")
        self.start()

    def silent(self, silent: bool) -> None:
        """libvirtd stopped answering keepalives, or answers again."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        if silent:
            self._silence = self.clock.after(KEEPALIVE_S, f"{self.machine.name} libvirt keepalive", self.closed)

    # ---- what is heard

    def domain_event(self, uuid: str, by_itself: bool) -> None:
        """Report what the guest is by the time of the report."""
        self._later(EVENT_S, lambda: self._seen(uuid, by_itself))

    def _seen(self, uuid: str, by_itself: bool) -> None:
        guest = self.libvirtd.guest(uuid)
        self._tell(e.GuestSeen(uuid, guest, by_itself and guest is Guest.absent))

    def _ending(self, uuid: str, job: Job) -> Callable[[], None]:
        connection = self._connection

        def ended() -> None:
            if self.opened and self._connection == connection:
                self._later(EVENT_S, lambda: self._done(uuid, job))

        return ended

    def _done(self, uuid: str, job: Job) -> None:
        if self.jobs.get(uuid) is not job:
            return  # a migration that is called off ends with the order to do so
        del self.jobs[uuid]
        self._tell(e.JobDone(uuid, job, self.libvirtd.guest(uuid)))

    # ---- what is ordered

    def order(self, uuid: str, effect: Effect, life: Life) -> None:
        if effect in (Effect.admit, Effect.create):
            self.machine.claims.add(uuid)
        if effect is Effect.admit:
            self.libvirtd.doors[uuid] = life.op_id
            return
        job = JOBS[effect]
        if not self.opened:
            self.clock.after(EVENT_S, "no libvirt", lambda: self._tell(e.JobDone(uuid, job, Guest.unknown)))
            return
        self.jobs[uuid] = job
        done = self._ending(uuid, job)
        if effect is Effect.create and not self._can_create(uuid):  # the XML is read before libvirtd is called, which may hang
            self.libvirtd.call(done)
        else:
            self.libvirtd.call(lambda: self._begin(uuid, effect, life, done))

    def _begin(self, uuid: str, effect: Effect, life: Life, done: Callable[[], None]) -> None:
        libvirtd, job = self.libvirtd, JOBS[effect]
        if effect is Effect.migrate:
            libvirtd.migrate(uuid, life, done)
        elif effect is Effect.abort_job:
            libvirtd.abort(uuid, done)
        elif effect is Effect.shutdown:
            libvirtd.shutdown(uuid)
            done()
        elif effect is Effect.discard and libvirtd.guest(uuid) is Guest.running:
            done()  # an order to drop a copy never stops a guest that runs
        else:
            libvirtd.begin(uuid, job, done)

    def _can_create(self, uuid: str) -> bool:
        """Whether its XML can be had and is in order; then the guest takes what it says."""
        try:
            facts = check_domain_xml(self.xml_of(uuid))
        except PvcError as error:
            self.say(f"{uuid} cannot be started on {self.machine.name}: {error}")
            return False
        self.machine.world.profile(uuid).memory_mib = facts.memory_mib
        return True

    def figures(self) -> Figures:
        """What the guests take."""
        world, guests = self.machine.world, self.libvirtd.guests
        return Figures(len(guests), len(guests), sum(world.profile(uuid).memory_mib for uuid in guests))
