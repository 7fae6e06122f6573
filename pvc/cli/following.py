"""What follows a command, on the screen: each transition as it happens, how far a migration is, how it ended, and what Ctrl-C means."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pvc.cli.output import narrates
from pvc.cli.screen import hanging, say, width
from pvc.errors import PvcError

if TYPE_CHECKING:
    from pvc.client.deciding import Plan
    from pvc.cluster.progress import Leaving

Command = TypeVar("Command", bound=Callable[..., Any])

BAR = 24
LINE_S = 10.0
"""How often a log is told how far a migration is: a terminal sees each word of its node."""


class Interrupted(PvcError):
    """Somebody pressed Ctrl-C while a command was waited for."""

    exit_code = 130


def waiting_options(command: Command) -> Command:
    """The options --no-wait and --timeout."""
    seconds = click.FloatRange(min=0)
    command = click.option("--timeout", type=seconds, metavar="SECONDS", help="Wait no longer; it goes on, and pvc ends with 4.")(command)
    return click.option("--no-wait", is_flag=True, help="Do not wait for what follows.")(command)


def dry_run_option(command: Command) -> Command:
    """The option --dry-run."""
    words = "Say what would happen, or all that stands in its way; change nothing. Ends with 1 when it is not possible."
    return click.option("--dry-run", is_flag=True, help=words)(command)


def show_plan(form: str, what: str, name: str, plan: "Plan") -> None:
    """Print what a command would do; ends with 1 when something stands in its way."""
    from pvc.cli.output import answer

    data = {"dry_run": {"what": what, "possible": plan.possible, "steps": list(plan.steps), "blockers": list(plan.blockers)}}
    answer(form, data, [name] if plan.possible else [], lambda wide: _tell_plan(what, plan))
    if not plan.possible:
        click.get_current_context().exit(1)


def _tell_plan(what: str, plan: "Plan") -> None:
    say(click.style(f"{what} {'is possible' if plan.possible else 'is not possible'}. Nothing was changed.", bold=True))
    told = [(f"  {step}", None) for step in plan.steps] + [(f"  in its way: {blocker}", "yellow") for blocker in plan.blockers]
    for text, colour in told:
        for line in hanging("  ", text.lstrip(), width()):
            say(click.style(line, fg=colour) if colour else line)


def follow(wait: Callable[[Callable[[str], None]], str], what: str, undo: str, *, tell: bool = True) -> str:
    """Wait, telling what happens, and return how it ended; Ctrl-C leaves the operation alone and says how to undo it."""
    try:
        return wait(narrate if tell else lambda sentence: None)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: {what} goes on", undo) from None


def narrate(sentence: str) -> None:
    """One thing that happened; in a log with its time."""
    erase()
    clock = "" if narrates() else time.strftime("%Y-%m-%d %H:%M:%S ")
    say(f"{clock}{sentence}")
    sys.stdout.flush()


def erase() -> None:
    """Make room where a line of a terminal is written again and again. Not by click: without colour it takes every escape away."""
    if narrates():
        sys.stdout.write("\r\x1b[K")


class ProgressLine:
    """How far a migration is: a line of a terminal that is written again and again, or now and then a line of a log."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.clock = clock
        self.next_at = 0.0

    def __call__(self, told: "Leaving") -> None:
        """Show it."""
        from pvc.client.moving import parts, percent, standstill, words

        if told.stood_ms is not None:
            narrate(f"{self.name}: {standstill(told.stood_ms)}")
        elif not told.total_mib:
            return  # libvirt has begun, and has not measured yet
        elif narrates():
            done = BAR * percent(told) // 100
            line = f"{self.name}: [{'#' * done}{'.' * (BAR - done)}] "
            room, said = width() - 1 - len(line), parts(told)
            while len(said) > 1 and len(", ".join(said)) > room:  # a part goes whole
                said.pop()
            erase()
            sys.stdout.write((line + ", ".join(said))[: width() - 1])
            sys.stdout.flush()
        elif self.clock() >= self.next_at:
            self.next_at = self.clock() + LINE_S
            narrate(f"{self.name}: {words(told)}")


class Standstill:
    """For how long a guest stood still in the end of its migration, for a program: ms, None where that is not known."""

    def __init__(self) -> None:
        self.ms: int | None = None

    def __call__(self, told: "Leaving") -> None:
        """Keep it."""
        self.ms = told.stood_ms


def ended(sentence: str) -> None:
    """How it ended."""
    erase()
    say(click.style(f"{sentence}.", bold=True))
