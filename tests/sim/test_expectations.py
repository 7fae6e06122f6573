"""What scenario files expect at an instant, held against what is so."""

from pathlib import Path

import pytest

from pvc.sim.expectations import now, wrong
from pvc.sim.sentences import FORMS
from pvc.sim.verbs import VERBS
from tests.sim.test_cluster import working

RUNS = {"state": ("start",), "node": ("hv1",), "home": ("hv1",), "running_on": ("hv1",)}
FOUND = {
    "nodes": {"hv1": {"daemon": ("run",), "domain": ("ready",)}, "hv2": {"daemon": ("dead", "fenced"), "domain": ("flushed",)}},
    "vms": {"web": RUNS, "db": {"state": ("stop",), "node": ("hv2",), "home": ("hv2",), "running_on": (None,)}},
}


@pytest.mark.parametrize(
    ("expected", "sentences"),
    [
        ({}, []),
        ({"nodes": {"hv1": {"daemon": "run", "domain": ["ready", "flushed"]}}}, []),
        ({"nodes": {"hv2": {"daemon": "dead"}}}, []),
        ({"nodes": {"hv2": {"daemon": "fenced"}}}, []),
        ({"nodes": {"hv2": {"daemon": "stop"}}}, ["hv2: daemon is fenced, expected stop"]),
        ({"nodes": {"hv3": {"daemon": "run"}}}, ["hv3: daemon is absent, expected run"]),
        ({"vms": {"web": {"state": "start", "node": "hv1", "running_on": "hv1", "home": "hv1"}}}, []),
        ({"vms": {"web": {"node": ["hv2", "hv3"]}}}, ["web: node is hv1, expected hv2 or hv3"]),
        ({"vms": {"web": {"running_on": None}}}, ["web: running_on is hv1, expected none"]),
        ({"vms": {"db": {"state": "stop", "running_on": None}}}, []),
        ({"vms": {"mail": {"state": "absent"}}}, []),
        ({"vms": {"web": {"state": "absent"}}}, ["web: state is start, expected absent"]),
        ({"vms": {"web": {"any_of": [{"state": "stop"}, {"node": "hv1"}]}}}, []),
        (
            {"vms": {"web": {"any_of": [{"state": "stop"}, {"state": "start", "node": "hv2"}]}}},
            ["none of 2 alternatives holds: (1) web: state is start, expected stop; (2) web: node is hv1, expected hv2"],
        ),
        ({"any_of": [{"vms": {"web": {"state": "stop"}}}, {"nodes": {"hv1": {"daemon": "run"}}}]}, []),
        ({"any_of": [{"vms": {"web": {"state": "stop"}}}], "nodes": {"hv1": {"daemon": "stop"}}}, None),
        ({"vms": {"any_of": [{"web": {"state": "stop"}, "db": {"state": "stop"}}, {"web": {"state": "failed"}}]}}, None),
    ],
)
def test_what_is_expected_is_so_or_what_is_not_is_said(expected, sentences):
    found = wrong(expected, FOUND)
    assert bool(found) if sentences is None else found == sentences


def test_a_vm_that_is_start_runs_where_its_record_says():
    elsewhere = {"nodes": {}, "vms": {"web": {**RUNS, "running_on": ("hv2",)}}}
    assert wrong({"vms": {"web": {"state": "start"}}}, elsewhere) == ["web is start on hv1 by its record, and runs on hv2"]
    nowhere = {"nodes": {}, "vms": {"web": {**RUNS, "running_on": (None,)}}}
    assert wrong({"vms": {"web": {"state": "start"}}}, nowhere) == ["web is start on hv1 by its record, and runs nowhere"]


@pytest.mark.parametrize("state", ["stop", "disable", "failed", "absent"])
def test_a_vm_that_is_off_runs_nowhere(state):
    found = {"nodes": {}, "vms": {"web": {**RUNS, "state": (state,)}}}
    assert wrong({"vms": {"web": {"state": state}}}, found) == [f"web is {state}, and runs on hv1"]


def test_how_a_cluster_is_in_these_words():
    cluster = working(web="hv1", db="hv2")
    cluster.admin.wait_for(cluster.admin.stop("db"), timeout_s=60.0)
    cluster.power_off("hv1")
    cluster.run(60.0)
    cluster.admin.flush("hv2")
    found = now(cluster)
    assert found["nodes"]["hv1"] == {"daemon": ("dead", "fenced"), "domain": ("ready",)}
    assert found["nodes"]["hv2"]["daemon"] == ("run",)
    (node,) = found["vms"]["web"]["node"]
    assert node in ("hv2", "hv3")
    assert found["vms"]["web"] == {"state": ("start",), "node": (node,), "home": ("hv1",), "running_on": (node,)}
    assert found["vms"]["db"] == {"state": ("stop",), "node": ("hv2",), "home": ("hv2",), "running_on": (None,)}


def test_every_verb_of_the_format_is_there():
    format_has = (
        "power_on power_off net_cut net_heal zk_down zk_up fence_fail fence_ok daemon_stop daemon_crash daemon_start node_shutdown"
        " node_reboot node_add node_flush node_ready vm_start vm_stop vm_shutdown vm_restart vm_disable vm_unmigrate vm_undefine"
        " vm_migrate vm_move vm_define vm_crash shutdown_hang start_fail migrate_fail"
    )
    assert format_has.split() == list(VERBS)[: len(format_has.split())]


def test_every_verb_and_every_form_of_sentence_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text()
    assert [verb for verb in VERBS if f"`{verb}`" not in text] == []
    assert [form.shown for form in FORMS if form.shown.removesuffix(" after T") not in text] == []
