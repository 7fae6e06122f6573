"""`pvc node list`, `info` and `history`: looking at nodes."""

from typing import TYPE_CHECKING, Any

import click

from pvc.cli.access import access
from pvc.cli.node_argument import node_argument
from pvc.cli.output import answer, output, print_pairs, print_table
from pvc.cli.screen import say

if TYPE_CHECKING:
    from pvc.client.snapshot import NodeNow, Snapshot
    from pvc.cluster.records import Hold

NOTHING = "No node has joined this cluster yet. Next: start pvcd on one."


@click.command("list")
@click.option("-w", "--watch", is_flag=True, help="Go on, and show each change; Ctrl-C ends it.")
@output()
def list_nodes(watch: bool, form: str) -> None:
    """List nodes, with what their daemons last measured.

    \b
    pvc node list
    pvc node list -o wide
    """
    with access().cluster() as cluster:
        if watch:
            from pvc.cli.watching import watch_nodes

            watch_nodes(cluster, form)
            return
        snapshot = cluster.reader.snapshot(stats=True)
    show(form, snapshot)


def show(form: str, snapshot: "Snapshot") -> None:
    """Print all nodes."""
    from pvc.cli.words import node_json

    hold, nodes = snapshot.config.value.hold, [one for _, one in sorted(snapshot.nodes.items())]
    data = {"hold": hold.on, "nodes": [node_json(one) for one in nodes]}
    answer(form, data, [one.name for one in nodes], lambda wide: print_nodes(hold, nodes, wide=wide))


def print_nodes(hold: "Hold", nodes: "list[NodeNow]", *, wide: bool) -> None:
    """Print these nodes as a table."""
    from pvc.cli.words import NODE_SPARE

    if hold.on:
        say(click.style(hold_words(hold), fg="yellow"))
    heads, rows = node_table(nodes, wide=wide)
    print_table(heads, rows, NOTHING, NODE_SPARE)


def hold_words(hold: "Hold") -> str:
    """That the hold is on, and why."""
    return f"The hold is on, by {hold.by}{f': {hold.why}' if hold.why else ''}."


def node_table(nodes: "list[NodeNow]", *, wide: bool) -> tuple[list[str], list[list[Any]]]:
    """Heads and rows of these nodes."""
    from pvc.cli.words import NODE_HEADS, NODE_WIDE, node_row, node_wide

    rows = [node_row(one) for one in nodes]
    if not wide:
        return list(NODE_HEADS), rows
    full = [[*row[:-1], *node_wide(one), row[-1]] for row, one in zip(rows, nodes, strict=True)]
    return [*NODE_HEADS[:-1], *NODE_WIDE, NODE_HEADS[-1]], full


@click.command()
@node_argument
@output()
def info(name: str, form: str) -> None:
    """Show everything about a node, and which VMs concern it.

    \b
    pvc node info hv1
    """
    from pvc.cli.words import node_json, node_pairs

    with access().cluster() as cluster:
        one, snapshot = cluster.node(name), cluster.snapshot()
    one, records = snapshot.nodes.get(name, one), list(snapshot.records())
    owned = sorted(record.name for record in records if record.life.owner == name)
    coming = sorted(record.name for record in records if record.life.target == name)
    home = sorted(record.name for record in records if record.life.home == name)
    concerned = (("owns", owned or ["-"]), ("takes", coming), ("home of", home or ["-"]))
    pairs = [*node_pairs(one), *((what, ", ".join(names)) for what, names in concerned)]
    data = {"node": {**node_json(one), "owns": owned, "takes": coming, "home_of": home}}
    answer(form, data, [name], lambda wide: print_pairs(pairs))


@click.command()
@node_argument
@output()
def history(name: str, form: str) -> None:
    """Show the last transitions of a node, the newest last.

    \b
    pvc node history hv1
    """
    from pvc.cli.vm_show import show_history

    with access().cluster() as cluster:
        entries = cluster.node_history(name)
    show_history(form, name, entries)
