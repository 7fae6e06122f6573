"""Schedules by chance: never two copies, nothing wanted is lost, every write has its row, all comes to rest. A failure names its seed."""

import json
import os
from collections import Counter

import pytest

from pvc.sim.explore import NEVER, explored, file_name, play, row_names, shrink, uncovered
from pvc.sim.kinds import UNDRAWN
from pvc.sim.laws import Laws
from pvc.sim.scenario_file import read_scenario
from pvc.sim.schedule import Schedule, Sizes
from pvc.sim.stage import Stage
from pvc.sim.verbs import VERBS
from pvc.sim.verdict import run

QUICK, LONG = 12, int(os.environ.get("PVC_EXPLORE_SEEDS", "600"))
FIRST = int(os.environ.get("PVC_EXPLORE_FROM", "0"))
"""The first seed of the long run; another one every night looks at other stories."""

LARGER = Sizes((3, 4, 5), tuple(range(4, 13)))
"""What `make explore` plays."""


@pytest.mark.parametrize("seed", range(FIRST, FIRST + QUICK))
def test_what_must_hold_holds_and_everything_comes_to_rest(seed):
    assert explored(seed).broken == ""


@pytest.mark.marathon
def test_many_schedules_fire_every_row_that_can_fire():
    outcomes = [explored(seed, LARGER) for seed in range(FIRST, FIRST + LONG)]
    assert [one.broken for one in outcomes if one.broken] == []
    assert uncovered(sum((one.rows for one in outcomes), Counter())) == ([], [])


def story(*steps):
    """A schedule of three nodes and one VM, with these steps."""
    nodes, vms = [{"name": name} for name in ("hv1", "hv2", "hv3")], [{"name": "vm1", "home": "hv1", "desired": "start"}]
    return {"name": "story", "area": "explore", "nodes": nodes, "vms": vms, "zk": "external", "steps": list(steps), "end": 120}


def fired(outcome):
    """The rows that fired, by name."""
    assert outcome.broken == ""
    return {name for place, name in row_names().items() if outcome.rows[place]}


def test_a_command_counts_for_its_own_row_also_where_another_row_would_explain_the_write():
    away = {"at": 1.0, "do": "vm_migrate", "vm": "vm1"}
    end = {"at": 60.0, "do": "net_heal", "node": "hv1"}
    assert "domain unmigrate" in fired(play(story(away, {"at": 20.0, "do": "vm_unmigrate", "vm": "vm1"}, end), 1))
    assert "domain unmigrate" not in fired(play(story(away, {"at": 20.0, "do": "vm_migrate", "vm": "vm1", "to": "hv1"}, end), 1))


def test_a_shot_that_an_operator_ordered_waits_for_nothing():
    cut, order, end = (
        {"at": 1.0, "do": "net_cut", "node": "hv1"},
        {"at": 8.0, "do": "node_fence", "node": "hv1"},
        {"at": 30.0, "do": "zk_up"},
    )
    assert {"fence order", "fence shoot"} <= fired(play(story({"at": 0.5, "do": "hold", "on": True}, cut, order, end), 1))


def test_whatever_is_raised_is_told_with_its_seed(monkeypatch):
    def fails(self, seconds):
        raise KeyError("vm9")

    monkeypatch.setattr(Stage, "do", fails)
    outcome = play(story({"at": 1.0, "do": "zk_up"}), 7)
    assert outcome.seed == 7
    assert outcome.broken.startswith("KeyError: 'vm9'\n")


def test_a_seed_draws_the_same_schedule_and_tells_the_same_story_again():
    assert Schedule(3).scenario() == Schedule(3).scenario()
    assert Schedule(3).scenario() != Schedule(4).scenario()
    assert explored(3) == explored(3)


def test_every_verb_is_drawn_or_has_a_reason():
    drawn = {step["do"] for seed in range(120) for step in Schedule(seed).scenario()["steps"]}
    assert drawn | UNDRAWN.keys() == VERBS.keys()
    assert not drawn & UNDRAWN.keys()
    assert all(reason.endswith(".") for reason in UNDRAWN.values())


def test_some_schedules_have_watchdogs_and_some_have_zookeeper_on_their_nodes():
    drawn = [Schedule(seed).scenario() for seed in range(120)]
    guarded = [said for said in drawn if {"watchdog_device", "fence_method"} & said["config"].keys()]
    assert 5 < len(guarded) < 40
    assert {node.get("watchdog", True) for said in guarded for node in said["nodes"]} == {True, False}
    assert {True, False} == {said["zk"] == "external" for said in drawn}
    assert any("power" in node for said in drawn for node in said["nodes"])


def test_rows_that_cannot_fire_have_a_reason_and_are_rows():
    assert NEVER.keys() <= set(row_names().values())
    assert all(reason.endswith(".") for reason in NEVER.values())


def test_a_row_that_fires_against_its_reason_is_told():
    place = next(place for place, name in row_names().items() if name in NEVER)
    never, surprising = uncovered(Counter({place: 1}))
    assert surprising == [row_names()[place]]
    assert "domain claim" in never
    assert row_names()[place] not in never


def test_what_breaks_is_shrunk_to_a_scenario_file_that_breaks_again(monkeypatch, tmp_path):
    def guest_changed(laws, node, uuid, before, after, why):
        if why == "its process died":
            laws._wrong(f"{laws.witness.name(uuid)} must not die on {node}")

    monkeypatch.setattr(Laws, "guest_changed", guest_changed)
    said = Schedule(1).scenario()
    first = said["vms"][0]["name"]
    said["steps"] = [{"at": 1.0, "do": "vm_start", "vm": first}, {"at": 20.0, "do": "vm_crash", "vm": first}, *said["steps"]]
    outcome = play(said, 1)
    assert "must not die" in outcome.broken
    smaller, _ = shrink(said, outcome)
    assert [step["do"] for step in smaller["steps"]] == ["vm_crash"]
    assert smaller["end"] < 60
    path = tmp_path / file_name(outcome)
    path.write_text(json.dumps(smaller))
    assert not run(read_scenario(path), outcome.seed).passed
