"""The hands: a transition that the Core decided is fired on its machine, which writes it, and its orders are given afterwards.
 The write carries the versions that the decision saw, of the record itself and of each node record that a guard relied on; what else it
needs is read here. An outcome that nobody could tell counts as lost even where it turns out to be written: the Core reads the record again
and decides from what it says.
"""

from collections.abc import Callable

from pvc.agent.ports import Hypervisor, Moved, PowerSwitch
from pvc.cluster import znodes
from pvc.cluster.changes import domain_change, is_drift, repaired
from pvc.cluster.commit import Change, commit
from pvc.cluster.evidence import NotRead, Relied, Seen, Transition
from pvc.cluster.formats import decode_boot, decode_domain, decode_history, decode_node, decode_stats
from pvc.cluster.node_changes import Joining, join_change, node_change, token_of
from pvc.cluster.records import Boot, DomainRecord, History, NodeRecord, NodeStats, Unreadable
from pvc.cluster.store import NotConnected, OutcomeUnknown, Refused, SessionLost, Store, StoreError, Znode
from pvc.core import events as e
from pvc.core.known import Known
from pvc.core.objects import NEVER_WRITTEN
from pvc.errors import PvcError
from pvc.fsm.fire import Record, View
from pvc.fsm.machine import Tracker, fire
from pvc.fsm.row import Row
from pvc.fsm.states import Effect
from pvc.fsm.tables import FIELDS
from pvc.fsm.views import DomainView, Life, NodeLife

Orders = list[tuple[Effect, Life | NodeLife]]


class Forgotten(RuntimeError):
    """ZooKeeper has forgotten starts of this node: it was restored from a snapshot, and what it says is of the past."""


class Stale(Exception):
    """The record is not the one that was decided on."""


