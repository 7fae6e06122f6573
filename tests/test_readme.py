"""What the README tells a newcomer to type, exists, and answers as it says; and what the documents link to is there."""

import html
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pvc.cli.main import main
from pvc.cluster.domain_xml import check_domain_xml
from pvc.errors import PvcError
from pvc.sim.cluster import SimCluster
from pvc.sim.demo import Chapter, story

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()

DOCUMENTS = ["README.md", "CHANGELOG.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]

# Which documents tell somebody what to type.
GUIDES = [
    "README.md", "docs/first-hour.md", "docs/operations.md", "docs/coming-from.md", "docs/protocol.md", "docs/output.md",
    "docs/simulation.md", "docs/scenarios.md", "docs/lab.md", "docs/fault-matrix.md", "docs/znodes.md", "docs/ARCHITECTURE.md",
]  # fmt: skip

# What an ordinary shell has, and a node.
SHELL = {
    "apt", "cd", "chmod", "cp", "echo", "export", "git", "ipmitool", "journalctl", "mkdir", "pip", "printf", "sed", "systemctl", "virsh",
}  # fmt: skip


def shell_lines(text):
    """Every command in the code blocks of a Markdown text, without its comment; in a session, what follows a prompt."""
    lines = [line for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for line in block.splitlines()]
    lines = [re.sub(r"(^| )#.*", "", line).strip() for line in lines] + [command for command, _ in sessions(text)]
    return [line for line in lines if line]


def sessions(text):
    """Every command at a prompt, and what is shown as its answer."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, answer = part.partition("\n")
            found.append((command.strip(), answer.rstrip()))
    return found


def answer_to(command):
    """What a `pvc` command says, on a terminal of 100 columns."""
    call = [sys.executable, "-c", "from pvc.cli.main import main; main()", *command.split()[1:]]
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(call, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.rstrip()


def lost_links(path, text):
    """The links of a document to files that are not there."""
    links = re.findall(r"\]\(([^)#\s]+)", text)
    return [link for link in links if "://" not in link and not (ROOT / path).parent.joinpath(link).exists()]


def named_targets(text):
    """Every `make target` that the text names as present: in code, but not in a row that says planned."""
    lines = [line for line in text.splitlines() if not line.endswith("| planned |")]
    return sorted(set(re.findall(r"`make ([a-z-]+)", "\n".join(lines))))


def complaint_about(line):
    """Why this command would not work, or nothing."""
    words = shlex.split(line.removeprefix(".venv/bin/"))
    while re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    if words[0] == "make":
        done = subprocess.run(["make", "-n", "-C", str(ROOT), *words[1:]], cwd=ROOT, capture_output=True, text=True)
        return done.stderr if done.returncode else ""
    if words[0] == "pvc":
        return complaint_of_client(words[1:])
    if words[0] == "pvcd":
        return "" if set(words[1:]) <= {"--check", "--version"} else f"pvcd has no {words[1:]}"
    if "/" in words[0]:
        return "" if (ROOT / words[0]).is_file() else f"{words[0]} is not there"
    return "" if words[0] in SHELL else f"{words[0]} is no command of ours"


def complaint_of_client(words):
    """Why `pvc` would not understand these words, or nothing: every command, option and argument is read, and nothing is done."""
    command = main
    words = ["-" if word.endswith(".xml") else word for word in words]  # no file has to be there
    try:
        context = command.make_context("pvc", words)
        while isinstance(command, click.Group):
            name, *rest = [*(getattr(context, "_protected_args", None) or getattr(context, "protected_args", [])), *context.args]
            command = command.get_command(context, name)
            if command is None:
                return f"pvc has no {name}"
            context = command.make_context(name, rest, parent=context)
    except click.exceptions.Exit:
        return ""  # it asked for help
    except (click.ClickException, PvcError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "line",
    [
        "make no-such-target",
        "pvc no-such-command",
        ".venv/bin/pvc no-such-command",
        "pvc vm no-such-command",
        "pvc vm start --no-such-option web1",
        "pvc vm start web1 hv1 hv2",
        "pvcd --no-such-option",
        "tools/no-such-tool",
        "frobnicate",
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line):
    assert complaint_about(line)


def test_commands_are_found_in_code_blocks():
    assert shell_lines("a\n```sh\nmake test  # all\n```\n```console\n$ pvc -h\n```\n```python\nx\n```\n") == ["make test", "pvc -h"]


def test_what_a_session_shows_is_kept_apart_from_what_it_asks():
    text = "```console\n$ pvc one\na\n\n$ pvc two\n```\n"
    assert sessions(text) == [("pvc one", "a"), ("pvc two", "")]
    assert shell_lines(text) == ["pvc one", "pvc two"]


def test_a_planned_target_is_not_promised():
    assert named_targets("`make test`\n| the demo: `make demo` | planned |") == ["test"]


@pytest.mark.parametrize(("path", "line"), [(path, line) for path in GUIDES for line in shell_lines((ROOT / path).read_text())])
def test_each_command_that_a_guide_tells_somebody_to_type_is_understood(path, line):
    assert complaint_about(line) == ""


@pytest.mark.parametrize("path", GUIDES)
def test_each_command_in_the_text_of_a_guide_is_understood(path):
    spoken = {words.partition("\\|")[0] for words in re.findall(r"`(pvcd? [^`]+)`", (ROOT / path).read_text())}  # of choices, the first
    complaints = {words: complaint_about(words) for words in spoken}
    # A text may name a command without what it acts on.
    assert {words: why for words, why in complaints.items() if why and not why.startswith("Missing ")} == {}


def test_the_vm_of_the_first_hour_can_be_defined():
    (xml,) = re.findall(r"^```xml\n(.*?)^```", (ROOT / "docs/first-hour.md").read_text(), re.MULTILINE | re.DOTALL)
    facts = check_domain_xml(xml.encode())
    assert (facts.name, facts.memory_mib) == ("web1", 1024)


@pytest.mark.parametrize("target", named_targets(README))
def test_each_target_that_the_readme_names_exists(target):
    assert complaint_about(f"make {target}") == ""


@pytest.mark.parametrize(("command", "answer"), sessions(README))
def test_each_command_answers_as_the_readme_shows(command, answer):
    assert answer_to(command) == answer


def test_a_link_to_nowhere_is_noticed():
    assert lost_links("docs/states.md", "[a](states.md#top) [b](#top) [c](https://example.org/x) [d](gone.md)") == ["gone.md"]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_links_lead_somewhere(path):
    assert lost_links(path, (ROOT / path).read_text()) == []


@pytest.mark.parametrize("name", ["docs/demo.txt", "docs/demo.svg"])
def test_the_recorded_demo_tells_the_story_of_today(name):
    text = html.unescape((ROOT / name).read_text())
    titles = [step.title for step in story(SimCluster()) if isinstance(step, Chapter)]
    assert len(titles) > 4
    assert [title for title in titles if title not in text] == [], "run `make record`"
