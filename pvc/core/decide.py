"""Which transition comes next: look-ups in the tables, shared word for word by daemon, client, simulator and checker."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pvc.core.facts import Local, Nodes, Options, Self, Watch, client_view, domain_view, eligible, node_view, roles
from pvc.fsm.fire import after
from pvc.fsm.guards import LOST
from pvc.fsm.row import Row, Table
from pvc.fsm.states import By, Domain, Word
from pvc.fsm.tables import TABLES
from pvc.fsm.views import DomainView, Life, Node, NodeLife, NodeView, SessionLife, with_choice

OTHERS = By.FENCER | By.PEER
"""Whoever may do something about another node."""


@dataclass(frozen=True, slots=True)
class Move:
    """A transition that may fire now: its table, its row, and the view in which its guards held, the chosen node included."""

    table: Table
    row: Row
    view: DomainView | NodeView
    by: By


@dataclass(frozen=True, slots=True)
class Rules:
    """The tables, asked for the next transition. Everything but a test of the checker uses :data:`RULES`."""

    tables: Mapping[str, Table]

    def domain_moves(
        self, me: Node, life: Life, local: Local, nodes: Nodes, options: Options, fits: Sequence[Node] | None = None
    ) -> tuple[Move, ...]:
        """The next transition of this VM that falls to this node, once for each node that may be chosen, best first; empty when there is
        none.

        ``fits`` are the nodes with room, in the order of preference; by default every eligible node, in any order.
        """
        by = roles(me, life, local.guest, nodes, options.caretaker)
        if not by:
            return ()
        room = tuple(sorted(eligible(nodes), key=str)) if fits is None else fits
        view = domain_view(me, life, local, nodes, room, options)
        for table in self._tables_for(life):
            for row in self._masters(table, _state(table, life), by):
                if row.chooses or row.holds(view):  # hardly any does
                    moves = tuple(Move(table, row, seen, by) for seen in choices(row, view, room))
                    if moves:
                        return moves
        return ()

    def client_moves(
        self, life: Life, nodes: Nodes, options: Options, fits: Sequence[Node] | None = None, trigger: str | None = None
    ) -> tuple[Move, ...]:
        """Every transition that a client may fire on this VM now, with every admissible choice; or only those of one trigger."""
        room = tuple(sorted(eligible(nodes), key=str)) if fits is None else fits
        view = client_view(life, nodes, room, options)
        table = self.tables["domain"]
        rows = [row for row in self._masters(table, life.state, By.CLIENT) if trigger in (None, row.trigger)]
        return tuple(Move(table, row, seen, By.CLIENT) for row in rows for seen in choices(row, view, room))

    def node_moves(self, me: Node, node: Node, nodes: Nodes, watch: Watch, own: Self) -> tuple[Move, ...]:
        """The next transition of a node that falls to this node; for itself its flush moves when its daemon has nothing to do."""
        view = node_view(me, node, nodes, watch, own)
        if node == me:
            found = self._first(self.tables["node"], view.life.daemon, By.OWNER, view)
            if not found and own.joined and nodes[me].works:
                found = self._first(self.tables["flush"], view.life.flush, By.OWNER, view)
            return found
        if not nodes[me].works:
            return ()
        by = By.FENCER if view.life.by == me else By.PEER
        return self._first(self.tables["fence"], view.life.fence, by, view)

    def has_role(self, me: Node, life: Life, local: Local, nodes: Nodes) -> bool:
        """Whether anything about this VM, which has an owner, may fall to this node."""
        return bool(roles(me, life, local.guest, nodes, caretaker=False))

    def lets_live(self, life: NodeLife) -> bool:
        """Whether nothing can be done about another node as long as it holds its session: each row asks that it does not."""
        return all(LOST in row.guards for row in self.tables["fence"].rows_from(life.fence, OTHERS))

    def after(self, move: Move) -> Life | NodeLife:
        """The record as it stands when this move has been written."""
        record = after(move.table, move.row, move.view, self.tables)
        assert not isinstance(record, SessionLife)
        return record

    def _tables_for(self, life: Life) -> tuple[Table, ...]:
        names = ("domain", "migration") if life.state is Domain.migrate else ("domain",)
        return tuple(self.tables[name] for name in names)

    def _masters(self, table: Table, state: Word, by: By) -> Iterable[Row]:
        """The rows that are fired by themselves, not along with a transition of the partner table."""
        return (row for row in table.rows_from(state, by) if row.trigger not in table.partner_triggers)

    def _first(self, table: Table, state: Word, by: By, view: NodeView) -> tuple[Move, ...]:
        for row in self._masters(table, state, by):
            if row.holds(view):
                return (Move(table, row, view, by),)
        return ()


RULES = Rules(TABLES)


def _state(table: Table, life: Life) -> Word:
    return life.phase if table.name == "migration" else life.state


def choices(row: Row, view: DomainView, room: Sequence[Node]) -> Iterator[DomainView]:
    """The views, one for each node that may be chosen, in which the row may fire; a row that can do without a choice does so when no node
    has room.
    """
    if not row.chooses:
        if row.holds(view):
            yield view
        return
    if not row.holds_unchosen(view):
        return
    found = False
    for node in room:
        seen = with_choice(view, node)
        if row.holds(seen):
            found = True
            yield seen
    if not found and row.holds(view):
        yield view
