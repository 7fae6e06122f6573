"""The options for the fields of a policy: of one VM, or of those that are defined without one."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pvc.cli.names import complete_nodes
from pvc.cluster.records import HandoverPolicy, Method, OnPoweroff, Selector
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
    click.option(
        "--node", "nodes", multiple=True, metavar="NODE", shell_complete=complete_nodes, help='A node that may run it; repeat it, or "all".'
    ),
)


def policy_options(command: Command) -> Command:
    """An option for each field of a policy."""
    for option in OPTIONS:
        command = option(command)
    return command


def policy_values(options: dict[str, Any]) -> dict[str, Any]:
    """The fields that were named, as a record holds them."""
    words: dict[str, type[Word]] = {"selector": Selector, "migration": Method, "handover": HandoverPolicy, "on_poweroff": OnPoweroff}
    named = {field: options[field] for field in POLICY if options[field] not in (None, ())}
    if "nodes" in named:
        named["nodes"] = () if named["nodes"] == ("all",) else tuple(dict.fromkeys(named["nodes"]))
    return {field: words[field](value) if field in words else value for field, value in named.items()}


def shown(value: object) -> str:
    """A value of a policy, in words."""
    return (", ".join(value) or "all") if isinstance(value, tuple) else str(value)
