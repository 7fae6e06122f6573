"""The machines at one moment: where one VM or node is, how it came there, and how many are in each state."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from pvc.cli.access import access
from pvc.cli.output import answer
from pvc.cli.screen import aligned, hanging, say, width
from pvc.errors import UsageProblem
from pvc.fsm.draw.now import Now
from pvc.fsm.tables import FIELDS, TABLES

if TYPE_CHECKING:
    from pvc.client.cluster import Cluster
    from pvc.client.snapshot import Snapshot
    from pvc.cluster.records import HistoryEntry
    from pvc.fsm.views import Life, NodeLife

OF_VMS, OF_NODES = ("domain", "migration"), ("node", "flush", "fence")


def now_of(cluster: "Cluster", name: str, machine: str | None) -> Now:
    """Where this VM, or for a machine of nodes this node, is, and how it came there."""
    from pvc.cluster.records import Unreadable

    if machine in OF_NODES:
        node = cluster.node(name)
        if isinstance(node.record, Unreadable):
            raise UsageProblem(f"{node.record}: it is in no state", f"pvc node info {name}")
        return _now(node.record.life, cluster.node_history(name), OF_NODES)
    if machine in (*OF_VMS, None):
        return _now(cluster.domain(name).life, cluster.history(name), OF_VMS)
    raise UsageProblem(f"{machine} is kept in the memory of each daemon: no record says where it is", "pvc fsm show domain --of VM")


def _now(life: "Life | NodeLife", entries: "Sequence[HistoryEntry]", machines: Sequence[str]) -> Now:
    states = {table: str(getattr(life, FIELDS[table])) for table in machines}
    return Now(states, {table: edge for table in machines if (edge := _last(entries, table))})


def now_of_all(snapshot: "Snapshot") -> Now:
    """How many VMs and nodes are in each state."""
    from pvc.client.attention import counts

    return Now(counts={table: counts(table, snapshot) for table in (*OF_NODES, *OF_VMS)})


def _last(entries: "Sequence[HistoryEntry]", machine: str) -> tuple[str, str, str] | None:
    moved = (entry for entry in reversed(entries) if entry.machine == machine and entry.source != entry.dest)
    return next(((entry.source, entry.trigger, entry.dest) for entry in moved), None)


def live_lines(machine: str, name: str, now: Now, columns: int) -> Iterator[str]:
    """The states of a machine, the present one marked, and the ways out of it."""
    table = TABLES[machine]
    yield click.style(f"{name} in {machine}", bold=True)
    if machine in now.last:
        source, trigger, dest = now.last[machine]
        yield from hanging("", f"It came there by {trigger}: {source or '-'} -> {dest}.", columns)
    for state in table.states:
        here = now.is_here(table, state.name)
        mark = click.style(f"> {state.name}", fg="yellow", bold=True) if here else f"  {state.name}"
        yield mark
        if here:
            yield from hanging("    ", state.meaning, columns)
            rows = [row for row in table.rows if state.name in row.source]
            yield from aligned([(f"    {row.trigger}", f"-> {row.dest or state.name}", row.why) for row in rows], columns)


def count_lines(machine: str, now: Now, columns: int) -> Iterator[str]:
    """The states of a machine with how many are in each."""
    table = TABLES[machine]
    if machine not in now.counts:
        raise UsageProblem(f"{machine} is kept in the memory of each daemon: nobody can count it", "pvc fsm show domain --counts")
    yield click.style(machine, bold=True)
    yield from aligned([(f"  {state.name}", str(now.count(table, state.name)), state.meaning) for state in table.states], columns)


def show_live(machine: str, name: str | None, watch: bool, form: str) -> None:
    """Show a machine with one VM or node in it, or with how many are in each state, once or as it changes."""
    with access().cluster() as cluster:
        if not watch:
            now = now_of(cluster, name, machine) if name else now_of_all(cluster.snapshot())
            lines = _lines(machine, name, now)  # refuses a machine that no record is about, whatever the format
            text = "\n".join(lines)
            data = {"machine": machine, "of": name, "state": now.states.get(machine), "last": now.last.get(machine)}
            answer(form, {**data, "counts": now.counts.get(machine)}, [name] if name else [], lambda wide: say(text))
            return
        from pvc.cli.watching import follow_cluster

        def draw(snapshot: "Snapshot") -> list[str]:
            return list(_lines(machine, name, now_of(cluster, name, machine) if name else now_of_all(snapshot)))

        follow_cluster(cluster, form, draw, lambda snapshot: {"": {"name": name or machine, "now": "\n".join(draw(snapshot))}})


def _lines(machine: str, name: str | None, now: Now) -> Iterator[str]:
    return live_lines(machine, name, now, width()) if name else count_lines(machine, now, width())
