"""`pvc vm list`, `info`, `explain`, `history` and `wait`: looking at VMs."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click

from pvc.cli.access import access
from pvc.cli.following import ended, follow
from pvc.cli.output import Cell, output, print_json, print_pairs, print_table
from pvc.cli.screen import say
from pvc.errors import UsageProblem, unknown
from pvc.fsm.states import Domain, Want

if TYPE_CHECKING:
    from pvc.client.goals import Verdict
    from pvc.client.snapshot import Vm
    from pvc.cluster.records import DomainRecord

YES = Cell("yes", "green")
CONDITIONS = "state=STATE, want=WANT, owner=NODE, or gone; all of them."
STATES = [str(state) for state in Domain if state is not Domain.delete]


@click.command("list")
@click.argument("pattern", required=False)
@click.option("--node", metavar="NODE", help="Only VMs that this node owns, is to take, or is the home of.")
@click.option("--state", type=click.Choice(STATES), help="Only VMs in this state.")
@output("table", "json", "name")
def list_vms(pattern: str | None, node: str | None, state: str | None, form: str) -> None:
    """List VMs.

    PATTERN is a name in which * stands for anything. What is not as it is wanted, or not at home, is yellow.

    \b
    pvc vm list 'web*' --state start
    pvc vm list --node hv1 -o name | xargs -n1 pvc vm migrate
    """
    from pvc.cli.words import VM_HEADS, vm_json, vm_row

    with access().cluster() as cluster:
        snapshot = cluster.snapshot()
    if node is not None and node not in snapshot.nodes:
        from pvc.errors import NotFound

        raise NotFound(unknown("node", node, snapshot.nodes), "pvc node list")
    vms = [(uuid, seen.value) for uuid, seen in snapshot.domains.items() if _shown(seen.value, pattern, node, state)]
    vms.sort(key=lambda one: (getattr(one[1], "name", ""), one[0]))
    if form == "json":
        print_json({"vms": [vm_json(uuid, vm) for uuid, vm in vms]})
    elif form == "name":
        click.echo("".join(f"{getattr(vm, 'name', uuid)}\n" for uuid, vm in vms), nl=False)
    else:
        facts = snapshot.facts()
        print_table(VM_HEADS, [vm_row(uuid, vm, facts) for uuid, vm in vms], "No VM is here. Next: pvc vm define FILE")


def _shown(vm: "Vm", pattern: str | None, node: str | None, state: str | None) -> bool:
    from pvc.cluster.records import DomainRecord

    if not isinstance(vm, DomainRecord):
        return pattern is node is state is None
    life = vm.life
    named = node is None or node in (life.owner, life.target, life.home)
    return named and (state is None or str(life.state) == state) and (pattern is None or fnmatchcase(vm.name, pattern))


@click.command()
@click.argument("name")
@output("table", "json")
def info(name: str, form: str) -> None:
    """Show everything about a VM."""
    from pvc.cli.words import vm_json, vm_pairs

    with access().cluster() as cluster:
        record = cluster.domain(name)
        facts = cluster.reader.snapshot().facts()
    if form == "json":
        print_json({"vm": vm_json(record.uuid, record)})
    else:
        print_pairs(vm_pairs(record, facts))


@click.command()
@click.argument("name")
@output("table", "json")
def history(name: str, form: str) -> None:
    """Show the last transitions of a VM, the newest last."""
    from pvc.cli.words import entry_json, since

    with access().cluster() as cluster:
        entries = cluster.history(name)
    if form == "json":
        print_json({"history": [entry_json(entry) for entry in entries]})
        return
    rows = [
        (since(entry.time), entry.machine, f"{entry.source or '-'} -> {entry.dest}", entry.trigger, entry.by, entry.who, entry.why)
        for entry in entries
    ]
    print_table(("TIME", "MACHINE", "FROM -> TO", "TRIGGER", "AS", "WHO", "WHY"), rows, "Nothing is kept of its past.")


@click.command()
@click.argument("name")
@output("text", "json")
def explain(name: str, form: str) -> None:
    """Say what may be done with a VM now, and if not, why.

    And which nodes could take it, and what brought it into its state.
    """
    from pvc.cli.words import vm_json
    from pvc.client.vm_commands import told
    from pvc.cluster.handover import why_handover

    with access().cluster() as cluster:
        record, possible, snapshot = cluster.possibilities(name)
        last = next((entry for entry in reversed(cluster.history(name)) if entry.source != entry.dest), None)
    ranking = snapshot.ranking(record)
    if form == "json":
        commands = {one.trigger: {"allowed": one.reason is None, "targets": one.targets, "reason": one.reason} for one in possible}
        nodes = {node: {"fits": not why, "reason": why} for node, why in [*((node, None) for node in ranking.fits), *ranking.unfit]}
        print_json({"vm": vm_json(record.uuid, record), "commands": commands, "nodes": nodes})
        return
    say(f"{record.name} is {told(record)}.")
    if last is not None:
        came = f", {last.source} -> {last.dest}" if last.source else ""
        say(f"It came there by {last.trigger}{came}, by {last.who}" + (f": {last.why}" if last.why else "."))
    say(f"Its hand-over is {record.life.handover}: {why_handover(record.policy.handover, record.locked)}.\n")
    print_table(
        ("COMMAND", "NOW", "WHY NOT, OR WHERE TO"),
        [(one.trigger, *((Cell("no", "yellow"), one.reason) if one.reason else (YES, ", ".join(one.targets)))) for one in possible],
        "",
    )
    say("")
    fits = [(node, YES, "its own node" if node == record.life.owner else "") for node in ranking.fits]
    unfit = [(node, Cell("no", "yellow"), why) for node, why in ranking.unfit]
    print_table(("NODE", "FITS", "WHY NOT"), [*fits, *unfit], "No node has joined yet.")


@click.command()
@click.argument("name")
@click.option("--for", "conditions", multiple=True, required=True, metavar="WHAT", help=CONDITIONS)
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait no longer, and end with 4.")
def wait(name: str, conditions: tuple[str, ...], timeout: float | None) -> None:
    """Wait until a VM is as you say.

    \b
    pvc vm wait web1 --for state=start --timeout 60
    pvc vm wait web1 --for state=start --for owner=hv2
    """
    goal = _goal(name, conditions)
    with access().cluster() as cluster:
        ended(follow(lambda show: cluster.wait_until(name, goal, show, timeout), f"what happens to {name}", f"pvc vm info {name}"))


def _goal(name: str, conditions: tuple[str, ...]) -> "Callable[[DomainRecord | None], Verdict | None]":
    from pvc.client.goals import Verdict

    wanted = dict(_condition(text) for text in conditions)

    def goal(record: "DomainRecord | None") -> "Verdict | None":
        if record is None:
            return Verdict("gone" in wanted, f"{name} is gone")
        values = {"state": str(record.life.state), "want": str(record.life.want), "owner": record.life.owner or "", "gone": None}
        there = all(values[key] == value for key, value in wanted.items())
        return Verdict(True, f"{name} is as awaited: {', '.join(conditions)}") if there else None

    return goal


def _condition(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    known = {"state": STATES, "want": [str(want) for want in Want], "owner": None, "gone": [""]}
    if key not in known:
        raise UsageProblem(unknown("condition", key, known), "pvc vm wait -h")
    words = known[key]
    if words is not None and value not in words:
        raise UsageProblem(unknown(key, value, words), "pvc vm wait -h")
    return key, value
