"""Whatever is wrong with a scenario file is said at once, in sentences, with the nearest word that is known."""

import json

import pytest

from pvc.cluster.records import FenceMethod
from pvc.core.settings import Settings
from pvc.daemon import keys
from pvc.daemon.config import settings_of as settings_of_daemon
from pvc.sim.knobs import FLAGS, KNOWN, Fences, settings_of
from pvc.sim.scenario import NodePlan, VmPlan
from pvc.sim.scenario_file import BadScenario, read_scenario

GOOD = {
    "name": "two",
    "nodes": ["hv1", {"name": "hv2", "power": "off", "memory_mib": 2048, "boot_s": 40}],
    "vms": [{"name": "web", "home": "hv1"}],
    "steps": [{"at": 10, "do": "power_on", "node": "hv2"}],
    "end": 100,
}


def read(tmp_path, said):
    """What a file with this in it says."""
    path = tmp_path / "one.json"
    path.write_text(said if isinstance(said, str) else json.dumps(said))
    return read_scenario(path)


def problems(tmp_path, **changes):
    """What is wrong with a file that differs from a good one by this."""
    with pytest.raises(BadScenario) as caught:
        read(tmp_path, {**GOOD, **changes})
    assert str(caught.value).startswith(f"{tmp_path / 'one.json'} cannot be played:")
    return list(caught.value.problems)


def step(**said):
    """A file's only step."""
    return {"steps": [{"at": 10, **said}]}


