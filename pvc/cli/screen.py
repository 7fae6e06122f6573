"""The terminal: how wide it is, whether it takes colour, and text that fits."""

import os
import shutil
import sys
from collections.abc import Sequence

import click

# Narrower than this, wrapping makes things worse.
NARROWEST = 40
CRAMPED = 20
# A pipe gets whole sentences: what reads it has no edge.
ENDLESS = 100_000


def width() -> int:
    """Columns to fill; a pipe has no end unless COLUMNS sets one."""
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return ENDLESS
    return max(NARROWEST, shutil.get_terminal_size().columns)


def say(text: str) -> None:
    """Print; with colour only on a terminal that wants it, or where it was asked for."""
    click.echo(text, color=colour())


def several(number: int, thing: str) -> str:
    """So many of a thing, in words."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def colour() -> bool | None:
    """Whether to colour; None leaves it to what stdout is. Click by itself knows nothing of NO_COLOR."""
    context = click.get_current_context(silent=True)
    asked = context.color if context else None
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return False if plain and asked is None else asked


def hanging(lead: str, text: str, columns: int) -> list[str]:
    """The text in lines that all begin below the end of the lead, which stands in the first one."""
    from pvc.fsm.draw.words import wrapped  # which brings the tables along

    lines = wrapped(text, max(columns - len(lead), CRAMPED)) or [""]
    return [(lead if number == 0 else " " * len(lead)) + line for number, line in enumerate(lines)]


def aligned(rows: Sequence[Sequence[str]], columns: int, among: Sequence[Sequence[str]] = ()) -> list[str]:
    """The rows as columns two spaces apart, as wide as those of all the rows they stand among.

    The last cell takes the rest of the line, and wraps below itself.
    """
    widths = [max(map(len, cells)) for cells in zip(*(row[:-1] for row in [*rows, *among]), strict=True)]
    lines: list[str] = []
    for row in rows:
        lead = "".join(cell.ljust(size) + "  " for cell, size in zip(row[:-1], widths, strict=True))
        lines += [line.rstrip() for line in hanging(lead, row[-1], columns)]
    return lines
