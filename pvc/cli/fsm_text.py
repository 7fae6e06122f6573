"""What `pvc fsm show`, `explain` and `list` print: lines that fit the terminal, aligned, with an actor always in its own colour."""

import re
from collections.abc import Iterable, Iterator

import click

from pvc.cli.screen import aligned, hanging
from pvc.errors import Refused
from pvc.fsm import row as rows_of
from pvc.fsm.draw.words import JOINT, about, assignments, destination, headline, is_joint, mark, partner, reason, refused, rest
from pvc.fsm.row import Row, Table, by_name, roles_in
from pvc.fsm.states import By, Word
from pvc.fsm.tables import TABLES

INK = {
    By.CLIENT: "blue", By.OWNER: "green", By.TARGET: "yellow", By.HOME: "bright_yellow",
    By.HOST: "bright_magenta", By.FENCER: "red", By.PEER: "magenta", By.SESSION: "cyan",
}  # fmt: skip
_INK_OF = {by_name(by): INK[roles_in(by)[0]] for table in TABLES.values() for by in {row.by for row in table.rows}}
_ACTOR = re.compile(f"  ({'|'.join(sorted(_INK_OF, key=len, reverse=True))})  ")
EVERYBODY = By(sum(By))
STATE_INDENT, DETAIL_INDENT = " " * 2, " " * 6


def machines_lines(tables: Iterable[Table], columns: int) -> list[str]:
    """One line per machine."""
    heads = ("machine", "states", "rows", "what it is")
    return aligned([heads, *((table.name, str(len(table.states)), str(len(table.rows)), headline(table)) for table in tables)], columns)


def machine_lines(table: Table, columns: int) -> list[str]:
    """Every state with its meaning, and where each actor leads from there."""
    lines = [_bold(table.name), *_paragraphs(about(table).replace("`", ""), columns)]
    exits = {state.name: _exits(table, state.name) for state in table.states}
    everywhere = [cells for ways in exits.values() for cells in ways]
    for name, ways in exits.items():
        lines += ["", _bold(str(name)), *hanging(STATE_INDENT, _meaning(table, name), columns)]
        lines += _inked(aligned(ways, columns, everywhere))
    if any(is_joint(table, row) for row in table.rows):
        lines += ["", f"{JOINT} commits together with a row of another machine"]
    return [*lines, "", f"More about one of them: pvc fsm show {table.name} STATE"]


def state_lines(table: Table, name: Word, columns: int) -> list[str]:
    """Everything that is declared about one state."""
    here = sorted((row for row in table.rows if name in row.source), key=lambda row: row.dest is None)
    lines = [_bold(f"{table.name}: {name}"), *hanging(STATE_INDENT, _meaning(table, name), columns)]
    for row in here:
        lines += ["", *_row_lines(table, row, here, columns)]
    missing = refused(table, name)
    return [*lines, "", *(hanging("Refused here: ", ", ".join(missing) + ".", columns) if missing else ["Nothing is refused here."])]


def explanation(table: Table, name: Word, trigger: str, by: By | None, columns: int) -> list[str]:
    """The rows that may fire, each guard with what is read when it does not hold.

    Raises Refused with the declared reason when there is none.
    """
    actors = by or EVERYBODY
    here = [row for row in table.rows_for(trigger) if row.by & actors and name in row.source]
    if not here:
        # Without a row no guard is asked, so there is nothing to look at.
        answer = rows_of.explain(table, name, trigger, actors, None)
        raise Refused(f"refused: {answer.reason}.", f"pvc fsm show {table.name} {name}")
    lines: list[str] = []
    for row in here:
        lines += [*([""] if lines else []), *_row_lines(table, row, here, columns, sentences=True)]
    return lines


def _exits(table: Table, name: Word) -> list[tuple[str, str, str]]:
    """Destination, actor and triggers of every way out, those that stay last."""
    ways: dict[tuple[str, By], set[str]] = {}
    for row in sorted((row for row in table.rows if name in row.source), key=lambda row: row.dest is None):
        ways.setdefault((destination(row), row.by), set()).add(mark(table, row))
    return [(STATE_INDENT + _arrow(dest), by_name(by), ", ".join(sorted(words))) for (dest, by), words in ways.items()]


def _row_lines(table: Table, row: Row, together: list[Row], columns: int, *, sentences: bool = False) -> Iterator[str]:
    """One row: its trigger, destination and actor, aligned with the rows shown together with it, and below these the rest of it."""
    first = max(len(other.trigger) for other in together)
    second = max(len(_arrow(destination(other))) for other in together)
    head = f"{STATE_INDENT}{_bold(row.trigger.ljust(first))}  {_arrow(destination(row)).ljust(second)}  "
    yield head + click.style(by_name(row.by), fg=INK[roles_in(row.by)[0]])
    for label, text in _details(table, row, sentences):
        yield from hanging(f"{DETAIL_INDENT}{label:<9}", text, columns)


def _details(table: Table, row: Row, sentences: bool) -> Iterator[tuple[str, str]]:
    yield "why", row.why
    if sentences:
        for number, guard in enumerate(row.guards):
            yield "and" if number else "only if", f"{guard.name}; otherwise: {reason(guard)}"
    elif row.guards:
        yield "only if", "; ".join(guard.name for guard in row.guards)
    if row.sets:
        yield "sets", "; ".join(assignments(row))
    if row.effects:
        yield "orders", ", ".join(map(str, row.effects))
    if partner(table, row):
        yield "with", partner(table, row)


def _meaning(table: Table, name: Word) -> str:
    state = table.state(name)
    more = rest(state)
    return f"{state.meaning} {more[:1].upper()}{more[1:]}{'.' if more else ''}".strip()


def _arrow(dest: str) -> str:
    return dest if dest == "stays" else f"-> {dest}"


def _paragraphs(text: str, columns: int) -> list[str]:
    return [line for paragraph in text.split("\n\n") for line in hanging("", " ".join(paragraph.split()), columns)]


def _inked(lines: list[str]) -> list[str]:
    """The lines with actors, where they stand in a column of their own, in their colours."""
    return [_ACTOR.sub(lambda found: f"  {click.style(found[1], fg=_INK_OF[found[1]])}  ", line, count=1) for line in lines]


def _bold(text: str) -> str:
    return click.style(text, bold=True)