def test_what_a_file_leaves_out_has_the_values_of_the_format(tmp_path):
    scenario = read(tmp_path, GOOD)
    assert scenario.nodes == (NodePlan("hv1", True, 16384, 25.0), NodePlan("hv2", False, 2048, 40))
    assert scenario.vms == (VmPlan("web", "hv1", "start", 512, 4.0, 3.0),)
    assert (scenario.voters, scenario.settings, scenario.end) == ({"hv1", "hv2"}, Settings(), 100)
    assert read(tmp_path, GOOD | {"timing": None, "checkpoints": None}) == scenario


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "it is no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "it is no JSON object"),
        ('{"end": NaN}', "it is no JSON: NaN is no number"),
        ('{"end": 100, "end": 200}', "it is no JSON: the field 'end' is there twice in one object"),
        ("[" * 100_000, "it is nested too deeply"),
    ],
)
def test_what_is_no_json_object_is_refused(tmp_path, text, problem):
    with pytest.raises(BadScenario) as caught:
        read(tmp_path, text)
    assert caught.value.problems == (problem,)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadScenario, match="No such file or directory"):
        read_scenario(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"step": []}, 'the file: no field called "step"; did you mean "steps"?'),
        ({"nodes": [{"name": "hv2", "powr": "off"}]}, 'node 1: no field called "powr"; did you mean "power"?'),
        ({"nodes": ["hv1", "hv1"]}, 'there are two nodes called "hv1"'),
        ({"nodes": ["Hv/1"]}, "'Hv/1' cannot be the name of a node"),
        ({"vms": [{"name": "web", "home": "hv9"}]}, 'vm 1 (web): home: no node called "hv9"; did you mean'),
        ({"vms": [{"name": "web", "home": "hv1", "desired": "running"}]}, 'vm 1 (web): desired: no word called "running"'),
        ({"vms": [{"name": "web"}]}, 'vm 1: "home" is missing'),
        ({"zk": "extern"}, 'zk: no word called "extern"; did you mean "external"?'),
        ({"zk": {"on_node": ["hv1"]}}, "zk is {'on_node': ['hv1']}, and neither on_nodes nor external, nor a list of nodes"),
        ({"zk": []}, "zk is [], and neither on_nodes nor external, nor a list of nodes"),
        ({"zk": ["hv1", "hv9"]}, 'zk: no node called "hv9"; did you mean'),
        ({"config": {"keepalive": 1}}, 'config: no key of pvcd.conf called "keepalive"; did you mean "keepalive_interval"'),
        ({"config": {"keepalive_interval": 0}}, "config: keepalive_interval is 0, and no number from 0.2 to 60"),
        ({"config": {"fence_method": "watchdgo"}}, 'config: fence_method: no word called "watchdgo"; did you mean "watchdog"?'),
        ({"config": {"watchdog_timeout": 1000}}, "config: watchdog_timeout is 1000, and no number from 2 to 300"),
        ({"config": {"watchdog_device": "/dev/watchdog", "watchdog_timeout": 11}}, "must not be less than two session timeouts of 6 s"),
        ({"nodes": [{"name": "hv1", "watchdg": True}]}, 'node 1: no field called "watchdg"; did you mean "watchdog"?'),
        ({"nodes": [{"name": "hv1", "watchdog": "no"}]}, "node 1 (hv1): watchdog is 'no', and neither true nor false"),
        ({"nodes": [{"name": "hv", "count": 0}]}, "node 1: count is 0, and no whole number from 1 to 20000"),
        ({"vms": [{"name": "vm", "home": "*", "count": True}]}, "vm 1: count is True, and no whole number"),
        ({"vms": [{"name": "vm", "home": "*", "cuont": 3}]}, 'vm 1: no field called "cuont"; did you mean "count"?'),
        ({"vms": [{"name": "vm", "home": "*"}]}, 'vm 1 (vm): home: no node called "*"'),
        ({"vms": [{"name": "vm1", "home": "hv1"}, {"name": "vm", "home": "*", "count": 2}]}, 'there are two VMs called "vm1"'),
        ({"nodes": []}, "nodes is empty: a cluster has one at least"),
        ({"end": 1e8}, "the file: end is 1e+08 s, and may be 604800 s at most"),
        ({"end": -1}, "the file: end is -1, and no number from 0 on"),
        ({"steps": [{"do": "power_off"}]}, 'step 1 (power_off): "at" is missing'),
        (step(do="power_of", node="hv1"), 'step 1: no verb called "power_of"; did you mean "power_off" or "power_on"'),
        (step(do="zk_restor"), 'step 1: no verb called "zk_restor"; did you mean "zk_restore"'),
        (step(do="daemon_hangs", node="hv1", for_s=5), 'step 1: no verb called "daemon_hangs"; did you mean "daemon_hang"'),
        (step(do="daemon_hang", node="hv1"), 'step 1 (daemon_hang): "for_s" is missing'),
        ({"expect_always": ["node hv1 said WORDS"]}, 'did you mean "node N says WORDS"?'),
        ({"expect_always": ["node hv9 says something"]}, 'no node called "hv9"'),
        (step(do="power_off"), 'step 1 (power_off): "node" is missing'),
        (step(do="power_off", node="hv3"), 'step 1 (power_off): node: no node called "hv3"; did you mean "hv2" or "hv1"?'),
        (step(do="power_off", node="@fence:hv1"), "step 1 (power_off): node: '@fence:hv1' is neither @fencer:NODE nor @where:VM"),
        (step(do="power_off", node="@where:wbe"), 'step 1 (power_off): node: no VM called "wbe"; did you mean "web"?'),
        (step(do="vm_stop", vm="wbe"), 'step 1 (vm_stop): vm: no VM called "wbe"; did you mean "web"?'),
        (step(do="vm_stop", vm="web", force=True), 'step 1 (vm_stop): no field called "force"'),
        (step(do="start_fail", vm="web", node="*", count="all"), "step 1 (start_fail): count is 'all', and no whole number from -1 on"),
        ({"steps": [{"at": 101, "do": "zk_down"}]}, "step 1 (zk_down) is at 101 s, after the end at 100 s"),
        ({"expect_always": ["vm web run continuously"]}, 'did you mean "vm V runs continuously"?'),
        ({"expect_always": ["vm wbe runs continuously"]}, 'no VM called "wbe"; did you mean "web"?'),
        ({"expect_always": ["vm web never runs on hv3"]}, 'no node called "hv3"'),
        ({"expect_final": {"nodes": {"hv1": {"deamon": "run"}}}}, 'expect_final.nodes.hv1: no field called "deamon"; did you mean "daem'),
        ({"expect_final": {"vms": {"web": {"state": "started"}}}}, 'expect_final.vms.web.state: no state called "started"; did you mean'),
        ({"expect_final": {"vms": {"web": {"any_of": []}}}}, "expect_final.vms.web.any_of is no list of alternatives"),
        ({"checkpoints": [{"vms": {}}]}, 'checkpoint 1 says not when: "at" is missing, or no number of seconds'),
        ({"expect_better": {"alwys": []}}, 'expect_better: no field called "alwys"; did you mean "always"?'),
        ({"timing": {"vm": "web", "fault_at": 10}}, 'timing: "must_run_again_within_s" is missing'),
        ({"steps": 5}, "steps is no list"),
        (step(do="power_off", node="hv1", at=1e300), "step 1 (power_off): at is 1e+300, and no number from 0 on below 1,000,000,000"),
        ({"expect_final": {"vms": {"web": {"state": []}}}}, "expect_final.vms.web.state is an empty list"),
        ({"expect_always": ["vm web never runs between 50 and 20"]}, "its time ends before it begins"),
        ({"timing": {"vm": "web", "fault_at": 500, "must_run_again_within_s": 5}}, "timing: fault_at is 500 s, after the end at 100 s"),
    ],
)
def test_a_mistake_is_named_with_the_nearest_word(tmp_path, changes, problem):
    assert any(problem in found for found in problems(tmp_path, **changes)), problems(tmp_path, **changes)


