"""What is looked at: formats, dry runs, what comes next, histories and events."""

import json

import pytest

from pvc.cli.output import Cell, table_lines
from pvc.cli.yaml_text import yaml_text
from tests.client.test_vms import measured

FORMATS = ("table", "wide", "json", "yaml", "name")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "arguments",
    [
        ("vm", "list"),
        ("vm", "info", "web1"),
        ("vm", "explain", "web1"),
        ("vm", "history", "web1"),
        ("vm", "wait", "web1", "--for", "state=start"),
        ("vm", "migrate", "web1"),
        ("vm", "stop", "web1", "--dry-run"),
        ("node", "list"),
        ("node", "info", "hv1"),
        ("node", "explain", "hv1"),
        ("node", "history", "hv1"),
        ("node", "flush", "hv1", "--yes"),
        ("node", "ready", "hv1", "--no-wait"),
        ("events",),
    ],
)
def test_every_command_that_prints_knows_every_format(pvc, web1, arguments, form):
    pvc("vm", "start", web1)
    done = pvc(*arguments, "-o", form)
    assert (done.code, done.err) == (0, "")
    if form == "json":
        assert json.loads(done.out)["version"] == 1
    elif form == "yaml":
        assert done.out.startswith("version: 1\n")
    elif form == "name":
        assert all(line in ("web1", "hv1", "hv2", "hv3") for line in done.out.splitlines())
        assert done.out
    else:
        assert "{" not in done.out


def test_yaml_is_read_as_what_it_was():
    value = {"a": [{"b": "yes", "c": []}, {"d": None}], "e": {}, "f": {"g h": 1.5, "i": "x: y", "j": "1"}, "k": True, "l": ["", "m/n"]}
    assert yaml_text(value) == (
        'a:\n  - b: "yes"\n    c: []\n  - d: null\ne: {}\nf:\n  "g h": 1.5\n  i: "x: y"\n  j: "1"\nk: true\nl:\n  - ""\n  - m/n\n'
    )


# ---- tables


ROWS = [(Cell("a-long-name", "red"), "start", "yes, and a note that is long enough to wrap"), ("b", "stop", "")]


def test_a_table_that_fits_keeps_every_column():
    assert [len(line) for line in table_lines(("NAME", "STATE", "NOTE"), ROWS, 200)][1] > 60


def test_a_narrow_table_loses_what_can_be_spared_and_wraps_its_notes_and_cuts_nothing():
    lines = table_lines(("NAME", "STATE", "NOTE"), ROWS, 34, ("STATE",))
    text = "\n".join(lines)
    assert "STATE" not in text
    assert "a-long-name" in text
    assert "wrap" in text
    assert lines[2].startswith(" " * 13)


def test_no_line_ends_with_a_space(pvc, web1):
    for arguments in (("vm", "list"), ("vm", "explain", web1), ("node", "list"), ("vm", "list", "-o", "wide")):
        assert not [line for line in pvc(*arguments).out.splitlines() if line != line.rstrip()]


# ---- dry runs


def test_a_dry_run_changes_nothing_and_says_what_would_happen(pvc, web1):
    before = pvc("vm", "info", web1, "-o", "json").out
    done = pvc("vm", "start", web1, "hv2", "--dry-run")
    assert (done.code, done.out.splitlines()[:2]) == (
        0,
        ["start web1 hv2 is possible. Nothing was changed.", "  web1: stop -> place, wanted start, target hv2"],
    )
    assert pvc("vm", "info", web1, "-o", "json").out == before


def test_a_dry_run_names_everything_that_stands_in_the_way(pvc, world, web1):
    pvc("vm", "start", web1, "hv1")
    pvc("node", "flush", "hv2", "--yes")
    pvc("vm", "restart", web1, "--no-wait")
    done = json.loads(pvc("vm", "migrate", web1, "hv2", "-o", "json", "--dry-run").out)["dry_run"]
    assert (done["possible"], done["blockers"]) == (False, ["it will be restarted already", "hv2 cannot take it: it is flushed"])
    assert pvc("vm", "migrate", web1, "hv2", "--dry-run").code == 1


