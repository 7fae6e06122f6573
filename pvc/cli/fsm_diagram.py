"""What `pvc fsm diagram` writes: which format, from which tables, to where."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from pvc.errors import PvcError, UsageProblem
from pvc.fsm.draw.dot import dot
from pvc.fsm.draw.markdown import reference, section
from pvc.fsm.draw.mermaid import mermaid
from pvc.fsm.draw.now import NEVER, Now
from pvc.fsm.draw.words import drawn_with
from pvc.fsm.tables import TABLES

# Each format, and how its files end.
FORMATS = {"dot": (".dot", ".gv"), "svg": (".svg",), "png": (".png",), "mermaid": (".mmd", ".mermaid"), "md": (".md",)}
HINT = "pvc fsm diagram -h"


def draw_one(machine: str | None, output: Path | None, kind: str | None, guards: bool, now: Now = NEVER) -> None:
    """Write one picture, of one machine or of all, to a file or to the terminal."""
    kind = kind or (_format_of(output) if output else "dot")
    if output is None and kind == "png" and sys.stdout.isatty():
        raise UsageProblem("a PNG on a terminal is noise", "pvc fsm diagram -o FILE.png")
    _check_marks(kind, now)
    content = build(machine, kind, guards=guards, now=now)
    if output is None:
        click.echo(content, nl=False)
    else:
        _write(output, content)


def draw_all(machines: Sequence[str], folder: Path, kind: str | None, guards: bool, now: Now = NEVER) -> None:
    """Write one file per machine into a directory."""
    if kind is None:
        raise UsageProblem(f"{folder} is a directory, so nothing says in which format to draw", f"--format {'|'.join(FORMATS)}")
    _check_marks(kind, now)
    for machine in machines:
        _write(folder / f"{machine}{FORMATS[kind][0]}", build(machine, kind, guards=guards, now=now))


def _check_marks(kind: str, now: Now) -> None:
    if now != NEVER and kind in ("md", "mermaid"):
        raise UsageProblem(f"{kind} shows no moment", "--format dot, svg or png")


def build(machine: str | None, kind: str, *, guards: bool = False, now: Now = NEVER) -> bytes:
    """The content of one file: of one machine, or of all when none is named."""
    tables = drawn_with(machine) if machine else tuple(TABLES.values())
    if kind == "md":
        return (section(TABLES[machine]) if machine else reference(tables)).encode()
    if kind == "mermaid":
        return mermaid(tables, guards=guards).encode()
    text = dot(machine or "pvc", tables, guards=guards, now=now)
    if kind == "dot":
        return text.encode()
    from pvc.cli.picture import render

    return render(text, kind)


def _format_of(output: Path) -> str:
    for kind, suffixes in FORMATS.items():
        if output.suffix.lower() in suffixes:
            return kind
    known = ", ".join(suffix for suffixes in FORMATS.values() for suffix in suffixes)
    raise UsageProblem(f'the name "{output}" does not say which format to write; known endings: {known}', f"{HINT}, or add --format")


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise PvcError(f"cannot write {path}: {error.strerror}", "choose another file with -o") from error
