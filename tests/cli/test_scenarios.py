"""`pvc sim run` as a person and as a program see it: what is told, what is written, and how it ends."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pvc.cli.main import main

FILES = Path(__file__).parents[1] / "scenarios"
SCENARIO = {
    "name": "one",
    "nodes": ["hv1", "hv2", "hv3"],
    "vms": [{"name": "web", "home": "hv3"}],
    "steps": [{"at": 60, "do": "power_off", "node": "hv3"}, {"at": 70, "do": "vm_migrate", "vm": "web", "to": "hv3"}],
    "end": 120,
    "expect_final": {"vms": {"web": {"state": "start"}}},
    "expect_always": ["no VM runs on two nodes"],
}


def scenario(tmp_path, name="one", **changes):
    """A file that differs from a good one by this."""
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps({**SCENARIO, **changes}))
    return str(path)


def ran(*words):
    """What this command line says, and how it ends."""
    return CliRunner().invoke(main, ["sim", "run", *words])


def test_a_scenario_that_passes_is_one_line_and_ends_with_0(tmp_path):
    path = scenario(tmp_path)
    result = ran(path)
    assert (result.exit_code, result.output) == (0, f"passed  {path}\n")


def test_a_sentence_that_is_broken_is_told_with_its_time_and_what_happened_before_and_ends_with_1(tmp_path):
    path = scenario(tmp_path, expect_always=["vm web runs continuously"], expect_final={"vms": {"web": {"node": "hv3"}}})
    result = ran(path, "--seed", "4")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[:3] == [
        f"FAILED  {path}",
        "  at 60 s: web has ended on hv3: its host lost its power",
        "  so this does not hold: vm web runs continuously",
    ]
    assert lines[3] == "  what happened before:"
    assert "step: at 60, do power_off, node hv3" in lines[4]
    assert "guest_end: vm web, node hv3" in lines[5]
    assert any("then, at 120 s: web: node is hv" in line for line in lines)
    assert lines[-1] == f"  Next: pvc sim run {path} --seed 4 --log"


def test_what_failed_of_several_is_counted(tmp_path):
    result = ran(scenario(tmp_path), scenario(tmp_path, "two", expect_always=["vm web never runs"]))
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "1 of 2 scenarios passed."


def test_a_file_that_cannot_be_played_ends_with_2_and_the_others_are_played(tmp_path):
    result = ran(scenario(tmp_path, steps=[{"at": 1, "do": "power_of", "node": "hv9"}]), scenario(tmp_path, "two"))
    assert result.exit_code == 2
    assert 'step 1: no verb called "power_of"; did you mean "power_off"' in result.output
    assert "Next: correct" in result.output
    assert "1 of 2 scenarios passed." in result.output


def test_a_cluster_that_cannot_begin_as_the_file_says_is_told(tmp_path):
    result = ran(scenario(tmp_path, vms=[{"name": "web", "home": "hv3", "policy": {"nodes": ["hv1"]}}]))
    assert result.exit_code == 1
    assert "cannot be as the file says at the beginning: web cannot be at home on hv3: its policy does not allow" in result.output


def test_a_node_may_hold_more_at_the_beginning_than_it_could_take_anew(tmp_path):
    full = [{"name": name, "home": "hv3", "memory_mib": 12_000} for name in ("web", "db")]
    later = [{"at": 10, "do": "vm_stop", "vm": "db"}, {"at": 30, "do": "vm_start", "vm": "db"}, {"at": 60, "do": "vm_migrate", "vm": "web"}]
    elsewhere = {"vms": {"db": {"node": ["hv1", "hv2"]}, "web": {"node": ["hv1", "hv2"]}}}
    assert ran(scenario(tmp_path, vms=full, steps=later, expect_final=elsewhere)).exit_code == 0


def test_json_says_all_of_it(tmp_path):
    path = scenario(tmp_path, expect_better={"always": ["vm web runs continuously"], "why": "magic"})
    result = ran(path, scenario(tmp_path, "bad", end="soon"), "--json")
    assert result.exit_code == 2
    said = json.loads(result.output)
    assert (said["passed"], said["failed"], said["seed"]) == (1, 1, 0)
    good, bad = said["scenarios"]
    assert (good["file"], good["passed"], good["failures"]) == (path, True, [])
    assert good["better"]["held"] is False
    assert good["better"]["missed"][0]["at"] == 60.0
    assert "70 s: vm_migrate web hv3: web cannot migrate: hv3 cannot take it" in good["refused"][0]
    assert bad["problems"] == ["the file: end is 'soon', and no number from 0 on"]


def test_a_better_outcome_is_told_and_never_a_failure(tmp_path):
    result = ran(scenario(tmp_path, expect_better={"always": ["vm web runs continuously"]}))
    assert result.exit_code == 0
    assert "not better at 60 s: web has ended on hv3" in result.output
    assert "and better than it must" in ran(scenario(tmp_path, expect_better={"vms": {"web": {"state": "start"}}})).output


@pytest.mark.parametrize(("within_s", "code"), [(60, 0), (2, 1)])
def test_a_vm_that_runs_again_too_late_fails(tmp_path, within_s, code):
    result = ran(scenario(tmp_path, timing={"vm": "web", "fault_at": 60, "must_run_again_within_s": within_s}))
    assert result.exit_code == code
    assert ("web ran again after" in result.output) is bool(code)


def test_a_checkpoint_is_judged_at_its_time(tmp_path):
    result = ran(scenario(tmp_path, checkpoints=[{"at": 59, "vms": {"web": {"node": "hv1"}}}]))
    assert result.exit_code == 1
    assert "at 59 s: web: node is hv3, expected hv1" in result.output


def test_the_trace_is_json_lines_in_the_words_of_the_format(tmp_path):
    out = tmp_path / "out.jsonl"
    assert ran(scenario(tmp_path), "--trace", str(out)).exit_code == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["t"] for line in lines] == sorted(line["t"] for line in lines)
    told = [line for line in lines if not line.get("initial")]
    assert told[0] == {"t": 60.0, "event": "step", "step": {"at": 60, "do": "power_off", "node": "hv3"}}
    first = {line["event"]: line for line in reversed(told)}
    assert first["guest_end"] == {"t": 60.0, "event": "guest_end", "vm": "web", "node": "hv3", "why": "its host lost its power"}
    assert first["power"] == {"t": 60.0, "event": "power", "node": "hv3", "on": False}
    assert first["session"] | {"t": 0} == {"t": 0, "event": "session", "node": "hv3", "state": "expired"}
    assert {key: first["fence"][key] for key in ("node", "result")} == {"node": "hv3", "result": "confirmed"}
    assert first["record"].keys() >= {"kind", "name", "from", "to", "trigger", "by", "fields"}
    assert first["start_attempt"].keys() == {"t", "event", "vm", "node", "ok"}
    assert first["refused"]["command"] == "vm_migrate web hv3"
    assert [line["result"] for line in lines if line["event"] == "fence"] == ["confirmed"]


def test_the_trace_of_several_files_says_where_each_begins(tmp_path):
    out = tmp_path / "out.jsonl"
    one, two = scenario(tmp_path), scenario(tmp_path, "two")
    assert ran(one, two, "--trace", str(out)).exit_code == 0
    begins = [json.loads(line) for line in out.read_text().splitlines() if '"event": "scenario"' in line]
    assert [line["file"] for line in begins] == [one, two]


def test_a_trace_that_cannot_be_written_is_said_before_anything_is_played(tmp_path):
    result = ran(scenario(tmp_path), "--trace", str(tmp_path / "none" / "out.jsonl"))
    assert result.exit_code == 1
    assert "cannot be written: No such file or directory" in str(result.exception or result.output) + result.output


def test_the_log_tells_everything_while_it_happens(tmp_path):
    result = ran(scenario(tmp_path), "--log")
    assert "    60.000  * power_off hv3" in result.output
    assert "web: domain boot -> start (started, hv" in result.output


def test_what_must_hold_in_every_cluster_is_judged_without_being_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("pvc.sim.laws.EARLY_S", -1000.0)  # so every declaration of a death comes before its time
    steps = [{"at": 60, "do": "net_cut", "node": "hv3"}]
    result = ran(scenario(tmp_path, steps=steps, expect_always=[], expect_final={}))
    assert result.exit_code == 1
    assert "so this does not hold: what must hold in every cluster" in result.output


def test_a_step_without_its_node_is_left_out_and_said(tmp_path):
    said = [("power_off", "hv4", {}), ("power_off", "@fencer:hv1", {}), ("vm_move", "hv4", {"vm": "web"}), ("node_add", "hv4", {})]
    steps = [{"at": 1, "do": do, ("to" if more else "node"): node, **more} for do, node, more in said]
    steps.append({"at": 40, "do": "daemon_stop", "node": "@fencer:hv1", "fallback": "@where:web"})
    result = ran(scenario(tmp_path, steps=steps, expect_final={"nodes": {"hv3": {"daemon": "stop"}, "hv4": {"daemon": "run"}}}), "--json")
    (told,) = json.loads(result.output)["scenarios"]
    assert told["passed"]
    assert [line.rpartition(": ")[2] for line in told["refused"][:2]] == ["hv4 is no node now", "@fencer:hv1 is no node now"]
    assert told["refused"][2].startswith('1 s: vm_move hv4 web: no node called "hv4"')


def test_it_needs_a_file():
    assert ran().exit_code == 2