def test_a_dry_run_of_a_flush_gives_each_vm_the_room_that_is_left(pvc, world, web1):
    measured(world, hv1=100, hv2=700, hv3=100)
    pvc("vm", "define", pvc.file("web2"), "--home", "hv1")
    pvc("vm", "define", pvc.file("web3"), "--home", "hv1")
    measured(world, hv1=9000, hv2=700, hv3=100)
    for name in (web1, "web2", "web3"):
        assert pvc("vm", "start", name, "hv1").code == 0
    measured(world, hv1=100, hv2=700, hv3=100)
    pvc("vm", "set", "web3", "--migration", "none")
    done = pvc("node", "flush", "hv1", "--dry-run", "-o", "json")
    plan = json.loads(done.out)["dry_run"]
    assert (done.code, plan["steps"][1:]) == (1, ["web1 (512 MiB) to hv2, live"])
    assert plan["blockers"] == [
        "web2 cannot leave: hv2: it has 188 MiB free, web2 needs 512 MiB; hv3: it has 100 MiB free, web2 needs 512 MiB",
        "web3 cannot leave: its policy is to stay where it is",
    ]
    assert pvc("node", "list", "-o", "json").out.count('"flush": "ready"') == 3


@pytest.mark.parametrize("verb", ["stop", "shutdown", "restart", "disable", "undefine", "migrate", "move"])
def test_a_dry_run_asks_nobody(pvc, web1, verb):
    pvc("vm", "start", web1)
    assert pvc("vm", verb, web1, "--dry-run").code == 0
    assert pvc("vm", "list", "-o", "name").out == "web1\n"


# ---- what comes next


def test_explain_says_what_comes_next_by_whom_and_when(pvc, world, web1):
    pvc("vm", "start", web1)
    world.lazy = True
    pvc("vm", "shutdown", web1, "--no-wait")
    world.quiet(3)
    told = json.loads(pvc("vm", "explain", web1, "-o", "json").out)
    coming = {(one["trigger"], one["dest"]): one for one in told["next"]}
    assert told["vm"]["state"] == "shutdown"
    assert coming["off", "stop"]["who"] == "hv1"
    assert "guest is not here" in coming["off", "stop"]["conditions"]
    assert coming["overdue", "destroy"]["after_s"] == 60
    assert ("off", "disable") not in coming
    assert "60 s" in pvc("vm", "explain", web1).out


def test_a_vm_without_room_after_the_death_of_its_node_says_that_it_waits(pvc, world, web1):
    measured(world, hv1=4000, hv2=10, hv3=10)
    pvc("vm", "start", web1)
    world.small.power_off("hv1")
    world.small.ensemble.advance(60)
    world.quiet()
    pvc("node", "fence", "hv1", "--confirm-off", "--reason", "dark", "--yes")
    world.quiet()
    assert "hv1 is off, another node has yet to take it" in pvc("vm", "list").out
    told = pvc("vm", "explain", web1).out
    assert "It waits for a node that can take it; below is why none can." in told
    assert "it is as it is wanted" not in told
    found = {one["about"]: one for one in json.loads(pvc("status", "-o", "json").out)["attention"]}
    assert "it waits for room" in found[web1]["sentence"]


def test_explain_of_a_refusal_names_the_guard_in_a_wide_table(pvc, web1):
    pvc("vm", "start", web1)
    assert "[away from home]" in pvc("vm", "explain", web1, "-o", "wide").out


