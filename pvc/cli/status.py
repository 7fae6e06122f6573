"""`pvc status` and `pvc top`: the cluster on one screen, once or for as long as somebody looks."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pvc.cli.access import access
from pvc.cli.output import Cell, answer, output, table_lines
from pvc.cli.screen import hanging, say, width

if TYPE_CHECKING:
    from pvc.client.attention import Finding
    from pvc.client.snapshot import NodeNow, Snapshot

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
    data, findings = status_json(snapshot)
    names = list(dict.fromkeys(finding.about for finding in findings))
    answer(form, data, names, lambda wide: say("\n".join(status_lines(snapshot, findings, wide=wide))))
    if any(finding.level == "problem" for finding in findings):
        click.get_current_context().exit(1)


def status_json(snapshot: "Snapshot") -> "tuple[dict[str, Any], list[Finding]]":
    """The same for programs, and what needs somebody."""
    from pvc.client.attention import attention, counts, unfenceable
    from pvc.client.room import losses

    config, findings = snapshot.config.value, attention(snapshot)
    lost = [{"node": loss.node, "moved": loss.moved, "left": [one.name for one in loss.left]} for loss in losses(snapshot)]
    alive = sum(node.alive for node in snapshot.nodes.values())
    data = {
        "cluster": {"name": config.name, "id": config.id, "hold": asdict(config.hold)},
        "nodes": {"count": len(snapshot.nodes), "alive": alive, "states": counts("node", snapshot)},
        "vms": {"count": len(snapshot.domains), "states": counts("domain", snapshot)},
        "memory": _memory(snapshot),
        "losses": lost,
        "unfenceable": list(unfenceable(snapshot)),
        "attention": [asdict(finding) for finding in findings],
    }
    return data, findings


def _memory(snapshot: "Snapshot") -> dict[str, int]:
    stats = [node.stats for node in snapshot.nodes.values() if node.alive and node.stats is not None]
    return {
        "total_mib": sum(one.memory_total_mib for one in stats),
        "free_mib": sum(one.memory_free_mib for one in stats),
        "promised_mib": sum(one.memory_allocated_mib for one in stats),
    }


def status_lines(snapshot: "Snapshot", findings: "list[Finding]", *, wide: bool) -> list[str]:
    """The screen."""
    from pvc.cli.node_show import hold_words

    data, columns = status_json(snapshot)[0], width()
    hold = snapshot.config.value.hold
    memory = data["memory"]
    lines = [click.style(f"Cluster {snapshot.config.value.name}", bold=True)]
    lines += [click.style(hold_words(hold), fg="yellow")] if hold.on else []
    lines.append(f"{data['nodes']['alive']} of {data['nodes']['count']} nodes answer: {_counted(data['nodes']['states'])}")
    number, unknown = data["vms"]["count"], data["vms"]["count"] - sum(data["vms"]["states"].values())
    said = _counted(data["vms"]["states"] | ({"that cannot be read": unknown} if unknown else {}))
    lines.append(f"{number} VM{'' if number == 1 else 's'}: {said}")
    lines.append(f"Memory: {memory['free_mib']} of {memory['total_mib']} MiB free, {memory['promised_mib']} MiB promised to VMs")
    bad = [loss["node"] for loss in data["losses"] if loss["left"]]
    spare = f"no: without {' or '.join(bad)} not all VMs have room" if bad else "yes: all VMs have room without any one node"
    lines.append(f"Can it lose a node? {click.style(spare, fg='yellow' if bad else 'green')}" if data["losses"] else "No node answers.")
    if data["unfenceable"]:
        sentence = f"No device can fence {', '.join(data['unfenceable'])}: what runs there would wait for an operator, were it lost."
        lines += [click.style(line, fg="yellow") for line in hanging("", f"{sentence} More: pvc doctor", columns)]
    if not findings:
        return [*lines, "", click.style("Nothing needs attention.", fg="green")]
    shown = findings if wide else findings[:SHOWN]
    lines += ["", *table_lines(("ABOUT", "LEVEL", "WHAT, AND THE NEXT STEP"), [_row(finding) for finding in shown], columns)]
    hidden = len(findings) - len(shown)
    return [*lines, *hanging("", f"... and {hidden} more: pvc status -o wide", columns)] if hidden else lines


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
    from pvc.client.attention import attention

    nodes = [node for _, node in sorted(snapshot.nodes.items())]
    heads = ("NODE", "STATE", "VMS", "VCPUS", "LOAD", "MEMORY", "FREE")
    lines = status_lines(snapshot, attention(snapshot), wide=wide)
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
