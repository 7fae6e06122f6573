"""Graphviz's language: a picture of one or more machines, the same bytes for the same rows whatever is installed."""

from collections.abc import Iterable, Iterator, Sequence

from pvc.fsm.draw.arcs import Arc, Frame, arcs, few_loops, frames, loops, own_stays, positions, shared_stays
from pvc.fsm.draw.now import NEVER, Now
from pvc.fsm.draw.palette import COLOURS, GLYPHS, HEADS, SEVERAL, colour, text_colour
from pvc.fsm.draw.words import JOINT, headline, is_joint, mark, marked, partner, wrapped
from pvc.fsm.row import Row, State, Table, by_name, roles_in
from pvc.fsm.states import By, Word

FONT = "Helvetica,Arial,sans-serif"
GRAPH = (
    f'graph [rankdir=TB, compound=true, newrank=true, bgcolor=white, fontname="{FONT}", fontsize=11, nodesep=0.45, ranksep=0.6, pad=0.3]',
    f'node [shape=box, style="rounded,filled", fillcolor=white, color="#444444", fontname="{FONT}", fontsize=14, margin="0.16,0.09"]',
    f'edge [fontname="{FONT}", fontsize=11, arrowsize=0.8, penwidth=1.3]',
)
RESTS = 'fillcolor="#fff3bf", penwidth=2.2'
FINAL = 'fillcolor="#e9e9e9", peripheries=2'
HERE = 'fillcolor="#ffb703", color="#d00000", penwidth=4'
COUNT = "#d00000"
STATE_WIDTH = 30
FRAME_WIDTH = 70
GUARDS_WIDTH = 34


def dot(name: str, tables: Sequence[Table], *, guards: bool = False, now: Now = NEVER) -> str:
    """Return the picture of these machines, side by side when there are several; `now` marks what is so at one moment."""
    lines = [f"digraph {_quoted(name)} {{", *(f"  {line};" for line in GRAPH)]
    for table in tables:
        body = list(_machine(table, guards, now))
        lines += _cluster(f"cluster_{table.name}", table.name, body) if len(tables) > 1 else _indented(body)
    lines.append(f"  {_legend(tables)}")
    return "\n".join([*lines, "}", ""])


def _machine(table: Table, guards: bool, now: Now) -> Iterator[str]:
    framed = {state for frame in frames(table) for state in frame}
    yield f'{_id(table, "")} [shape=point, width=0.14, color="#444444", label="", tooltip="a new record begins here"];'
    for frame in frames(table):
        yield f"subgraph {_quoted(_frame_id(table, frame))} {{"
        nodes = (_node(table, table.state(state), now) for state in frame)
        yield from _indented([_frame_style(table, frame), *nodes, *_way_out(table, frame)])
        yield "}"
    yield from (_node(table, state, now) for state in table.states if state.name not in framed)
    yield f'{_id(table, "")} -> {_id(table, table.initial)} [color="#444444"];'
    drawn = [*arcs(table, framed=True), *(loops(table) if few_loops(table) else ())]
    yield from (_edge(table, arc, guards, now) for arc in drawn)


def _way_out(table: Table, frame: Frame) -> Iterator[str]:
    """An unseen point below the states of a frame, where its arrows down begin: their labels would hide inside of it otherwise."""
    point = _id(table, f"from_{frame[0]}")
    yield f'{point} [shape=point, style=invis, width=0.01, label=""];'
    yield from (f"{_id(table, state)} -> {point} [style=invis];" for state in frame)


def _node(table: Table, state: State, now: Now) -> str:
    stays = () if few_loops(table) else own_stays(table, state.name)
    looks = [f"label=<{_node_label(table, state, stays, now.count(table, state.name))}>", f"tooltip={_quoted(state.meaning)}"]
    if state.rests or state.final:
        looks.append(FINAL if state.final else RESTS)
    if now.is_here(table, state.name):
        looks.append(HERE)
    return f"{_id(table, state.name)} [{', '.join(looks)}];"


def _node_label(table: Table, state: State, stays: Sequence[Row], count: int | None) -> str:
    small = _stay_lines(table, stays, STATE_WIDTH)
    lines = [f'<FONT POINT-SIZE="9" COLOR="{tint}">{_html(line)}</FONT>' for tint, line in small]
    counted = "" if count is None else f'  <FONT COLOR="{COUNT}">{count}</FONT>'
    return "<BR/>".join([f"<B>{_html(state.name)}</B>{counted}", *lines])


def _stay_lines(table: Table, stays: Iterable[Row], width: int) -> Iterator[tuple[str, str]]:
    """The rows that stay, by actor, as short lines in that actor's colour."""
    by_actor: dict[By, list[Row]] = {}
    for row in stays:
        by_actor.setdefault(row.by, []).append(row)
    for by in sorted(by_actor):
        for line in wrapped(f"{by_name(by)}: {', '.join(marked(table, by_actor[by]))}", width):
            yield text_colour(by), line


def _frame_style(table: Table, frame: Frame) -> str:
    shared = _stay_lines(table, shared_stays(table, frame), FRAME_WIDTH)
    stays = [f'<FONT COLOR="{tint}">{_html(line)}</FONT>' for tint, line in shared]
    lines = ["an arrow from this frame: from each state in it", *(["and in each of them, without leaving it:", *stays] if stays else [])]
    label = f'<FONT POINT-SIZE="9" COLOR="#666666">{_left(lines)}</FONT>'
    return f'graph [label=<{label}>, labeljust=l, style="rounded,filled", color="#b8c4d0", fillcolor="#f3f7fa", margin=16];'


