"""The truth about a simulated cluster: every write, every guest and every power switch, in order, and what must hold at each of them.

The trace is in the words of the scenario format. What is written is seen at the ensemble, so nobody can write past it; what runs is seen at
the machines, whatever any daemon believes.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pvc.cluster import znodes
from pvc.cluster.commit import WRITES
from pvc.cluster.ensemble import Client, MemoryEnsemble
from pvc.cluster.formats import decode_domain, decode_history, decode_node
from pvc.cluster.records import DomainRecord, History, HistoryEntry, NodeRecord
from pvc.cluster.store import Create, Delete, Op, Set
from pvc.fsm.row import Row
from pvc.fsm.states import By, Domain, Fence, Guest
from pvc.fsm.views import Life, NodeLife
from pvc.sim.world import World

NOWHERE = frozenset({Domain.stop, Domain.disable, Domain.failed, Domain.place, Domain.delete})
"""States in which nobody owns the VM, so no guest of it may run."""
COMPLETE = frozenset({Guest.running, Guest.paused, Guest.held})
MACHINES = ("daemon", "flush", "fence")
"""The fields of a node's life that are states."""


class Broken(AssertionError):
    """Something that must hold at every instant does not."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who writes, and, where it is a daemon, in which role, by which row and why."""

    name: str
    trigger: str = ""
    why: str = ""
    by: By | None = None
    row: Row | None = None


class Reader(Protocol):
    """Who is told of every record that is written."""

    def domain_written(self, before: DomainRecord | None, after: DomainRecord | None, actor: Actor) -> None:
        """A VM's record was written, or is gone."""

    def node_written(self, before: NodeRecord | None, after: NodeRecord, actor: Actor) -> None:
        """A node's record was written."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the trace: when, in virtual seconds, what kind of event, and its particulars; ``words`` is the line that people read.

    In a ``record``, the particular ``fields`` is the life as it was written, None where the record is gone.
    """

    at: float
    event: str
    words: str
    fields: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.at:10.3f}  {self.words}"


