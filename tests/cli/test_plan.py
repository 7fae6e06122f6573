"""`pvc plan` and `pvc sim record`: on a snapshot of the cluster, and without a write."""

import json
import sys


def up(pvc, name, node):
    assert pvc("vm", "define", pvc.file(name), "--home", node).code == 0
    assert pvc("vm", "start", name).code == 0


def test_it_says_what_would_happen_and_how_old_that_is_and_changes_nothing(pvc):
    up(pvc, "web", "hv1")
    before = pvc("vm", "history", "web", "-o", "json").out
    told = pvc("plan", "fail", "hv1")
    assert told.code == 0, told.err
    assert "If hv1 lost its power:" in told.out
    assert "web ends on hv1: its host lost its power" in told.out
    assert "hv1: its power is proven off" in told.out
    assert "No VM would stay down." in told.out
    assert "This was read " in told.out
    assert pvc("vm", "history", "web", "-o", "json").out == before


def test_it_says_the_same_to_programs(pvc):
    up(pvc, "web", "hv1")
    said = json.loads(pvc("plan", "flush", "hv1", "-o", "json").out)
    assert said["fates"][0]["before"] == "hv1"
    assert said["fates"][0]["after"] in ("hv2", "hv3")
    assert said["down"] == []
    assert "moments:" in pvc("plan", "migrate", "web", "hv2", "-o", "yaml").out


def test_what_is_not_there_gets_the_nearest_name(pvc):
    refused = pvc("plan", "fail", "hv9")
    assert refused.code == 3
    assert 'no node called "hv9"' in refused.err


def test_a_plan_that_would_be_refused_ends_with_1(pvc):
    up(pvc, "web", "hv1")
    assert pvc("plan", "migrate", "web", "hv1").code == 1


def test_the_cluster_is_recorded_as_a_scenario(pvc, tmp_path):
    up(pvc, "web", "hv1")
    file = tmp_path / "mine.json"
    assert pvc("sim", "record", str(file)).code == 0
    assert [vm["name"] for vm in json.loads(file.read_text())["vms"]] == ["web"]
    assert pvc("sim", "run", str(file)).code == 0


def test_who_watches_sees_how_far_it_is_and_programs_do_not(pvc, monkeypatch):
    up(pvc, "web", "hv1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("pvc.cli.meanwhile.EVERY_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    lines = [line.partition("hv1 lost its power: ")[2] or line for line in pvc("plan", "fail", "hv1").err.split("\r\x1b[K")]
    for line in ("the cluster is read", "a cluster like it is simulated: 1 of 1 VMs started", "2 s of its time are simulated"):
        assert line in lines
    assert lines[-1] == "", "it is erased"
    assert pvc("plan", "fail", "hv1", "-o", "json").err == ""


def test_of_the_last_node_it_is_said_that_nobody_would_be_left_to_declare_it_dead(pvc, world):
    for name in ("hv2", "hv3"):
        world.small.power_off(name)
    world.small.advance(60)
    (line,) = [line for line in pvc("plan", "fail", "hv1").out.splitlines() if line.startswith("hv1 ")]
    assert "run, silent" in line
