"""Which transition a daemon fires next: look-ups in the tables, shared word for word by daemon, simulator and checker."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pvc.core.facts import Local, Nodes, Options, Self, Watch, client_view, domain_view, eligible, node_view, roles
from pvc.fsm.row import Row, Table
from pvc.fsm.states import By, Domain
from pvc.fsm.tables import TABLES
from pvc.fsm.views import DomainView, Life, Node, NodeView, with_choice

DOMAIN, MIGRATION, NODE, FLUSH, FENCE = (TABLES[name] for name in ("domain", "migration", "node", "flush", "fence"))


@dataclass(frozen=True, slots=True)
class Move:
    """A transition that may fire now: its table, its row, and the view in which its guards held, the chosen node included."""

    table: Table
    row: Row
    view: DomainView | NodeView
    by: By


def domain_moves(me: Node, life: Life, local: Local, nodes: Nodes, options: Options, fits: Sequence[Node] | None = None) -> tuple[Move, ...]:
    """The next transition of this VM that falls to this node, once for each node that may be chosen, best first; empty when there is none.

    ``fits`` are the nodes with room, in the order of preference; by default every eligible node, in any order.
    """
    by = roles(me, life, local.guest, nodes, options.caretaker)
    if not by:
        return ()
    room = tuple(sorted(eligible(nodes), key=str)) if fits is None else fits
    view = domain_view(me, life, local, nodes, room, options)
    tables = (DOMAIN, MIGRATION) if life.state is Domain.migrate else (DOMAIN,)
    return first_domain_row(tables, by, view, room)


def first_domain_row(tables: Iterable[Table], by: By, view: DomainView, room: Sequence[Node]) -> tuple[Move, ...]:
    """The first row in table order that may fire, with every admissible choice."""
    for table in tables:
        state = view.life.phase if table is MIGRATION else view.life.state
        for row in table.rows_from(state, by):
            if row.trigger in table.partner_triggers:
                continue
            moves = tuple(Move(table, row, seen, by) for seen in choices(row, view, room))
            if moves:
                return moves
    return ()


def choices(row: Row, view: DomainView, room: Sequence[Node]) -> Iterator[DomainView]:
    """The views, one for each node that may be chosen, in which the row may fire; a row that can do without a choice does so when no node has room."""
    if not row.chooses:
        if row.refuse(view) is None:
            yield view
        return
    if row.refuse_unchosen(view) is not None:
        return
    found = False
    for node in room:
        seen = with_choice(view, node)
        if row.refuse(seen) is None:
            found = True
            yield seen
    if not found and row.refuse(view) is None:
        yield view


def node_moves(me: Node, node: Node, nodes: Nodes, watch: Watch, own: Self) -> tuple[Move, ...]:
    """The next transitions of a node that fall to this node, in table order; for itself both its daemon and its flush may move."""
    view = node_view(me, node, nodes, watch, own)
    if node == me:
        found = _first(NODE, view.life.daemon, By.OWNER, view)
        if not found and own.joined and nodes[me].works:
            found = _first(FLUSH, view.life.flush, By.OWNER, view)
        return found
    if not nodes[me].works:
        return ()
    by = By.FENCER if view.life.by == me else By.PEER
    return _first(FENCE, view.life.fence, by, view)


def _first(table: Table, state: object, by: By, view: NodeView) -> tuple[Move, ...]:
    for row in table.rows_from(state, by):  # type: ignore[arg-type]
        if row.trigger not in table.partner_triggers and row.refuse(view) is None:
            return (Move(table, row, view, by),)
    return ()


def client_moves(life: Life, nodes: Nodes, options: Options, fits: Sequence[Node] | None = None) -> tuple[Move, ...]:
    """Every transition that a client may fire on this VM now, with every admissible choice."""
    room = tuple(sorted(eligible(nodes), key=str)) if fits is None else fits
    view = client_view(life, nodes, room, options)
    return tuple(Move(DOMAIN, row, seen, By.CLIENT) for row in DOMAIN.rows_from(life.state, By.CLIENT) for seen in choices(row, view, room))
