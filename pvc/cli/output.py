"""What a command prints: tables whose cells are never cut, JSON that keeps its form, and names for another program."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import click

from pvc.cli.screen import hanging, say, width
from pvc.errors import UsageProblem

JSON_VERSION = 1
"""Grows when a field changes its meaning or goes; a new field is no reason."""

Command = TypeVar("Command", bound=Callable[..., Any])


class Cell(NamedTuple):
    """A cell of a table, perhaps in a colour."""

    text: str
    colour: str | None = None


def output(*formats: str) -> Callable[[Command], Command]:
    """The option -o, with the first of these as default."""
    choice = click.Choice(formats)
    return click.option("-o", "--output", "form", type=choice, default=formats[0], show_default=True, help="How to print it.")


def yes_option(command: Command) -> Command:
    """The option --yes."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(command)


def reason_option(command: Command) -> Command:
    """The option --reason."""
    return click.option("--reason", default="", metavar="TEXT", help="Why; it is kept in the history.")(command)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[Cell | str]], nothing: str) -> None:
    """Rows below their heads, two spaces apart; a sentence when there is no row."""
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    if not cells:
        say(nothing)
        return
    table = [[Cell(head, "bold") for head in heads], *cells]
    widths = [max(len(row[column].text) for row in table) for column in range(len(heads))]
    for row in table:
        line = "  ".join(_painted(cell, cell.text.ljust(size)) for cell, size in zip(row, widths, strict=True))
        say(line.rstrip())


def print_pairs(pairs: Iterable[tuple[str, Cell | str]]) -> None:
    """One thing in lines: what, and its value; what has no value is left out."""
    known = [(name, cell if isinstance(cell, Cell) else Cell(cell)) for name, cell in pairs]
    known = [(name, cell) for name, cell in known if cell.text]
    size = max((len(name) for name, _ in known), default=0)
    for name, cell in known:
        first, *rest = hanging(" " * (size + 2), cell.text, width())
        say(f"{click.style(name.ljust(size), bold=True)}  {_painted(cell, first.lstrip())}")
        for line in rest:
            say(line)


def print_json(value: Mapping[str, Any]) -> None:
    """One object, with the version of its form."""
    click.echo(json.dumps({"version": JSON_VERSION, **value}, indent=2, ensure_ascii=False))


def confirm(question: str, yes: bool) -> None:
    """Ask y/N; ends the command with 1 when the answer is no, and with 2 where nobody can answer."""
    if yes:
        return
    _need_terminal(question)
    if not click.confirm(question, default=False, err=True):  # stdout is for what was asked for
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(1)


def confirm_name(question: str, name: str, yes: bool) -> None:
    """Ask for a name to be typed; ends the command with 1 when another is."""
    if yes:
        return
    _need_terminal(question)
    if click.prompt(question, default="", show_default=False, err=True).strip() != name:
        click.echo("That is another name. Nothing was changed.", err=True)
        click.get_current_context().exit(1)


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def _need_terminal(question: str) -> None:
    if not is_terminal():
        raise UsageProblem(f"nobody can be asked here: {question}", "repeat it with --yes")


def _painted(cell: Cell, text: str) -> str:
    if cell.colour is None:
        return text
    return click.style(text, bold=True) if cell.colour == "bold" else click.style(text, fg=cell.colour)


def narrates() -> bool:
    """Whether what happens is told line by line to a person, without times, or to a log, with them."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
