"""A whole simulated cluster: machines with real agents on them over the store in memory, an admin's client, faults, and virtual time.

After each step everything that must hold at every instant is checked; what is broken raises with the end of the story that led there.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid5

from pvc.client.cluster import Cluster
from pvc.client.ear import Ear
from pvc.cluster.changes import create_cluster
from pvc.cluster.commit import commit
from pvc.cluster.memory import MemoryStore
from pvc.cluster.records import ClusterConfig, DomainRecord, NodeRecord
from pvc.cluster.store import Event, Listener
from pvc.core.settings import Settings
from pvc.fsm.states import Daemon, Domain, Fence, Guest, Migration
from pvc.fsm.tables import TABLES
from pvc.fsm.views import Life
from pvc.sim.admin_reader import AdminReader
from pvc.sim.daemon import SimDaemon
from pvc.sim.knobs import Fences
from pvc.sim.laws import Laws
from pvc.sim.machine import Machine
from pvc.sim.unit import Unit
from pvc.sim.witness import Actor, Broken, Witness, WitnessedEnsemble
from pvc.sim.world import Profile, World

STORY = 40
"""How many lines of the trace are told when something is broken."""
RESTS = {state.name for state in TABLES["domain"].states if state.rests}
IDS = UUID("6f1d6c1e-0000-4000-8000-000000000000")


class ClientStore(MemoryStore):
    """The store of a client in a simulated cluster: what it hears ends a wait."""

    def __init__(self, cluster: "SimCluster") -> None:
        super().__init__(cluster.ensemble, session_timeout_s=10.0)
        self._cluster = cluster

    def start(self, listener: Listener, timeout_s: float = 10.0) -> None:
        def heard(event: Event) -> None:
            self._cluster.heard += 1
            listener(event)

        super().start(heard, timeout_s)
        self._cluster.clients.append(self)

    def close(self) -> None:
        super().close()
        if self in self._cluster.clients:
            self._cluster.clients.remove(self)


class SimCluster:
    """Nodes ``hv1``, ``hv2``, …; time passes in `run` and `run_until` alone."""

    def __init__(self, nodes: int = 3, seed: int = 0, settings: Settings | None = None, memory_mib: int = 16384) -> None:
        self.seed = seed
        self.settings = settings or Settings()
        self.fencing = Fences()
        self.world = World(seed)
        self.witness = Witness(self.world)
        self.witness.actor = self._actor
        self.world.watchers.append(self.witness)
        self.laws = Laws(self)
        self.ensemble = WitnessedEnsemble(self.witness)
        self.daemons: dict[str, SimDaemon] = {}
        self.units: defaultdict[str, Unit] = defaultdict(Unit)
        self.cut_off: set[str] = set()
        self.clocks: dict[str, float] = {}
        self.heard = 0
        self.clients: list[MemoryStore] = []
        ear, store = self.ear(), self.client_store()
        store.start(ear.hear)
        commit(store, create_cluster(ClusterConfig(str(IDS), "sim", request="init")))
        self.admin = Cluster(store, "admin", ear, now=self.wall, reader=AdminReader(store, self.ensemble))
        for number in range(nodes):
            self.add_node(f"hv{number + 1}", memory_mib=memory_mib, boot_s=0.0)

    def add_node(self, name: str, *, memory_mib: float = 16384, boot_s: float = 25.0, on: bool = True) -> Machine:
        """A new machine with a daemon installed, which starts with it; its first boot may be quicker."""
        machine = self.world.add(name, memory_mib=memory_mib)
        machine.booted = lambda: self.start_daemon(name)
        machine.went_off = lambda: self.kill_daemon(name)
        if on:
            machine.power_on(boot_s)
        return machine

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.world.clock.now

    def wall(self, name: str = "") -> str:
        """The wall clock of a node, which is only shown; ``clocks`` says by how many seconds it is wrong."""
        minutes, seconds = divmod(int(self.now + self.clocks.get(name, 0.0)), 60)
        return f"2024-01-01T{minutes // 60 % 24:02}:{minutes % 60:02}:{seconds:02}Z"

    # ---- time

    def step(self, until: float) -> bool:
        """Let the next thing happen that is due by then; False when there is none, and it is then."""
        clock, ensemble = self.world.clock, self.ensemble
        limit = min(until, ensemble.due_at)
        due = clock.take(limit)
        ensemble.advance_to(clock.now)
        if due is not None:
            due.action()
        for client in tuple(self.clients):
            client.deliver()
        for daemon in self.daemons.values():
            if not daemon.busy and (daemon.inbox or daemon.events):  # of a large cluster, hardly any has to
                daemon.poke()
        if self.witness.wrong:
            raise Broken(self.story("; ".join(self.witness.wrong)))
        return due is not None or limit < until

    def run(self, seconds: float) -> None:
        """Let this much time pass."""
        until = self.now + seconds
        while self.step(until):
            pass

    def run_until(self, condition: Callable[[], bool], limit: float = 600.0, what: str = "") -> float:
        """Let time pass until this holds, and return how much passed; raises Broken after so many seconds."""
        began = self.now
        while not condition():
            if not self.step(began + limit):
                raise Broken(self.story(f"after {limit:g} s still not: {what or 'what was waited for'}"))
        return self.now - began

    def story(self, what: str) -> str:
        """What is wrong, under which seed, and the end of the trace."""
        return "\n".join([f"{what}, at {self.now:.3f} s with seed {self.seed}", *self.witness.lines()[-STORY:]])

    # ---- a client

    def client_store(self) -> MemoryStore:
        """The store of another client, to be started by it."""
        return ClientStore(self)

    def ear(self) -> Ear:
        """What a client waits with: while it does, time passes."""
        return Ear(lambda: self.now, self._idle)

    def _idle(self, seconds: float) -> None:
        heard, until = self.heard, self.now + seconds
        while self.heard == heard and self.step(until):
            pass

    def define(self, name: str, home: str | None = None, memory_mib: int = 512, **policy: Any) -> None:
        """Define a VM."""
        self.admin.define(self.xml(name, memory_mib), home, policy)

    def xml(self, name: str, memory_mib: int = 512) -> bytes:
        """The XML of a VM, with the UUID that a VM of this name has here: chance is in no name, so that a seed tells the same story."""
        return (
            f"<domain type='kvm'><name>{name}</name><uuid>{self.uuid(name)}</uuid><memory unit='MiB'>{memory_mib}</memory>"
            "<vcpu>1</vcpu><os><type>hvm</type></os></domain>"
        ).encode()

    def uuid(self, name: str) -> str:
        """The UUID that a VM of this name has here."""
        return str(uuid5(IDS, name))

    def profile(self, name: str) -> Profile:
        """How the guest of this VM behaves."""
        return self.world.profile(self.uuid(name))

    def record(self, name: str) -> DomainRecord | None:
        """A VM's record as last written."""
        return self.witness.domains.get(self.uuid(name))

    def life(self, name: str) -> Life:
        """The protocol's part of a VM's record, which must be there."""
        return self.witness.domains[self.uuid(name)].life

    def fences(self, result: str) -> list[str]:
        """The nodes whose fence has come to this, in order: ``begun`` with an order to cut their power, ``confirmed`` or ``failed``."""
        return [line.fields["node"] for line in self.witness.trace if line.event == "fence" and line.fields["result"] == result]

    def node(self, name: str) -> NodeRecord:
        """A node's record as last written."""
        return self.witness.nodes[name]

    def running(self, name: str) -> list[str]:
        """The machines where this VM's guest truly runs."""
        return self.world.running(self.uuid(name))

    # ---- daemons

    def start_daemon(self, name: str) -> None:
        """Start a node's daemon, if its machine is up and none runs there."""
        daemon = self.daemons.get(name)
        if self.world.machines[name].up and (daemon is None or not daemon.alive):
            self.daemons[name] = SimDaemon(self, self.world.machines[name])

    def kill_daemon(self, name: str) -> None:
        """kill -9."""
        if name in self.daemons:
            self.daemons[name].kill()

    def stop_daemon(self, name: str) -> None:
        """SIGTERM."""
        if name in self.daemons:
            self.daemons[name].stop()

    # ---- faults

    def power_off(self, name: str) -> None:
        """A host loses its power."""
        self.world.machines[name].power_off()

    def power_on(self, name: str, boot_s: float | None = None) -> None:
        """A host is switched on."""
        self.world.machines[name].power_on(boot_s)

    def cut_store(self, name: str, cut: bool = True) -> None:
        """A host loses, or regains, ZooKeeper alone."""
        (self.cut_off.add if cut else self.cut_off.discard)(name)
        daemon = self.daemons.get(name)
        if daemon is not None and daemon.alive:
            (daemon.store.disconnect if cut else daemon.store.reconnect)()

    def cut_host(self, name: str, cut: bool = True) -> None:
        """A host loses, or regains, every connection to ZooKeeper and to the other hosts; its management board stays reachable."""
        self.cut_store(name, cut)
        self.world.cut_off(name, cut)

    def ensemble_down(self, down: bool = True) -> None:
        """All of ZooKeeper is unusable, or usable again."""
        if down is self.ensemble.quorum:
            (self.ensemble.lose_quorum if down else self.ensemble.regain_quorum)()

    def guest_dies(self, name: str, by_itself: bool = False) -> None:
        """A guest's process dies, or the guest powers itself off."""
        for host in self.world.copies(self.uuid(name)):
            why = "it powered itself off" if by_itself else "its process died"
            self.world.machines[host].libvirtd.dies(self.uuid(name), why, by_itself)

    # ---- what is so

    def all_run(self) -> bool:
        """Whether every node has joined and works."""
        return len(self.witness.nodes) == len(self.world.machines) and not self._unsettled_nodes()

    def settled(self) -> list[str]:
        """What does not rest yet, in words; nothing once every node runs, and every VM is as it is wanted."""
        return [*self._unsettled_nodes(), *self._unsettled_vms()]

    def all_rest(self) -> bool:
        """Whether the record of every VM is in a state in which it may stay."""
        return all(_rests(record.life) for record in self.witness.domains.values())

    def _unsettled_nodes(self) -> list[str]:
        wrong = []
        for name, machine in self.world.machines.items():
            life = self.witness.nodes[name].life if name in self.witness.nodes else None
            if machine.on and (life is None or (life.daemon, life.fence) != (Daemon.run, Fence.none)):
                wrong.append(f"{name} is {life}")
        return wrong

    def _unsettled_vms(self) -> list[str]:
        wrong = []
        for uuid, record in self.witness.domains.items():
            life = record.life
            expected = [life.owner] if life.state is Domain.start else []
            copies = [host for host in self.world.copies(uuid) if host not in expected]
            if not _rests(life) or self.world.running(uuid) != expected or copies:
                wrong.append(f"{record.name} is {life}; it runs on {self.world.running(uuid)}, with copies on {copies}")
        return wrong

    def holds_no(self, guest: Guest) -> bool:
        """Whether no machine shows a guest like this."""
        return not any(guest in machine.libvirtd.guests.values() for machine in self.world.machines.values())

    # ---- who writes

    def _actor(self, session: int) -> Actor:
        for name, daemon in self.daemons.items():
            if daemon.store.session_id == session:
                deciding = daemon.agent.executor.deciding
                if deciding is None:
                    return Actor(name)
                row = deciding.move.row
                return Actor(name, row.trigger, row.why, deciding.move.by, row)
        return Actor("admin")


def _rests(life: Life) -> bool:
    return life.state in RESTS and life.phase is Migration.none
