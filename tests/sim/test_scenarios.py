"""Every scenario file passes, is the same to the byte under one seed, and its trace stands up to somebody else's judgement."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pvc.sim.scenario_file import read_scenario
from pvc.sim.schedule import Schedule, Sizes
from pvc.sim.trace import dumped
from pvc.sim.verdict import run
from tests.sim.trace_judge import Judgement, judged

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "scenarios").glob("*.json"))
TWO_COPIES = {"row-05-wakes-after-its-device-lied"}
"""What a lying device leads to: somebody else has to notice it."""
SEEDS = int(os.environ.get("PVC_SCENARIO_SEEDS", "2"))


def told(verdict):
    """What failed, for a message."""
    return [f"at {one.at:g} s: {one.what} ({one.sentence})" for one in verdict.failures]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_scenario_passes_and_somebody_else_finds_nothing_wrong_with_its_trace(path):
    lines = []
    verdict = run(read_scenario(path), write=lines.append)
    assert not told(verdict)
    wrong = list(Judgement(lines).wrong())
    assert wrong if path.stem in TWO_COPIES else not wrong


@pytest.mark.marathon
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_scenario_passes_whatever_the_seed(path):
    scenario = read_scenario(path)
    assert not {seed: told(verdict) for seed in range(1, SEEDS + 1) if not (verdict := run(scenario, seed)).passed}


def traces_of(path, tmp_path):
    """The trace of a scenario in two processes; sets of words have another order in each."""
    traces = []
    for number in ("1", "2"):
        out = tmp_path / f"{number}.jsonl"
        words = ["sim", "run", str(path), "--seed", "3", "--trace", str(out)]
        program = "from pvc.cli.main import main; main()"
        environment = {**os.environ, "PYTHONHASHSEED": number}
        subprocess.run([sys.executable, "-c", program, *words], check=True, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)
        traces.append(out.read_bytes())
    assert traces[0].count(b"\n") > 30
    return traces


@pytest.mark.parametrize("name", ["row-17-fencer-dies-amid-a-recovery", "flush-goes-on-when-migrations-work-again"])
def test_two_runs_of_a_seed_are_the_same_to_the_byte_in_any_process(name, tmp_path):
    first, second = traces_of(ROOT / "tests" / "scenarios" / f"{name}.json", tmp_path)
    assert first == second


def test_two_runs_of_a_schedule_of_many_nodes_are_the_same_to_the_byte_in_any_process(tmp_path):
    """Several nodes that are lost at once are noticed in one order, whatever the order of a set is."""
    said = Schedule(3, Sizes((10,), (6,), 60.0)).scenario() | {"expect_always": []}  # somebody may start a second copy by hand
    (path := tmp_path / "schedule.json").write_text(json.dumps(said), encoding="utf-8")
    first, second = traces_of(path, tmp_path)
    assert first == second


def test_another_seed_tells_another_story():
    def trace(seed):
        lines = []
        run(read_scenario(ROOT / "tests" / "scenarios" / "row-07-power-lost.json"), seed, lines.append)
        return [dumped(line) for line in lines]

    assert trace(1) != trace(2)


# ---- the judge can tell


def lines(*more):
    """A short trace: hv1 and hv2 are on and take VMs, web runs on hv1, and then this."""
    nodes = ("hv1", "hv2")
    node = {"daemon": "run", "flush": "ready", "fence": "none", "by": None, "domain": "ready"}
    vm = {"state": "start", "owner": "hv1", "target": None, "epoch": 1}
    begin = [{"event": "power", "node": name, "on": True, "initial": True} for name in nodes]
    begin += [{"event": "session", "node": name, "state": "connected", "initial": True} for name in nodes]
    written = {"event": "record", "from": "", "to": "run", "trigger": "", "by": "", "initial": True}
    begin += [{**written, "kind": "node", "name": name, "fields": node} for name in nodes]
    begin.append({**written, "kind": "vm", "name": "web", "to": "start", "fields": vm})
    begin.append({"event": "guest_start", "vm": "web", "node": "hv1", "why": "", "initial": True})
    return [{"t": 0.0, **line} for line in begin] + list(more)


def moved(at, by, owner, trigger="recover"):
    """A write that names another owner of web."""
    fields = {"state": "boot", "owner": owner, "target": None, "epoch": 2}
    said = {"kind": "vm", "name": "web", "from": "start", "to": "boot", "trigger": trigger, "by": by, "fields": fields}
    return {"t": at, "event": "record", **said}


def event(at, name, **fields):
    """A line."""
    return {"t": at, "event": name, **fields}


LIES = {
    "runs on": [event(1, "start_attempt", vm="web", node="hv2", ok=True), event(1, "guest_start", vm="web", node="hv2", why="")],
    "which is off": [event(1, "power", node="hv1", on=False)],
    "is not confirmed off": [moved(1, "hv2", "hv2")],
    "confirmed off, and on": [event(1, "fence", node="hv1", by="hv2", result="confirmed")],
    "where it does not run": [event(1, "guest_end", vm="web", node="hv2", why="")],
    "is handed over by": [event(1, "guest_handover", vm="web", **{"from": "hv2", "to": "hv1"})],
    "is shot, and its fence is none": [event(1, "fence", node="hv1", by="hv2", result="begun")],
    "time runs backwards": [event(2, "step", step={}), event(1, "step", step={})],
    "is claimed by hv3": [moved(1, "hv1", "hv3", "claim")],
}


@pytest.mark.parametrize("sentence", LIES)
def test_the_judge_refuses_a_trace_that_cannot_be_right(sentence):
    assert any(sentence in wrong for wrong in Judgement(lines(*LIES[sentence])).wrong())


def test_the_judge_reads_a_file(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("".join(f"{dumped(line)}\n" for line in lines()))
    assert judged(path) == []
