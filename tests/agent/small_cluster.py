"""A whole cluster in one process: real Cores, executors and client rows over the store in memory, hypervisors and fence devices of straw.

Everything happens when it is told to: time passes by `advance`, jobs end by `end_job`, and events are handed out by `settle`. It is what
the property tests drive; a simulator with durations and faults of its own is another thing.
"""

from contextlib import suppress
from dataclasses import dataclass, field

from pvc.agent.agent import Agent
from pvc.cluster import znodes
from pvc.cluster.changes import create_cluster, define_change, domain_change
from pvc.cluster.commit import commit
from pvc.cluster.ensemble import MemoryEnsemble
from pvc.cluster.evidence import Relied, Seen, Transition
from pvc.cluster.formats import decode_domain, decode_history, decode_node
from pvc.cluster.memory import MemoryStore
from pvc.cluster.node_changes import Joining, node_change
from pvc.cluster.records import ClusterConfig, DomainRecord, FenceMethod, Fencing, Machine, NodeRecord
from pvc.cluster.store import StoreError
from pvc.core import events as e
from pvc.core.decide import RULES, Move
from pvc.core.facts import JOBS, NodeFacts, Options
from pvc.core.settings import Settings
from pvc.fsm.fire import after
from pvc.fsm.row import enabled
from pvc.fsm.states import By, Domain, Effect, Guest, Handover, Job, Power
from pvc.fsm.tables import TABLES
from pvc.fsm.views import Life, NodeView


@dataclass
class Straw:
    """The machine of one node: power, guests and jobs; what is ordered waits until a test ends it."""

    name: str
    on: bool = True
    boots: int = 1
    guests: dict[str, Guest] = field(default_factory=dict)
    jobs: dict[str, tuple[Job, Life]] = field(default_factory=dict)
    admitted: dict[str, int] = field(default_factory=dict)
    power_jobs: list[tuple[str, Effect, int]] = field(default_factory=list)
    waits: dict[str, float] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def wait(self, name: str, seconds: float) -> None:
        self.waits[name] = seconds

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def moved(self, transition) -> None:
        self.said.append(str(transition))


@dataclass
class Jobs:
    """The hypervisor port of one node."""

    straw: Straw

    def order(self, uuid: str, effect: Effect, life: Life) -> None:
        if effect is Effect.admit:
            self.straw.admitted[uuid] = self.straw.boots
        else:
            self.straw.jobs[uuid] = (JOBS[effect], life)


@dataclass
class Switch:
    """The fence port of one node."""

    straw: Straw

    def order(self, node: str, effect: Effect, ticket: int) -> None:
        self.straw.power_jobs.append((node, effect, ticket))


UUIDS = tuple(f"00000000-0000-4000-8000-00000000000{number}" for number in range(8))
CONFIG = ClusterConfig("11111111-1111-4111-8111-111111111111", "test", request="begin")


