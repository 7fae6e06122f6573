"""`pvc sim demo`: the story comes out as told, and says so; when it does not, it ends with 1."""

import re

import pytest
from click.testing import CliRunner

from pvc.cli import sim
from pvc.cli.main import main
from pvc.sim.demo import Holds, Typed


@pytest.fixture(scope="module")
def told():
    return CliRunner().invoke(main, ["sim", "demo"])


def test_the_story_comes_out_as_told(told):
    assert told.exit_code == 0, told.output
    assert "NOT SO" not in told.output
    assert re.search(r"virtual minutes in [\d.]+ s; \d+ transitions", told.output)
    assert "never two copies of a guest" in told.output


@pytest.mark.parametrize(
    "line",
    [
        "$ pvc vm start web1",
        "$ pvc vm migrate web1 hv3",
        "web1: migration moving -> handover  hand_over, by hv1",
        "web1 runs on hv3, no more on hv1",
        "$ pvc node flush hv1 --yes",
        "hv1 is flushed.",
        "db1 cannot migrate: hv1 cannot take it: it is flushed",
        "hv1 is ready.",
        "hv1 is confirmed off, by",
        "orders the power of hv2 off",
        "hv2: node dead -> fencing",
        "ok web1 and web2 run elsewhere",
        "ok nobody was shot: what is off needs no shot",
        "ok hv2 was shot once",
        "ok nothing is left to do",
        "3 nodes, of which 2 were lost and proven off, 1 by a shot; 4 VMs.",
    ],
)
def test_it_tells_what_an_admin_types_and_what_follows(told, line):
    assert line in told.output


def test_the_shot_comes_before_the_new_start(told):
    lines = told.output.splitlines()
    proof = next(number for number, line in enumerate(lines) if "hv2: node fencing -> fenced" in line)
    start = max(number for number, line in enumerate(lines) if re.search(r"db1: place -> boot", line))
    assert proof < start


def test_the_lists_show_every_vm_at_home_in_the_end(told):
    rows = [line.split() for line in told.output.splitlines() if re.match(r"(web|db|mail)\d  .*start  start", line)]
    assert [(name, owner, home) for name, _, _, owner, home, *_ in rows[-4:]] == [
        ("db1", "hv2", "hv2"),
        ("mail1", "hv3", "hv3"),
        ("web1", "hv1", "hv1"),
        ("web2", "hv1", "hv1"),
    ]


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        (Holds("pigs fly", lambda: False), "it was told that pigs fly"),
        (Typed(("vm", "start", "web9")), "pvc vm start web9 was refused"),
        (Typed(("node", "list"), refused=True), "pvc node list was not refused"),
    ],
)
def test_what_does_not_come_out_as_told_ends_with_1(monkeypatch, step, wrong):
    monkeypatch.setattr(sim, "story", lambda cluster: iter([step]))
    result = CliRunner().invoke(main, ["sim", "demo"])
    assert result.exit_code == 1
    assert wrong in result.output


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 20))
def test_it_comes_out_as_told_whatever_chance_does(seed):
    result = CliRunner().invoke(main, ["sim", "demo", "--seed", str(seed)])
    assert result.exit_code == 0, result.output
