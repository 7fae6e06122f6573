"""What must hold at every event of a simulated cluster: one method for each promise, told of every write, guest, order and step.

The witness sees two copies of a guest, and a guest that nobody owns. Here is what can be wrong long before that: a write that no row
explains, a place that was not to be given, a recovery or a shot without its grounds, a start where the record says nothing of one, and
queues and retries without a bound.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from pvc.cluster import znodes
from pvc.cluster.evidence import VICTIMS
from pvc.cluster.formats import decode_config
from pvc.cluster.records import ClusterConfig, DomainRecord, NodeRecord
from pvc.fsm import guards as g
from pvc.fsm.replay import Explanation, Writer, explanations, is_amended, unexplained
from pvc.fsm.row import Guard, Row
from pvc.fsm.states import By, Daemon, Domain, Fence, Flush, Guest
from pvc.fsm.tables import TABLES
from pvc.fsm.views import Life, NodeLife

if TYPE_CHECKING:
    from pvc.core.decide import Move
    from pvc.sim.cluster import SimCluster
    from pvc.sim.daemon import SimDaemon
    from pvc.sim.witness import Actor

INBOX = 60
"""How many events may wait in a daemon, for each VM and node there is; a daemon that was frozen has a lot to catch up with."""
WINDOW_S = 10.0
EARLY_S = 0.01
DECISIONS = 30
"""How many transitions a daemon may try within that time, for each VM and node there is."""
ROWS = {id(row): (table.name, number) for table in TABLES.values() for number, row in enumerate(table.rows)}
CONNECTION = {(str(source), str(row.dest)): row for row in TABLES["connection"].rows for source in row.source}
NewLife = Life | NodeLife


class Laws:
    """Looks at everything that happens to one cluster; ``rows`` counts how often each row of the tables has fired."""

    def __init__(self, cluster: SimCluster) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.witness = cluster.witness
        self.rows: Counter[tuple[str, int]] = Counter()
        self.decided: dict[str, deque[float]] = {}
        self.declared: dict[str, float] = {}
        self.shot: dict[str, float] = {}
        self.witness.readers.append(self)
        self.world.watchers.append(self)

    def _wrong(self, sentence: str) -> None:
        self.witness.wrong.append(sentence)

    # ---- every write is explained by a row

    def domain_written(self, before: DomainRecord | None, after: DomainRecord | None, actor: Actor) -> None:
        """A VM's record was written, or is gone."""
        if before is None:
            if after is not None and not is_amended(Life(home=after.life.home), after.life):
                self._wrong(f"{after.name} was defined, and is {after.life}")
        elif after is None:
            self._explain(before.name, before.life, _gone(before.life), actor)
        elif not is_amended(before.life, after.life):
            self._explain(after.name, before.life, after.life, actor)

    def node_written(self, before: NodeRecord | None, after: NodeRecord, actor: Actor) -> None:
        """A node's record was written."""
        old = NodeLife() if before is None else before.life
        if after.life.fence is Fence.throws and old.fence is not Fence.throws:
            self.declared[after.name] = self.cluster.now
        if old != after.life or before is None:
            self._explain(after.name, old, after.life, actor)

    def _explain(self, name: str, before: NewLife, after: NewLife, actor: Actor) -> None:
        writer = Writer(actor.name if actor.by is not None else None, actor.by or By.CLIENT, actor.trigger or None)
        found = list(explanations(before, after, writer))
        if not found:
            self._wrong(unexplained(name, before, after, writer))
            return
        explanation = next((one for one in found if one.row is actor.row), found[0])
        self._count(explanation.row)
        if explanation.partner is not None:
            self._count(explanation.partner)
        for guard in explanation.row.guards:
            if guard in PLACES:
                self._may_take(name, guard, before, after, actor)
            elif guard in VICTIMS:
                self._is_gone(name, getattr(before, VICTIMS[guard]), explanation)
        if explanation.row.trigger == "shoot" and isinstance(before, NodeLife):
            self._may_shoot(name, actor, before.ordered)
        elif explanation.row.trigger == "flushed":
            self._is_empty(name)

    def _count(self, row: Row) -> None:
        self.rows[ROWS[id(row)]] += 1

    def _is_empty(self, name: str) -> None:
        """What people start past PVC may come in the very moment of the write."""
        guests = [uuid for uuid in self.world.machines[name].libvirtd.guests if (name, uuid) not in self.world.by_hand]
        if guests:
            self._wrong(f"{name} is flushed, and holds {', '.join(map(self.witness.name, guests))}")

    # ---- no place that was not to be given, no recovery before proof, no shot without its grounds

    def _may_take(self, name: str, guard: Guard, before: NewLife, after: NewLife, actor: Actor) -> None:
        assert isinstance(before, Life)
        assert isinstance(after, Life)
        node = {"me": actor.name, "home": before.home}.get(PLACES[guard]) or after.target or after.home
        record = self.witness.nodes.get(str(node))
        if record is None or (record.life.daemon, record.life.flush) != (Daemon.run, Flush.ready):
            self._wrong(f"{name} is given to {node}, which is {record.life if record else 'unknown'}")

    def _is_gone(self, name: str, node: str, explanation: Explanation) -> None:
        record, machine = self.witness.nodes.get(node), self.world.machines.get(node)
        if record is None or record.life.daemon is not Daemon.fenced:
            self._wrong(f"{name}: '{explanation.row.trigger}' before {node} is fenced")
        elif machine is not None and machine.on and machine.boot == record.boot and node not in self.world.liars:
            self._wrong(f"{name}: '{explanation.row.trigger}' although {node} is on, under the boot that was given for dead")

    def _may_shoot(self, node: str, actor: Actor, ordered: bool) -> None:
        ensemble = self.cluster.ensemble
        znode = ensemble.read(znodes.CONFIG)
        config = None if znode is None else decode_config(znode.data)
        if ensemble.read(znodes.alive(node)) is not None:
            self._wrong(f"{actor.name} shoots {node}, which holds its session")
        now, settings, last = self.cluster.now, self.cluster.settings, self.shot.get(node)
        self.shot[node] = now
        if ordered:
            return  # an operator has looked, and did not want to wait
        if isinstance(config, ClusterConfig) and config.hold.on:
            self._wrong(f"{actor.name} shoots {node}, although the hold is on")
        if now < self.declared.get(node, 0.0) + settings.throws_s - EARLY_S:
            self._wrong(f"{actor.name} shoots {node} before its saving throws are over")
        if last is not None and now < last + settings.fence_retry_s - EARLY_S:
            self._wrong(f"{actor.name} shoots {node} {now - last:.1f} s after the last shot")

    # ---- a guest starts where its record says so

    def guest_changed(self, node: str, uuid: str, before: Guest, after: Guest, why: str) -> None:
        """A guest is another: a new one runs only where the record names the owner."""
        if before is Guest.absent and after is Guest.running and (node, uuid) not in self.world.by_hand:
            record = self.witness.domains.get(uuid)
            if record is None or record.life.owner != node:
                self._wrong(f"{self.witness.name(uuid)} starts on {node}, and its owner is {record.life.owner if record else 'nobody'}")

    def power_changed(self, node: str, on: bool) -> None:
        """Power is nobody's promise."""

    # ---- bounded queues and retries

    def fired(self, daemon: SimDaemon, move: Move) -> None:
        """A daemon has fired a row; one that only gives an order is written nowhere."""
        if not move.row.writes and id(move.row) in ROWS:
            self._count(move.row)

    def worked(self, daemon: SimDaemon, was: str, tickets: int) -> None:
        """A daemon has taken an event; before it its connection was this, and it had decided so many transitions."""
        core, inbox = daemon.agent.core, daemon.agent.inbox
        row = CONNECTION.get((was, str(core.session.state)))
        if row is not None:
            self._count(row)
        size = len(self.witness.domains) + len(self.witness.nodes) + 1
        if len(inbox) > INBOX * size:
            self._wrong(f"{len(inbox)} events wait in the daemon of {daemon.name}")
        if core.tickets != tickets:
            self._decided(daemon.name, core.tickets - tickets, DECISIONS * size)

    def _decided(self, node: str, times: int, bound: int) -> None:
        now, decided = self.cluster.now, self.decided.setdefault(node, deque())
        decided.extend([now] * times)
        while decided[0] < now - WINDOW_S:
            decided.popleft()
        if len(decided) > bound:
            self._wrong(f"{node} tried {len(decided)} transitions within {WINDOW_S:g} s")


PLACES = {g.CHOICE_FITS: "choice", g.ME_FITS: "me", g.HOME_FITS: "home"}
"""Guards that say that a node may take a VM, and which."""


def _gone(life: Life) -> Life:
    return Life(state=Domain.delete, home=life.home)
