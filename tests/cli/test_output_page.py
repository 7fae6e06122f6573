"""`docs/output.md` says what `pvc -o json` prints."""

import json
import re
from pathlib import Path

import click
import pytest

from pvc.cli.main import main

PAGE = (Path(__file__).parent.parent.parent / "docs/output.md").read_text()
VM, NODE, TRANSITION, FINDING, LOSS = "VM", "node", "transition", "finding", "loss"


def told(what):
    """The fields that the page gives to a kind of object, in the paragraph that begins with it."""
    (paragraph,) = [one for one in PAGE.split("\n\n") if re.match(rf"An? \*{what}\* has", one)]
    sentence = paragraph.partition("; or")[0] if what == NODE else paragraph.partition(": as in")[0]
    return set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", sentence)))


def named(cell):
    """The commands that a row of the table is about: a word by itself belongs to the group of the one before it."""
    words = [one.split() for one in re.findall(r"`([a-z -]+)`", cell)]
    return {" ".join(one if len(one) > 1 or len(words[0]) == 1 else [words[0][0], *one]) for one in words}


def row(command):
    """The fields that the table gives to a command."""
    (found,) = [line for line in PAGE.splitlines() if line.startswith("| `") and command in named(line.split(" | ")[0])]
    return set(re.findall(r"`(\w+)`", found.split(" | ")[1].partition(";")[0].partition(", with")[0]))


@pytest.fixture
def data(pvc, web1):
    """What a command prints."""
    pvc("vm", "start", web1)
    return lambda *words: json.loads(pvc(*words, "-o", "json").out)


COMMANDS = [
    ("vm list", ()), ("vm info", ("web1",)), ("vm history", ("web1",)), ("vm explain", ("web1",)),
    ("node list", ()), ("node info", ("hv1",)), ("node explain", ("hv1",)), ("node history", ("hv1",)), ("node flush", ("hv1", "--yes")),
    ("events", ()), ("status", ()), ("doctor", ()), ("cluster info", ()), ("hold on", ()),
    ("vm migrate", ("web1",)), ("plan fail", ("hv1",)), ("fsm verify-trace", ()),
    ("config show", ()), ("fsm list", ()), ("fsm show", ("node",)), ("fsm explain", ("domain", "place", "claim")),
]  # fmt: skip


@pytest.mark.parametrize(("command", "arguments"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_a_command_prints_the_fields_of_the_page(data, command, arguments):
    assert data(*command.split(), *arguments).keys() - {"version"} == row(command)


def forms(command, context, path=()):
    """Every command with the option -o, as it is typed."""
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from forms(command.get_command(context, name), context, (*path, name))
    elif any(isinstance(one.type, click.Choice) and "yaml" in one.type.choices for one in command.params):
        yield " ".join(path)


@pytest.mark.parametrize("command", sorted(set(forms(main, click.Context(main))) - {"top"}))
def test_every_command_that_prints_for_programs_is_on_the_page(command):
    assert row(command)


def test_the_objects_have_the_fields_of_the_page(data):
    assert set(data("vm", "info", "web1")["vm"]) == told(VM)
    assert set(data("node", "list")["nodes"][0]) == told(NODE)
    assert set(data("vm", "history", "web1")["history"][0]) == told(TRANSITION)
    assert set(data("doctor")["findings"][0]) == told(FINDING)
    assert set(data("status")["losses"][0]) == told(LOSS)
    explained = data("vm", "explain", "web1")
    last = PAGE[PAGE.index("In `next` of") :]
    assert all(f"`{name}`" in last for name in (*explained["next"][0], *explained["commands"]["start"], *explained["nodes"]["hv1"]))


def test_every_exit_code_of_ours_is_on_the_page():
    from pvc import errors
    from pvc.cli.following import Interrupted

    codes = {one.exit_code for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.PvcError)}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)} == {0, Interrupted.exit_code, *codes}
