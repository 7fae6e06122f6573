"""The argument NODE: by default the machine that the command runs on."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pvc.cli.access import this_host
from pvc.cli.names import complete_nodes

Command = TypeVar("Command", bound=Callable[..., Any])


def node_argument(command: Command) -> Command:
    """The argument NODE, by default this host."""
    option = click.argument(
        "name", required=False, metavar="[NODE]", shell_complete=complete_nodes, callback=lambda ctx, parameter, value: value or this_host()
    )
    return option(command)