def test_explain_of_a_node_says_what_its_loss_would_mean(pvc, world, web1):
    pvc("vm", "start", web1, "hv1")
    measured(world, hv1=4000, hv2=4000, hv3=4000)
    told = pvc("node", "explain", "hv1").out
    assert "hv1 is run and answers; VMs: ready; fence: none." in told
    assert "It came there by ready, init -> run, by hv1" in told
    assert "Its loss now: the one VM of it that is wanted up fits elsewhere." in told
    measured(world, hv1=100, hv2=100, hv3=100)
    assert "Its loss now: no room for 1 of 1 VM: web1." in pvc("node", "explain", "hv1").out


def test_the_history_of_a_node_says_who_flushed_it_and_why(pvc):
    pvc("node", "flush", "hv1", "--yes", "--reason", "new disks")
    past = json.loads(pvc("node", "history", "hv1", "-o", "json").out)["history"]
    assert [(entry["trigger"], entry["who"], entry["why"]) for entry in past][-2] == ("flush", "anna@desk", "new disks")
    assert past[-1]["to"] == "flushed"


# ---- events


def test_events_are_those_of_all_vms_and_nodes_in_order(pvc, web1):
    pvc("vm", "start", web1, "--reason", "as agreed")
    found = json.loads(pvc("events", "-n", "50", "-o", "json").out)["events"]
    assert {entry["of"] for entry in found} == {"web1", "hv1", "hv2", "hv3"}
    assert ("web1", "start", "as agreed") in {(entry["of"], entry["trigger"], entry["why"]) for entry in found}
    assert len(json.loads(pvc("events", "-n", "2", "-o", "json").out)["events"]) == 2


def test_events_are_followed_as_they_happen(pvc, world, web1):
    other = world.client("ben@hall")

    def interrupt():
        raise KeyboardInterrupt

    world.idles = [*[lambda: None] * 4, lambda: other.start("web1", why="as agreed"), *[lambda: None] * 6, lambda: other.undefine("web1")]
    world.idles += [*[lambda: None] * 6, interrupt]
    done = pvc("events", "-f", "-n", "0")
    assert done.code == 0
    assert "web1: stop -> place (start by ben@hall): as agreed" in done.out.splitlines()[0]
    assert "web1: boot -> start (started by hv1): The hypervisor shows it running." in done.out


@pytest.mark.parametrize("turn", range(6))
def test_what_happens_while_the_past_is_read_is_told_once(pvc, world, web1, turn):
    def interrupt():
        raise KeyboardInterrupt

    world.idles = [*[lambda: None] * turn, lambda: world.client("ben@hall").start("web1"), *[lambda: None] * 6, interrupt]
    told = [line for line in pvc("events", "-f", "-n", "50").out.splitlines() if "web1: " in line]
    assert [sum(words in line for line in told) for words in ("stop -> place", "place -> boot", "boot -> start")] == [1, 1, 1]


# ---- lists that stay up


def test_a_watched_list_tells_each_change_in_a_log(pvc, world, web1):
    other = world.client("ben@hall")

    def interrupt():
        raise KeyboardInterrupt

    world.idles = [*[lambda: None] * 4, lambda: other.start("web1", "hv2"), *[lambda: None] * 8, interrupt]
    done = pvc("vm", "list", "-w")
    head, first, *changes = done.out.splitlines()
    assert (done.code, head.split()[:2], first.split()[:2]) == (0, ["NAME", "STATE"], ["web1", "stop"])
    assert "web1: state stop -> " in changes[0]
    assert any("owner - -> hv2" in line for line in changes)


def test_a_watched_list_of_nodes_in_json(pvc, world):
    def interrupt():
        raise KeyboardInterrupt

    world.idles = [*[lambda: None] * 4, lambda: world.client().flush("hv2"), *[lambda: None] * 8, interrupt]
    lines = [json.loads(line) for line in pvc("node", "list", "-w", "-o", "json").out.splitlines()]
    assert [line["name"] for line in lines[:3]] == ["hv1", "hv2", "hv3"]
    assert (lines[-1]["name"], lines[-1]["now"]["flush"]) == ("hv2", "flushed")
