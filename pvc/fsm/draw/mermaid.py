"""Mermaid's state diagrams, which code hosts draw by themselves.

Every state gets an alias: words such as ``end`` or ``state`` are Mermaid's own. There are no frames, because Mermaid cannot draw an arrow
between the insides of two of them.
"""

from collections.abc import Iterator, Sequence

from pvc.fsm.draw.arcs import Arc, arcs, few_loops, loops
from pvc.fsm.draw.words import mark
from pvc.fsm.row import Row, Table, by_name
from pvc.fsm.states import Word

# Mermaid ends a description at these, or reads them as entities.
UNSAFE = {":": " -", ";": ",", "#": "no.", "{": "(", "}": ")", "<": "(", ">": ")", '"': "'"}


def mermaid(tables: Sequence[Table], *, guards: bool = False) -> str:
    """Return the diagram of these machines, each in a box of its own when there are several."""
    lines = ["stateDiagram-v2", "    direction TB", "    classDef rests fill:#fff3bf,stroke:#444444,stroke-width:2px"]
    for table in tables:
        body = list(_machine(table, guards))
        lines += [f'    state "{table.name}" as {table.name} {{', *(f"    {line}" for line in body), "    }"] if len(tables) > 1 else body
    # A class is given outside of boxes: inside of one Mermaid 10 takes the line for a state.
    lines += [f"    class {_alias(table, state.name)} rests" for table in tables for state in table.states if state.rests]
    return "\n".join([*lines, ""])


def _machine(table: Table, guards: bool) -> Iterator[str]:
    if not few_loops(table):
        yield "    %% Rows that stay in their state are left out, for the picture's sake."
    for state in table.states:
        yield f'    state "{state.name}" as {_alias(table, state.name)}'
    yield f"    [*] --> {_alias(table, table.initial)}"
    for arc in (*arcs(table, framed=False), *(loops(table) if few_loops(table) else ())):
        yield f"    {_alias(table, arc.source)} --> {_alias(table, arc.dest)} : {_label(table, arc, guards)}"
    for state in table.states:
        if state.final:
            yield f"    {_alias(table, state.name)} --> [*]"


def _label(table: Table, arc: Arc, guards: bool) -> str:
    rows = sorted(arc.rows, key=lambda row: (row.by, row.trigger))
    if guards:
        return "<br/>".join(dict.fromkeys(_guarded(table, row) for row in rows))
    by_actor = {by_name(row.by): sorted({mark(table, other) for other in rows if other.by == row.by}) for row in rows}
    return "<br/>".join(_safe(f"{', '.join(words)} ({who})") for who, words in by_actor.items())


def _guarded(table: Table, row: Row) -> str:
    conditions = f" [{', '.join(guard.name for guard in row.guards)}]" if row.guards else ""
    return _safe(f"{mark(table, row)} ({by_name(row.by)}){conditions}")


def _alias(table: Table, state: Word | tuple[Word, ...]) -> str:
    return f"{table.name}_{state}"


def _safe(text: str) -> str:
    return "".join(UNSAFE.get(character, character) for character in text)
