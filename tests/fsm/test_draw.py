"""The pictures and the reference made from the rows: complete, readable by their programs, and always the same bytes."""

import re
import subprocess
import sys
from dataclasses import replace

import pytest

from pvc.fsm.domain import DOMAIN
from pvc.fsm.draw import words
from pvc.fsm.draw.arcs import arcs, few_loops, frames, loops, own_stays, shared_stays, stays
from pvc.fsm.draw.dot import dot
from pvc.fsm.draw.markdown import reference, section
from pvc.fsm.draw.mermaid import UNSAFE, mermaid
from pvc.fsm.draw.palette import COLOURS, GLYPHS, HEADS
from pvc.fsm.row import Guard, Row, by_name
from pvc.fsm.states import By
from pvc.fsm.tables import TABLES

MACHINES = sorted(TABLES)
BUILDERS = {"dot": lambda tables: dot("x", tables), "mermaid": mermaid, "md": reference}


def shown_moves(table):
    """Every move that the arrows of a picture stand for: row, source, destination, with frames taken apart."""
    for arc in arcs(table, framed=True):
        for row in arc.rows:
            sources = arc.source if isinstance(arc.source, tuple) else (arc.source,)
            yield from ((row, source, arc.dest) for source in sources)


def declared_moves(table):
    return {(row, source, row.dest) for row in table.rows for source in row.source if not stays(row, source)}


@pytest.mark.parametrize("machine", MACHINES)
def test_a_picture_shows_each_move_of_each_row_and_no_other(machine):
    table = TABLES[machine]
    shown = {(row, source, dest) for row, source, dest in shown_moves(table) if source in row.source}
    assert shown == declared_moves(table)
    # Two rows of one way out may share the states of a frame between them, so the way, not the row, is what a frame promises.
    ways = {(row.trigger, row.by, source, dest) for row, source, dest in shown_moves(table)}
    assert ways == {(row.trigger, row.by, source, dest) for row, source, dest in declared_moves(table)}


@pytest.mark.parametrize("machine", MACHINES)
def test_a_row_that_stays_is_said_exactly_once(machine):
    table = TABLES[machine]
    on_frames = {(row, state) for frame in frames(table) for row in shared_stays(table, frame) for state in frame}
    in_states = {(row, state.name) for state in table.states for row in own_stays(table, state.name)}
    on_loops = {(row, arc.source) for arc in loops(table) for row in arc.rows}
    assert on_frames & in_states == set()
    assert on_frames | in_states == {(row, state) for row in table.rows for state in row.source if stays(row, state)}
    assert on_loops == in_states


@pytest.mark.parametrize("machine", MACHINES)
def test_frames_are_apart_and_worth_their_ink(machine):
    table = TABLES[machine]
    framed = [state for frame in frames(table) for state in frame]
    assert len(framed) == len(set(framed))
    spared = len(arcs(table, framed=False)) - len(arcs(table, framed=True))
    assert bool(frames(table)) == (spared > 0)


