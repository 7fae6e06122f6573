"""`pvc sim shell`: a cluster to play with, whose story can be saved and played again."""

import json

import pytest
from click.testing import CliRunner

from pvc.cli.main import main


def shell(*lines, options=()):
    return CliRunner().invoke(main, ["sim", "shell", *options], input="".join(f"{line}\n" for line in lines))


def test_commands_and_faults_happen_in_virtual_time_and_are_told():
    told = shell("vm migrate vm1 hv3", "power-off hv2", "advance 60s", "vm list", "watch", "power-on hv2")
    assert told.exit_code == 0, told.output
    assert "vm1 runs on hv3, no more on hv1" in told.output
    assert "hv2: node run -> fenced" in told.output
    assert "vm2   start" in told.output
    assert "What happens is told no more." in told.output
    assert "hv2 is switched on" not in told.output


def test_an_answer_is_told_whole_and_a_command_in_a_line():
    told = shell("status", "doctor", "events", "plan fail hv2", "hold on", "hold off", "vm stop vm1 --dry-run", "vm stop vm1").output
    assert "3 of 3 nodes answer: 3 run" in told
    assert "a lost node is suspected after" in told
    assert told.count("boot -> start") >= 4
    assert "cannot be played" not in told
    assert "vm2" in told.partition("$ plan fail hv2")[2]
    assert "vm1: wanted stop; it is start until hv1 has acted on that" in told
    assert told.rstrip().endswith("vm1 is off (stop).")


def test_what_was_done_is_saved_as_a_scenario_that_tells_the_same(tmp_path):
    file = tmp_path / "mine.json"
    told = shell("define vm9 hv2", "vm start vm9", "vm stop vm1", "kill vm2", "advance 20s", "bmc hv3 silent", f"save {file}")
    assert "6 steps are in" not in told.output
    said = json.loads(file.read_text())
    assert [step["do"] for step in said["steps"]] == ["vm_define", "vm_start", "vm_stop", "vm_crash", "bmc"]
    said["expect_final"] = {"vms": {"vm9": {"state": "start"}, "vm1": {"state": "stop"}, "vm2": {"state": "start"}}}
    file.write_text(json.dumps(said))
    assert CliRunner().invoke(main, ["sim", "run", str(file)]).exit_code == 0
    again = shell("vm list", options=[str(file)])
    assert "vm9" not in again.output  # the steps are left out


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("power-of hv1", 'no command called "power-of"; did you mean "power-off"'),
        ("power-off hv9", 'no node called "hv9"'),
        ("power-off", "power_off needs node"),
        ("bmc hv1 silnt", 'did you mean "silent"'),
        ("vm start vm77", 'no VM called "vm77"'),
        ("vm migrate vm1 hv1", "cannot migrate"),
        ("advance soon", "soon is no time"),
        ("vm start 'vm1", "this cannot be read"),
        ("hold maybe", "neither true nor false"),
        ("save", "save needs a file"),
    ],
)
def test_what_cannot_be_done_is_said_and_the_cluster_goes_on(line, why):
    told = shell(line, "advance 1s")
    assert told.exit_code == 0, told.output
    assert why in told.output
    assert "1.00 s" in told.output
