"""`pvc node fence` and `fence-test`: what an admin does about a node that is lost, and before one is."""

from typing import Any

import click

from pvc.cli.access import access
from pvc.cli.following import dry_run_option, ended, follow, show_plan, waiting_options
from pvc.cli.names import complete_nodes
from pvc.cli.output import Cell, answer, confirm_name, is_data, output, print_table, reason_option, yes_option


@click.command()
@click.argument("name", metavar="NODE", shell_complete=complete_nodes)
@click.option("--confirm-off", is_flag=True, help="Give your word that it is off: you have looked, or pulled its plug.")
@yes_option
@reason_option
@waiting_options
@dry_run_option
@output()
def fence(
    name: str, confirm_off: bool, dry_run: bool, yes: bool, reason: str, no_wait: bool, timeout: float | None, form: str
) -> None:
    """Have a lost node shot now, or give your word that it is off.

    A node that does not answer is shot at once by another one: without the usual waits, and even where a hold or a missing majority keeps
    daemons from it. Only when its power then reads off is it recovered.

    With --confirm-off nobody looks: what it owned is recovered on your word. If it is not off, its guests run twice and
    destroy their disks. Who said it, when, and why, is kept.

    \b
    pvc node fence hv3 --dry-run
    pvc node fence hv3
    pvc node fence hv3 --confirm-off --reason "its plug is in my hand"
    """
    from pvc.cli.words import node_json
    from pvc.client.plans import fence_plan

    with access().cluster() as cluster:
        cluster.node(name)
        if dry_run:
            what = f"fence {name} --confirm-off" if confirm_off else f"fence {name}"
            show_plan(form, what, name, fence_plan(cluster, name, "confirm" if confirm_off else "order"))
            return
        sentence = _take_for_off(cluster, name, yes, reason) if confirm_off else _shoot(cluster, name, yes, reason, no_wait, timeout, form)
        data = {"result": sentence, "node": node_json(cluster.node(name))} if is_data(form) else {}
    answer(form, data, [name], lambda wide: ended(sentence))


def _take_for_off(cluster: Any, name: str, yes: bool, reason: str) -> str:
    lost = _lost(cluster, name)
    question = f"{lost}\nIf {name} is not off, they will run twice." if lost else f"{name} owns no VM."
    confirm_name(f'{question} Type its name ("{name}") to give your word that it is off', name, yes)
    cluster.confirm_off(name, reason)
    return f"{name} is taken for off, on your word{'; look with pvc vm list' if lost else ', and owned no VM'}"


def _shoot(cluster: Any, name: str, yes: bool, reason: str, no_wait: bool, timeout: float | None, form: str) -> str:
    confirm_name(f'{_lost(cluster, name) or f"{name} owns no VM."}\nType its name ("{name}") to have its power cut', name, yes)
    told = cluster.order_shot(name, reason)
    if no_wait:
        return f"{name} will be shot"
    undo = f"it cannot be undone; what becomes of it: pvc node info {name}"
    return follow(lambda show: cluster.wait_for_shot(told, show, timeout), f"the shot at {name}", undo, tell=not is_data(form))


def _lost(cluster: Any, name: str) -> str:
    """What would be recovered, and where; empty when the node owns nothing."""
    from pvc.client.plans import recovered

    told = list(recovered(cluster, name))
    lines = [f"{name} owns {len(told)} VM{'s' if len(told) != 1 else ''}, which would be recovered:"] if told else []
    return "\n".join([*lines, *(f"  {one}" for one in told)])


@click.command("fence-test")
@click.argument("name", metavar="[NODE]", required=False, shell_complete=complete_nodes)
@click.option("--timeout", type=click.FloatRange(min=1), default=60.0, show_default=True, metavar="SECONDS", help="Wait no longer.")
@output()
def fence_test(name: str | None, timeout: float, form: str) -> None:
    """Test whether nodes could be fenced: every daemon reads the power of NODE, or of all nodes, by its fence device.

    Nothing is switched. It ends with 1 when a device does not answer, is not believed, or does not exist.

    \b
    pvc node fence-test
    pvc node fence-test hv3
    """
    with access().cluster() as cluster:
        tested = cluster.test_devices(name, timeout)
    heads, rows = ("NODE", "ASKED BY", "METHOD", "READS", "VERDICT"), [_test_row(one) for one in tested]
    names = dict.fromkeys(one.said.node for one in tested if one.said is not None)
    data = {"tests": [_test_json(one) for one in tested]}
    answer(form, data, names, lambda wide: print_table(heads, rows, "No node has a fence device."))
    if not all(one.said is not None and one.said.works for one in tested):
        click.get_current_context().exit(1)


def _test_json(one: Any) -> dict[str, Any]:
    said = one.said
    if said is None:
        return {"node": None, "tester": one.tester, "answered": False, "works": False}
    known = {"node": said.node, "tester": one.tester, "answered": True, "works": said.works}
    return {**known, "method": said.method, "reading": said.reading, "fault": said.fault}


def _test_row(one: Any) -> list[Cell | str]:
    said = one.said
    if said is None:
        return ["-", one.tester, "-", "-", Cell(f"{one.tester} did not answer in time", "yellow")]
    if said.works:
        return [said.node, one.tester, str(said.method), str(said.reading), Cell("works", "green")]
    if said.fault:
        verdict = f"not believed: {said.fault}"
    elif said.method.has_device:
        verdict = f"does not answer: {one.tester} could not fence {said.node}"
    else:
        verdict = "no device: only its watchdog, or an operator, can tell that it is off"
    return [said.node, one.tester, str(said.method), str(said.reading), Cell(verdict, "red")]
