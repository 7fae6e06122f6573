"""The entry point of `pvc`, and the table of what it can do."""

import click

from pvc import __version__
from pvc.cli.group import Lazy, RootGroup

COMMANDS = {
    "fsm": Lazy("pvc.cli.fsm:fsm", "Show, draw and check the state machines."),
}


@click.group(cls=RootGroup, lazy=COMMANDS, name="pvc", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pvc", message="%(prog)s %(version)s")
def main() -> None:
    """Manage QEMU/KVM guests on a cluster of nodes."""
