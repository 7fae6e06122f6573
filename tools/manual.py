"""Writes the manual pages of `pvc`, one for each command, from what the commands say of themselves: python3 tools/manual.py FOLDER."""

import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click

from pvc import __version__
from pvc.cli.main import main

EXIT = (
    ("0", "It is done."),
    ("1", "It failed, or was refused; the reason was said."),
    ("2", "The command line cannot be understood."),
    ("3", "There is no such VM or node."),
    ("4", "It still goes on after the time that was allowed for it."),
    ("5", "ZooKeeper does not answer."),
    ("130", "It was interrupted."),
)


def pages(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Each command below this one, by the name of its page, and the page."""
    name = context.command_path.replace(" ", "-")
    subcommands = {}
    if isinstance(command, click.Group):
        found = ((sub, command.get_command(context, sub)) for sub in command.list_commands(context))
        subcommands = {sub: below for sub, below in found if below is not None and not below.hidden}
    yield name, "\n".join(page(command, context, subcommands)) + "\n"
    for sub, below in subcommands.items():
        yield from pages(below, click.Context(below, parent=context, info_name=sub))


def root() -> click.Context:
    """Where all commands hang, with the settings that they inherit: click keeps what it once found, as the names of the help option."""
    return click.Context(main, info_name="pvc", **main.context_settings)


def page(command: click.Command, context: click.Context, subcommands: dict[str, click.Command]) -> Iterator[str]:
    """The lines of one page."""
    path = context.command_path
    name = path.replace(" ", "-")
    summary = command.get_short_help_str(200).rstrip(".")
    yield f'.TH "{name.upper()}" 1 "" "PVC {__version__}" "PVC"'
    yield from (".SH NAME", f"{plain(name)} \\- {plain(summary)}", ".SH SYNOPSIS")
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".B {plain(path)}\n{plain(usage)}"
    yield from (".SH DESCRIPTION", *described(cleandoc(command.help or "")))
    yield from listed("OPTIONS", [record for one in command.get_params(context) if (record := one.get_help_record(context))])
    yield from listed("COMMANDS", [(sub, f"{below.get_short_help_str(200)} See {name}-{sub}(1).") for sub, below in subcommands.items()])
    yield from listed("EXIT STATUS", list(EXIT))
    yield ".SH SEE ALSO"
    above = context.parent.command_path.replace(" ", "-") if context.parent else ""
    yield plain(f"{above}(1)" if above else "pvcd(8)")


def described(text: str) -> Iterator[str]:
    """Help text by paragraphs; after a line with a backspace the lines are kept as they are, as examples are written."""
    for paragraph in text.replace("\f", "\n\n").split("\n\n"):
        lines = paragraph.strip("\n").splitlines()
        kept = bool(lines) and lines[0].strip() == "\b"
        body = [plain(line) for line in (lines[1:] if kept else lines)]
        yield from (".PP", *([".nf", *body, ".fi"] if kept else body))


def listed(title: str, records: list[tuple[str, str]]) -> Iterator[str]:
    """A section of words, each with what it means; nothing where there is none."""
    if records:
        yield f".SH {title}"
    for word, meaning in records:
        yield from (".TP", f".B {plain(word)}", plain(meaning) or "\\&")


def plain(text: str) -> str:
    """Text in which roff finds no command of its own."""
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{safe}" if safe.startswith(".") else safe


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for title, text in pages(main, click.Context(main, info_name="pvc", **main.context_settings)):
        (folder / f"{title}.1").write_text(text, encoding="utf-8")
