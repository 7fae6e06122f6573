"""A code in a comment or in a reason is worth nothing to somebody who cannot look it up."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXPLAINED = (ROOT / "docs" / "hazards.md").read_text()


def cited(text):
    """Every hazard and invariant that a text cites."""
    return set(re.findall(r"\b[HI]\d{1,2}\b", text))


def explained(text):
    """Every code that has a row of its own in the list of hazards, in order."""
    return re.findall(r"^\| ([HI]\d{1,2}) \| .", text, re.MULTILINE)


def test_codes_are_found_where_they_are_cited_and_where_they_are_explained():
    text = "| {0} | it breaks | it must not |\nsee {1}, {1}2 and {1}a\n".format("H" + "98", "I" + "97")
    assert cited(text) == {"H" + "98", "I" + "97"}
    assert explained(text) == ["H" + "98"]


def test_every_code_that_is_cited_is_explained():
    unexplained = {}
    for path in sorted([*(ROOT / "pvc").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]):
        missing = cited(path.read_text()) - set(explained(EXPLAINED))
        if missing:
            unexplained[str(path.relative_to(ROOT))] = sorted(missing)
    assert unexplained == {}


def test_a_code_has_one_meaning():
    assert len(explained(EXPLAINED)) == len(set(explained(EXPLAINED)))
