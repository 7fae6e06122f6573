"""One simulated ``pvcd``: a real agent, with a store session, a connection to libvirt, fence devices and timers of its own.

Its process can be killed at any instant, also between a write and the orders that follow from it, frozen, or told to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from pvc.agent.agent import Agent
from pvc.agent.executor import Forgotten
from pvc.agent.ports import Moved
from pvc.agent.remembered import look_back
from pvc.cluster import znodes
from pvc.cluster.node_changes import Joining
from pvc.cluster.records import Fencing
from pvc.cluster.store import Broken, Connection, Event, NotConnected, State
from pvc.core import events as e
from pvc.core.decide import RULES, Rules
from pvc.errors import NotFound, PvcError
from pvc.fsm.states import Effect
from pvc.fsm.views import Life
from pvc.sim.clock import Due
from pvc.sim.daemon_store import DaemonStore
from pvc.sim.feeding import guarded
from pvc.sim.figures import facts_of
from pvc.sim.hypervisor import SimHypervisor
from pvc.sim.keepalive import Keepalive
from pvc.sim.power import SimPowerSwitch
from pvc.sim.unit import RESTART_S, STATE_FILE

if TYPE_CHECKING:
    from pvc.sim.cluster import SimCluster
    from pvc.sim.machine import Machine

WORK_S = (0.0002, 0.003)
"""How long a daemon takes for one event."""
RETRY_S = 2.0
"""After how long a daemon that found no ZooKeeper is started again."""
STOP_S = 10.0
"""How long a daemon that was told to stop tries to say so."""


class SimDaemon:
    """The process; `poke` it whenever something may wait for it. ``rules`` are the real ones but in a test of this simulator."""

    rules: ClassVar[Rules] = RULES

    def __init__(self, cluster: SimCluster, machine: Machine) -> None:
        self.cluster = cluster
        self.machine = machine
        self.name = machine.name
        self.clock = cluster.world.clock
        self.alive, self.frozen, self.fragile, self.busy, self.hung = True, False, False, False, False
        self.waits: dict[str, Due] = {}
        self.missed: list[Callable[[], None]] = []
        self.unit = cluster.units[self.name]
        self.again: Due | None = None
        self.since: tuple[float, int] | None = None
        self.store = DaemonStore(self.name, cluster.ensemble, cluster.settings.session_timeout_s)
        self.keepalive = Keepalive(self)
        self.hypervisor = SimHypervisor(machine, xml_of=self._xml_of, report=self.hear, say=self.say)
        self.feeder = guarded(self)
        self.power = SimPowerSwitch(cluster.world, machine, self.hear, cluster.witness)
        fencing = Fencing(cluster.fencing.method, f"{machine.name}-bmc")
        first = self.keepalive.stats(machine.libvirtd.answers)  # a daemon asks libvirt before it begins
        joining = Joining(machine.boot, facts_of(machine), f"{machine.name}.example", fencing, first)
        self.agent = Agent(
            self.name,
            self.store,
            joining,
            hypervisor=self,
            power=self,
            timer=self,
            log=self,
            now=lambda: cluster.wall(self.name),
            settings=cluster.settings,
            rules=self.rules,
            look_back=lambda: look_back(self.store, self.name, lambda: self.unit.known(self), STATE_FILE),
        )
        self.inbox, self.events = self.agent.inbox, self.store.waiting
        self.agent.begin()
        self.hypervisor.start()
        self._connect()
        self.keepalive.begin()

    # ---- the process

    def _connect(self) -> None:
        """Open the session; without ZooKeeper it is tried again, as systemd would."""
        if not self.alive:
            return
        (self.store.disconnect if self.name in self.cluster.cut_off else self.store.reconnect)()
        try:
            if wrong := self.unit.preflight(self):
                self.fail(str(wrong))
                return
            self.store.start(self._heard)
        except NotConnected:
            self.clock.after(RETRY_S, f"{self.name} tries ZooKeeper", self._connect)

    def _heard(self, event: Event) -> None:
        assert not isinstance(event, Broken)
        if isinstance(event, Connection):
            self.since = (self.clock.now, self.store.requests) if event.state is State.CONNECTED else None
            if not self.store.connected:
                self.cluster.witness.session_changed(self.name, event.state.value)
        self.agent.put(event)

    def hear(self, event: e.Event) -> None:
        """A port reports; who is dead hears nothing."""
        if self.alive:
            self.agent.put(event)
            self.poke()

    def poke(self) -> None:
        """Take up work if there is any."""
        if self.alive and not (self.busy or self.frozen or self.hung) and (self.inbox or self.events):
            self.busy = True
            self.clock.after(self.cluster.world.between(*WORK_S), f"{self.name} works", self._work)

    def _work(self) -> None:
        self.busy = False
        if self.alive and not (self.frozen or self.hung):
            core = self.agent.core
            was, tickets = str(core.session.state), core.tickets
            self.store.deliver(1)
            try:
                self.agent.step()
            except (Forgotten, PvcError) as error:
                self.fail(str(error))
                return
            self._tell_synced()
            self.cluster.laws.worked(self, was, tickets)

    def _tell_synced(self) -> None:
        """Write down what it took to read everything again."""
        feed = self.agent.feed
        if self.since is not None and feed.synced and feed.generation == self.store.generation:
            (began, asked), self.since = self.since, None
            took_s, requests = round(self.clock.now - began, 6), self.store.requests - asked
            words = f"{self.name} has read everything again, with {requests} requests in {took_s:g} s"
            self.cluster.witness.note("synced", words, node=self.name, requests=requests, took_s=took_s)

    def kill(self) -> None:
        """kill -9: its session lives on until its timeout, guests and libvirt's jobs go on."""
        self._stay_down()
        if self.alive:
            self.alive = False
            self.store.disconnect()
            self.store.close()  # which is heard no more: nobody ends its session
            self._leave_guests(stopped=False)

    def stop(self) -> None:
        """SIGTERM: it leaves, then ends its session."""
        self._stay_down()
        self.hear(e.StopAsked())
        self.clock.after(STOP_S, f"{self.name} gives up stopping", self.kill)

    def fail(self, why: str) -> None:
        """It ends by itself: its session is closed, guests run on, and systemd starts it again."""
        if self.alive:
            if why != self.unit.why:
                self.say(why)
            self.unit.why = why
            self._end(stopped=False)
            self._start_again()

    def _start_again(self) -> None:
        boots = self.machine.boots

        def start() -> None:
            if self.machine.boots == boots:
                self.cluster.start_daemon(self.name)

        self.again = self.clock.after(RESTART_S, f"{self.name} starts its daemon again", start)

    def hang(self, for_s: float) -> None:
        """A callback does not return, for so many seconds: it keeps its session and does nothing, until it ends itself for that."""
        own_lease_s = self.cluster.settings.own_lease_s
        self.hung = True

        def over() -> None:
            if self.hung and for_s >= own_lease_s:
                self.say(f"the core loop has stood still for {own_lease_s:g} s: this daemon ends itself, its guests run on")
                self.kill()
                self._start_again()
            self.hung = False

        self.clock.after(min(for_s, own_lease_s), f"{self.name} hangs no more", lambda: self._unless_frozen(over))

    def _stay_down(self) -> None:
        if self.again is not None:
            self.again.cancel()

    def lose_next_reply(self, applied: bool, for_s: float) -> None:
        """The reply to the next write is lost, and for so many seconds from then on the connection with it."""

        def back() -> None:
            if self.alive and self.name not in self.cluster.cut_off:
                self.store.reconnect()

        self.store.unanswered = lambda: self.clock.after(for_s, f"{self.name} reconnects", back)
        self.store.lose_next_reply(applied=applied)

    def freeze(self) -> None:
        """SIGSTOP."""
        if self.alive and not self.frozen:
            self.frozen = True
            self.store.freeze()

    def thaw(self) -> None:
        """SIGCONT: what was due meanwhile is due now."""
        if self.alive and self.frozen:
            self.frozen = False
            self.store.thaw()
            missed, self.missed = self.missed, []
            for what in missed:
                what()

    def _unless_frozen(self, what: Callable[[], None]) -> None:
        if self.frozen:
            self.missed.append(what)
        elif self.alive:
            what()

    # ---- what the agent needs

    def order(self, subject: str, effect: Effect, detail: Life | int) -> None:
        """Carry out an order, unless the process dies before it can."""
        if self.fragile:
            self.kill()
        if not self.alive:
            return
        if isinstance(detail, Life):
            if effect is Effect.admit or not any(event is self.hypervisor.count for event in self.agent.inbox):
                self.hypervisor.order(subject, effect, detail)  # else it was given before the latest count was known, and is decided again
        else:
            self.power.order(subject, effect, detail)

    def wait(self, name: str, seconds: float) -> None:
        if name in self.waits:
            self.waits[name].cancel()

        def due() -> None:
            self.waits.pop(name, None)
            self._unless_frozen(lambda: self.hear(e.Due(name)))

        self.waits[name] = self.clock.after(seconds, f"{self.name} waits", due)

    def moved(self, transition: Moved) -> None:
        self.cluster.witness.fired[transition.machine, transition.trigger] += 1
        deciding = self.agent.executor.deciding
        assert deciding is not None
        self.cluster.laws.fired(self, deciding.move)
        if transition.machine == "node" and transition.trigger == "leave":
            self.clock.after(0.0, f"{self.name} ends", self._end)

    def _end(self, stopped: bool = True) -> None:
        if self.alive:
            if self.store.connected:
                self.unit.remember(self)
            self.store.close()
            self.alive = False
            self._leave_guests(stopped)

    def _leave_guests(self, stopped: bool) -> None:
        """The last of a process; its watchdog stays armed unless the record says that the node was stopped: peers count on its bite."""
        self.hypervisor.close()
        if self.feeder is not None and self.feeder.device is not None:
            (self.machine.watchdog.disarm if stopped else self.machine.watchdog.left)()

    def say(self, sentence: str) -> None:
        self.cluster.witness.note("say", f"{self.name}: {sentence}", node=self.name, sentence=sentence)

    def _xml_of(self, uuid: str) -> bytes:
        znode = self.store.read(znodes.xml(uuid))
        if znode is None:
            raise NotFound(f"{uuid} has no XML")
        return znode.data