class Witness:
    """Sees everything, writes it down, and says what is wrong."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.attempted = self.start_attempted
        self.trace: list[Happening] = []
        self.listeners: list[Callable[[Happening], None]] = []
        self.readers: list[Reader] = []
        self.looks = 0
        self.wrong: list[str] = []
        self.domains: dict[str, DomainRecord] = {}
        self.nodes: dict[str, NodeRecord] = {}
        self.transitions = 0
        self.ran: dict[str, str] = {}
        self.sessions: dict[str, str] = {}
        self.fired: Counter[tuple[str, str]] = Counter()
        self.actor: Callable[[int], Actor] = lambda session: Actor("client")

    def note(self, event: str, words: str, **fields: Any) -> None:
        """Write a line."""
        happening = Happening(self.world.clock.now, event, words, fields)
        self.trace.append(happening)
        for listener in self.listeners:
            listener(happening)

    def name(self, uuid: str) -> str:
        """The name of a VM, or its UUID while no record says it."""
        return self.domains[uuid].name if uuid in self.domains else uuid

    def lines(self, since: int = 0) -> list[str]:
        """The trace as text."""
        return [str(line) for line in self.trace[since:]]

    # ---- what runs

    def guest_changed(self, node: str, uuid: str, before: Guest, after: Guest, why: str) -> None:
        """A guest is another: a start, an end or a hand-over of the VM, or none of these."""
        ran, name = self.ran.get(uuid), self.name(uuid)
        if after is Guest.running and ran != node:
            self.ran[uuid] = node
            if ran is None or ran in self.world.running(uuid):
                if before is not Guest.absent:
                    self.start_attempted(node, uuid, ok=True)
                self.note("guest_start", f"{name} runs on {node}", vm=name, node=node, why=why)
            else:
                self.note("guest_handover", f"{name} runs on {node}, no more on {ran}", vm=name, **{"from": ran, "to": node})
        elif after is Guest.absent and ran is not None and not self._lives(uuid):
            del self.ran[uuid]
            self.note("guest_end", f"{name} has ended on {ran}: {why}", vm=name, node=ran, why=why)
        elif before is Guest.running is not after and (others := self.world.running(uuid)):
            self.ran[uuid] = others[0]  # there were two
            self.note("guest_end", f"{name} has ended on {node}, and runs on {others[0]}: {why}", vm=name, node=node, why=why)
        self.check(uuid)

    def _lives(self, uuid: str) -> bool:
        """Whether a copy is left that is complete: one that is still arriving never runs without its source."""
        return any(machine.libvirtd.guest(uuid) in COMPLETE for machine in self.world.machines.values())

    def power_changed(self, node: str, on: bool) -> None:
        """A machine was switched; what was leaving it has ended there, even where a complete copy waits elsewhere."""
        for uuid in [uuid for uuid, ran in self.ran.items() if ran == node and not on]:
            del self.ran[uuid]
            self.note("guest_end", f"{self.name(uuid)} has ended on {node}", vm=self.name(uuid), node=node, why="its host lost its power")
        self.note("power", f"{node} is switched {'on' if on else 'off'}", node=node, on=on)

    def start_attempted(self, node: str, uuid: str, ok: bool) -> None:
        """A start of a guest was tried."""
        name = self.name(uuid)
        self.note("start_attempt", f"{name} {'is' if ok else 'could not be'} started on {node}", vm=name, node=node, ok=ok)

    def session_changed(self, node: str, state: str) -> None:
        """A daemon's session with ZooKeeper: ``connected``, ``suspended`` while nothing passes, ``expired`` or ``closed``."""
        if self.sessions.get(node) != state:
            self.sessions[node] = state
            self.note("session", f"the session of {node} is {state}", node=node, state=state)

    def fence(self, node: str, by: str, result: str) -> None:
        """A node is being fenced, or was."""
        words = {
            "begun": f"{by} orders the power of {node} off",
            "confirmed": f"{node} is confirmed off, by {by}",
            "failed": f"{by} has no proof that {node} is off",
        }
        self.note("fence", words[result], node=node, by=by, result=result)

    # ---- what is written

    def written(self, session: int, ops: Sequence[Op]) -> None:
        """A multi was applied."""
        records = [op for op in ops if isinstance(op, WRITES) and op.path.count("/") == 2]
        if not records:
            return  # as with a keepalive
        actor = self.actor(session)
        for op in records:
            parent, _, name = op.path.rpartition("/")
            match op:
                case (Create() | Set()) if parent == znodes.DOMAINS:
                    self._domain_written(name, op.data, ops, actor)
                case (Create() | Set()) if parent == znodes.NODES:
                    self._node_written(name, op.data, actor)
                case Delete() if parent == znodes.DOMAINS:
                    self._domain_gone(name, actor)

    def _domain_written(self, uuid: str, data: bytes, ops: Sequence[Op], actor: Actor) -> None:
        record, before = decode_domain(uuid, data), self.domains.get(uuid)
        if not isinstance(record, DomainRecord):
            return
        told = _told(znodes.history(uuid), ops)
        if actor.by is None and told is not None:
            actor = replace(actor, trigger=told.trigger)  # of an admin only the history says what was asked
        self.domains[uuid] = record
        self.world.by_hand.discard((str(record.life.owner), uuid))  # an admin keeps it: from now on it is PVC's
        for reader in self.readers:
            reader.domain_written(before, record, actor)
        if told is not None:
            self._moved("vm", record.name, told.source, told.dest, told.trigger, told.who, told.machine, told.why, record.life)
        self.check(uuid)

    def _domain_gone(self, uuid: str, actor: Actor) -> None:
        record = self.domains.pop(uuid, None)
        if record is not None:
            for reader in self.readers:
                reader.domain_written(record, None, actor)
            why = "its records are gone"
            self._moved("vm", record.name, str(record.life.state), "", actor.trigger or "undefine", actor.name, "domain", why)
        if running := self.world.owned(uuid):
            self.wrong.append(f"{uuid} was undefined and runs on {', '.join(running)}")

    def _node_written(self, name: str, data: bytes, actor: Actor) -> None:
        record, before = decode_node(name, data), self.nodes.get(name)
        if not isinstance(record, NodeRecord):
            return
        self.nodes[name] = record
        for reader in self.readers:
            reader.node_written(before, record, actor)
        if before is not None and record.life.fence is Fence.proven is not before.life.fence:
            self.fence(name, actor.name, "confirmed")
        moved = [machine for machine in MACHINES if before is None or getattr(before.life, machine) is not getattr(record.life, machine)]
        if before is None:
            moved = ["daemon"]
        elif not moved and before.life != record.life:
            moved = ["fence"]  # it has another holder
        for machine in moved:
            source, dest = "" if before is None else str(getattr(before.life, machine)), str(getattr(record.life, machine))
            shown = "node" if machine == "daemon" else machine
            self._moved("node", name, source, dest, actor.trigger or dest, actor.name, shown, actor.why, record.life)

    def _moved(
        self,
        kind: str,
        name: str,
        source: str,
        dest: str,
        trigger: str,
        who: str,
        machine: str,
        why: str,
        life: Life | NodeLife | None = None,
    ) -> None:
        self.transitions += 1
        way = source if source == dest else f"{source or 'new'} -> {dest or 'gone'}"
        words = f"{name}: {machine} {way} ({', '.join(filter(None, (trigger, who)))})" + (f": {why}" if why else "")
        said = {"kind": kind, "name": name, "from": source, "to": dest, "trigger": trigger, "by": who, "machine": machine, "why": why}
        self.note("record", words, **said, fields=life)

    # ---- what must hold

    def check(self, uuid: str) -> None:
        """What must hold for this VM at every instant."""
        self.looks += 1
        running = self.world.owned(uuid)
        if len(running) > 1:
            self.wrong.append(f"{self.name(uuid)} runs on {' and '.join(running)} at once")
        record = self.domains.get(uuid)
        if running and record is not None and record.life.state in NOWHERE:
            self.wrong.append(f"{record.name} is {record.life.state}, and runs on {running[0]}")


