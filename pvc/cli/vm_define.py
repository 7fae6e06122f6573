"""`pvc vm define`, `modify`, `dump` and `set`: what a VM is, and what was decided about it for good."""

from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar

import click

from pvc.cli.access import access
from pvc.cli.output import output, print_json, reason_option
from pvc.cli.screen import say
from pvc.cluster.records import MAX_XML_BYTES, HandoverPolicy, Method, OnPoweroff, Selector
from pvc.errors import UsageProblem
from pvc.fsm.states import Word

Command = TypeVar("Command", bound=Callable[..., Any])

SECONDS = click.IntRange(1, 24 * 3600)
POLICY = ("nodes", "selector", "migration", "handover", "shutdown_timeout_s", "restart_budget", "on_poweroff")


def _choice(words: type[Word]) -> "click.Choice[str]":  # quoted: click 8.1 has no such subscript
    return click.Choice([str(word) for word in words])


# Newest last: each stands above the one before it in the help.
OPTIONS = (
    click.option("--on-poweroff", type=_choice(OnPoweroff), help="What follows when the guest powers itself off."),
    click.option("--restart-budget", type=click.IntRange(0, 100), metavar="N", help="Failures in a row after which it stays off."),
    click.option("--shutdown-timeout", "shutdown_timeout_s", type=SECONDS, metavar="SECONDS", help="Time to power itself off."),
    click.option("--handover", type=_choice(HandoverPolicy), help="Who lets a migrated guest run; auto: libvirt where disks are locked."),
    click.option("--migration", type=_choice(Method), help="How it leaves a node that is flushed: live, off and on again, or not at all."),
    click.option("--selector", type=_choice(Selector), help="A node is chosen by what it has most left of."),
    click.option("--node", "nodes", multiple=True, metavar="NODE", help='A node that may run it; repeat it, or give "all".'),
)


def policy_options(command: Command) -> Command:
    """An option for each field of a policy."""
    for option in OPTIONS:
        command = option(command)
    return command


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--home", metavar="NODE", help="The node it belongs to; default: the best one.")
@policy_options
@reason_option
@output("text", "json", "name")
def define(file: BinaryIO, home: str | None, reason: str, form: str, **options: Any) -> None:
    """Define a VM from its libvirt XML.

    It is off until it is started. Without a UUID in the XML one is made. "-" reads the XML from standard input.

    \b
    pvc vm define web1.xml
    pvc vm define web1.xml --home hv2 --node hv1 --node hv2 --selector load
    """
    xml = _read(file)
    with access().cluster() as cluster:
        record = cluster.define(xml, home, _policy(options), reason)
    if form == "name":
        click.echo(record.name)
    elif form == "json":
        from pvc.cli.words import vm_json

        print_json({"vm": vm_json(record.uuid, record)})
    else:
        what = f"{record.memory_mib} MiB, {record.vcpus} vcpu{'s' if record.vcpus != 1 else ''}"
        say(f"{record.name} is defined, off, at home on {record.life.home} ({what}, UUID {record.uuid}).")


@click.command()
@click.argument("name")
@click.argument("file", type=click.File("rb"))
@reason_option
def modify(name: str, file: BinaryIO, reason: str) -> None:
    """Give a VM other XML, from its next start on.

    A guest that runs keeps what it was started with.

    \b
    pvc vm dump web1 > web1.xml; editor web1.xml; pvc vm modify web1 web1.xml
    """
    xml = _read(file)
    with access().cluster() as cluster:
        record = cluster.modify(name, xml, reason)
    later = "" if record.life.owner is None else "; its guest runs on with what it was started with, until it is started again"
    say(f"{record.name} has new XML: {record.memory_mib} MiB, {record.vcpus} vcpu{'s' if record.vcpus != 1 else ''}{later}.")


@click.command()
@click.argument("name")
def dump(name: str) -> None:
    """Print the XML of a VM.

    \b
    pvc vm dump web1 > web1.xml
    """
    with access().cluster() as cluster:
        click.echo(cluster.dump(name), nl=False)


@click.command("set")
@click.argument("name")
@policy_options
@reason_option
def set_policy(name: str, reason: str, **options: Any) -> None:
    """Change the policy of a VM.

    What is not named stays as it is. It concerns what happens from now on: nothing moves because of it.

    \b
    pvc vm set web1 --migration cold --shutdown-timeout 300
    pvc vm set web1 --node all
    """
    policy = _policy(options)
    if not policy:
        raise UsageProblem("nothing was named that should be set", "pvc vm set -h")
    with access().cluster() as cluster:
        record = cluster.set_policy(name, reason, **policy)
    say(f"{record.name}: {', '.join(f'{field} {_shown(getattr(record.policy, field))}' for field in policy)}.")


def _policy(options: dict[str, Any]) -> dict[str, Any]:
    """The fields that were named, as a record holds them."""
    words: dict[str, type[Word]] = {"selector": Selector, "migration": Method, "handover": HandoverPolicy, "on_poweroff": OnPoweroff}
    named = {field: options[field] for field in POLICY if options[field] not in (None, ())}
    if "nodes" in named:
        named["nodes"] = () if named["nodes"] == ("all",) else tuple(dict.fromkeys(named["nodes"]))
    return {field: words[field](value) if field in words else value for field, value in named.items()}


def _shown(value: object) -> str:
    return (", ".join(value) or "all") if isinstance(value, tuple) else str(value)


def _read(file: BinaryIO) -> bytes:
    """The XML; no more of it than can be too much."""
    return file.read(MAX_XML_BYTES + 1)