def _edge(table: Table, arc: Arc, guards: bool, now: Now) -> str:
    """An arrow; one that leads back is written the other way round, so that a life runs down the page as its states are declared."""
    begin, back = _anchor(table, arc)
    head = HEADS[roles_in(arc.by)[0]]
    looks = [
        f"label=<{_edge_label(table, arc, guards)}>",
        f'color="{_line_colour(arc)}"',
        f"dir=back, arrowtail={head}" if back else f"arrowhead={head}",
        f"tooltip={_quoted(' '.join(dict.fromkeys(row.why for row in arc.rows)))}",
    ]
    if isinstance(arc.source, tuple):
        looks.append(f"{'lhead' if back else 'ltail'}={_quoted(_frame_id(table, arc.source))}")
    if arc.source == arc.dest:
        looks.append("style=dashed")
    if now.came_by(table, arc):
        looks.append("penwidth=5")
    ends = [_id(table, arc.dest), _id(table, begin)] if back else [_id(table, begin), _id(table, arc.dest)]
    return f"{' -> '.join(ends)} [{', '.join(looks)}];"


def _line_colour(arc: Arc) -> str:
    """The colours of all its actors, except on a loop: dashed stripes are a smear."""
    several = len(roles_in(arc.by)) > 1
    return SEVERAL if several and arc.source == arc.dest else colour(arc.by)


def _anchor(table: Table, arc: Arc) -> tuple[Word | str, bool]:
    """The state that an arrow is tied to, and whether it leads back; in a frame, the point below all, or the last state above its end."""
    order = positions(table)
    if not isinstance(arc.source, tuple):
        return arc.source, order[arc.dest] < order[arc.source]
    above = [state for state in arc.source if order[state] < order[arc.dest]]
    if len(above) == len(arc.source):
        return f"from_{above[0]}", False
    return (above[-1], False) if above else (arc.source[0], True)


def _edge_label(table: Table, arc: Arc, guards: bool) -> str:
    rows = sorted(arc.rows, key=lambda row: (row.by, row.trigger))
    lines = (_guarded(table, row) if guards else _coloured(row.by, f" {mark(table, row)} ") for row in rows)
    return "<BR/>".join(dict.fromkeys(lines))


def _guarded(table: Table, row: Row) -> str:
    """The trigger, and below it in small letters what must hold, and the row of another machine that commits with it."""
    conditions = "; ".join(guard.name for guard in row.guards)
    lines = wrapped(f"[{conditions}]", GUARDS_WIDTH) if conditions else []
    lines += [f"with {partner(table, row)}"] if row.joint else []
    small = "".join(f'<BR/><FONT POINT-SIZE="8">{_coloured(row.by, f" {line} ")}</FONT>' for line in lines)
    return f"<B>{_coloured(row.by, mark(table, row))}</B>{small}"


def _coloured(by: By, text: str) -> str:
    return f'<FONT COLOR="{text_colour(by)}">{_html(text)}</FONT>'


def _legend(tables: Sequence[Table]) -> str:
    titles = [f'<FONT POINT-SIZE="13"><B>{_html(table.name)}</B></FONT>  {_html(headline(table))}' for table in tables]
    actors = [role for role in By if any(role & row.by for table in tables for row in table.rows)]
    heads = "   ".join(f'<FONT COLOR="{COLOURS[role]}">{GLYPHS[role]} {by_name(role)}</FONT>' for role in actors)
    notes = f'<FONT COLOR="#666666">{_html("   ".join(_notes(tables)))}</FONT>'
    return f'graph [label=<<FONT POINT-SIZE="10">{_left([*titles, heads, notes])}</FONT>>, labelloc=b, labeljust=l];'


def _notes(tables: Sequence[Table]) -> Iterator[str]:
    """What else a reader has to know, no more than these pictures need."""
    states = [state for table in tables for state in table.states]
    rows = [(table, row) for table in tables for row in table.rows]
    if any(state.rests for state in states):
        yield "yellow: may rest here"
    if any(state.final for state in states):
        yield "double line: the end"
    if any(loops(table) and few_loops(table) for table in tables):
        yield "dashed: stays"
    if any(len(roles_in(arc.by)) > 1 for table in tables for arc in arcs(table, framed=True)):
        yield "striped: any of these actors"
    if any(is_joint(table, row) for table, row in rows):
        yield f"{JOINT} commits together with a row of another machine"


def _left(lines: Iterable[str]) -> str:
    return "".join(f'{line}<BR ALIGN="LEFT"/>' for line in lines)


def _cluster(identifier: str, title: str, body: Sequence[str]) -> list[str]:
    head = f'graph [label=<<B>{_html(title)}</B>>, labeljust=l, style=rounded, color="#999999", margin=16];'
    return _indented([f"subgraph {_quoted(identifier)} {{", *_indented([head, *body]), "}"])


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _id(table: Table, state: Word | str) -> str:
    return _quoted(f"{table.name}.{state}")


def _frame_id(table: Table, frame: Frame) -> str:
    return f"cluster_{table.name}_from_{frame[0]}"


def _quoted(text: str) -> str:
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _html(text: str) -> str:
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
