"""`pvc fsm check` as its users meet it."""

import json
import sys

import pytest

from pvc.check import runs
from pvc.cli.fsm import COMMANDS
from pvc.cli.main import main
from pvc.core.decide import RULES
from pvc.fsm import guards as g
from tests.check.planted import planted, without


@pytest.fixture
def pvc(capsys):
    """Run a command line in this process: returns its exit code, stdout and stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["fsm", "check", *arguments], prog_name="pvc")
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


@pytest.fixture
def one_fault(monkeypatch):
    """The tables with a guard missing that carries safety."""
    rules = planted("domain", "off", guards=lambda row: without(row, g.ABSENT))
    real = runs.recording
    monkeypatch.setattr(runs, "recording", lambda: real(rules))


def test_what_holds_is_said_with_its_figures(pvc):
    code, out, err = pvc("--coarse")
    assert (code, err) == (0, "")
    assert out.count("safe: yes") == 2
    for word in ("states", "transitions", "levels", "M transitions/s", "MiB", "Everything holds.", "Not checked:", "never fired"):
        assert word in out


def test_rest_is_asked_of_the_exact_model(pvc):
    code, out, _ = pvc("--nodes", "1", "--settle", "--handover", "paused")
    assert code == 0
    assert "at most 0 faults, exact model" in out
    assert "settles: yes" in out


def test_a_violation_is_told_in_words_with_the_way_to_see_it_again(pvc, one_fault):
    code, out, _ = pvc("--coarse", "--handover", "paused")
    assert code == 1
    assert "safe: NO: a VM is called" in out
    assert "  1. an admin says 'start' about vm1 on hv" in out
    assert "Again: pvc fsm check --nodes 2 --domains 1 --handover paused --coarse" in out
    assert "Something does not hold" in out


def test_a_trace_with_bounded_faults_says_what_is_shortest(pvc, one_fault):
    _, out, _ = pvc("--coarse", "--handover", "paused", "--faults", "1")
    assert "of those with the fewest faults" in out
    assert "--faults 1 --coarse" in out


def test_programs_get_json(pvc, one_fault):
    code, out, _ = pvc("--coarse", "--json")
    answer = json.loads(out)
    assert code == 1
    assert answer["holds"] is False
    assert [run["handover"] for run in answer["runs"]] == ["paused", "libvirt"]
    assert answer["runs"][0]["trace"][0].startswith("1. ")


@pytest.mark.parametrize("arguments", [("--nodes", "0"), ("--handover", "quick"), ("--mutate", "--exact"), ("--mutate", "--faults", "1")])
def test_a_wrong_command_line_ends_with_2(pvc, arguments):
    code, _, err = pvc(*arguments)
    assert code == 2
    assert "Next: " in err


def test_without_numpy_it_says_what_to_install(pvc, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("pvc.check.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpy", None)
    code, out, err = pvc("--coarse")
    assert (code, out) == (1, "")
    assert "needs numpy" in err
    assert "apt install python3-numpy" in err


def test_the_help_of_the_group_says_what_the_command_says(pvc):
    command = COMMANDS["check"].load()
    assert COMMANDS["check"].summary == (command.help or "").splitlines()[0]


def test_the_real_rules_are_what_is_checked_by_default():
    assert runs.recording().tables is RULES.tables
