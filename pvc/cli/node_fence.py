"""`pvc node fence` and `fence-test`: what an admin does about a node that is lost, and before one is."""

from typing import Any

import click

from pvc.cli.access import access
from pvc.cli.following import ended, follow
from pvc.cli.output import Cell, answer, confirm_name, output, print_table, reason_option, yes_option
from pvc.cli.screen import say


@click.command()
@click.argument("name", metavar="NODE")
@click.option("--confirm-off", is_flag=True, help="Give your word that it is off: you have looked, or pulled its plug.")
@click.option("--dry-run", is_flag=True, help="Say what would be recovered, and change nothing.")
@yes_option
@reason_option
@click.option("--no-wait", is_flag=True, help="Do not wait for what follows.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait no longer; it goes on, and pvc ends with 4.")
def fence(name: str, confirm_off: bool, dry_run: bool, yes: bool, reason: str, no_wait: bool, timeout: float | None) -> None:
    """Have a lost node shot now, or give your word that it is off.

    A node that does not answer is shot at once by another one: without the usual waits, and even where a hold or a missing majority keeps
    daemons from it. Only when its power then reads off is it recovered.

    With --confirm-off nobody looks: what it owned is recovered on your word. If it is not off, its guests run twice and
    destroy their disks. Who said it, when, and why, is kept.

    \b
    pvc node fence hv3
    pvc node fence hv3 --confirm-off --reason "its plug is in my hand"
    """
    with access().cluster() as cluster:
        lost = _lost(cluster, cluster.node(name).name)
        if dry_run:
            say(lost or f"{name} owns no VM: nothing would be recovered.")
        elif confirm_off:
            question = f"{lost}\nIf {name} is not off, they will run twice." if lost else f"{name} owns no VM."
            confirm_name(f'{question} Type its name ("{name}") to give your word that it is off', name, yes)
            cluster.confirm_off(name, reason)
            say(f"{name} is taken for off, on your word. {'Next: pvc vm list' if lost else 'It owned no VM.'}")
        else:
            confirm_name(f'{lost or f"{name} owns no VM."}\nType its name ("{name}") to have its power cut', name, yes)
            told = cluster.order_shot(name, reason)
            if no_wait:
                say(f"{name} will be shot.")
            else:
                undo = f"it cannot be undone; what becomes of it: pvc node info {name}"
                ended(follow(lambda show: cluster.wait_for_shot(told, show, timeout), f"the shot at {name}", undo))


def _lost(cluster: Any, name: str) -> str:
    """What would be recovered, and where; empty when the node owns nothing."""
    snapshot = cluster.snapshot()
    owned = sorted((record for record in snapshot.records() if record.life.owner == name), key=lambda record: str(record.name))
    lines = [f"{name} owns {len(owned)} VM{'s' if len(owned) != 1 else ''}, which would be recovered:"] if owned else []
    for record in owned:
        others = [other for other in snapshot.ranking(record).fits if other != name]
        what = f"started on {others[0]}" if others else "no other node can take it now: it would wait"
        lines.append(f"  {record.name}: {what if record.life.want == 'start' else f'wanted {record.life.want}'}")
    return "\n".join(lines)


@click.command("fence-test")
@click.argument("name", metavar="[NODE]", required=False)
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
