"""What befalls records and daemons, where one blow comes upon another."""

from pathlib import Path

from pvc.sim.explore import play
from pvc.sim.scenario import Step
from pvc.sim.scenario_file import scenario_of
from pvc.sim.stage import Stage


def story(*steps):
    nodes, vms = ["hv1", "hv2", "hv3"], [{"name": "vm1", "home": "hv1"}]
    return {"name": "blows", "nodes": nodes, "vms": vms, "zk": "external", "steps": list(steps), "end": 200}


def stage_of(*steps):
    return Stage(scenario_of(story(*steps), Path("blows")), 0)


def hit(stage, do, **said):
    stage.do(Step(stage.now, do, {"at": stage.now, "do": do, **said}))


GARBLE = {"do": "record_garbled", "vm": "vm1"}


def test_a_record_that_was_written_over_twice_is_as_it_was_before_both():
    dies, mend, rest = {"at": 3, "do": "vm_crash", "vm": "vm1"}, {"at": 10, "do": "mend"}, {"at": 110, "do": "rest"}
    assert play(story({"at": 1, **GARBLE}, {"at": 2, **GARBLE}, dies, mend, rest), 0).broken == ""
    assert "not at rest: vm1" in play(story({"at": 1, **GARBLE}, dies, rest), 0).broken


def test_a_vm_that_its_policy_left_off_is_at_rest_whatever_its_policy_is_since():
    stay, again = ({"do": "vm_set", "vm": "vm1", "policy": {"on_poweroff": word}} for word in ("stay", "restart"))
    off, mend, rest = {"at": 2, "do": "vm_poweroff", "vm": "vm1"}, {"at": 10, "do": "mend"}, {"at": 110, "do": "rest"}
    assert play(story({"at": 1, **stay}, off, {"at": 3, **again}, mend, rest), 0).broken == ""


def test_a_daemon_that_hangs_and_is_stopped_ends_itself_when_it_goes_on():
    stage = stage_of()
    daemon = stage.cluster.daemons["hv1"]
    hit(stage, "daemon_hang", node="hv1", for_s=300)
    hit(stage, "daemon_freeze", node="hv1")
    stage.cluster.run(2 * stage.cluster.settings.own_lease_s)
    assert daemon.alive
    hit(stage, "daemon_thaw", node="hv1")
    assert not daemon.alive


def test_nothing_raises_in_a_daemon_that_is_stopped():
    stage = stage_of()
    hit(stage, "daemon_freeze", node="hv1")
    hit(stage, "daemon_fail", node="hv1")
    assert stage.cluster.daemons["hv1"].alive
    hit(stage, "daemon_thaw", node="hv1")
    hit(stage, "daemon_fail", node="hv1")
    assert not stage.cluster.daemons["hv1"].alive


def test_a_daemon_that_loses_its_watches_while_it_joins_reads_everything_nevertheless():
    stage = stage_of()
    hit(stage, "daemon_crash", node="hv1")
    stage.cluster.run(10.0)
    hit(stage, "daemon_start", node="hv1")
    hit(stage, "watches_lost", node="hv1", for_s=60)
    stage.cluster.run(20.0)
    assert stage.cluster.all_run()
