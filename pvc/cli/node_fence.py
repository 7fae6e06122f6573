"""`pvc node fence`: what an admin does about a node that is lost."""

from typing import Any

import click

from pvc.cli.access import access
from pvc.cli.output import confirm_name, reason_option, yes_option
from pvc.cli.screen import say
from pvc.errors import UsageProblem


@click.command()
@click.argument("name", metavar="NODE")
@click.option("--confirm-off", is_flag=True, help="Give your word that it is off: you have looked, or pulled its plug.")
@click.option("--dry-run", is_flag=True, help="Say what would be recovered, and change nothing.")
@yes_option
@reason_option
def fence(name: str, confirm_off: bool, dry_run: bool, yes: bool, reason: str) -> None:
    """Give your word that a node is off.

    What it owned is then recovered on other nodes. If it is not off, its guests run twice and destroy their disks.
    Nobody can check what you say; who said it, when, and why, is kept.

    \b
    pvc node fence hv3 --confirm-off --reason "its plug is in my hand"
    """
    if not confirm_off:
        raise UsageProblem("it is not said what to do", f"pvc node fence {name} --confirm-off --reason ...")
    with access().cluster() as cluster:
        lost = _lost(cluster, cluster.node(name).name)
        if dry_run:
            say(lost or f"{name} owns no VM: nothing would be recovered.")
            return
        question = f"{lost}\nIf {name} is not off, they will run twice." if lost else f"{name} owns no VM."
        confirm_name(f'{question} Type its name ("{name}") to give your word that it is off', name, yes)
        cluster.confirm_off(name, reason)
    say(f"{name} is taken for off, on your word. {'Next: pvc vm list' if lost else 'It owned no VM.'}")


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
