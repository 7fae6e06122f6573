"""What the README tells a newcomer to type, exists."""

import re
import subprocess
from pathlib import Path

import click
import pytest

from pvc.cli.main import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()

# What an ordinary shell has.
SHELL = {"cd", "git"}


def shell_lines(text):
    """Every command in the code blocks of a Markdown text, without its prompt and its comment."""
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.split("#")[0].strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def named_targets(text):
    """Every `make target` that the text names as present: in code, but not in a row that says planned."""
    lines = [line for line in text.splitlines() if not line.endswith("| planned |")]
    return sorted(set(re.findall(r"`make ([a-z-]+)", "\n".join(lines))))


def complaint_about(line):
    """Why this command would not work, or nothing."""
    words = line.removeprefix(".venv/bin/").split()
    if words[0] == "make":
        done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True)
        return done.stderr if done.returncode else ""
    if words[0] == "pvc":
        name = words[1] if len(words) > 1 else "-h"
        return "" if name.startswith("-") or name in main.list_commands(click.Context(main)) else f"pvc has no {name}"
    return "" if words[0] in SHELL else f"{words[0]} is no command of ours"


@pytest.mark.parametrize("line", ["make no-such-target", "pvc no-such-command", ".venv/bin/pvc no-such-command", "frobnicate"])
def test_a_command_that_does_not_exist_is_noticed(line):
    assert complaint_about(line)


def test_commands_are_found_in_code_blocks():
    assert shell_lines("a\n```sh\nmake test  # all\n```\n```console\n$ pvc -h\n```\n```python\nx\n```\n") == ["make test", "pvc -h"]


def test_a_planned_target_is_not_promised():
    assert named_targets("`make test`\n| the demo: `make demo` | planned |") == ["test"]


@pytest.mark.parametrize("line", shell_lines(README))
def test_each_command_of_the_readme_exists(line):
    assert complaint_about(line) == ""


@pytest.mark.parametrize("target", named_targets(README))
def test_each_target_that_the_readme_names_exists(target):
    assert complaint_about(f"make {target}") == ""
