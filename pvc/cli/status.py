"""`pvc status` and `pvc top`: the cluster on one screen, once or for as long as somebody looks."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pvc.cli.access import access
from pvc.cli.output import Cell, answer, output, table_lines
from pvc.cli.screen import hanging, say, several, width

if TYPE_CHECKING:
    from pvc.client.attention import Finding
    from pvc.client.snapshot import NodeNow, Snapshot

    Told = tuple[dict[str, Any], list[Finding]]

COLOURS = {"problem": "red", "warning": "yellow", "ok": "green"}
SHOWN = 12
BAR = 20


@click.command()
@output()
def status(form: str) -> None:
    """Show the cluster on one screen: counts, what needs somebody, and what it can lose.

    Ends with 1 when there is a problem.

    \b
    pvc status
    pvc status -o json
    """
    with access().cluster() as cluster:
        snapshot = cluster.snapshot()
    data, findings = told = status_json(snapshot)
    names = list(dict.fromkeys(finding.about for finding in findings))
    answer(form, data, names, lambda wide: say("\n".join(status_lines(snapshot, told, wide=wide))))
    if any(finding.level == "problem" for finding in findings):
        click.get_current_context().exit(1)


def status_json(snapshot: "Snapshot") -> "Told":
    """The same for programs, and what needs somebody."""
    from pvc.client.attention import attention, counts, unfenceable
    from pvc.client.room import losses, stranded

    config, found = snapshot.config.value, losses(snapshot)
    findings = attention(snapshot, found)
    lost = [
        {"node": loss.node, "moved": loss.moved, "left": [one.name for one in loss.left], "unmeasured": list(loss.unmeasured)}
        for loss in found
    ]
    alive = sum(node.alive for node in snapshot.nodes.values())
    data = {
        "cluster": {"name": config.name, "id": config.id, "hold": asdict(config.hold)},
        "nodes": {"count": len(snapshot.nodes), "alive": alive, "states": counts("node", snapshot)},
        "vms": {"count": len(snapshot.domains), "states": counts("domain", snapshot)},
        "memory": _memory(snapshot),
        "losses": lost,
        "stranded": stranded(snapshot),
        "unfenceable": list(unfenceable(snapshot)),
        "attention": [asdict(finding) for finding in findings],
    }
    return data, findings


def _memory(snapshot: "Snapshot") -> dict[str, Any]:
    from pvc.client.room import unmeasured

    stats = [node.stats for node in snapshot.nodes.values() if node.alive and node.stats is not None]
    return {
        "total_mib": sum(one.memory_total_mib for one in stats),
        "free_mib": sum(one.memory_free_mib for one in stats),
        "promised_mib": sum(one.memory_allocated_mib for one in stats),
        "unmeasured": unmeasured(snapshot),
    }


def status_lines(snapshot: "Snapshot", told: "Told", *, wide: bool) -> list[str]:
    """The screen of what `status_json` has told."""
    from pvc.cli.node_show import hold_words

    (data, findings), columns = told, width()
    hold = snapshot.config.value.hold
    lines = _head(data, hold_words(hold) if hold.on else "", columns)
    if not findings:
        return [*lines, "", click.style("Nothing needs attention.", fg="green")]
    shown = findings if wide else findings[:SHOWN]
    lines += ["", *table_lines(("ABOUT", "LEVEL", "WHAT, AND THE NEXT STEP"), [_row(finding) for finding in shown], columns)]
    hidden = len(findings) - len(shown)
    return [*lines, *hanging("", f"... and {hidden} more: pvc status -o wide", columns)] if hidden else lines


def _head(data: dict[str, Any], hold: str, columns: int) -> list[str]:
    """What is told of every cluster."""
    nodes, vms = data["nodes"], data["vms"]
    unread = vms["count"] - sum(vms["states"].values())
    vm_states = _counted(vms["states"] | ({"that cannot be read": unread} if unread else {}))
    spare, colour = _spare(data)
    told: list[tuple[str, str | None]] = [
        (hold, "yellow"),
        (f"{nodes['alive']} of {nodes['count']} nodes answer: {_counted(nodes['states'])}", None),
        (f"{several(vms['count'], 'VM')}: {vm_states}", None),
        (_memory_words(data["memory"]), None),
        (f"Can it lose a node? {spare}" if data["losses"] else "No node answers.", colour),
    ]
    if data["unfenceable"]:
        sentence = f"No device can fence {', '.join(data['unfenceable'])}: what runs there would wait for an operator, were it lost."
        told.append((f"{sentence} More: pvc doctor", "yellow"))
    lines = [click.style(f"Cluster {data['cluster']['name']}", bold=True)]
    return lines + [click.style(line, fg=fg) if fg else line for text, fg in told if text for line in hanging("", text, columns)]


def _spare(data: dict[str, Any]) -> tuple[str, str | None]:
    """Whether it can lose any one node, and in which colour that is said."""
    from pvc.cli.words import untold

    losses = data["losses"]
    bad = [loss["node"] for loss in losses if loss["left"]]
    silent = sorted({name for loss in losses for name in loss["unmeasured"]})
    if data["stranded"]:
        return "no: not all VMs have room as it is", "yellow"
    if bad:
        return f"no: without {' or '.join(bad)} not all VMs have room", "yellow"
    if silent:
        return f"not known: {untold(silent)} how much memory is free there", "yellow"
    return "yes: all VMs have room without any one node", "green" if losses else None


def _memory_words(memory: dict[str, Any]) -> str:
    from pvc.cli.words import untold

    known = f"{memory['free_mib']} of {memory['total_mib']} MiB free, {memory['promised_mib']} MiB promised to VMs"
    said = [known] * bool(memory["total_mib"] or not memory["unmeasured"]) + [untold(memory["unmeasured"])] * bool(memory["unmeasured"])
    return f"Memory: {'; '.join(said)}"


def _row(finding: "Finding") -> tuple[Cell | str, ...]:
    step = f" -> {finding.next_step}" if finding.next_step else ""
    return finding.about, Cell(finding.level, COLOURS[finding.level]), f"{finding.sentence}{step}"


def _counted(states: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in states.items()) or "none"


@click.command()
@output()
def top(form: str) -> None:
    """Show nodes, what moves, and what needs somebody, as it changes; Ctrl-C ends it.

    Driven by watches: nothing is asked for again and again. In a log, or with -o json, each change of a node or VM is a line.

    \b
    pvc top
    """
    from pvc.cli.watching import follow_cluster
    from pvc.cli.words import node_json, vm_json

    def facts(snapshot: "Snapshot") -> dict[str, Any]:
        nodes = {f"node {name}": {**node_json(node), "stats": None} for name, node in snapshot.nodes.items()}
        return {**nodes, **{uuid: vm_json(uuid, seen.value) for uuid, seen in snapshot.domains.items()}}

    with access().cluster() as cluster:
        follow_cluster(cluster, form, lambda snapshot: top_lines(snapshot, wide=form == "wide"), facts)


def top_lines(snapshot: "Snapshot", *, wide: bool) -> list[str]:
    """The screen of `pvc top`."""
    from pvc.cli.vm_list import vm_table
    from pvc.cli.words import VM_SPARE, is_settled

    nodes = [node for _, node in sorted(snapshot.nodes.items())]
    heads = ("NODE", "STATE", "VMS", "VCPUS", "LOAD", "MEMORY", "FREE")
    lines = status_lines(snapshot, status_json(snapshot), wide=wide)
    lines += ["", *table_lines(heads, [_node_bar(node) for node in nodes], width(), ("VCPUS", "LOAD"))]
    moving = [(record.uuid, record) for record in sorted(snapshot.records(), key=lambda one: one.name) if not is_settled(record)]
    return [*lines, "", *table_lines(*vm_table(snapshot, list(moving), wide=wide), width(), VM_SPARE)] if moving else lines


def _node_bar(node: "NodeNow") -> list[Cell | str]:
    from pvc.cli.words import node_row

    cells, stats = node_row(node), node.stats if node.alive else None
    if stats is None or not stats.memory_total_mib:
        return [node.name, cells[1], "-", "-", "-", "-", "-"]
    used = min(BAR, BAR * stats.memory_used_mib // stats.memory_total_mib)
    full = "red" if used >= BAR * 9 // 10 else "green"
    bar = Cell(f"[{'#' * used}{'.' * (BAR - used)}]", full)
    return [node.name, cells[1], str(stats.domains), str(stats.vcpus), f"{stats.load:.2f}", bar, f"{stats.memory_free_mib} MiB"]
