"""`pvc node`: emptying nodes, giving them back, and looking at them."""

from typing import Any

import click

from pvc.cli.access import access
from pvc.cli.following import dry_run_option, ended, follow, show_plan, waiting_options
from pvc.cli.group import Lazy, LazyGroup
from pvc.cli.names import complete_nodes
from pvc.cli.node_argument import node_argument
from pvc.cli.node_fence import fence, fence_test
from pvc.cli.output import answer, confirm, is_data, output, reason_option, yes_option

COMMANDS = {
    "explain": Lazy("pvc.cli.explain:explain_node", "Say what may be done with a node now, and if not, why."),
    "history": Lazy("pvc.cli.node_show:history", "Show the last transitions of a node, the newest last."),
    "info": Lazy("pvc.cli.node_show:info", "Show everything about a node, and which VMs concern it."),
    "list": Lazy("pvc.cli.node_show:list_nodes", "List nodes, with what their daemons last measured."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, short_help="Empty nodes, give them back, and look at them.")
def node() -> None:
    """Empty nodes, give them back, and look at them.

    Without NODE, a command means the machine it runs on.

    \b
    pvc node list
    pvc node flush hv1 --reason "new disks"
    pvc node ready hv1
    """


@node.command()
@node_argument
@yes_option
@reason_option
@waiting_options
@dry_run_option
@output()
def flush(name: str, yes: bool, reason: str, no_wait: bool, timeout: float | None, dry_run: bool, form: str) -> None:
    """Empty a node: its VMs leave it, and none comes.

    It is flushed when its hypervisor shows no VM any more. "pvc node ready" calls it off.

    \b
    pvc node flush hv1 --reason "new disks"
    pvc node flush hv1 --dry-run
    """
    with access().cluster() as cluster:
        if dry_run:
            _plan(cluster, name, "flush", form)
            return
        owned = [one.name for one in cluster.left_on(cluster.node(name).name)]
        confirm(f"Empty {name}? {len(owned)} VM{'s' if len(owned) != 1 else ''} will leave it", yes)
        _run(cluster, name, "flush", reason, no_wait, timeout, form)


def _ready(name: str, reason: str, no_wait: bool, timeout: float | None, dry_run: bool, form: str) -> None:
    with access().cluster() as cluster:
        if dry_run:
            _plan(cluster, name, "ready", form)
            return
        _run(cluster, name, "ready", reason, no_wait, timeout, form)


READY = """Give a node back: it calls home what left it, and takes VMs again.

Also calls a flush off.

\b
pvc node {name} hv1
"""

for _name in ("ready", "unflush"):
    _options = node_argument(reason_option(waiting_options(dry_run_option(output()(_ready)))))
    node.add_command(click.command(_name, help=READY.format(name=_name))(_options))


def _plan(cluster: Any, name: str, trigger: str, form: str) -> None:
    from pvc.client.plans import node_plan

    show_plan(form, f"{trigger} {name}", name, node_plan(cluster, name, trigger))


def _run(cluster: Any, name: str, trigger: str, reason: str, no_wait: bool, timeout: float | None, form: str) -> None:
    from pvc.cli.words import node_json

    told, tell = cluster.flush(name, reason) if trigger == "flush" else cluster.ready(name, reason), not is_data(form)
    sentence = f"{name}: {trigger} is asked for"
    if not told.alive:
        sentence = f"{sentence}; its daemon does not answer, and does it when it is back"
    elif not no_wait:
        undo = f"to undo it: pvc node {'ready' if trigger == 'flush' else 'flush'} {name}"
        sentence = follow(lambda show: cluster.wait_for_node(told, trigger, show, timeout), f"{trigger} of {name}", undo, tell=tell)
    data = {"result": sentence, "node": node_json(cluster.node(name))} if form in ("json", "yaml") else {}
    answer(form, data, [name], lambda wide: ended(sentence))


@node.command()
@click.argument("name", metavar="NODE", shell_complete=complete_nodes)
@yes_option
@output()
def remove(name: str, yes: bool, form: str) -> None:
    """Forget a node that is gone for good.

    Only a node that was stopped, or is proven off, and that no VM names.

    \b
    pvc node remove hv9
    """
    with access().cluster() as cluster:
        cluster.node(name)
        confirm(f"Forget the node {name} for good?", yes)
        cluster.remove_node(name)
    sentence = f"{name} is forgotten"
    answer(form, {"result": sentence}, [name], lambda wide: ended(sentence))


node.add_command(fence)
node.add_command(fence_test)
