"""`pvc init`, `pvc hold` and `pvc cluster`: the cluster as a whole."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from pvc.cli.access import access
from pvc.cli.group import Group
from pvc.cli.output import answer, confirm, confirm_name, output, print_pairs, reason_option, yes_option
from pvc.cli.policy_options import policy_options, policy_values, shown
from pvc.cli.screen import say, several
from pvc.errors import PvcError, UsageProblem


@click.command(short_help="Create a cluster.")
@click.argument("name")
@yes_option
@output()
def init(name: str, yes: bool, form: str) -> None:
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
        config = cluster.init(name)
    data = {"cluster": {"name": config.name, "id": config.id}}
    answer(form, data, [name], lambda wide: say(f"The cluster {name} is there. Next: start pvcd on its nodes."))


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
@output()
def hold_on(reason: str, form: str) -> None:
    """Shoot nobody until the hold is off.

    \b
    pvc hold on --reason "new switch"
    """
    _hold(True, reason, "The hold is on: no node is shot until: pvc hold off", form)


@hold.command("off")
@reason_option
@output()
def hold_off(reason: str, form: str) -> None:
    """Let nodes be shot again when they have to be.

    \b
    pvc hold off
    """
    _hold(False, reason, "The hold is off.", form)


def _hold(on: bool, reason: str, sentence: str, form: str) -> None:
    with access().cluster() as cluster:
        found = cluster.hold(on, reason)
    answer(form, {"result": sentence, "hold": asdict(found)}, [], lambda wide: say(sentence))


@click.group(cls=Group, short_help="Show and set what concerns the cluster as a whole; save and restore it.")
def cluster() -> None:
    """Show and set what concerns the cluster as a whole; save and restore it.

    \b
    pvc cluster info
    pvc cluster set --lock /srv/shared --lock rbd:vms
    pvc cluster backup office.json
    """


@cluster.command()
@output()
def info(form: str) -> None:
    """Show the cluster's own record.

    \b
    pvc cluster info
    """
    with access().cluster() as client:
        config = client.config()
    _show(form, config)


def _show(form: str, config: Any) -> None:
    policy = asdict(config.defaults)
    hold = f"on, by {config.hold.by} since {config.hold.since}: {config.hold.why}" if config.hold.on else "off"
    pairs = [("name", config.name), ("id", config.id), ("hold", hold), ("storage with locks", ", ".join(config.locks) or "none")]
    pairs += [(f"default {name}", shown(value)) for name, value in policy.items()]
    data = {"cluster": {"name": config.name, "id": config.id, "hold": asdict(config.hold), "locks": list(config.locks), "defaults": policy}}
    answer(form, data, [config.name], lambda wide: print_pairs(pairs))


@cluster.command("set")
@click.option("--lock", "locks", multiple=True, metavar="STORAGE", help='A path, or rbd:POOL, with locks across hosts; or "none".')
@policy_options
@output()
def set_cluster(locks: tuple[str, ...], form: str, **options: Any) -> None:
    """Set what storage has locks, and the policy of VMs that are defined without one.

    Storage with locks across hosts (QEMU's image locks on a shared file system, virtlockd, sanlock, RBD's exclusive lock) lets libvirt hand
    over its VMs by itself. What VMs are like already stays as it is: "pvc vm modify" reads a VM's disks again.

    \b
    pvc cluster set --lock /srv/shared --lock rbd:vms
    pvc cluster set --lock none --selector load
    """
    policy = policy_values(options)
    if not policy and not locks:
        raise UsageProblem("nothing was named that should be set", "pvc cluster set -h")
    with access().cluster() as client:
        config = client.set_cluster(locks=(() if locks == ("none",) else locks) if locks else None, **policy)
    _show(form, config)


@cluster.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@output()
def backup(file: Path, form: str) -> None:
    """Save what is wanted and configured: VMs with XML and policy, defaults, locks, which nodes take none.

    Not what is: who runs what, fences, histories. The file is JSON, readable by its owner alone; "-" is standard output.
    A VM that cannot be read is left out and named, the others are saved, and pvc ends with 1.

    \b
    pvc cluster backup office.json
    """
    from pvc.client.backup import saved

    with access().cluster() as client:
        found = saved(client)
    problems = [f"{name} is left out: {why}" for name, why in sorted(found.left_out.items())]
    if str(file) == "-":
        click.echo(found.text, nl=False)
        for problem in problems:
            click.echo(f"{problem}.", err=True)
    else:
        _write(file, found.text)
        are = "is" if found.vms == 1 else "are"
        sentences = [f"{several(found.vms, 'VM')} {are} saved in {file}.", *(f"{problem}." for problem in problems)]
        data = {"result": " ".join(sentences), "vms": found.vms, "left_out": sorted(found.left_out), "problems": problems}
        answer(form, data, [str(file)], lambda wide: say("\n".join(sentences)))
    if problems:
        click.get_current_context().exit(1)


def _write(file: Path, text: str) -> None:
    """Whole or not at all, and for its owner alone: XML may hold passwords of consoles."""
    import os

    aside = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        aside.touch(mode=0o600)
        aside.write_text(text, encoding="utf-8")
        aside.replace(file)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise PvcError(f"cannot write {file}: {error.strerror}", "choose another file") from error


@cluster.command()
@click.argument("file", type=click.File("rb"))
@click.option("--start", is_flag=True, help="Start the VMs that were wanted up; otherwise all of them are off.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, or all that stands in its way; change nothing.")
@yes_option
@reason_option
@output()
def restore(file: Any, start: bool, dry_run: bool, yes: bool, reason: str, form: str) -> None:
    """Define again what a backup holds, in a cluster that is empty or in which nothing runs.

    A VM that is there with the same UUID gets its XML and policy again. Nothing that is there is removed.

    \b
    pvc cluster restore office.json --dry-run
    pvc cluster restore office.json --start
    """
    from pvc.cli.following import show_plan
    from pvc.client.backup import parsed, restoring
    from pvc.client.backup import restore as restore_all
    from pvc.client.deciding import Plan

    found = parsed(file.read())
    with access().cluster() as client:
        plan = restoring(client, found)
        if dry_run or plan.blockers:
            show_plan(form, "restore", client.config().name, Plan(plan.steps, plan.blockers))
            return
        confirm(f"Restore {several(len(found.vms), 'VM')} into the cluster {client.config().name}?", yes)
        done = restore_all(client, found, reason, start)
    answer(form, {"done": done}, [vm.name for vm in found.vms], lambda wide: say("\n".join([*done, "It is restored."])))
