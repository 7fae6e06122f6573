"""`pvc init` and `pvc hold`: the cluster as a whole."""

import click

from pvc.cli.access import access
from pvc.cli.group import Group
from pvc.cli.output import confirm_name, reason_option, yes_option
from pvc.cli.screen import say


@click.command(short_help="Create a cluster.")
@click.argument("name")
@yes_option
def init(name: str, yes: bool) -> None:
    """Create a cluster.

    It is created in an empty place: where there is a cluster already, nothing is changed.

    \b
    pvc -z zk1:2181,zk2:2181,zk3:2181/pvc init office
    """
    from pvc.cluster.names import checked_name

    checked_name("cluster", name)
    where = access().options()
    place = f"{','.join(where.hosts)}{where.chroot or '/'}"
    confirm_name(f'This creates a cluster at {place}. Type its name ("{name}") to go on', name, yes)
    with access().cluster(create_root=True) as cluster:
        cluster.init(name)
    say(f"The cluster {name} is there. Next: start pvcd on its nodes.")


@click.group(cls=Group, short_help="Let no node be shot, as during work on the network or on ZooKeeper.")
def hold() -> None:
    """Let no node be shot, as during work on the network or on ZooKeeper.

    Guests run on, and commands are carried out. A node whose power reads off is still recovered: nothing of it can run.

    \b
    pvc hold on --reason "new switch"
    pvc hold off
    """


@hold.command("on")
@reason_option
def hold_on(reason: str) -> None:
    """Shoot nobody until the hold is off."""
    with access().cluster() as cluster:
        cluster.hold(True, reason)
    say("The hold is on: no node is shot until: pvc hold off")


@hold.command("off")
@reason_option
def hold_off(reason: str) -> None:
    """Let nodes be shot again when they have to be."""
    with access().cluster() as cluster:
        cluster.hold(False, reason)
    say("The hold is off.")
