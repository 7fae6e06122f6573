"""What may happen next to a VM or a node, by whom, and on what condition: the rows of the tables, asked with everything that the records
say, for every thing that a daemon may observe.

A client sees no hypervisor and no power: where a guard hangs on these, it becomes a condition; where the records alone refuse a row, it is
left out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from pvc.client.lost import brake, concerns
from pvc.client.snapshot import Snapshot
from pvc.cluster.records import DomainRecord, Method, NodeRecord, OnPoweroff
from pvc.core.decide import choices
from pvc.core.facts import Local, Nodes, Options, Self, Watch, domain_view, node_view, roles
from pvc.core.waits import domain_wait, fence_wait
from pvc.fsm import guards as g
from pvc.fsm.row import Row, Table, by_name
from pvc.fsm.states import By, Domain, Flush, Guest, Job, Power, Word
from pvc.fsm.tables import FIELDS, TABLES
from pvc.fsm.views import DomainView, NodeView

STRAY = By.HOST
"""Rows against guests where none should be: they may always happen, and nobody waits for one."""

TIMED = (g.DUE, g.NODE_DUE, g.BACKED_OFF, g.CALLED_OFF, g.HOPELESS)
"""Guards that hold at the latest when a wait is over."""


@dataclass(frozen=True, slots=True)
class Next:
    """A transition that may come: where it leads, which daemon fires it, what it must observe first, and how long that may take."""

    table: str
    trigger: str
    dest: str
    by: str
    who: str
    conditions: tuple[str, ...]
    why: str
    after_s: float | None = None


def domain_outlook(record: DomainRecord, snapshot: Snapshot) -> tuple[Next, ...]:
    """What the daemons may do with this VM next, as the tables have it."""
    life, nodes = record.life, snapshot.facts()
    wait = domain_wait(record, snapshot.settings(life.owner, life.target))
    tables = ("domain", "migration") if life.state is Domain.migrate else ("domain",)
    fits = snapshot.ranking(record).fits
    found: dict[tuple[str, str, str, str], Next] = {}
    for me in nodes:
        by = roles(me, life, Guest.absent, nodes, caretaker=False) & ~STRAY
        views = list(_domain_views(me, record, nodes, fits, snapshot)) if by else []
        for table in (TABLES[name] for name in tables):
            state = getattr(life, FIELDS[table.name])
            for coming in _coming(table, state, by, me, views, fits, wait[1] if wait else None):
                found.setdefault((coming.table, coming.trigger, coming.dest, coming.who), coming)
    return tuple(found.values())


def node_outlook(name: str, snapshot: Snapshot) -> tuple[Next, ...]:
    """What its own daemon and its peers may do with this node next."""
    node, nodes = snapshot.nodes[name], snapshot.facts()
    if not isinstance(node.record, NodeRecord):
        return ()
    life, wait = node.record.life, None
    if (spell := fence_wait(name, node.record.life, node.record.fence.tries, snapshot.settings(life.by))) is not None:
        wait = spell[1]
    own = list(_own_views(name, nodes, snapshot))
    found = [*_coming(TABLES["node"], life.daemon, By.OWNER, name, own, (), None)] if node.alive or life.daemon.value == "stop" else []
    if node.alive and nodes[name].works:
        found += _coming(TABLES["flush"], life.flush, By.OWNER, name, own, (), None)
    holder = life.by if life.by in nodes and life.by != name else None
    peers = [holder] if holder else [peer for peer in nodes if peer != name and nodes[peer].works][:1]
    for peer in peers:
        by = By.FENCER if peer == life.by else By.PEER
        found += _coming(TABLES["fence"], life.fence, by, peer if holder else "a peer", _peer_views(peer, name, nodes, snapshot), (), wait)
    return tuple(found)


def _coming(
    table: Table, state: Word, by: By, who: str, views: Iterable[DomainView | NodeView], fits: Sequence[str], wait_s: float | None
) -> Iterator[Next]:
    """The rows that hold in one of these views, with the guards that do not hold in all of them as conditions."""
    seen = list(views)
    for row in (row for row in table.rows_from(state, by) if row.trigger not in table.partner_triggers):
        if not any(_holds(row, view, fits) for view in seen):
            continue
        open_guards = [guard for guard in row.guards if "choice" not in guard.name and not all(guard.test(view) for view in seen)]
        due = any(guard in TIMED for guard in open_guards)
        conditions = tuple(guard.name for guard in open_guards)
        dest = str(row.dest or state)
        yield Next(table.name, row.trigger, dest, by_name(row.by & by), who, conditions, row.why, wait_s if due else None)


def _holds(row: Row, view: DomainView | NodeView, fits: Sequence[str]) -> bool:
    if isinstance(view, DomainView):
        return next(choices(row, view, fits), None) is not None
    return row.refuse(view) is None


def _domain_views(me: str, record: DomainRecord, nodes: Nodes, fits: Sequence[str], snapshot: Snapshot) -> Iterator[DomainView]:
    policy = record.policy
    unfit = snapshot.ranking(record).unfit
    for guest, job, due in product((Guest.absent, Guest.held, Guest.running, Guest.paused), Job, (False, True)):
        options = Options(
            budget=policy.restart_budget,
            due=due,
            stays_off=policy.on_poweroff is OnPoweroff.stay,
            live=policy.migration is Method.live,
            cold=policy.migration is Method.cold,
            op_id="op",
            unfit=unfit,
        )
        yield domain_view(me, record.life, Local(guest, job), nodes, fits, options)


def _own_views(name: str, nodes: Nodes, snapshot: Snapshot) -> Iterator[NodeView]:
    here = tuple(sorted(record.name for record in snapshot.records() if name in (record.life.owner, record.life.target)))
    away = tuple(sorted(record.name for record in snapshot.records() if record.life.home == name and record.life.owner not in (None, name)))
    holds = {(), here} if nodes[name].life.flush is Flush.flush else {here}
    joined = nodes[name].alive
    for held, uncalled, stopping, inventory in product(holds, {(), away}, (False, True), (False, True)):
        own = Self(joined=joined, stopping=stopping, inventory=inventory, holds=held, uncalled=uncalled)
        yield node_view(name, name, nodes, Watch(), own)


def _peer_views(me: str, name: str, nodes: Nodes, snapshot: Snapshot) -> Iterator[NodeView]:
    """Where nobody can be asked, or believed, it may be on; a watchdog tells by its time alone that it is off."""
    record, named, held = snapshot.nodes[name].record, concerns(name, snapshot), brake(name, snapshot)
    fencing = record.fencing if isinstance(record, NodeRecord) else None
    asked = fencing is None or fencing.works
    readings = tuple(Power) if asked else (Power.on, Power.off) if fencing and fencing.reset_s else (Power.on,)
    counts = {False, bool(fencing and fencing.reset_s)}
    for reading, stale, busy, due, back, counting in product(readings, (False, asked), (False, True), (False, True), (False, True), counts):
        watch = Watch(reading, stale, busy, due, concerns=named, brake=held, power_back=back, counting=counting)
        yield node_view(me, name, nodes, watch, Self(joined=True, inventory=True))
