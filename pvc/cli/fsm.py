"""`pvc fsm`: the state machines as pictures, as text, and as answers."""

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from pvc.cli.fsm_data import explanation_data, machine_data, machines_data
from pvc.cli.fsm_diagram import FORMATS, draw_all, draw_one
from pvc.cli.fsm_text import explanation, machine_lines, machines_lines, state_lines
from pvc.cli.group import Lazy, LazyGroup
from pvc.cli.names import complete_nodes, complete_vms
from pvc.cli.output import answer, output
from pvc.cli.screen import say, width
from pvc.errors import NotFound, UsageProblem, unknown
from pvc.fsm.draw.now import NEVER, Now
from pvc.fsm.row import Table
from pvc.fsm.states import By, Word
from pvc.fsm.tables import TABLES

ACTORS = {str(role.name).lower(): role for role in By}
COMMANDS = {
    "check": Lazy("pvc.cli.check:check", "Prove the state machines: every interleaving of a small cluster."),
    "verify-trace": Lazy("pvc.cli.verify:verify_trace", "Check recorded transitions against the tables."),
}


def find_machine(name: str) -> Table:
    """The table of this name; raises NotFound with the nearest ones."""
    if name not in TABLES:
        raise NotFound(unknown("machine", name, TABLES), "pvc fsm list")
    return TABLES[name]


def find_state(table: Table, name: str) -> Word:
    """The state of this name; raises NotFound with the nearest ones."""
    states = {str(state.name): state.name for state in table.states}
    if name not in states:
        raise NotFound(unknown(f"state of {table.name}", name, states), f"pvc fsm show {table.name}")
    return states[name]


def find_trigger(table: Table, name: str) -> str:
    """The trigger of this name; raises NotFound with the nearest ones."""
    if name not in table.triggers:
        raise NotFound(unknown(f"trigger of {table.name}", name, table.triggers), f"pvc fsm show {table.name}")
    return name


def find_actor(name: str) -> By:
    """The actor of this name; raises UsageProblem with the nearest ones."""
    if name.lower() not in ACTORS:
        raise UsageProblem(unknown("actor", name, ACTORS), "pvc fsm explain -h")
    return ACTORS[name.lower()]


def _complete(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The names that may stand here, as far as they are begun."""
    table = TABLES.get(context.params.get("machine") or "")
    names: dict[str, list[str]] = {"machine": list(TABLES), "actor": list(ACTORS)}
    if table:
        names |= {"state": [str(state.name) for state in table.states], "trigger": list(table.triggers)}
    return [CompletionItem(name) for name in names.get(parameter.name or "", []) if name.startswith(begun)]


def _complete_of(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """VMs, or for a machine of nodes the nodes; before an option has its value, click leaves the arguments where they are."""
    of_nodes = {"node", "flush", "fence"}.intersection((context.params.get("machine") or "", *context.args))
    return (complete_nodes if of_nodes else complete_vms)(context, parameter, begun)


@click.group(cls=LazyGroup, lazy=COMMANDS)
def fsm() -> None:
    """Show, draw and check the state machines.

    \b
    pvc fsm show domain start
    pvc fsm explain domain stop migrate
    pvc fsm diagram domain -o domain.svg
    """


@fsm.command("list")
@output()
def list_machines(form: str) -> None:
    """List the machines.

    \b
    pvc fsm list
    """
    tables = TABLES.values()
    answer(form, {"machines": machines_data(tables)}, TABLES, lambda wide: say("\n".join(machines_lines(tables, width()))))


@fsm.command()
@click.argument("machine", shell_complete=_complete)
@click.argument("state", required=False, shell_complete=_complete)
@click.option("--of", "name", metavar="NAME", shell_complete=_complete_of, help="Where this VM, or with a machine of nodes this node, is.")
@click.option("--counts", is_flag=True, help="How many VMs or nodes are in each state now.")
@click.option("-w", "--watch", is_flag=True, help="With --of or --counts: go on, and show each change; Ctrl-C ends it.")
@output()
def show(machine: str, state: str | None, name: str | None, counts: bool, watch: bool, form: str) -> None:
    """Show a machine, or all about one state.

    \b
    pvc fsm show node
    pvc fsm show domain start
    pvc fsm show domain --of web1 -w
    """
    table = find_machine(machine)
    if name is not None or counts:
        from pvc.cli.fsm_live import show_live

        show_live(table.name, name, watch, form)
        return
    if watch:
        raise UsageProblem("the tables never change: -w needs --of NAME or --counts", "pvc fsm show domain --of web1 -w")
    one = find_state(table, state) if state else None
    names = [str(known.name) for known in table.states if one in (None, known.name)]
    lines = machine_lines(table, width()) if one is None else state_lines(table, one, width())
    answer(form, {"machine": machine_data(table, one)}, names, lambda wide: say("\n".join(lines)))


@fsm.command()
@click.argument("machine", shell_complete=_complete)
@click.argument("state", shell_complete=_complete)
@click.argument("trigger", shell_complete=_complete)
@click.option("--by", "actor", metavar="ACTOR", shell_complete=_complete, help=f"Only this actor: {', '.join(ACTORS)}.")
@output()
def explain(machine: str, state: str, trigger: str, actor: str | None, form: str) -> None:
    """Say who may fire a trigger, and when.

    Ends with 1 when nobody may, and says why.

    \b
    pvc fsm explain domain start migrate
    pvc fsm explain node fencing join --by owner
    """
    table = find_machine(machine)
    by = find_actor(actor) if actor else None
    place, wanted = find_state(table, state), find_trigger(table, trigger)
    lines = explanation(table, place, wanted, by, width())
    data = {"explanation": explanation_data(table, place, wanted, by)}
    answer(form, data, [wanted], lambda wide: say("\n".join(lines)))


@fsm.command()
@click.argument("machine", required=False, shell_complete=_complete)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; a directory gets one file per machine.")
@click.option("--format", "kind", type=click.Choice(list(FORMATS)), help="Default: what the file is called, else dot.")
@click.option("--guards", is_flag=True, help="Write what must hold under each trigger.")
@click.option("--of", "name", metavar="NAME", shell_complete=_complete_of, help="Mark where this VM or node is, and how it came there.")
@click.option("--counts", is_flag=True, help="Write how many VMs or nodes are in each state now.")
def diagram(machine: str | None, output: Path | None, kind: str | None, guards: bool, name: str | None, counts: bool) -> None:
    """Draw a machine, or all in one picture.

    \b
    pvc fsm diagram domain -o domain.svg
    pvc fsm diagram -o all.png
    pvc fsm diagram node --format mermaid
    pvc fsm diagram domain --of web1 -o web1.svg
    """
    now = _now(name, counts, machine)
    if output is not None and output.is_dir():
        draw_all([find_machine(machine).name] if machine else list(TABLES), output, kind, guards, now)
    else:
        draw_one(find_machine(machine).name if machine else None, output, kind, guards, now)


def _now(name: str | None, counts: bool, machine: str | None) -> Now:
    """What a picture marks."""
    if name is None and not counts:
        return NEVER
    from dataclasses import replace

    from pvc.cli.access import access
    from pvc.cli.fsm_live import now_of, now_of_all

    with access().cluster() as cluster:
        all_of_them = now_of_all(cluster.snapshot()) if counts else NEVER
        one = now_of(cluster, name, machine) if name else NEVER
    return replace(one, counts=all_of_them.counts)
