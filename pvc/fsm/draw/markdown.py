"""The state reference as Markdown: what each state means, who leads out of it and when, and why everything else is refused."""

from collections.abc import Iterable, Iterator, Sequence

from pvc.fsm.draw.words import about, assignments, destination, is_joint, partner, reason, refusal, refused, rest
from pvc.fsm.row import Row, State, Table, by_name
from pvc.fsm.states import Word

GENERATED = "<!-- Generated from the rows in pvc/fsm by `make diagrams`: do not edit. -->"

INTRODUCTION = """\
Each machine is a table of rows, and this page is made from them. A row fires when its trigger is called by one of its actors, in one of its
source states, and all its guards hold; it moves the state, sets fields and gives orders in one write. Whatever has no row is refused, with
the reason under *refused*. A row *with* another machine's trigger commits together with it, or not at all. What is set may come from the
situation: `me` is the node of whoever fires the row, `choice` one that a policy picked."""


def reference(tables: Sequence[Table]) -> str:
    """Return the whole page."""
    contents = [f"- [{table.name}](#{table.name})" for table in tables]
    sections = [line for table in tables for line in ("", *_machine(table))]
    return "\n".join([GENERATED, "", "# States", "", INTRODUCTION, "", *contents, *sections, ""])


def section(table: Table) -> str:
    """Return the part of the page on one machine."""
    return "\n".join([GENERATED, "", *_machine(table), ""])


def _machine(table: Table) -> Iterator[str]:
    yield from (f"## {table.name}", "", about(table).replace("``", "`"), "", f"It begins in `{table.initial}`.", "")
    yield from _table(("state", "meaning", "rests"), ((f"`{state.name}`", state.meaning, rest(state)) for state in table.states))
    for state in table.states:
        yield from ("", f"### {table.name}: {state.name}", "", *_state(table, state))
    yield from ("", f"### {table.name}: refused", "", "What an actor reads whose trigger has no row in a state:", "")
    yield from _table(("trigger", "reason"), ((f"`{trigger}`", refusal(table, trigger, "*state*")) for trigger in table.triggers))
    yield from _guards(table)


def _guards(table: Table) -> Iterator[str]:
    found = {guard.name: guard for row in table.rows for guard in row.guards}
    if found:
        what = "What an actor reads when a guard does not hold, and the node records that it read: the write checks their versions."
        yield from ("", f"### {table.name}: guards", "", what, "")
        cells = ((name, reason(guard, "*", "*"), ", ".join(guard.checks)) for name, guard in sorted(found.items()))
        yield from _table(("guard", "otherwise", "checks"), cells)


def _state(table: Table, state: State) -> Iterator[str]:
    yield from (f"{state.meaning} {_sentence(rest(state))}".strip(), "")
    rows = [row for row in table.rows if state.name in row.source]
    if rows:
        heads = ("trigger", "who", "to", "only if", "sets", "orders", "why")
        yield from _table(heads, (_exit(table, row) for row in sorted(rows, key=lambda row: row.dest is None)))
        yield ""
    yield f"Entered by {_entries(table, state.name)}."
    missing = refused(table, state.name)
    if missing:
        yield from ("", f"Refused: {', '.join(f'`{trigger}`' for trigger in missing)}.")


def _exit(table: Table, row: Row) -> tuple[str, ...]:
    dest = destination(row) if row.dest is None else f"**{row.dest}**"
    trigger = f"`{row.trigger}`" + (f" with {partner(table, row)}" if is_joint(table, row) else "")
    conditions = "; ".join(guard.name for guard in row.guards)
    return trigger, by_name(row.by), dest, conditions, "; ".join(assignments(row)), ", ".join(map(str, row.effects)), row.why


def _entries(table: Table, state: Word) -> str:
    """The triggers that lead here from elsewhere."""
    rows = [row for row in table.rows if row.dest == state and set(row.source) - {state}]
    found = sorted({f"`{row.trigger}`" for row in rows})
    return ", ".join([*(["creation"] if state == table.initial else []), *found])


def _sentence(text: str) -> str:
    return f"*{text[0].upper()}{text[1:]}.*" if text else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table without the columns in which nothing is said."""
    cells = [[_cell(cell) for cell in row] for row in rows]
    said = [column for column in range(len(heads)) if any(row[column] for row in cells)]
    yield _line([heads[column] for column in said])
    yield _line(["---"] * len(said))
    yield from (_line([row[column] for column in said]) for row in cells)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