class SmallCluster:
    """Nodes and VMs by number of their names: ``hv1``… and ``vm1``…"""

    def __init__(self, nodes: int, vms: int, rules=RULES, settings: Settings | None = None) -> None:
        self.rules = rules
        self.settings = settings or Settings()
        self.ensemble = MemoryEnsemble(tick_s=0.5)
        self.client = MemoryStore(self.ensemble, session_timeout_s=1000.0)
        self.client.start(lambda event: None)
        commit(self.client, create_cluster(CONFIG))
        self.straws = {f"hv{number + 1}": Straw(f"hv{number + 1}") for number in range(nodes)}
        self.agents: dict[str, Agent] = {}
        self.stores: dict[str, MemoryStore] = {}
        self.requests = 0
        for name in self.straws:
            self.start_daemon(name)
        self.settle()
        for number in range(vms):
            self.define(UUIDS[number], f"vm{number + 1}", f"hv{number % nodes + 1}")
        self.settle()

    # ---- daemons

    def store_of(self, name: str) -> type[MemoryStore]:
        """What this daemon writes with."""
        return MemoryStore

    def start_daemon(self, name: str) -> None:
        """The daemon's process starts; its hypervisor is counted at once."""
        straw = self.straws[name]
        if name in self.agents or not straw.on:
            return
        store = self.store_of(name)(self.ensemble, session_timeout_s=self.settings.session_timeout_s)
        joining = Joining(f"boot-{name}-{straw.boots}", Machine(), None, Fencing(FenceMethod.ipmi))
        ports = {"hypervisor": Jobs(straw), "power": Switch(straw), "timer": straw, "log": straw}
        agent = Agent(name, store, joining, **ports, now=lambda: "", settings=self.settings, rules=self.rules)
        straw.waits.clear()
        straw.power_jobs.clear()
        self.agents[name], self.stores[name] = agent, store
        agent.begin()
        with suppress(StoreError):  # it connects when there is a quorum
            store.start(agent.put)
        agent.put(e.Inventory(dict(straw.guests), {uuid: job for uuid, (job, _) in straw.jobs.items()}, frozenset(straw.admitted)))

    def kill_daemon(self, name: str) -> None:
        """kill -9: the session lives on until its timeout, guests and jobs go on."""
        if name in self.agents:
            self.stores[name].disconnect()
            del self.agents[name]

    def settle(self, rounds: int = 300) -> None:
        """Hand out all events and take all steps; raises when that does not come to rest."""
        for _ in range(rounds):
            busy = sum(store.deliver() for name, store in self.stores.items() if name in self.agents)
            busy += sum(agent.step() for agent in self.agents.values())
            if not busy:
                return
        raise AssertionError("the daemons do not come to rest")

    # ---- the world

    def power_off(self, name: str) -> None:
        straw = self.straws[name]
        self.kill_daemon(name)
        straw.on, straw.guests, straw.jobs, straw.admitted = False, {}, {}, {}

    def power_on(self, name: str) -> None:
        straw = self.straws[name]
        if not straw.on:
            straw.on = True
            straw.boots += 1
            self.start_daemon(name)

    def end_job(self, name: str, uuid: str, ok: bool, half: bool = False) -> None:
        """The job of this VM on this node ends; ``half``: a migration leaves a copy on the target and the guest where it was."""
        straw = self.straws[name]
        if uuid not in straw.jobs:
            return
        job, life = straw.jobs.pop(uuid)
        if ok or (half and job is Job.migrate):
            self._do(straw, uuid, job, life)
        if half and job is Job.migrate:
            straw.guests[uuid] = Guest.running
        self._report(name, e.JobDone(uuid, job, straw.guests.get(uuid, Guest.absent)))

    def _do(self, straw: Straw, uuid: str, job: Job, life: Life) -> None:
        guest = straw.guests.get(uuid, Guest.absent)
        if job is Job.create and guest is Guest.absent:
            straw.guests[uuid] = Guest.running
        elif job in (Job.destroy, Job.shutdown):
            straw.guests.pop(uuid, None)
        elif job is Job.resume and guest in (Guest.held, Guest.paused):
            straw.guests[uuid] = Guest.running
        elif job is Job.suspend and guest is Guest.running:
            straw.guests[uuid] = Guest.paused
        elif job in (Job.migrate, Job.abort) and guest is Guest.running:
            self._migrate(straw, uuid, life)

    def _migrate(self, straw: Straw, uuid: str, life: Life) -> None:
        target = self.straws[life.target]
        if target.on and target.admitted.get(uuid) == target.boots and uuid not in target.guests:
            del straw.guests[uuid]
            target.guests[uuid] = Guest.held
            self._report(life.target, e.GuestSeen(uuid, Guest.held))

    def end_power_job(self, name: str, ok: bool) -> None:
        """The oldest power job of this node's daemon ends."""
        straw = self.straws[name]
        if not straw.power_jobs:
            return
        node, effect, ticket = straw.power_jobs.pop(0)
        if ok and effect is Effect.power_off:
            self.power_off(node)
        reading = Power.silent if not ok else Power.on if self.straws[node].on else Power.off
        self._report(name, e.PowerRead(node, ticket, reading))

    def guest_dies(self, name: str, uuid: str) -> None:
        if self.straws[name].guests.pop(uuid, None):
            self._report(name, e.GuestSeen(uuid, Guest.absent))

    def advance(self, seconds: float) -> None:
        """Time passes for everybody; what is due is due."""
        for _ in range(int(seconds)):
            self.ensemble.advance(1.0)
            for name, straw in self.straws.items():
                for wait in list(straw.waits):
                    straw.waits[wait] -= 1.0
                    if straw.waits[wait] <= 0:
                        del straw.waits[wait]
                        self._report(name, e.Due(wait))
            self.settle()

    def _report(self, name: str, event: e.Event) -> None:
        if name in self.agents:
            self.agents[name].put(event)

    # ---- a client

    def define(self, uuid: str, name: str, home: str) -> None:
        record = DomainRecord(uuid, name, "g1", Life(home=home, handover=Handover.paused), memory_mib=1, vcpus=1, request=f"define-{name}")
        commit(self.client, define_change(record, b"<domain/>", self._relied(), "test", ""))

    def record(self, uuid: str) -> DomainRecord | None:
        znode = self.client.read(znodes.domain(uuid))
        return None if znode is None else decode_domain(uuid, znode.data)

    def nodes(self) -> dict[str, NodeRecord]:
        return {name: decode_node(name, znode.data) for name in self.straws if (znode := self.client.read(znodes.node(name))) is not None}

    def facts(self) -> dict[str, NodeFacts]:
        alive = self.client.children(znodes.ALIVE)
        return {name: NodeFacts(record.life, name in alive, record.boot) for name, record in self.nodes().items()}

    def _relied(self) -> Relied:
        versions = {name: self.client.read(znodes.node(name)) for name in self.straws}
        config = self.client.read(znodes.CONFIG)
        return Relied(nodes={name: znode.version for name, znode in versions.items() if znode}, config=config.version)

    def client_moves(self, uuid: str) -> list[Move]:
        """Everything that a client may do with this VM now."""
        record = self.record(uuid)
        if record is None:
            return []
        return list(self.rules.client_moves(record.life, self.facts(), Options(op_id=f"op-{self.requests}")))

    def do(self, uuid: str, move: Move) -> None:
        """Do it, through the same write as any client."""
        self.requests += 1
        znode = self.client.read(znodes.domain(uuid))
        seen = Seen(decode_domain(uuid, znode.data), znode.version)
        history = self.client.read(znodes.history(uuid))
        past = None if history is None else Seen(decode_history(znodes.history(uuid), history.data), history.version)
        transition = Transition("domain", move.row, By.CLIENT, "admin", f"client-{self.requests}", "", choice=move.view.choice)
        children = self.client.children(znodes.domain(uuid))
        commit(self.client, domain_change(seen, self.rules.after(move), transition, self._relied(), past, children))

    def ask(self, uuid: str, trigger: str, choice: str | None = None) -> None:
        """Do the first thing that this word allows; raises when it allows nothing."""
        self.do(uuid, next(m for m in self.client_moves(uuid) if m.row.trigger == trigger and choice in (None, m.view.choice)))

    def tell_node(self, name: str, trigger: str) -> None:
        """Flush a node, or give it back."""
        self.requests += 1
        znode = self.client.read(znodes.node(name))
        record, table = decode_node(name, znode.data), TABLES["flush"]
        view = NodeView(record.life, name, alive=name in self.client.children(znodes.ALIVE))
        for row in enabled(table, record.life.flush, By.CLIENT, view):
            if row.trigger == trigger:
                transition = Transition("flush", row, By.CLIENT, "admin", f"client-{self.requests}", "")
                commit(self.client, node_change(Seen(record, znode.version), after(table, row, view), transition, self._relied()))
                return

    # ---- what must hold

    def running(self, uuid: str) -> list[str]:
        return [name for name, straw in self.straws.items() if straw.guests.get(uuid) is Guest.running]

    def check(self, vms: int) -> None:
        """What holds at every instant."""
        for uuid in UUIDS[:vms]:
            assert len(self.running(uuid)) <= 1, f"{uuid} runs on {self.running(uuid)}"
            record = self.record(uuid)
            off = (Domain.stop, Domain.disable, Domain.failed, Domain.place)
            if record is not None and record.life.state in off:
                assert not self.running(uuid), f"{uuid} is {record.life.state} and runs on {self.running(uuid)}"
