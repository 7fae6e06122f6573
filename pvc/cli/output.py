"""What a command prints: tables whose cells are never cut, JSON or YAML that keeps its form, and names for another program."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import click

from pvc.cli.screen import CRAMPED, hanging, say, width
from pvc.errors import UsageProblem

JSON_VERSION = 1
"""Grows when a field changes its meaning or goes; a new field is no reason."""

FORMATS = ("table", "wide", "json", "yaml", "name")
"""Every command that prints knows all of them."""

Command = TypeVar("Command", bound=Callable[..., Any])


class Cell(NamedTuple):
    """A cell of a table, perhaps in a colour."""

    text: str
    colour: str | None = None


def output(*formats: str) -> Callable[[Command], Command]:
    """The option -o, with the first of these as default; by itself every format that there is."""
    known = formats or FORMATS
    choice = click.Choice(known)
    return click.option("-o", "--output", "form", type=choice, default=known[0], show_default=True, help="How to print it.")


def is_data(form: str) -> bool:
    """Whether a program reads it, so that nothing else may be printed."""
    return form in ("json", "yaml", "name")


def answer(form: str, value: Mapping[str, Any], names: Iterable[str], table: Callable[[bool], None]) -> None:
    """Print an answer as it was asked for; `table` prints it for people, with more of it when it is told so."""
    if form == "json":
        print_json(value)
    elif form == "yaml":
        from pvc.cli.yaml_text import yaml_text

        click.echo(yaml_text({"version": JSON_VERSION, **value}), nl=False)
    elif form == "name":
        click.echo("".join(f"{name}\n" for name in names), nl=False)
    else:
        table(form == "wide")


def yes_option(command: Command) -> Command:
    """The option --yes."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(command)


def reason_option(command: Command) -> Command:
    """The option --reason."""
    return click.option("--reason", default="", metavar="TEXT", help="Why; it is kept in the history.")(command)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[Cell | str]], nothing: str, spare: Sequence[str] = ()) -> None:
    """Rows below their heads, two spaces apart; a sentence when there is no row.

    Where they do not fit a terminal, the columns of `spare` are left out, the first of them first, and the last cells wrap; no cell is cut.
    """
    lines = table_lines(heads, rows, width(), spare)
    say("\n".join(lines) if lines else nothing)


def table_lines(heads: Sequence[str], rows: Iterable[Sequence[Cell | str]], columns: int, spare: Sequence[str] = ()) -> list[str]:
    """The lines of a table that fills so many columns; none without a row."""
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    if not cells:
        return []
    table = [[Cell(head, "bold") for head in heads], *cells]
    kept = _kept(heads, table, columns, spare)
    table = [[row[number] for number in kept] for row in table]
    widths = [max(len(row[number].text) for row in table) for number in range(len(kept))]
    lines: list[str] = []
    indent = " " * (sum(widths[:-1]) + 2 * (len(widths) - 1))
    for row in table:
        if not row[-1].text:
            lines.append(_joined(row[:-1], widths))
            continue
        first, *rest = hanging(indent, row[-1].text, columns)
        lead = "".join(_painted(cell, cell.text.ljust(size)) + "  " for cell, size in zip(row[:-1], widths[:-1], strict=True))
        lines.append(lead + _painted(row[-1], first[len(indent) :]))
        lines += [indent + _painted(row[-1], line[len(indent) :]) for line in rest]
    return lines


def _joined(cells: Sequence[Cell], widths: Sequence[int]) -> str:
    """Cells in their columns, with nothing after the last that says something."""
    said = [number for number, cell in enumerate(cells) if cell.text]
    kept = cells[: said[-1] + 1] if said else []
    padded = [cell.text if number == len(kept) - 1 else cell.text.ljust(widths[number]) for number, cell in enumerate(kept)]
    return "  ".join(_painted(cell, text) for cell, text in zip(kept, padded, strict=True))


def _kept(heads: Sequence[str], table: Sequence[Sequence[Cell]], columns: int, spare: Sequence[str]) -> list[int]:
    """The columns that fit, by number: the last one may wrap, so it needs little."""
    needs = [max(len(row[number].text) for row in table) + 2 for number in range(len(heads))]
    needs[-1] = min(needs[-1] - 2, CRAMPED)
    kept = list(range(len(heads)))
    for head in spare:
        if sum(needs[number] for number in kept) <= columns:
            break
        kept = [number for number in kept if heads[number] != head]
    return kept


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
