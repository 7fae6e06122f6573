"""`pvc vm list`: all VMs on one screen, once or for as long as somebody looks."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import click

from pvc.cli.access import access
from pvc.cli.names import complete_nodes
from pvc.cli.output import answer, output, print_table
from pvc.errors import NotFound, unknown
from pvc.fsm.states import Domain, Want

if TYPE_CHECKING:
    from pvc.client.snapshot import Snapshot, Vm

STATES = [str(state) for state in Domain if state is not Domain.delete]
NOTHING = "No VM is here. Next: pvc vm define FILE"
NO_MATCH = "No VM is as you say. Next: pvc vm list"


@click.command("list")
@click.argument("pattern", required=False)
@click.option("--node", metavar="NODE", shell_complete=complete_nodes, help="Only VMs that this node owns, is to take, or is the home of.")
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Only VMs in this state; repeat it for several.")
@click.option("--want", type=click.Choice([str(want) for want in Want]), help="Only VMs that are wanted so.")
@click.option("--differs", is_flag=True, help="Only VMs that are not as they are wanted, or not at home.")
@click.option("-w", "--watch", is_flag=True, help="Go on, and show each change; Ctrl-C ends it.")
@output()
def list_vms(watch: bool, form: str, **wanted: Any) -> None:
    """List VMs.

    PATTERN is a name in which * stands for anything. What is not as it is wanted, or not at home, is yellow.

    \b
    pvc vm list 'web*' --state start
    pvc vm list --differs -w
    pvc vm list --node hv1 -o name | xargs -n1 pvc vm migrate
    """
    with access().cluster() as cluster:
        if watch:
            from pvc.cli.watching import watch_vms

            watch_vms(cluster, form, lambda snapshot: chosen(snapshot, **wanted))
            return
        snapshot = cluster.snapshot()
    vms = chosen(snapshot, **wanted)
    show(form, snapshot, vms)


def show(form: str, snapshot: "Snapshot", vms: "list[tuple[str, Vm]]") -> None:
    """Print these VMs."""
    from pvc.cli.words import vm_json

    data = {"vms": [vm_json(uuid, vm, _leaving(snapshot, vm)) for uuid, vm in vms]} if form in ("json", "yaml") else {}
    answer(form, data, [getattr(vm, "name", uuid) for uuid, vm in vms], lambda wide: print_vms(snapshot, vms, wide=wide))


def nothing(snapshot: "Snapshot") -> str:
    """What a list without a line says."""
    return NO_MATCH if snapshot.domains else NOTHING


def print_vms(snapshot: "Snapshot", vms: "list[tuple[str, Vm]]", *, wide: bool) -> None:
    """Print these VMs as a table."""
    from pvc.cli.words import VM_SPARE

    heads, rows = vm_table(snapshot, vms, wide=wide)
    print_table(heads, rows, nothing(snapshot), VM_SPARE)


def vm_table(snapshot: "Snapshot", vms: "list[tuple[str, Vm]]", *, wide: bool) -> tuple[list[str], list[list[Any]]]:
    """Heads and rows of these VMs."""
    from pvc.cli.words import VM_HEADS, VM_WIDE, vm_row, vm_wide

    facts = snapshot.facts()
    rows = [vm_row(uuid, vm, facts, _leaving(snapshot, vm)) for uuid, vm in vms]
    if not wide:
        return list(VM_HEADS), rows
    full = [[*row[:-1], *vm_wide(uuid, vm), row[-1]] for row, (uuid, vm) in zip(rows, vms, strict=True)]
    return [*VM_HEADS[:-1], *VM_WIDE, VM_HEADS[-1]], full


def chosen(
    snapshot: "Snapshot", pattern: str | None, node: str | None, states: tuple[str, ...], want: str | None, differs: bool
) -> "list[tuple[str, Vm]]":
    """The VMs that were asked for, by name; raises NotFound for an unknown node."""
    if node is not None and node not in snapshot.nodes:
        raise NotFound(unknown("node", node, snapshot.nodes), "pvc node list")
    tests = _tests(pattern, node, states, want, differs)
    vms = [(uuid, seen.value) for uuid, seen in snapshot.domains.items() if all(test(seen.value) for test in tests)]
    return sorted(vms, key=lambda one: (getattr(one[1], "name", ""), one[0]))


def _tests(
    pattern: str | None, node: str | None, states: tuple[str, ...], want: str | None, differs: bool
) -> "list[Callable[[Vm], bool]]":
    from pvc.cli.words import is_settled
    from pvc.cluster.records import DomainRecord

    tests: list[Callable[[Any], bool]] = []
    if pattern is not None:
        tests.append(lambda vm: fnmatchcase(getattr(vm, "name", ""), pattern))
    if node is not None:
        tests.append(lambda vm: isinstance(vm, DomainRecord) and node in (vm.life.owner, vm.life.target, vm.life.home))
    if states:
        tests.append(lambda vm: isinstance(vm, DomainRecord) and str(vm.life.state) in states)
    if want is not None:
        tests.append(lambda vm: isinstance(vm, DomainRecord) and str(vm.life.want) == want)
    if differs:
        tests.append(lambda vm: not isinstance(vm, DomainRecord) or not is_settled(vm))
    return tests


def _leaving(snapshot: "Snapshot", vm: "Vm") -> Any:
    from pvc.cluster.records import DomainRecord

    return snapshot.leaving(vm) if isinstance(vm, DomainRecord) else None