@pytest.mark.parametrize(
    ("said", "voters"),
    [("on_nodes", {"hv1", "hv2"}), ("external", set()), (["hv1"], {"hv1"}), ({"on_nodes": ["hv2"]}, {"hv2"}), (None, {"hv1", "hv2"})],
)
def test_zookeeper_is_on_all_nodes_or_on_some_or_elsewhere(tmp_path, said, voters):
    assert read(tmp_path, {**GOOD, "zk": said}).voters == voters


def test_all_mistakes_of_a_file_are_said_at_once(tmp_path):
    found = problems(tmp_path, zk="elsewhere", steps=[{"at": 1, "do": "explode"}, {"at": -1, "do": "zk_up"}], expect_always=["all is well"])
    assert len(found) == 4


def test_one_entry_may_stand_for_many(tmp_path):
    nodes = ["zk", {"name": "hv", "count": 2, "boot_s": 40}]
    vms = [{"name": "vm", "home": "*", "count": 4, "memory_mib": 64}, {"name": "db", "home": "hv2", "count": 2}]
    scenario = read(tmp_path, {"nodes": nodes, "vms": vms, "end": 10, "expect_always": ["vm vm4 runs continuously"]})
    assert [(node.name, node.boot_s) for node in scenario.nodes] == [("zk", 25.0), ("hv1", 40), ("hv2", 40)]
    assert [(vm.name, vm.home) for vm in scenario.vms[:4]] == [("vm1", "zk"), ("vm2", "hv1"), ("vm3", "hv2"), ("vm4", "zk")]
    assert scenario.vms[4:] == (VmPlan("db1", "hv2"), VmPlan("db2", "hv2"))


def test_how_nodes_are_fenced_is_the_daemons_default_unless_the_file_says_it(tmp_path):
    assert read(tmp_path, GOOD).fences == Fences(FenceMethod.ipmi, None)
    assert read(tmp_path, {**GOOD, "config": {"fence_method": "watchdog"}}).fences == Fences(FenceMethod.watchdog, 15.0)
    assert read(tmp_path, {**GOOD, "config": {"watchdog_device": "/dev/watchdog", "watchdog_timeout": 30}}).fences.watchdog_s == 30.0
    assert float(next(key.default for key in keys.KEYS if key.name == "watchdog_timeout")) == 15.0


def test_a_node_or_vm_that_a_step_brings_is_known(tmp_path):
    steps = [{"at": 1, "do": "node_add", "node": "hv3"}, {"at": 2, "do": "vm_define", "vm": "new", "home": "hv3"}]
    scenario = read(tmp_path, {**GOOD, "steps": steps, "expect_always": ["vm new never runs on hv3"]})
    assert len(scenario.steps) == 2


def test_the_keys_of_a_scenarios_configuration_are_the_daemons_and_mean_the_same():
    assert set(KNOWN) <= {key.name for key in keys.KEYS}
    changed = {"keepalive_interval": 1, "dead_ticks": 5, "throws_ticks": 2, "boot_grace": 60, "power_back": "yes"}
    texts = {key.name: str(changed[key.name]) if key.name in changed else key.default for key in keys.KEYS}
    values = {key.name: None if texts[key.name] is None else key.read(texts[key.name]) for key in keys.KEYS}
    assert settings_of(changed) == settings_of_daemon(values)
    assert set(FLAGS) <= set(changed)
