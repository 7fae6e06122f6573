"""`pvc plan`: what would happen, on a snapshot of the live cluster, by the code that would decide for real. Nothing is written."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pvc.cli.access import access
from pvc.cli.group import Group
from pvc.cli.meanwhile import meanwhile
from pvc.cli.names import complete_nodes, complete_vms
from pvc.cli.output import Cell, answer, is_data, output, print_table
from pvc.cli.screen import hanging, say, several, width
from pvc.errors import NotFound, PvcError, unknown

if TYPE_CHECKING:
    from pvc.sim.foresee import Foresight, Left

Said = dict[str, Any]


@click.group(cls=Group, short_help="Say what would happen, without doing it.")
def plan() -> None:
    """Say what would happen, without doing it.

    The records and statistics of the cluster are read, and played on in a simulator by the code that would decide for real. How long things
    take is a guess. Ends with 1 when a VM that is wanted up would stay down, or a command would be refused.

    \b
    pvc plan fail hv1
    pvc plan flush hv1
    pvc plan migrate web1 hv2
    """


def recording() -> tuple[Said, float]:
    """The cluster as a scenario, and when it was read, on the monotonic clock."""
    from pvc.sim.recorded import recorded

    with access().cluster() as cluster:
        began = time.monotonic()
        return recorded(cluster.snapshot(), cluster.now()), began


def _plan(what: str, step: Callable[[Said], Said], form: str) -> None:
    from pvc.sim.foresee import foresee

    with meanwhile(not is_data(form)) as show:
        show("the cluster is read")
        said, read_at = recording()
        seen = foresee(said, step(said), show=lambda how_far: show(f"if {what}: {how_far}"))
    age = time.monotonic() - read_at
    told = {"plan": what, "snapshot_age_s": round(age, 1), "notes": said["notes"], "refused": seen.refused}
    told |= {name: [asdict(one) for one in getattr(seen, name)] for name in ("moments", "fates", "nodes")}
    answer(form, {**told, "down": seen.down}, seen.down, lambda wide: _tell(what, age, said["notes"], seen, wide))
    if seen.refused or seen.down:
        click.get_current_context().exit(1)


def _tell(what: str, age_s: float, notes: str, seen: "Foresight", wide: bool) -> None:
    say(click.style(f"If {what}:", bold=True))
    for moment in seen.moments:
        say("\n".join(hanging(f"{max(0.0, moment.at - 1.0):8.1f} s  ", moment.what, width())))
    if not seen.moments:
        say("  nothing would happen")
    say("")
    changed = [fate for fate in seen.fates if wide or fate.before != fate.after or fate.why]
    rows = [(fate.vm, fate.before or "-", fate.after or "-", Cell(fate.state, "red" if fate.why else None), fate.why) for fate in changed]
    print_table(("VM", "NOW ON", "THEN ON", "THEN", "WHY"), rows, "Every VM would be where it is.")
    say("")
    nodes = [(one.node, _then(one), one.flush, str(one.vms), f"{one.memory_free_mib} MiB") for one in seen.nodes]
    print_table(("NODE", "THEN", "TAKES VMS", "VMS", "FREE"), nodes, "There is no node.")
    say("")
    down = f"Down: {', '.join(seen.down)}." if seen.down else "No VM would stay down."
    say("\n".join(click.style(line, bold=True) for line in hanging("", down, width())))
    say("\n".join(hanging("", f"{notes} This was read {age_s:.1f} s ago; nothing was changed.", width())))


def _then(left: "Left") -> str:
    """What its record would say, and whether anybody would be there to write another: the last node cannot be declared dead."""
    return f"{left.daemon}, silent" if left.daemon == "run" and not left.alive else left.daemon


def _named(kind: str, name: str, known: list[str], look: str) -> str:
    if name not in known:
        raise NotFound(unknown(kind, name, known), look)
    return name


def _node(said: Said, name: str) -> str:
    return _named("node", name, [node["name"] for node in said["nodes"]], "pvc node list")


@plan.command()
@click.argument("node", shell_complete=complete_nodes)
@output()
def fail(node: str, form: str) -> None:
    """Say what would become of all VMs if a node lost its power now.

    \b
    pvc plan fail hv1
    """
    _plan(f"{node} lost its power", lambda said: {"do": "power_off", "node": _node(said, node)}, form)


@plan.command()
@click.argument("node", shell_complete=complete_nodes)
@output()
def flush(node: str, form: str) -> None:
    """Say where the VMs of a node would go if it were flushed now.

    \b
    pvc plan flush hv1
    """
    _plan(f"{node} were flushed", lambda said: {"do": "node_flush", "node": _node(said, node)}, form)


@plan.command()
@click.argument("vm", shell_complete=complete_vms)
@click.argument("node", required=False, shell_complete=complete_nodes)
@output()
def migrate(vm: str, node: str | None, form: str) -> None:
    """Say what would follow if a VM were migrated now, to NODE or the best one.

    \b
    pvc plan migrate web1 hv2
    """

    def step(said: Said) -> Said:
        name = _named("VM", vm, [one["name"] for one in said["vms"]], "pvc vm list")
        return {"do": "vm_migrate", "vm": name, **({} if node is None else {"to": _node(said, node)})}

    _plan(f"{vm} were migrated" + (f" to {node}" if node else ""), step, form)


@click.command(short_help="Write the live cluster as a scenario file.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def record(file: Path) -> None:
    """Write the live cluster as the beginning of a scenario file: add steps, and see what becomes of it.

    \b
    pvc sim record mine.json
    pvc sim run mine.json --log
    """
    said, _ = recording()
    try:
        file.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise PvcError(f"{file} cannot be written: {error.strerror}", "name a file in a directory that is there") from error
    say(f"{several(len(said['nodes']), 'node')} and {several(len(said['vms']), 'VM')} are in {file}.")
    say(f"Next: pvc sim run {file} --log")
