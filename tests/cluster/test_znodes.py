"""The layout: every path is made from checked names, and declared once."""

import re

import pytest

from pvc.cluster import znodes
from pvc.cluster.names import checked_name, clipped, is_line, shown
from pvc.errors import UsageProblem

UUID = "6f1c0a52-8a0e-4c7e-9f60-0d2c5a0b6a11"
PATHS = {
    "/names/<vm>": znodes.name("web1"),
    "/alive/<node>": znodes.alive("n1"),
    "/boots/<node>": znodes.boot("n1"),
    "/nodes/<node>": znodes.node("n1"),
    "/nodes/<node>/stats": znodes.stats("n1"),
    "/nodes/<node>/domains": znodes.index("n1"),
    "/nodes/<node>/domains/<uuid>": znodes.index_entry("n1", UUID),
    "/nodes/<node>/events": znodes.events("n1"),
    "/nodes/<node>/progress": znodes.progress("n1"),
    "/nodes/<node>/fence-tests": znodes.device_tests("n1"),
    "/domains/<uuid>": znodes.domain(UUID),
    "/domains/<uuid>/g-<gen>": znodes.generation(UUID, "first"),
    "/domains/<uuid>/xml": znodes.xml(UUID),
    "/domains/<uuid>/history": znodes.history(UUID),
}


@pytest.mark.parametrize("template", PATHS)
def test_a_path_is_as_it_is_declared(template):
    names = {"vm": "web1", "node": "n1", "uuid": UUID, "gen": "first"}
    assert PATHS[template] == re.sub("<([a-z]+)>", lambda found: names[found[1]], template)


def test_every_path_is_declared():
    declared = [entry.path for entry in znodes.LAYOUT]
    assert len(declared) == len(set(declared))
    assert {path for path in declared if "<" in path} == set(PATHS)
    assert {path for path in declared if "<" not in path} == {znodes.CONFIG, *znodes.PARENTS}


def test_every_parent_is_declared():
    declared = {entry.path for entry in znodes.LAYOUT}
    assert {path.rpartition("/")[0] or "/" for path in declared} <= {*declared, "/"}


OF_A_NODE = [znodes.alive, znodes.boot, znodes.node, znodes.stats, znodes.index, znodes.events, znodes.progress, znodes.device_tests]
NAMED = [znodes.name, *OF_A_NODE]


@pytest.mark.parametrize("make", NAMED)
@pytest.mark.parametrize("bad", ["", ".", "..", "a..b", "/", "a/b", "a\n", "_a", "-a", ".a", "a" * 64, "ä", "a b", "a\x00", "a@b"])
def test_a_bad_name_never_becomes_a_path(make, bad):
    with pytest.raises(UsageProblem):
        make(bad)


@pytest.mark.parametrize("good", ["a", "0", "web-1", "Win2019_DC1", "node1.example.org", "a" * 63, "a-", "a."])
def test_a_good_name_does(good):
    assert znodes.node(good) == f"/nodes/{good}"


@pytest.mark.parametrize("make", [znodes.domain, znodes.xml, znodes.history, lambda uuid: znodes.index_entry("n1", uuid)])
@pytest.mark.parametrize("bad", ["", "x", UUID.upper(), UUID[1:], f"{UUID}\n", UUID.replace("-", ""), f"{{{UUID}}}", f"../{UUID}"])
def test_a_uuid_in_another_form_never_becomes_a_path(make, bad):
    with pytest.raises(UsageProblem):
        make(bad)


@pytest.mark.parametrize("bad", ["", "a/b", ".", "..", "a\n", "a" * 65, "ä"])
def test_a_bad_generation_never_becomes_a_path(bad):
    with pytest.raises(UsageProblem):
        znodes.generation(UUID, bad)


def test_a_refused_name_is_named_with_the_rule():
    with pytest.raises(UsageProblem, match=r"'' cannot be the name of a VM: a name is 1 to 63 of a-z"):
        checked_name("VM", "")


def test_index_entries_are_told_from_other_paths():
    assert [path for path in PATHS.values() if znodes.is_index_entry(path)] == [znodes.index_entry("n1", UUID)]


@pytest.mark.parametrize("text", ["two\nlines", "\x1b[2J", "\x7f", "\x9b", "\u2028", "\ud800"])
def test_words_that_could_move_a_cursor_are_no_line(text):
    assert not is_line(text)
    assert is_line(clipped(text, 10))


def test_words_are_clipped_to_their_limit():
    assert clipped("abcdef", 4) == "abc…"
    assert clipped(" ä  b\t", 4) == "ä b"
    assert len(clipped("\n" * 10**6, 10)) == 0


def test_nothing_endless_is_shown():
    assert len(shown("x" * 10**6)) < 80
    assert len(shown(list(range(10**6)))) < 80
