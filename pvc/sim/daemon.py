"""One simulated ``pvcd``: a real agent, with a store session, a connection to libvirt, fence devices and timers of its own.

Its process can be killed at any instant, also between a write and the orders that follow from it, frozen, or told to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from pvc.agent.agent import Agent
from pvc.agent.ports import Moved
from pvc.cluster import znodes
from pvc.cluster.commit import commit
from pvc.cluster.ensemble import MemoryEnsemble
from pvc.cluster.memory import MemoryStore
from pvc.cluster.node_changes import Joining, keepalive
from pvc.cluster.records import FenceMethod, Fencing, NodeStats
from pvc.cluster.records import Machine as MachineFacts
from pvc.cluster.store import Broken, Connection, Event, NotConnected, Op, OutcomeUnknown, StoreError
from pvc.cluster.watches import Key
from pvc.core import events as e
from pvc.core.decide import RULES, Rules
from pvc.errors import NotFound
from pvc.fsm.states import Effect
from pvc.fsm.views import Life
from pvc.sim.clock import Due
from pvc.sim.hypervisor import SimHypervisor
from pvc.sim.power import SimPowerSwitch

if TYPE_CHECKING:
    from pvc.sim.cluster import SimCluster
    from pvc.sim.machine import Machine

WORK_S = (0.0002, 0.003)
"""How long a daemon takes for one event."""
RETRY_S = 2.0
"""After how long a daemon that found no ZooKeeper is started again."""
STOP_S = 10.0
"""How long a daemon that was told to stop tries to say so."""
SYSTEM_MIB = 512
"""What a host takes for itself."""


class DaemonStore(MemoryStore):
    """The store of a daemon; ``node`` says whose its session is, ``unanswered`` is called when a reply was lost."""

    def __init__(self, node: str, ensemble: MemoryEnsemble, session_timeout_s: float) -> None:
        super().__init__(ensemble, session_timeout_s)
        self.node = node
        self.unanswered: Callable[[], object] = lambda: None
        self.deaf = False
        self.missed = False

    def notify(self, key: Key) -> None:
        """A watch has fired; while this is lost on the way, only a look by the way finds out."""
        self.missed = self.missed or self.deaf
        if not self.deaf:
            super().notify(key)

    def multi(self, ops: Sequence[Op]) -> tuple[int, ...]:
        """Write, all or nothing."""
        try:
            return super().multi(ops)
        except OutcomeUnknown:
            self.unanswered()
            raise


class SimDaemon:
    """The process; `poke` it whenever something may wait for it. ``rules`` are the real ones but in a test of this simulator."""

    rules: ClassVar[Rules] = RULES

    def __init__(self, cluster: SimCluster, machine: Machine) -> None:
        self.cluster = cluster
        self.machine = machine
        self.name = machine.name
        self.clock = cluster.world.clock
        self.alive, self.frozen, self.fragile, self.busy = True, False, False, False
        self.tick = 0
        self.waits: dict[str, Due] = {}
        self.missed: list[Callable[[], None]] = []
        self.store = DaemonStore(self.name, cluster.ensemble, cluster.settings.session_timeout_s)
        self.hypervisor = SimHypervisor(machine, xml_of=self._xml_of, report=self.hear, say=self.say)
        self.power = SimPowerSwitch(cluster.world, machine, self.hear, cluster.witness)
        fencing = Fencing(FenceMethod.ipmi, f"{machine.name}-bmc")
        first = self.stats(machine.libvirtd.answers)  # a daemon asks libvirt before it begins
        joining = Joining(machine.boot, _facts(machine), f"{machine.name}.example", fencing, first)
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
        )
        self.agent.begin()
        self.hypervisor.start()
        self._connect()
        self.clock.after(cluster.settings.keepalive_interval_s, f"{self.name} keepalive", self._keepalive)

    # ---- the process

    def _connect(self) -> None:
        """Open the session; without ZooKeeper it is tried again, as systemd would."""
        if not self.alive:
            return
        (self.store.disconnect if self.name in self.cluster.cut_off else self.store.reconnect)()
        try:
            self.store.start(self._heard)
        except NotConnected:
            self.clock.after(RETRY_S, f"{self.name} tries ZooKeeper", self._connect)

    def _heard(self, event: Event) -> None:
        assert not isinstance(event, Broken)
        if isinstance(event, Connection) and not self.store.connected:
            self.cluster.witness.session_changed(self.name, event.state.value)
        self.agent.put(event)

    def hear(self, event: e.Event) -> None:
        """A port reports; who is dead hears nothing."""
        if self.alive:
            self.agent.put(event)
            self.poke()

    def poke(self) -> None:
        """Take up work if there is any."""
        if self.alive and not self.busy and not self.frozen and (self.agent.inbox or self.store.undelivered):
            self.busy = True
            self.clock.after(self.cluster.world.between(*WORK_S), f"{self.name} works", self._work)

    def _work(self) -> None:
        self.busy = False
        if self.alive and not self.frozen:
            core = self.agent.core
            was, tickets = str(core.session.state), core.tickets
            self.store.deliver(1)
            self.agent.step()
            self.cluster.laws.worked(self, was, tickets)

    def kill(self) -> None:
        """kill -9: its session lives on until its timeout, guests and libvirt's jobs go on."""
        if self.alive:
            self.alive = False
            if self.frozen:
                self.store.thaw()
            self.store.disconnect()
            self.hypervisor.close()

    def stop(self) -> None:
        """SIGTERM: it leaves, then ends its session."""
        self.hear(e.StopAsked())
        self.clock.after(STOP_S, f"{self.name} gives up stopping", self.kill)

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

    def _end(self) -> None:
        if self.alive:
            self.store.close()
            self.alive = False
            self.hypervisor.close()

    def say(self, sentence: str) -> None:
        self.cluster.witness.note("say", f"{self.name}: {sentence}", node=self.name, sentence=sentence)

    def _xml_of(self, uuid: str) -> bytes:
        znode = self.store.read(znodes.xml(uuid))
        if znode is None:
            raise NotFound(f"{uuid} has no XML")
        return znode.data

    # ---- the keepalive

    def stats(self, libvirt: bool) -> NodeStats:
        """What the machine has and uses."""
        figures, machine = self.hypervisor.figures(), self.machine
        used = machine.memory_used_mib + SYSTEM_MIB
        return NodeStats(
            tick=self.tick + 1,
            memory_total_mib=machine.memory_mib,
            memory_used_mib=used,
            memory_free_mib=max(0, machine.memory_mib - used),
            memory_allocated_mib=figures.memory_allocated_mib,
            load=round(0.1 + 0.5 * figures.domains, 2),
            vcpus=figures.vcpus,
            domains=figures.domains,
            libvirt=libvirt,
        )

    def _keepalive(self) -> None:
        if not self.alive:
            return
        self.clock.after(self.cluster.settings.keepalive_interval_s, f"{self.name} keepalive", self._keepalive)
        token = self.agent.executor.token
        if self.frozen or token is None or not self.store.connected:
            return
        stats = self.stats(self.hypervisor.opened)
        self.tick = stats.tick
        try:
            znode = self.store.read(znodes.stats(self.name))
            if znode is not None:
                commit(self.store, keepalive(self.name, stats, znode.version, token))
        except StoreError:
            return  # not joined, or fenced: the agent learns of both from the store itself
        self.agent.put(e.StatsSeen(stats))
        if self.store.missed:
            self.store.refresh()  # always done; where no watch was lost it finds nothing


def _facts(machine: Machine) -> MachineFacts:
    return MachineFacts(
        cpus=machine.cpus,
        memory_mib=machine.memory_mib,
        arch="x86_64",
        os="Debian GNU/Linux 12",
        kernel="6.1.0",
        pvc="",
        libvirt="9.0.0",
        qemu="7.2.0",
    )
