"""Whatever asks for an admin stands in the alarms of docs/operations.md: what `pvc status` and `pvc doctor` find, what daemons complain of.

The page quotes what is said, without the names and numbers in it; so a phrase of the page is looked for in the sentences of the code, which
are read, not run: none is forgotten because no test makes it be said.
"""

import ast
import re
from itertools import product
from pathlib import Path

import pytest

from pvc.fsm.tables import TABLES

ROOT = Path(__file__).parent.parent
SECTION = "## Every alarm, and what to do"
FINDINGS = ["pvc/client/attention.py", "pvc/client/checkup.py", "pvc/cli/doctor.py"]
DAEMON = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "pvc/daemon").glob("*.py"))
SERIOUS = {"WARNING", "PROBLEM"}
COMPLAINTS = {"warning", "error", "critical"}
HOLE = "\0"


def alarms(text):
    """The phrases that the page quotes where it says what you see, and the states that it names there."""
    section = text.partition(SECTION)[2].partition("\n## ")[0]
    seen = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| ") and not line.startswith(("| you see", "| ---"))]
    quoted = {phrase for cell in seen for phrase in re.findall(r'"([^"]+)"', cell)}
    return quoted, {word for cell in seen for word in re.findall(r"^\| `(\w+)`", cell)}


def said(expression, function):
    """All that an expression may say, with a hole where a value stands."""
    match expression:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(words) for words in product(*(said(part, function) for part in parts))]
        case ast.FormattedValue(value=inner):
            return said(inner, function)
        case ast.IfExp(body=one, orelse=other):
            return said(one, function) + said(other, function)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return ["".join(words) for words in product(said(left, function), said(right, function))]
        case ast.Name(id=name):
            assigned = [node.value for node in ast.walk(function) if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name]
            others = [value for value in assigned if name not in {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}]
            return [words for value in others for words in said(value, function)] or [HOLE]
    return [HOLE]


def calls(path):
    """Every call in a file, and the function that it stands in."""
    tree = ast.parse((ROOT / path).read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [(node, function) for function in functions for node in ast.walk(function) if isinstance(node, ast.Call)]


def findings(path):
    """What stands in findings that are not fine."""
    for call, function in calls(path):
        if ast.unparse(call.func) == "Finding" and SERIOUS & {node.id for node in ast.walk(call.args[0]) if isinstance(node, ast.Name)}:
            yield from said(call.args[2], function)


def complaints(path):
    """What a daemon says with a warning, or worse."""
    for call, function in calls(path):
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "log" and call.func.attr in COMPLAINTS:
            yield from (re.sub(r"%\w", HOLE, words) for words in said(call.args[0], function))


def untold(sentences, phrases):
    """The sentences that say something, and that no phrase of the page is part of."""
    telling = {words for words in sentences if re.search(r"[a-z]{3}", words.replace(HOLE, " "))}
    return sorted(words.replace(HOLE, "…") for words in telling if not any(phrase in words for phrase in phrases))


def strings(folder):
    """Every string in the code of a folder."""
    trees = (ast.parse(path.read_text()) for path in (ROOT / folder).rglob("*.py"))
    return {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


PHRASES, STATES = alarms((ROOT / "docs/operations.md").read_text())


@pytest.mark.parametrize("path", FINDINGS)
def test_each_finding_that_is_not_fine_is_on_the_page(path):
    assert untold(findings(path), PHRASES) == []


def test_each_complaint_of_a_daemon_is_on_the_page():
    assert untold([words for path in DAEMON for words in complaints(path)], PHRASES) == []


def test_the_page_quotes_nothing_that_is_not_said():
    known = strings("pvc")
    assert sorted(phrase for phrase in PHRASES if not any(phrase in text for text in known)) == []


def test_the_states_on_the_page_exist():
    assert STATES - {str(state.name) for table in TABLES.values() for state in table.states} == set()


def test_a_sentence_is_found_with_all_that_it_may_say():
    code = 'def f():\n    what = f"a {x}"\n    yield Finding(WARNING, n, f"{what} {\'bad\' if y else \'worse\'}" + d())\n'
    function = ast.parse(code).body[0]
    (call,) = [node for node in ast.walk(function) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Finding"]
    words = said(call.args[2], function)
    assert words == [f"a {HOLE} bad{HOLE}", f"a {HOLE} worse{HOLE}"]
    assert untold(words, {" bad"}) == ["a … worse…"]
