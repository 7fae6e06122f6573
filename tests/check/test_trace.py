"""A recorded trace is explained by the tables, or it is said what is not."""

import json
from pathlib import Path

import pytest

from pvc.check.trace import entries_of, verify
from pvc.errors import UsageProblem
from pvc.sim.scenario_file import scenario_of
from pvc.sim.schedule import Schedule
from pvc.sim.stage import Stage


def told(seed=5, until=120.0):
    """The lines of a schedule's trace."""
    lines = []
    said = {**Schedule(seed).scenario(), "end": until}
    said["steps"] = [step for step in said["steps"] if step["at"] <= until]
    Stage(scenario_of(said, Path("a schedule")), seed, lines.append).play(lambda checkpoint: None)
    return [json.loads(json.dumps(line)) for line in lines]


@pytest.fixture(scope="module")
def lines():
    return told()


def history(*entries):
    names = ("machine", "from", "to", "trigger", "by")
    return [{**dict(zip(names, entry, strict=True)), "who": "somebody", "of": "web"} for entry in entries]


def text(lines):
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def test_every_write_of_a_simulated_cluster_is_explained(lines):
    verdict = verify(entries_of(text(lines)))
    assert verdict.wrong == []
    assert verdict.fully > 20


@pytest.mark.parametrize(("field", "value"), [("epoch", 77), ("owner", "hv9"), ("want", "delete"), ("phase", "handover")])
def test_a_field_that_no_row_would_have_written_is_found(lines, field, value):
    forged = [line for line in json.loads(json.dumps(lines)) if line["event"] == "record"]
    last = max(number for number, line in enumerate(forged) if line["trigger"] == "started")
    forged[last]["fields"][field] = value
    verdict = verify(forged[: last + 1])
    assert len(verdict.wrong) == 1
    assert "no row explains" in verdict.wrong[0]
    assert field in verdict.wrong[0]


def test_a_history_is_a_chain_of_rows():
    chain = history(
        ("domain", "", "stop", "define", "client"),
        ("domain", "stop", "place", "start", "client"),
        ("domain", "place", "boot", "claim", "target"),
        ("domain", "boot", "start", "started", "owner"),
        ("domain", "start", "migrate", "migrate", "client"),
        ("migration", "asked", "accepted", "accept", "target"),
        ("migration", "accepted", "moving", "begin", "owner"),
        ("migration", "moving", "handover", "hand_over", "owner"),
        ("domain", "migrate", "start", "migrated", "owner"),
        ("domain", "start", "start", "set", "client"),
    )
    assert verify(chain).wrong == []
    gap = verify(chain[:3] + chain[4:])
    assert gap.wrong == ["transition 4: web: 'migrate' left domain start, and it was boot: something between is missing"]


def test_a_write_that_two_machines_make_together_tells_of_both():
    chain = history(
        ("node", "stop", "init", "join", "owner"),
        ("node", "init", "run", "ready", "owner"),
        ("fence", "none", "evidence", "suspect", "peer"),
        ("fence", "evidence", "proven", "prove", "fencer"),
        ("node", "run", "fenced", "prove", "fencer"),
        ("node", "fenced", "init", "join", "owner"),
        ("fence", "proven", "none", "clear", "owner"),
        ("node", "init", "run", "ready", "owner"),
    )
    assert verify(chain).wrong == []
    assert verify(chain[4:]).wrong == [], "a history that has lost its beginning"
    (gap,) = verify(chain[:1] + chain[2:]).wrong
    assert "'prove' left node run, and it was fenced or init" in gap


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (("domain", "start", "place", "recover", "owner"), "no row of domain is called 'recover' and leads from start to place by owner"),
        (("domain", "start", "stop", "stop", "client"), "no row of domain is called 'stop' and leads from start to stop by client"),
        (("domian", "start", "stop", "stop", "client"), "there is no machine domian"),
    ],
)
def test_a_transition_that_no_row_makes_is_said(entry, why):
    assert verify(history(entry)).wrong == [f"transition 1: web: {why}"]


def test_what_the_client_prints_is_read_one_answer_after_the_other():
    answer = json.dumps({"version": 1, "history": history(("domain", "stop", "place", "start", "client"))}, indent=2)
    assert len(entries_of(answer + "\n" + answer)) == 2


NO_TRACES = [
    ("nothing", "line 1 is no JSON"),
    ("[1]", "entry 1 is no object"),
    ('{"a": 1}', "no trigger"),
    ('{"history": [1]}', "entry 1: transition 1 is no object"),
]


@pytest.mark.parametrize(("text", "why"), NO_TRACES)
def test_what_is_no_trace_is_refused(text, why):
    with pytest.raises(UsageProblem, match=why):
        verify(entries_of(text))
