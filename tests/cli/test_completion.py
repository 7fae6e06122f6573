"""Completion: commands, options, and names from the cluster, quickly or not at all."""

import shutil
import subprocess
import time

import pytest

from pvc.cli import names
from pvc.cli.completion import script
from pvc.cli.main import main
from pvc.cli.names import LIMIT_S


@pytest.fixture
def tab(pvc, capsys, monkeypatch):
    """What the Tab key offers at the end of these words, to somebody who waits for a machine that is busy."""
    monkeypatch.setattr(names, "LIMIT_S", 60.0)

    def tab(*words):
        monkeypatch.setenv("_PVC_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(("pvc", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        capsys.readouterr()
        with pytest.raises(SystemExit):
            main.main([], "pvc", obj=pvc.access())
        monkeypatch.delenv("_PVC_COMPLETE")
        out, err = capsys.readouterr()
        assert err == ""
        return [line.partition(",")[2] for line in out.splitlines() if line]

    return tab


def test_commands_and_options_are_completed(tab):
    assert tab("vm", "mig") == ["migrate"]
    assert "--dry-run" in tab("node", "flush", "--")
    assert tab("fsm", "show", "dom") == ["domain"]


def test_names_of_vms_and_nodes_are_completed(tab, pvc, web1):
    pvc("vm", "define", pvc.file("web2"))
    pvc("vm", "define", pvc.file("db1"))
    assert tab("vm", "start", "we") == ["web1", "web2"]
    assert tab("vm", "migrate", "web1", "h") == ["hv1", "hv2", "hv3"]
    assert tab("node", "flush", "hv2") == ["hv2"]
    assert tab("vm", "list", "--node", "hv3") == ["hv3"]


def test_every_argument_that_names_a_vm_or_node_completes_it(tab, pvc, web1):
    for verb in ("start", "stop", "explain", "history", "info", "dump", "set", "wait", "migrate", "undefine", "resolve"):
        assert tab("vm", verb, "web") == ["web1"], verb
    for verb in ("flush", "ready", "info", "explain", "history", "remove", "fence", "fence-test"):
        assert tab("node", verb, "hv1") == ["hv1"], verb
    for words in (("plan", "fail"), ("plan", "flush"), ("plan", "migrate", "web1"), ("fsm", "show", "node", "--of")):
        assert tab(*words, "hv1") == ["hv1"], words
    for words in (("plan", "migrate"), ("fsm", "show", "domain", "--of"), ("fsm", "diagram", "domain", "--of")):
        assert tab(*words, "web") == ["web1"], words


def test_a_cluster_that_does_not_answer_offers_nothing_and_takes_no_time(tab, pvc, monkeypatch):
    monkeypatch.setattr(names, "LIMIT_S", LIMIT_S)
    access = pvc.access()
    access.make_store = lambda options: time.sleep(60)
    monkeypatch.setattr(pvc, "access", lambda: access)
    began = time.monotonic()
    assert tab("vm", "start", "we") == []
    assert time.monotonic() - began < 30  # the machine may be busy; without the limit it is a minute


def test_what_goes_wrong_is_not_told_to_whoever_types(tab, pvc, monkeypatch):
    access = pvc.access()
    access.zookeeper, access.user_file = None, pvc.path / "none"
    monkeypatch.setattr(pvc, "access", lambda: access)
    assert tab("vm", "start", "we") == []


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_script_is_one_that_the_shell_takes(pvc, shell):
    text = pvc("completion", shell).out
    assert text.rstrip("\n") == script(shell).rstrip("\n")
    assert "_PVC_COMPLETE" in text
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=text, text=True, capture_output=True).returncode == 0