class WitnessedEnsemble(MemoryEnsemble):
    """An ensemble whose every write is seen by a witness."""

    def __init__(self, witness: Witness, tick_s: float = 0.5) -> None:
        super().__init__(tick_s)
        self.witness = witness
        self._ending = "closed"

    def open_session(self, client: Client, asked_s: float) -> tuple[int, float]:
        """A new session, of a daemon's or of a client's."""
        opened = super().open_session(client, asked_s)
        self._tell(client, "connected")
        return opened

    def resume_session(self, session_id: int) -> bool:
        """Whether this session still lives."""
        lives = super().resume_session(session_id)
        if lives:
            self._tell(self._sessions[session_id].client, "connected")
        return lives

    def expire(self, session_id: int) -> None:
        """End a session that was not heard."""
        self._ending = "expired"
        super().expire(session_id)
        self._ending = "closed"

    def end_session(self, session_id: int) -> None:
        """End a session."""
        client = self._sessions[session_id].client
        super().end_session(session_id)
        self._tell(client, self._ending)

    def _tell(self, client: Client, state: str) -> None:
        node = getattr(client, "node", None)
        if node is not None:
            self.witness.session_changed(node, state)

    def multi(self, session_id: int, ops: Sequence[Op]) -> None:
        """Apply all or nothing, and tell what was applied."""
        super().multi(session_id, ops)
        self.witness.written(session_id, ops)


def _told(path: str, ops: Sequence[Op]) -> HistoryEntry | None:
    """The line of history that came with a write."""
    for op in ops:
        if isinstance(op, Create | Set) and op.path == path:
            history = decode_history(path, op.data)
            return history.entries[-1] if isinstance(history, History) and history.entries else None
    return None
