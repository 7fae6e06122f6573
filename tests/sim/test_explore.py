"""Schedules by chance: never two copies, nothing wanted is lost, every write has its row, all comes to rest. A failure names its seed."""

import json
import os
from collections import Counter

import pytest

from pvc.sim.explore import NEVER, explored, file_name, play, row_names, shrink, uncovered
from pvc.sim.laws import Laws
from pvc.sim.scenario_file import read_scenario
from pvc.sim.schedule import Schedule
from pvc.sim.verdict import run

QUICK, LONG = 12, int(os.environ.get("PVC_EXPLORE_SEEDS", "300"))
FIRST = int(os.environ.get("PVC_EXPLORE_FROM", "0"))
"""The first seed of the long run; another one every night looks at other stories."""

FOUND = (27, 1265)
"""Seeds under which something was found once."""

RARE = ("domain wake", "migration wake", "migration yield", "domain recover 3", "node join 2", "domain forget 2")
"""Rows that only a long sweep sees; `make explore` demands them all."""


@pytest.mark.parametrize("seed", range(FIRST, FIRST + QUICK))
def test_what_must_hold_holds_and_everything_comes_to_rest(seed):
    assert explored(seed).broken == ""


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_found_once_is_not_found_again(seed):
    assert explored(seed).broken == ""


@pytest.mark.marathon
def test_many_schedules_fire_nearly_every_row():
    outcomes = [explored(seed) for seed in range(FIRST, FIRST + LONG)]
    assert [one.broken for one in outcomes if one.broken] == []
    never, surprising = uncovered(sum((one.rows for one in outcomes), Counter()))
    assert surprising == []
    assert len(set(never) - set(RARE)) <= 12


def test_a_seed_draws_the_same_schedule_and_tells_the_same_story_again():
    assert Schedule(3).scenario() == Schedule(3).scenario()
    assert Schedule(3).scenario() != Schedule(4).scenario()
    assert explored(3) == explored(3)


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
