"""What follows a command, on the screen: each transition as it happens, how it ended, and what Ctrl-C means."""

import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from pvc.cli.output import narrates
from pvc.cli.screen import say
from pvc.errors import PvcError

Command = TypeVar("Command", bound=Callable[..., Any])


class Interrupted(PvcError):
    """Somebody pressed Ctrl-C while a command was waited for."""

    exit_code = 130


def waiting_options(command: Command) -> Command:
    """The options --no-wait and --timeout."""
    seconds = click.FloatRange(min=0)
    command = click.option("--timeout", type=seconds, metavar="SECONDS", help="Wait no longer; it goes on, and pvc ends with 4.")(command)
    return click.option("--no-wait", is_flag=True, help="Do not wait for what follows.")(command)


def follow(wait: Callable[[Callable[[str], None]], str], what: str, undo: str, *, tell: bool = True) -> str:
    """Wait, telling what happens, and return how it ended; Ctrl-C leaves the operation alone and says how to undo it."""
    try:
        return wait(narrate if tell else lambda sentence: None)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: {what} goes on", undo) from None


def narrate(sentence: str) -> None:
    """One thing that happened; in a log with its time."""
    clock = "" if narrates() else time.strftime("%Y-%m-%d %H:%M:%S ")
    say(f"{clock}{sentence}")
    sys.stdout.flush()


def ended(sentence: str) -> None:
    """How it ended."""
    say(click.style(f"{sentence}.", bold=True))
