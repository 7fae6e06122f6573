"""`pvc fsm` as its users meet it."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from pvc.cli import fsm_text, picture
from pvc.cli.main import main
from pvc.cli.screen import aligned, hanging
from pvc.errors import PvcError
from pvc.fsm.draw.dot import dot
from pvc.fsm.states import By
from pvc.fsm.tables import TABLES

ESCAPE = "\x1b["
STATES = [(table.name, str(state.name)) for table in TABLES.values() for state in table.states]


@pytest.fixture
def pvc(capsys, monkeypatch):
    """Run a command line in this process: returns its exit code, stdout and stderr."""

    def run(*arguments, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(list(arguments), prog_name="pvc")
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


@pytest.fixture
def graphviz_here(require):
    require("graphviz", shutil.which("dot") is not None, "apt install graphviz")


# ---- list and show


def test_list_has_a_line_for_each_machine(pvc):
    code, out, err = pvc("fsm", "list")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(TABLES)


@pytest.mark.parametrize("machine", TABLES)
def test_show_gives_each_state_its_meaning_and_its_exits(pvc, machine):
    table = TABLES[machine]
    code, out, err = pvc("fsm", "show", machine)
    assert (code, err) == (0, "")
    for state in table.states:
        assert f"\n{state.name}\n  {state.meaning}" in out
    exits = {(str(row.dest), row.trigger) for row in table.rows if row.dest is not None}
    lines = out.splitlines()
    assert all(any(line.startswith(f"  -> {dest} ") and trigger in line for line in lines) for dest, trigger in exits)


@pytest.mark.parametrize(("machine", "state"), STATES)
def test_show_of_a_state_says_all_of_each_row(pvc, machine, state):
    table = TABLES[machine]
    code, out, _ = pvc("fsm", "show", machine, state)
    assert code == 0
    here = [row for row in table.rows if state in row.source]
    assert out.count("\n      why ") == len(here)
    for row in here:
        assert f"why      {row.why}\n" in out
        assert all(guard.name in out for guard in row.guards)
        assert all(str(effect) in out for effect in row.effects)
        assert all(f"{name} = " in out for name in row.sets)


@pytest.mark.parametrize(("machine", "state"), [("domain", "start"), ("fence", "evidence")])
@pytest.mark.parametrize("columns", ["80", "100", "160"])
def test_show_fits_the_terminal(pvc, machine, state, columns):
    trigger = TABLES[machine].rows_from(state, ~By(0))[0].trigger
    for arguments in (("show", machine), ("show", machine, state), ("explain", machine, state, trigger)):
        _, out, _ = pvc("fsm", *arguments, COLUMNS=columns)
        assert max(map(len, out.splitlines())) <= int(columns)


def test_columns_are_aligned(pvc):
    _, out, _ = pvc("fsm", "show", "domain", COLUMNS="80")
    starts = {re.match(r"  (?:->|stays) ?\w*\s+", line).end() for line in out.splitlines() if re.match("  (->|stays)", line)}
    assert len(starts) == 1


def test_a_pipe_gets_whole_sentences(pvc, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    _, out, _ = pvc("fsm", "show", "domain", "start")
    longest = max((row for row in TABLES["domain"].rows if "start" in row.source), key=lambda row: len(row.guards))
    assert "; ".join(guard.name for guard in longest.guards) in out


def test_a_pipe_gets_no_colour(pvc):
    assert ESCAPE not in pvc("fsm", "show", "domain")[1]


def coloured(**environment):
    """What `pvc fsm show node` prints when colour is wanted, as on a terminal."""
    return CliRunner().invoke(main, ["fsm", "show", "node"], color=True, env=environment).output


def test_a_terminal_gets_colour():
    assert ESCAPE in coloured(NO_COLOR=None, TERM="xterm")


@pytest.mark.parametrize("plain", [{"NO_COLOR": "1", "TERM": "xterm"}, {"NO_COLOR": None, "TERM": "dumb"}])
def test_no_color_and_a_dumb_terminal_are_honoured(plain):
    assert ESCAPE not in coloured(**plain)


def test_every_actor_has_an_ink():
    assert set(fsm_text.INK) == set(By)


# ---- explain


def test_explain_names_actor_guards_and_what_is_read_when_they_fail(pvc):
    code, out, err = pvc("fsm", "explain", "node", "fencing", "join")
    assert (code, err) == (0, "")
    assert out.startswith("  join  -> init  owner\n")
    assert "nobody holds its fence; otherwise: <by> holds its fence" in out
    assert "with     fence.clear" in out


def test_explain_shows_every_row_that_may_fire(pvc):
    _, out, _ = pvc("fsm", "explain", "domain", "start", "off")
    assert re.findall(r"-> (\w+)", out) == ["stop", "disable", "delete"]


def test_explain_by_an_actor_leaves_the_others_out(pvc):
    _, out, _ = pvc("fsm", "explain", "domain", "conflict", "cleared", "--by", "TARGET")
    assert re.findall(r"^  cleared +-> (\w+) +(\w+)", out, re.MULTILINE) == [(state, "target") for state in ("stop", "disable", "place")]


def test_explain_gives_the_declared_refusal(pvc):
    code, out, err = pvc("fsm", "explain", "domain", "stop", "migrate")
    assert (code, out) == (1, "")
    assert err == f"refused: {TABLES['domain'].refusals['migrate'].format(state='stop')}.\nNext: pvc fsm show domain stop\n"


def test_explain_says_whose_trigger_it_is(pvc):
    code, _, err = pvc("fsm", "explain", "domain", "start", "started", "--by", "client")
    assert code == 1
    assert err.startswith("refused: 'started' is fired by owner alone.")


@pytest.mark.parametrize(("machine", "state"), STATES)
def test_each_trigger_in_each_state_is_explained_or_refused(pvc, machine, state):
    for trigger in TABLES[machine].triggers:
        code, out, err = pvc("fsm", "explain", machine, state, trigger)
        taken = any(state in row.source for row in TABLES[machine].rows_for(trigger))
        assert (code, bool(out), bool(err)) == ((0, True, False) if taken else (1, False, True))


# ---- what does not exist


@pytest.mark.parametrize(
    ("arguments", "code", "guess"),
    [
        (("show", "domian"), 3, "domain"),
        (("show", "domain", "stpo"), 3, "stop"),
        (("explain", "domain", "start", "migrat"), 3, "migrate"),
        (("explain", "domain", "start", "migrate", "--by", "ownr"), 2, "owner"),
        (("diagram", "nod"), 3, "node"),
        (("shwo", "node"), 2, "show"),
        (("diagram", "--format", "pdf"), 2, "png"),
    ],
)
def test_a_typo_is_answered_with_the_nearest_name_and_a_next_step(pvc, arguments, code, guess):
    ended, out, err = pvc("fsm", *arguments)
    assert (ended, out) == (code, "")
    assert guess in err
    assert "\nNext: pvc fsm" in err


# ---- diagram


@pytest.mark.parametrize(
    ("name", "begins"), [("x.dot", b"digraph"), ("x.gv", b"digraph"), ("x.mmd", b"stateDiagram-v2"), ("x.MD", b"<!-- Generated")]
)
def test_the_format_is_what_the_file_is_called(pvc, tmp_path, name, begins):
    assert pvc("fsm", "diagram", "node", "-o", str(tmp_path / name)) == (0, "", "")
    assert (tmp_path / name).read_bytes().startswith(begins)


@pytest.mark.parametrize(("kind", "begins"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_graphviz_draws_pictures(pvc, tmp_path, graphviz_here, kind, begins):
    target = tmp_path / f"x.{kind}"
    assert pvc("fsm", "diagram", "flush", "-o", str(target)) == (0, "", "")
    assert target.read_bytes().startswith(begins)


@pytest.mark.parametrize("guards", [False, True])
@pytest.mark.parametrize("machine", TABLES)
def test_graphviz_accepts_every_picture_without_a_warning(graphviz_here, machine, guards):
    text = dot(machine, [TABLES[machine]], guards=guards)
    done = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_file_the_text_goes_to_stdout(pvc):
    code, out, err = pvc("fsm", "diagram", "domain")
    assert (code, err) == (0, "")
    assert out == dot("domain", [TABLES["domain"]])


def test_no_machine_means_all_in_one_picture(pvc):
    _, out, _ = pvc("fsm", "diagram")
    assert all(f'"cluster_{machine}"' in out for machine in TABLES)


def test_a_directory_gets_a_file_for_each_machine(pvc, tmp_path):
    assert pvc("fsm", "diagram", "-o", str(tmp_path), "--format", "mermaid") == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{machine}.mmd" for machine in TABLES)


def test_guards_are_written_on_request(pvc):
    assert "told to stop" in pvc("fsm", "diagram", "node", "--format", "mermaid", "--guards")[1]
    assert "told to stop" not in pvc("fsm", "diagram", "node", "--format", "mermaid")[1]


@pytest.mark.parametrize("name", ["x.pdf", "x", "."])
def test_a_file_that_does_not_say_its_format_is_refused(pvc, tmp_path, name):
    code, out, err = pvc("fsm", "diagram", "node", "-o", str(tmp_path / name))
    assert (code, out) == (2, "")
    assert "format" in err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_a_sentence(pvc, tmp_path):
    code, _, err = pvc("fsm", "diagram", "node", "-o", str(tmp_path / "missing" / "x.dot"))
    assert code == 1
    assert err.startswith("cannot write ")
    assert "\nNext: " in err


def test_without_graphviz_the_next_step_is_told(pvc, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, err = pvc("fsm", "diagram", "node", "--format", "svg")
    assert (code, out) == (1, "")
    assert 'the program "dot" of Graphviz is not installed here' in err
    assert "Next: apt install graphviz" in err


def test_without_pythons_graphviz_the_next_step_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(PvcError, match="graphviz is not installed") as refused:
        picture.render("digraph {}", "svg")
    assert "apt install python3-graphviz" in refused.value.next_step


def test_text_graphviz_refuses_is_an_error_of_ours(graphviz_here):
    with pytest.raises(PvcError):
        picture.render("digraph {", "svg")


def test_a_png_is_not_thrown_at_a_terminal(pvc, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    code, out, err = pvc("fsm", "diagram", "node", "--format", "png")
    assert (code, out) == (2, "")
    assert "-o FILE.png" in err


def test_an_svg_carries_the_digest_of_its_text_and_no_version(graphviz_here):
    text = dot("flush", [TABLES["flush"]])
    svg = picture.render(text, "svg")
    assert picture.drawn_from(svg) == picture.digest(text)
    assert b"Generated by graphviz" not in svg
    assert picture.drawn_from(b"<svg/>") is None


# ---- completion and imports


def completions(*arguments, begun=""):
    shell = ShellComplete(main, {}, "pvc", "_PVC_COMPLETE")
    return [item.value for item in shell.get_completions(["fsm", *arguments], begun)]


def test_completion_knows_machines_states_triggers_and_actors():
    assert completions("show", begun="f") == ["flush", "fence"]
    assert completions("show", "node", begun="fen") == ["fencing", "fenced"]
    assert completions("explain", "node", "stop", begun="j") == ["join"]
    assert completions("explain", "--by", begun="o") == ["owner"]


def test_no_picture_library_and_no_checker_is_imported_until_needed():
    probe = """
import sys
from pvc.cli.main import main
try:
    main(["fsm", *sys.argv[1:]], prog_name="pvc")
except SystemExit:
    pass
print(sorted({"graphviz", "pvc.cli.check", "pvc.check", "numpy", "kazoo", "transitions"} & set(sys.modules)))
"""
    for arguments in (["-h"], ["list"], ["diagram", "node"]):
        done = subprocess.run([sys.executable, "-c", probe, *arguments], capture_output=True, text=True, check=True, env=os.environ)
        assert done.stdout.splitlines()[-1] == "[]"


# ---- the terminal


def test_text_hangs_below_its_own_beginning():
    assert hanging("a: ", "one two three four five six seven", 23) == ["a: one two three four", "   five six seven"]


def test_the_last_column_takes_the_rest_of_the_line():
    assert aligned([("a", "bb", "c"), ("aaa", "b", "d e")], 40) == ["a    bb  c", "aaa  b   d e"]


def test_columns_are_as_wide_as_those_they_stand_among():
    assert aligned([("a", "b")], 40, [("aaaa", "x")]) == ["a     b"]
