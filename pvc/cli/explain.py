"""`pvc vm explain` and `pvc node explain`: where it is, what brought it there, what comes next, what may be done now, and if not, why."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from pvc.cli.access import access
from pvc.cli.names import complete_vms
from pvc.cli.node_argument import node_argument
from pvc.cli.output import Cell, answer, output, print_table
from pvc.cli.screen import hanging, say, several, width

if TYPE_CHECKING:
    from pvc.client.deciding import Plan, Possibility
    from pvc.client.outlook import Next
    from pvc.client.room import Loss
    from pvc.client.snapshot import NodeNow, Snapshot
    from pvc.cluster.records import DomainRecord, HistoryEntry
    from pvc.core.policy import Ranking

YES = Cell("yes", "green")
NEXT_HEADS = ("NEXT", "LEADS TO", "BY", "WITHIN", "AS SOON AS")


@click.command("explain")
@click.argument("name", shell_complete=complete_vms)
@output()
def explain_vm(name: str, form: str) -> None:
    """Say what may be done with a VM now, and if not, why.

    And what brought it into its state, what comes next, and which nodes could take it.

    \b
    pvc vm explain web1
    """
    from pvc.cli.words import entry_json, vm_json
    from pvc.client.outlook import domain_outlook

    with access().cluster() as cluster:
        record, possible, snapshot = cluster.possibilities(name)
        last = _last(cluster.history(name))
    ranking, coming = snapshot.ranking(record), domain_outlook(record, snapshot)
    data = {
        "vm": vm_json(record.uuid, record, snapshot.leaving(record)),
        "last": entry_json(last) if last else None,
        "next": [_next_json(one, record.since) for one in coming],
        "commands": {one.trigger: _possibility_json(one) for one in possible},
        "nodes": {node: {"fits": not why, "reason": why} for node, why in [*((node, None) for node in ranking.fits), *ranking.unfit]},
    }
    answer(form, data, [record.name], lambda wide: _tell_vm(record, snapshot, possible, ranking, last, coming, wide))


def _tell_vm(
    record: "DomainRecord",
    snapshot: "Snapshot",
    possible: "Iterable[Possibility]",
    ranking: "Ranking",
    last: "HistoryEntry | None",
    coming: "Sequence[Next]",
    wide: bool,
) -> None:
    from pvc.cli.words import is_settled, vm_note
    from pvc.client.lost import waits_for_room
    from pvc.client.vm_commands import told
    from pvc.cluster.handover import why_handover

    note = vm_note(record, snapshot.facts(), snapshot.leaving(record))
    _say(f"{record.name} is {told(record)}" + (f": {note}." if note else "."))
    if last is not None:
        _came(last)
    _say(f"Its hand-over is {record.life.handover}: {why_handover(record.policy.handover, record.locked)}.")
    if waits_for_room(record, snapshot):
        nothing = "It waits for a node that can take it; below is why none can."
    else:
        nothing = "Nothing has to happen: it is as it is wanted." if is_settled(record) and not note else ""
    _tell_next(coming, record.since, nothing)
    rows = [(one.trigger, *((Cell("no", "yellow"), _why(one, wide)) if one.reason else (YES, ", ".join(one.targets)))) for one in possible]
    print_table(("COMMAND", "NOW", "WHY NOT, OR WHERE TO"), rows, "")
    say("")
    fits = [(node, YES, "its own node" if node == record.life.owner else "") for node in ranking.fits]
    unfit = [(node, Cell("no", "yellow"), why) for node, why in ranking.unfit]
    print_table(("NODE", "FITS", "WHY NOT"), [*fits, *unfit], "No node has joined yet.")


def _why(one: "Possibility", wide: bool) -> str:
    return f"{one.reason} [{one.guard}]" if wide and one.guard else str(one.reason)


@click.command("explain")
@node_argument
@output()
def explain_node(name: str, form: str) -> None:
    """Say what may be done with a node now, and if not, why.

    And what brought it into its state, what comes next, and what its loss would mean.

    \b
    pvc node explain hv1
    """
    from pvc.cli.words import entry_json, node_json
    from pvc.client.attention import unfenceable
    from pvc.client.lost import not_shot
    from pvc.client.outlook import node_outlook
    from pvc.client.plans import fence_plan, node_plan
    from pvc.client.room import losses

    with access().cluster() as cluster:
        node, snapshot = cluster.node(name), cluster.snapshot()
        plans = {trigger: node_plan(cluster, name, trigger) for trigger in ("flush", "ready")}
        plans |= {"fence": fence_plan(cluster, name, "order"), "fence --confirm-off": fence_plan(cluster, name, "confirm")}
        last = _last(cluster.node_history(name))
    coming, held = node_outlook(name, snapshot), not_shot(name, snapshot)
    loss = next((one for one in losses(snapshot) if one.node == name), None)
    data = {
        "node": node_json(node),
        "last": entry_json(last) if last else None,
        "not_shot": held or None,
        "next": [_next_json(one, "") for one in coming],
        "commands": {trigger: asdict(plan) for trigger, plan in plans.items()},
        "loss": asdict(loss) if loss else None,
    }
    answer(form, data, [name], lambda wide: _tell_node(node, plans, last, coming, held))
    if loss is not None and form in ("table", "wide"):
        word = f" They would wait for an operator's word: {why}." if loss.moved and (why := unfenceable(snapshot).get(name)) else ""
        _say(f"\nIts loss now: {loss_words(loss)}{word}")


def loss_words(loss: "Loss") -> str:
    """What the loss of a node would mean."""
    from pvc.cli.words import untold

    moved, left = loss.moved, [one.name for one in loss.left]
    if left:
        return f"no room for {len(left)} of {several(moved + len(left), 'VM')}: {', '.join(left)}."
    if not moved:
        return "no VM depends on it."
    if loss.unmeasured:
        return f"whether {several(moved, 'VM')} would have room is not known: {untold(loss.unmeasured)} how much memory is free there."
    return f"{'the one VM of it that is wanted up fits' if moved == 1 else f'all {moved} of its VMs that are wanted up fit'} elsewhere."


def _tell_node(
    node: "NodeNow", plans: "dict[str, Plan]", last: "HistoryEntry | None", coming: "Sequence[Next]", held: str
) -> None:
    from pvc.cli.words import node_note
    from pvc.cluster.records import Unreadable

    if isinstance(node.record, Unreadable):
        _say(f"{node.name}: {node.record}. Nobody acts on it until it is repaired.")
        return
    life = node.record.life
    answers = "answers" if node.alive else "does not answer"
    note = node_note(node)
    _say(f"{node.name} is {life.daemon} and {answers}; VMs: {life.flush}; fence: {life.fence}" + (f": {note}." if note else "."))
    if last is not None:
        _came(last)
    if held:
        _say(f"It is not shot: {held}.")
    _tell_next(coming, "", "")
    no = Cell("no", "yellow")
    rows = [(trigger, YES if plan.possible else no, "; ".join(plan.blockers or plan.steps)) for trigger, plan in plans.items()]
    print_table(("COMMAND", "NOW", "WHY NOT, OR WHAT IT DOES"), rows, "")


def _last(entries: "Sequence[HistoryEntry]") -> "HistoryEntry | None":
    """What brought it into its state: the last transition that led anywhere."""
    return next((entry for entry in reversed(entries) if entry.source != entry.dest), None)


def _came(last: "HistoryEntry") -> None:
    way = f", {last.source} -> {last.dest}" if last.source else ""
    machine = "" if last.machine in ("domain", "node") else f" ({last.machine})"
    _say(f"It came there by {last.trigger}{way}{machine}, by {last.who} at {last.time[:19]}" + (f": {last.why}" if last.why else "."))


def _tell_next(coming: "Sequence[Next]", since: str, nothing: str) -> None:
    say("")
    if nothing:
        _say(nothing)
    rows = [(one.trigger, f"-> {one.dest}", one.who, _when(one, since), "; ".join(one.conditions) or "at once") for one in coming]
    if rows:
        columns = [0, 1, 2, 3, 4] if any(row[3] for row in rows) else [0, 1, 2, 4]
        heads, *shown = [[row[number] for number in columns] for row in (NEXT_HEADS, *rows)]
        print_table(heads, shown, "", ("WITHIN",))
        say("")


def _when(one: "Next", since: str) -> str:
    if one.after_s is None:
        return ""
    at = _due(since, one.after_s)
    return f"{one.after_s:g} s" + (f", {at:%H:%M:%S}" if at else "")


def _due(since: str, seconds: float) -> datetime | None:
    """When the wait that began then is over, by the clock of whoever wrote it; none where that cannot be read."""
    try:
        return datetime.fromisoformat(since) + timedelta(seconds=seconds)
    except ValueError:
        return None


def _possibility_json(one: "Possibility") -> dict[str, Any]:
    return {"allowed": one.reason is None, "targets": list(one.targets), "reason": one.reason, "guard": one.guard}


def _next_json(one: "Next", since: str) -> dict[str, Any]:
    at = None if one.after_s is None else _due(since, one.after_s)
    return {**asdict(one), "due_at": at.isoformat() if at else None}


def _say(text: str) -> None:
    for line in text.split("\n"):
        for part in hanging("", line, width()):
            say(part)