@pytest.mark.parametrize("form", BUILDERS)
def test_the_same_rows_give_the_same_bytes_in_every_process(form):
    probe = "import sys; from pvc.cli.fsm_diagram import build; sys.stdout.buffer.write(build(None, sys.argv[1]))"
    runs = [
        subprocess.run([sys.executable, "-c", probe, form], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] != b""


@pytest.mark.parametrize("machine", MACHINES)
def test_the_order_of_rows_does_not_change_a_picture(machine):
    table = TABLES[machine]
    turned = replace(table, rows=tuple(reversed(table.rows)))
    without_why = re.compile(r'tooltip="[^"]*"')
    assert without_why.sub("", dot("x", [turned])) == without_why.sub("", dot("x", [table]))
    assert mermaid([turned]) == mermaid([table])


def visible(text):
    """The words a reader sees in a DOT text: labels, without their markup."""
    return set(re.sub(r"<[^>]*>", " ", " ".join(re.findall(r"label=<(.*?)>(?:,|\])", text))).split())


def test_the_node_picture_shows_the_words_that_its_users_know():
    assert {"init", "run", "stop", "flush", "dead"} <= visible(dot("node", words.drawn_with("node")))


def test_the_domain_picture_shows_the_words_that_its_users_know():
    assert {"start", "stop", "migrate", "failed"} <= visible(dot("domain", words.drawn_with("domain")))


def test_a_word_in_a_tooltip_alone_is_not_visible():
    assert visible('"a" [label=<<B>stop</B>>, tooltip="run"];') == {"stop"}


@pytest.mark.parametrize("machine", MACHINES)
def test_every_state_trigger_and_actor_is_visible(machine):
    table = TABLES[machine]
    seen = visible(dot(machine, [table]))
    plain = {word.strip("*,") for word in seen}
    assert {str(state.name) for state in table.states} <= seen
    assert set(table.triggers) <= plain
    assert {by_name(role) for role in By if any(role & row.by for row in table.rows)} <= plain


def test_guards_are_drawn_on_request_only():
    assert "[joined; told to stop]" in dot("node", [TABLES["node"]], guards=True)
    assert "told to stop" not in re.sub('tooltip="[^"]*"', "", dot("node", [TABLES["node"]]))


def test_a_row_that_commits_with_another_machine_is_starred_on_both_sides():
    assert "migrate*" in visible(dot("domain", [DOMAIN]))
    assert {"ask*", "drop*"} <= visible(dot("migration", [TABLES["migration"]]))
    assert "accept" in visible(dot("migration", [TABLES["migration"]]))


@pytest.mark.parametrize("machine", MACHINES)
def test_loops_are_dashed_and_nothing_else_is(machine):
    table = TABLES[machine]
    edges = [line.strip() for line in dot(machine, [table]).splitlines() if " -> " in line]
    dashed = {line for line in edges if "style=dashed" in line}
    loop = {line for line in edges if re.match(r'("[^"]*") -> \1 ', line)}
    assert dashed == loop
    assert bool(loop) == bool(few_loops(table) and loops(table))


@pytest.mark.parametrize("machine", MACHINES)
def test_resting_and_final_states_look_different(machine):
    table = TABLES[machine]
    lines = dot(machine, [table]).splitlines()
    for state in table.states:
        (line,) = [line for line in lines if line.strip().startswith(f'"{machine}.{state.name}" [')]
        assert ("#fff3bf" in line) == (state.rests and not state.final)
        assert ("peripheries=2" in line) == state.final


def test_every_actor_has_a_colour_a_head_and_a_glyph_of_its_own():
    for looks in (COLOURS, HEADS, GLYPHS):
        assert set(looks) == set(By)
        assert len(set(looks.values())) == len(By)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("guards", [False, True])
def test_dot_names_no_state_that_it_does_not_declare(machine, guards):
    text = dot(machine, words.drawn_with(machine), guards=guards)
    declared = set(re.findall(r'^ *("[^"]+") \[', text, re.MULTILINE))
    used = set(re.findall(r'("[^"]+") -> ', text)) | set(re.findall(r'-> ("[^"]+")', text))
    assert used <= declared
    assert text.count("{") == text.count("}")


def odd_table():
    """A table whose words mean something to every format."""
    odd = Guard('a < b & "c": d; e #1 {f} | g', lambda v: True, "no {v.me} < | > {v.life.owner}")
    source = DOMAIN.rows[0]
    row = Row("start", source.source, source.dest, source.by, (odd,), {}, (), 'why "quoted" \\ <b> | & why')
    return replace(DOMAIN, rows=(row, *DOMAIN.rows[1:]))


def test_dot_escapes_what_graphviz_would_read_otherwise():
    text = dot("odd", [odd_table()], guards=True)
    assert "a &lt; b &amp;" in text
    assert 'why \\"quoted\\" \\\\ <b>' in text


def mermaid_lines(text):
    return [line.strip() for line in text.splitlines()[1:] if line.strip() and not line.strip().startswith("%%")]


MERMAID_LINE = re.compile(
    r'direction TB|classDef rests \S+|class \w+ rests|state "\w+" as \w+( \{)?|\}|(\[\*\]|\w+) --> (\[\*\]|\w+)( : [^:;#{}"]+)?'
)
# Words that Mermaid keeps for itself, in any case.
RESERVED = {"state", "end", "note", "direction", "class", "classdef", "as", "default", "style", "click", "title", "hide", "scale", "fork"}


@pytest.mark.parametrize("guards", [False, True])
def test_mermaid_is_made_of_lines_that_mermaid_understands(guards):
    for tables in ([odd_table()], list(TABLES.values()), *([table] for table in TABLES.values())):
        text = mermaid(tables, guards=guards)
        assert text.startswith("stateDiagram-v2\n")
        assert [line for line in mermaid_lines(text) if not MERMAID_LINE.fullmatch(line)] == []


def test_mermaid_uses_no_word_of_its_own_as_a_state():
    text = mermaid(list(TABLES.values()))
    names = set(re.findall(r' as (\w+)|class (\w+) rests|(\w+) -->|--> (\w+)', text))
    used = {name.lower() for group in names for name in group if name}
    assert used & RESERVED == set()


@pytest.mark.parametrize("machine", MACHINES)
def test_mermaid_declares_each_state_once_and_uses_no_other(machine):
    text = mermaid([TABLES[machine]])
    declared = re.findall(r" as (\w+)", text)
    assert sorted(declared) == sorted(f"{machine}_{state.name}" for state in TABLES[machine].states)
    assert set(re.findall(r"(\w+) -->", text)) | set(re.findall(r"--> (\w+)", text)) <= set(declared)


def test_mermaid_replaces_each_character_that_would_end_a_label():
    assert not set("".join(UNSAFE.values())) & set(UNSAFE)


def broken_tables(text):
    """Lines of Markdown tables that have another number of cells than their head."""
    wrong, cells = [], None
    for line in text.splitlines():
        if not line.startswith("|"):
            cells = None
            continue
        count = len(re.findall(r"(?<!\\)\|", line))
        cells = cells or count
        if count != cells or not line.endswith("|"):
            wrong.append(line)
    return wrong


def test_a_broken_table_is_noticed():
    assert broken_tables("| a | b |\n| --- | --- |\n| c |\n") == ["| c |"]


def test_markdown_tables_are_well_formed():
    assert broken_tables(reference(list(TABLES.values()))) == []
    assert broken_tables(section(odd_table())) == []


def test_the_reference_says_everything():
    text = reference(list(TABLES.values()))
    for table in TABLES.values():
        assert words.headline(table) in text.replace("`", "")
        assert all(f"### {table.name}: {state.name}\n\n{state.meaning}" in text for state in table.states)
        assert all(row.why in text for row in table.rows)
        assert all(guard.name in text for row in table.rows for guard in row.guards)
        assert all(words.refusal(table, trigger, "*state*") in text for trigger in table.triggers)


def test_the_reference_warns_whoever_would_edit_it():
    assert "do not edit" in reference(list(TABLES.values())).splitlines()[0]
    assert "do not edit" in section(DOMAIN).splitlines()[0]


def test_no_placeholder_is_left_in_a_sentence():
    for table in TABLES.values():
        assert [words.reason(guard) for row in table.rows for guard in row.guards if "{" in words.reason(guard)] == []
        assert [trigger for trigger in table.triggers if "{" in words.refusal(table, trigger, "x")] == []


def test_a_partner_is_named_from_both_sides():
    node, fence = TABLES["node"], TABLES["fence"]
    assert words.partner(node, node.rows_for("join")[0]) == "fence.clear"
    assert words.partner(fence, fence.rows_for("clear")[0]) == "node.join"
    assert words.partner(TABLES["migration"], TABLES["migration"].rows_for("drop")[0]) == "a row of domain"
    assert words.partner(fence, fence.rows_for("read")[0]) == ""


def test_a_state_lists_what_it_refuses():
    assert words.refused(TABLES["flush"], TABLES["flush"].initial) == ["called", "flushed"]
