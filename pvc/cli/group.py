"""Click groups as every level of `pvc` uses them: lazy, suggesting, and the same on click 8.1 and later."""

import itertools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, TextIO

import click

from pvc.errors import PvcError, UsageProblem, unknown

INTERRUPTED = 130
SUMMARY = 200
"""Characters of a summary: the whole first sentence, which is wrapped where the terminal ends."""


class Lazy(NamedTuple):
    """A command that is imported when it is invoked: "module:object", and its line in the group's help."""

    target: str
    summary: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, name = self.target.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


class Group(click.Group):
    """A group that shows its help when called bare, and suggests the nearest of its commands for an unknown one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Show the help for a bare group: click itself does, but ends with 0 up to 8.1 and with 2 from 8.2 on."""
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; raises UsageProblem with the nearest names when there is none."""
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            raise UsageProblem(unknown("command", args[0], self.list_commands(ctx)), f"{ctx.command_path} -h")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, each with its whole summary: click cuts it where the line ends."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.summary(ctx, name)) for name in self.list_commands(ctx)])

    def summary(self, ctx: click.Context, name: str) -> str:
        """What is said of a command in a list."""
        command = self.get_command(ctx, name)
        return command.get_short_help_str(SUMMARY) if command else ""


# What `@group.group()` makes below any of ours.
Group.group_class = Group


class LazyGroup(Group):
    """A group which knows its commands by name only: `pvc` starts in under 100 ms because nothing else is imported."""

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy], **options: Any) -> None:
        super().__init__(*args, **options)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, without an import."""
        return sorted({*super().list_commands(ctx), *self.lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now if it is a lazy one."""
        lazy = self.lazy.get(cmd_name)
        return lazy.load() if lazy else super().get_command(ctx, cmd_name)

    def summary(self, ctx: click.Context, name: str) -> str:
        """Its summary, without an import: click would import each one for its help."""
        return self.lazy[name].summary if name in self.lazy else super().summary(ctx, name)


class RootGroup(LazyGroup):
    """The group a process begins with: it turns what went wrong into two lines and an exit code."""

    def main(  # type: ignore[override]  # click's overloads differ from one version to the next
        self, args: Sequence[str] | None = None, prog_name: str | None = None, *, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """Run the command line; with `standalone_mode`, as in a process, this ends by SystemExit."""
        if not standalone_mode:
            return super().main(args, prog_name, standalone_mode=False, **extra)
        sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()  # None where they were closed
        try:
            result = super().main(args, prog_name, standalone_mode=False, **extra)
        except (PvcError, click.ClickException, click.Abort) as error:
            sys.exit(_report(*self._told(error), as_json=wants_json(sys.argv[1:] if args is None else args)))
        except OSError as error:  # a full disk behind stdout, above all; nobody is helped by a traceback
            what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
            code = _report(f"the system refused: {what}", None, 1, as_json=wants_json(sys.argv[1:] if args is None else args))
            sys.stdout = _nowhere()  # or what could not be written is tried again at exit
            sys.exit(code)
        # Click hands back the code of ctx.exit() here, or what a command returned, which is None.
        sys.exit(result if isinstance(result, int) else 0)

    def _told(self, error: Exception) -> tuple[str, str | None, int]:
        """An error as message, next step and exit code."""
        match error:
            case PvcError():
                return str(error), error.next_step, error.exit_code
            case click.NoSuchOption() if any(error.option_name in parameter.opts for parameter in self.params):
                place = f"{error.option_name} stands before the command: {self.name} {error.option_name} ..."
                return place, f"{self.name} -h", error.exit_code
            case click.UsageError():
                path = error.ctx.command_path if error.ctx else self.name
                return error.format_message(), f"{path} -h", error.exit_code
            case click.ClickException():
                return error.format_message(), None, error.exit_code
        return "interrupted", None, INTERRUPTED


def _nowhere() -> TextIO:
    return open(os.devnull, "w")


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for data, also one that cannot be understood otherwise; YAML reads JSON."""
    asked = {f"{option}{form}" for option in ("-o", "--output=") for form in ("json", "yaml")}
    pairs = itertools.pairwise(arguments)
    return not asked.isdisjoint(arguments) or any(option in ("-o", "--output") and form in ("json", "yaml") for option, form in pairs)


def _report(message: str, next_step: str | None, exit_code: int, *, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps({"error": message, "code": exit_code, "next": next_step}, ensure_ascii=False), err=True)
        return exit_code
    click.echo(message, err=True)
    if next_step:
        click.echo(f"Next: {next_step}", err=True)
    return exit_code