class Executor:
    """Fires what one daemon decided; ``now`` is wall clock, in words, and only shown.

    ``heard`` is the connection of the store that the Core has heard of. What it decided on an earlier one is not written on the next:
    versions tell that a record is another one, but not where ZooKeeper was restored from a copy and has counted to the same number again.
    """

    def __init__(
        self,
        store: Store,
        known: Known,
        joining: Joining,
        hypervisor: Hypervisor,
        power: PowerSwitch,
        now: Callable[[], str],
        heard: Callable[[], int],
    ) -> None:
        self.store = store
        self.known = known
        self.joining = joining
        self.hypervisor = hypervisor
        self.power = power
        self.now = now
        self.heard = heard
        self.token: int | None = None
        self.orders: Orders = []
        self.deciding: e.Fire | None = None
        self.moved: Moved | None = None
        self.objection = ""

    # ---- firing

    def fire(self, asked: e.Fire) -> list[e.Event]:
        """Fire one transition; returns what the Core must hear, in order. Its orders wait to be taken and given."""
        self.deciding, self.orders, self.moved, self.objection = asked, [], None, ""
        move, view = asked.move, asked.move.view
        assert isinstance(view.life, Life | NodeLife)
        try:
            row = fire(move.table, move.row.trigger, Tracker(_name(asked.key), view.life), move.by, view, self)
        except (OutcomeUnknown, NotConnected, SessionLost):
            self.orders = []
            return [e.Fired(asked.ticket, e.Result.lost)]
        except (PvcError, NotRead, Stale) as error:
            self.orders = []
            if not isinstance(error, StoreError | Stale):  # a lost race is nothing to tell
                self.objection = f"{_name(asked.key)}: '{move.row.trigger}' is refused: {error}"
            return [e.Fired(asked.ticket, e.Result.refused)]
        assert row is move.row, f"'{row}' fired where '{move.row}' was decided"
        self.moved = self._moved(asked)
        written = e.Fired(asked.ticket, e.Result.written)
        return [written, *self.reread(asked.key)] if row.writes else [written]

    def _moved(self, asked: e.Fire) -> Moved:
        move, name = asked.move, _name(asked.key)
        source = str(getattr(move.view.life, FIELDS[move.table.name]))
        known = self.known.domains.get(name) if isinstance(move.view, DomainView) else None
        shown = known.record.name if known is not None and isinstance(known.record, DomainRecord) else name
        return Moved(shown, move.table.name, source, str(move.row.dest or source), move.row.trigger, asked.why or move.row.why)

    def taken_orders(self) -> Orders:
        """The orders of the transition that was just fired."""
        orders, self.orders = self.orders, []
        return orders

    def give(self, asked: e.Fire, orders: Orders) -> None:
        """Hand over the orders of a transition, once the Core has heard that it fired."""
        for effect, life in orders:
            if isinstance(life, Life):
                self.hypervisor.order(_name(asked.key), effect, life)
            else:
                self.power.order(_name(asked.key), effect, asked.ticket)

    def commit(self, tracker: Tracker, row: Row, partner: Row | None, view: View, record: Record) -> None:
        """The machine's write."""
        assert self.deciding is not None
        if isinstance(record, Life):
            self._write(self._domain_change(self.deciding, record))
        elif row.trigger == "join":
            assert isinstance(record, NodeLife)
            change = self._join_change(self.deciding, record)
            self._write(change)
            self.token = token_of(change, self.known.me)
        else:
            assert isinstance(record, NodeLife)
            self._write(self._node_change(self.deciding, record))

    def order(self, tracker: Tracker, effect: Effect, view: View) -> None:
        """The machine's order: kept until the Core has heard that the row fired, so that no report can overtake it."""
        assert isinstance(tracker.life, Life | NodeLife)
        self.orders.append((effect, tracker.life))

    def _write(self, change: Change) -> None:
        if self.store.generation != self.heard():
            raise NotConnected("this was decided on an earlier connection: nothing was sent")
        try:
            commit(self.store, change)
        except Refused as refused:
            if not is_drift(refused):
                raise
            commit(self.store, repaired(self.store, change))

    # ---- what a write needs

    def _transition(self, asked: e.Fire) -> Transition:
        move = asked.move
        choice = move.view.choice if isinstance(move.view, DomainView) else None
        request = f"{self.known.me}-{self.token or 0}-{asked.ticket}"
        return Transition(move.table.name, move.row, move.by, self.known.me, request, self.now(), asked.why, choice)

    def _relied(self, boots: tuple[str, ...] = ()) -> Relied:
        known = self.known
        seen = self.store.read_many([znodes.boot(name) for name in boots])
        return Relied(
            me=known.me,
            token=self.token,
            nodes={name: node.version for name, node in known.nodes.items() if node.record is not None and node.version != NEVER_WRITTEN},
            boots={name: znode.version for name in boots if (znode := seen[znodes.boot(name)]) is not None},
            config=known.config_version if known.config is not None else None,
            alive=known.alive,
        )

    def _domain_change(self, asked: e.Fire, life: Life) -> Change:
        known = self.known.domains[_name(asked.key)]
        record = known.record
        if not isinstance(record, DomainRecord) or known.version != asked.version:
            raise Stale
        victims = tuple(str(name) for name in (record.life.owner, record.life.target) if name in self.known.nodes)
        path = znodes.history(record.uuid)
        history = self.store.read(path)
        children = self.store.children(znodes.domain(record.uuid))
        seen = _seen_history(path, history)
        return domain_change(Seen(record, known.version), life, self._transition(asked), self._relied(victims), seen, children)

    def _node_change(self, asked: e.Fire, life: NodeLife) -> Change:
        name = _name(asked.key)
        known = self.known.nodes[name]
        if not isinstance(known.record, NodeRecord) or known.version != asked.version:
            raise Stale
        boot = self.store.read(znodes.boot(name))
        seen = None if boot is None else Seen(boot.data, boot.version)
        path = znodes.events(name)
        events = _seen_history(path, self.store.read(path))
        return node_change(Seen(known.record, known.version), life, self._transition(asked), self._relied(), seen, events)

    def _join_change(self, asked: e.Fire, life: NodeLife) -> Change:
        me = self.known.me
        known = self.known.nodes[me]
        paths = (znodes.boot(me), znodes.alive(me), znodes.stats(me), znodes.events(me))
        boot, alive, stats, events = self.store.read_many(paths, sync=True).values()
        if self.token is not None and (boot is None or boot.version < self.token):
            raise Forgotten("ZooKeeper has forgotten starts of this node: it was restored from a snapshot, and its records are of the past")
        seen = Seen(known.record, known.version) if isinstance(known.record, NodeRecord) and known.version != NEVER_WRITTEN else None
        return join_change(
            me,
            life,
            self.joining,
            self._transition(asked),
            self._relied(),
            seen=seen,
            boot=_seen_boot(me, boot),
            alive=_seen_boot(me, alive),
            stats=None if stats is None else stats.version,
            events=_seen_history(znodes.events(me), events),
        )

    # ---- reading again

    def reread(self, key: str) -> list[e.Event]:
        """The record of this key as it stands; nothing while the store is not connected, because then everything is read again anyway."""
        kind, _, name = key.partition(" ")
        path = znodes.node(name) if kind == "node" else znodes.domain(name)
        try:
            znode = self.store.read(path, sync=True)
        except StoreError:
            return []
        if kind == "node":
            return [e.NodeSeen(name, None if znode is None else decode_node(name, znode.data), 0 if znode is None else znode.version)]
        return [e.DomainSeen(name, None if znode is None else decode_domain(name, znode.data), 0 if znode is None else znode.version)]

    def measure(self, nodes: tuple[str, ...]) -> list[e.Event]:
        """What these nodes last measured, those that cannot be read left out; nothing while the store is not connected."""
        try:
            znodes_of = self.store.read_many([znodes.stats(name) for name in nodes])
        except StoreError:
            return []
        read = {name: decode_stats(name, znode.data) for name, znode in zip(nodes, znodes_of.values(), strict=True) if znode is not None}
        return [e.Measured({name: stats for name, stats in read.items() if isinstance(stats, NodeStats) and stats.tick})]


def _name(key: str) -> str:
    return key.partition(" ")[2]


def _seen_history(path: str, znode: Znode | None) -> Seen[History] | Unreadable | None:
    if znode is None:
        return None
    history = decode_history(path, znode.data)
    return history if isinstance(history, Unreadable) else Seen(history, znode.version)


def _seen_boot(name: str, znode: Znode | None) -> Seen[Boot] | None:
    if znode is None:
        return None
    boot = decode_boot(name, znode.data)
    if isinstance(boot, Unreadable):
        raise PvcError(f"{boot}; {name} cannot join over a boot record that it cannot read", "repair or remove that znode by hand")
    return Seen(boot, znode.version)
