"""May I, and if not, why? The tables answer, with everything that a client knows."""

from collections.abc import Iterator
from dataclasses import dataclass

from pvc.client.snapshot import Snapshot
from pvc.cluster.records import DomainRecord
from pvc.core.decide import RULES, Move
from pvc.core.facts import Options, client_view
from pvc.errors import NotFound, Refused, unknown
from pvc.fsm.domain import DOMAIN
from pvc.fsm.row import explain
from pvc.fsm.states import By
from pvc.fsm.views import DomainView, Life, with_choice

PLACING = ("start", "migrate", "move", "unmigrate")
"""Commands that depend on which nodes can take the VM."""

AWAY = ("migrate", "move")

INFINITIVES = {
    "start": "be started",
    "stop": "be stopped",
    "shutdown": "be shut down",
    "restart": "be restarted",
    "disable": "be disabled",
    "enable": "be enabled",
    "undefine": "be undefined",
    "migrate": "migrate",
    "unmigrate": "go home",
    "move": "move",
    "stay": "stay",
    "cancel": "be cancelled",
    "resolve_keep": "be resolved",
    "resolve_stop": "be resolved",
}


@dataclass(frozen=True, slots=True)
class Possibility:
    """One command: the nodes it may choose, best first, or why it is refused, and by which guard of the table; by none where no row is."""

    trigger: str
    targets: tuple[str, ...] = ()
    reason: str | None = None
    guard: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a command would do, had it been given: the steps, or everything that stands in its way."""

    steps: tuple[str, ...]
    blockers: tuple[str, ...] = ()

    @property
    def possible(self) -> bool:
        """Whether nothing stands in its way."""
        return not self.blockers


def decide(trigger: str, record: DomainRecord, snapshot: Snapshot, op_id: str, target: str | None = None) -> Move:
    """The transition that this command is, towards this node or the best one; raises Refused with the table's reason."""
    if target is not None and target not in snapshot.nodes:
        raise NotFound(unknown("node", target, snapshot.nodes), "pvc node list")
    for move in _moves(record, snapshot, op_id, trigger):
        assert isinstance(move.view, DomainView)
        if target is None or not move.row.chooses or move.view.choice == target:
            return move
    reason = _why_not(trigger, record, snapshot, target)
    next_step = "pvc node list" if trigger in PLACING and "take it" in reason else f"pvc vm explain {record.name}"
    raise Refused(f"{record.name} cannot {INFINITIVES[trigger]}: {reason}", next_step)


def plan(trigger: str, record: DomainRecord, snapshot: Snapshot, target: str | None = None) -> Plan:
    """What this command would do now, or all that stands in its way; raises NotFound for an unknown node."""
    try:
        move = decide(trigger, record, snapshot, "op", target)
    except Refused:
        return Plan((), blockers(trigger, record, snapshot, target))
    life = RULES.after(move)
    assert isinstance(life, Life)
    fields = {"want": "wanted", "owner": "owner", "target": "target", "home": "home", "request": "asked"}
    changed = [f"{word} {getattr(life, name)}" for name, word in fields.items() if getattr(life, name) != getattr(record.life, name)]
    if life.state is not record.life.state:
        return Plan((f"{record.name}: {', '.join([f'{record.life.state} -> {life.state}', *changed])}", move.row.why))
    asked = (life.want, life.request) != (record.life.want, record.life.request)
    until = f"; it is {life.state} until {life.owner} has acted on that" if life.owner and asked else ""
    return Plan((f"{record.name}: {', '.join(changed)}{until}", move.row.why))


def blockers(trigger: str, record: DomainRecord, snapshot: Snapshot, target: str | None = None) -> tuple[str, ...]:
    """Everything that stands in the way of a refused command, not the first of it alone."""
    view = _refused_view(trigger, record, snapshot, target)
    rows = [row for row in DOMAIN.rows_for(trigger) if row.by & By.CLIENT and record.life.state in row.source]
    if not rows:
        return (_why_not(trigger, record, snapshot, target),)
    failing = [[guard for guard in row.guards if not guard.test(view)] for row in rows]
    return tuple(dict.fromkeys(str(guard.refuse(view)) for guard in min(failing, key=len)))


def possibilities(record: DomainRecord, snapshot: Snapshot) -> Iterator[Possibility]:
    """Every command that there is, in the order of the table, and what the table says to it now."""
    allowed: dict[str, list[str]] = {}
    for move in _moves(record, snapshot, "op"):
        assert isinstance(move.view, DomainView)
        allowed.setdefault(move.row.trigger, []).extend([str(move.view.choice)] if move.row.chooses else [])
    for trigger in dict.fromkeys(row.trigger for row in DOMAIN.rows if row.by & By.CLIENT):
        if trigger in allowed:
            yield Possibility(trigger, tuple(allowed[trigger]))
        else:
            yield Possibility(trigger, reason=_why_not(trigger, record, snapshot, None), guard=_guard(trigger, record, snapshot))


def _moves(record: DomainRecord, snapshot: Snapshot, op_id: str, trigger: str | None = None) -> tuple[Move, ...]:
    ranking = snapshot.ranking(record)
    # A node that failed to take it a moment ago is still better than none.
    fits = sorted(ranking.fits, key=lambda name: name in record.life.avoid)
    return RULES.client_moves(record.life, snapshot.facts(), Options(op_id=op_id, unfit=ranking.unfit), fits, trigger)


def _why_not(trigger: str, record: DomainRecord, snapshot: Snapshot, target: str | None) -> str:
    view = _refused_view(trigger, record, snapshot, target)
    return explain(DOMAIN, record.life.state, trigger, By.CLIENT, view).reason or "nothing speaks against it now"


def _guard(trigger: str, record: DomainRecord, snapshot: Snapshot) -> str | None:
    """The guard whose reason is told: the first that does not hold in the last row; none where the state takes no such trigger."""
    view = _refused_view(trigger, record, snapshot, None)
    rows = [row for row in DOMAIN.rows_for(trigger) if row.by & By.CLIENT and record.life.state in row.source]
    return next((guard.name for guard in rows[-1].guards if not guard.test(view)), None) if rows else None


def _refused_view(trigger: str, record: DomainRecord, snapshot: Snapshot, target: str | None) -> DomainView:
    ranking = snapshot.ranking(record)
    here = record.life.owner if record.life.owner is not None else record.life.home
    unfit = (*ranking.unfit, (here, "it is there already")) if trigger in AWAY and here in ranking.fits else ranking.unfit
    options = Options(unfit=tuple(sorted(unfit)))
    fits = [name for name in ranking.fits if trigger not in AWAY or name != here] if target is None else ranking.fits
    return with_choice(client_view(record.life, snapshot.facts(), fits, options), target)
