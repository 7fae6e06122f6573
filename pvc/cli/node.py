"""`pvc node`: emptying nodes, giving them back, and looking at them."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pvc.cli.access import access, this_host
from pvc.cli.following import ended, follow, waiting_options
from pvc.cli.group import Group
from pvc.cli.node_fence import fence
from pvc.cli.output import confirm, output, print_json, print_pairs, print_table, reason_option, yes_option
from pvc.cli.screen import say

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group(cls=Group, short_help="Empty nodes, give them back, and look at them.")
def node() -> None:
    """Empty nodes, give them back, and look at them.

    Without NODE, a command means the machine it runs on.

    \b
    pvc node list
    pvc node flush hv1 --reason "new disks"
    pvc node ready hv1
    """


def node_argument(command: Command) -> Command:
    """The argument NODE, by default this host."""
    return click.argument("name", required=False, metavar="[NODE]", callback=lambda ctx, parameter, value: value or this_host())(command)


@node.command()
@node_argument
@yes_option
@reason_option
@waiting_options
@output("text", "json")
def flush(name: str, yes: bool, reason: str, no_wait: bool, timeout: float | None, form: str) -> None:
    """Empty a node: its VMs leave it, and none comes.

    It is flushed when its hypervisor shows no VM any more. "pvc node ready" calls it off.

    \b
    pvc node flush hv1 --reason "new disks"
    """
    with access().cluster() as cluster:
        owned = [one.name for one in cluster.left_on(cluster.node(name).name)]
        confirm(f"Empty {name}? {len(owned)} VM{'s' if len(owned) != 1 else ''} will leave it", yes)
        _run(cluster, name, "flush", reason, no_wait, timeout, form)


def _ready(name: str, reason: str, no_wait: bool, timeout: float | None, form: str) -> None:
    with access().cluster() as cluster:
        _run(cluster, name, "ready", reason, no_wait, timeout, form)


READY = """Give a node back: it calls home what left it, and takes VMs again.

Also calls a flush off.
"""

for _name in ("ready", "unflush"):
    node.add_command(click.command(_name, help=READY)(node_argument(reason_option(waiting_options(output("text", "json")(_ready))))))


def _run(cluster: Any, name: str, trigger: str, reason: str, no_wait: bool, timeout: float | None, form: str) -> None:
    from pvc.cli.words import node_json

    told = cluster.flush(name, reason) if trigger == "flush" else cluster.ready(name, reason)
    sentence = f"{name}: {trigger} is asked for"
    if not told.alive:
        sentence = f"{sentence}; its daemon does not answer, and does it when it is back"
    elif not no_wait:
        undo = f"to undo it: pvc node {'ready' if trigger == 'flush' else 'flush'} {name}"
        sentence = follow(
            lambda show: cluster.wait_for_node(told, trigger, show, timeout), f"{trigger} of {name}", undo, tell=form == "text"
        )
    if form == "json":
        print_json({"result": sentence, "node": node_json(cluster.node(name))})
    else:
        ended(sentence)


@node.command("list")
@output("table", "json", "name")
def list_nodes(form: str) -> None:
    """List nodes, with what their daemons last measured."""
    from pvc.cli.words import NODE_HEADS, node_json, node_row

    with access().cluster() as cluster:
        hold = cluster.config().hold
        nodes = [one for _, one in sorted(cluster.nodes().items())]
    if form == "json":
        print_json({"hold": hold.on, "nodes": [node_json(one) for one in nodes]})
    elif form == "name":
        click.echo("".join(f"{one.name}\n" for one in nodes), nl=False)
    else:
        if hold.on:
            say(click.style(f"The hold is on, by {hold.by}{f': {hold.why}' if hold.why else ''}.", fg="yellow"))
        print_table(NODE_HEADS, [node_row(one) for one in nodes], "No node has joined this cluster yet. Next: start pvcd on one.")


@node.command()
@node_argument
@output("table", "json")
def info(name: str, form: str) -> None:
    """Show everything about a node, and which VMs concern it."""
    from pvc.cli.words import node_json, node_pairs

    with access().cluster() as cluster:
        one, records = cluster.node(name), list(cluster.snapshot().records())
    owned = sorted(record.name for record in records if record.life.owner == name)
    coming = sorted(record.name for record in records if record.life.target == name)
    home = sorted(record.name for record in records if record.life.home == name)
    if form == "json":
        print_json({"node": {**node_json(one), "owns": owned, "takes": coming, "home_of": home}})
    else:
        concerned = (("owns", owned or ["-"]), ("takes", coming), ("home of", home or ["-"]))
        print_pairs([*node_pairs(one), *((what, ", ".join(names)) for what, names in concerned)])


@node.command()
@click.argument("name", metavar="NODE")
@yes_option
def remove(name: str, yes: bool) -> None:
    """Forget a node that is gone for good.

    Only a node that was stopped, or is proven off, and that no VM names.
    """
    with access().cluster() as cluster:
        cluster.node(name)
        confirm(f"Forget the node {name} for good?", yes)
        cluster.remove_node(name)
    say(f"{name} is forgotten.")


node.add_command(fence)
