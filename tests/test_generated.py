"""The committed pictures and documents are those of the rows as they are now."""

import re
from pathlib import Path

import pytest

from pvc.cli import picture
from pvc.cli.fsm_diagram import build
from pvc.cluster.reference import page
from pvc.fsm.tables import TABLES

ROOT = Path(__file__).parent.parent
DIAGRAMS = ROOT / "diagrams"
DOCUMENTS = {"docs/states.md": build(None, "md"), "docs/znodes.md": page().encode()}
README = (DIAGRAMS / "README.md").read_text()
HOW = "stale or missing: run `make diagrams`, look at the pictures, and commit them"


def stale(folder):
    """The generated files in this copy of the repository that the rows would now make differently."""
    expected = {f"diagrams/{machine}.dot": build(machine, "dot") for machine in TABLES} | DOCUMENTS
    wrong = [name for name, content in expected.items() if not (folder / name).is_file() or (folder / name).read_bytes() != content]
    # Another Graphviz draws other lines from the same text, so a picture is compared by the text it was drawn from.
    for machine in TABLES:
        path = folder / f"diagrams/{machine}.svg"
        if not path.is_file() or picture.drawn_from(path.read_bytes()) != picture.digest(build(machine, "dot").decode()):
            wrong.append(f"diagrams/{machine}.svg")
    return wrong


@pytest.fixture
def repository(tmp_path):
    """A directory with freshly generated files, the SVGs reduced to what tells their origin."""
    for folder in ("diagrams", "docs"):
        (tmp_path / folder).mkdir()
    for name, content in DOCUMENTS.items():
        (tmp_path / name).write_bytes(content)
    for machine in TABLES:
        text = build(machine, "dot")
        (tmp_path / f"diagrams/{machine}.dot").write_bytes(text)
        (tmp_path / f"diagrams/{machine}.svg").write_bytes(b"<!-- dot sha256 %s -->\n" % picture.digest(text.decode()).encode())
    return tmp_path


def test_fresh_files_are_accepted(repository):
    assert stale(repository) == []


@pytest.mark.parametrize("name", ["docs/states.md", "docs/znodes.md", "diagrams/node.dot", "diagrams/domain.svg"])
def test_a_changed_file_is_noticed(repository, name):
    path = repository / name
    path.write_text(path.read_text().replace("e", "E", 30).replace("sha256 ", "sha256 0"))
    assert stale(repository) == [name]


@pytest.mark.parametrize("name", ["docs/states.md", "docs/znodes.md", "diagrams/node.dot", "diagrams/domain.svg"])
def test_a_missing_file_is_noticed(repository, name):
    (repository / name).unlink()
    assert stale(repository) == [name]


def test_the_committed_files_are_fresh():
    assert stale(ROOT) == [], HOW


def test_no_picture_of_a_machine_that_is_gone_is_kept():
    expected = {"README.md", *(f"{machine}{ending}" for machine in TABLES for ending in (".dot", ".svg"))}
    assert {path.name for path in DIAGRAMS.iterdir()} == expected


@pytest.mark.parametrize("machine", TABLES)
def test_the_readme_leads_to_every_picture_and_its_text(machine):
    assert f"]({machine}.svg)" in README
    assert f"]({machine}.dot)" in README


def test_links_of_the_readme_lead_somewhere():
    assert [link for link in re.findall(r"\]\(([^)]+)\)", README) if not (DIAGRAMS / link).exists()] == []


def test_the_readme_speaks_of_states_and_triggers_that_exist():
    for part in re.split(r"^## ", README, flags=re.MULTILINE)[1:]:
        tables = [TABLES[machine] for machine in part.splitlines()[0].split(" and ")]
        known = {str(state.name) for table in tables for state in table.states}
        known |= {trigger for table in tables for trigger in table.triggers}
        # The two ends of a node's life are told across machines.
        known |= set(TABLES["node"].triggers) | set(TABLES)
        assert set(re.findall(r"`([^`]+)`", part)) - known == set()


LEADS = re.compile(r"^- \*\*`(\w+)` leads (?:back )?(?:from `\w+` )?to `(\w+)`", re.MULTILINE)
LEADS_NOT = re.compile(r"^- \*\*`(\w+)` (?:does not lead|leads to `\w+`, not) (?:back )?(?:to )?`(\w+)`(?: or `(\w+)`)?", re.MULTILINE)


def leads(word, dest):
    """Whether an arrow with this trigger, or from this state, ends in `dest`."""
    rows = [row for table in TABLES.values() for row in table.rows if row.dest == dest]
    return any(word == row.trigger or word in row.source for row in rows)


def test_what_the_readme_says_of_arrows_is_true():
    claims, denials = LEADS.findall(README), LEADS_NOT.findall(README)
    assert len(claims) > 5
    assert len(denials) > 2
    assert [claim for claim in claims if not leads(*claim)] == []
    assert [(word, dest) for word, *dests in denials for dest in dests if dest and leads(word, dest)] == []
