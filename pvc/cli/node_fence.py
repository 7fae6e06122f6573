"""`pvc node fence`: what an admin does about a node that is lost."""

from typing import Any

import click

from pvc.cli.access import access
from pvc.cli.following import ended, follow
from pvc.cli.output import confirm_name, reason_option, yes_option
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
