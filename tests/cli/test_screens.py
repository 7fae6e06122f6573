"""Screens as they are: on terminals of 80 and 200 columns, through a pipe, and drawn again by a program that stays up.

A golden screen is a file in `screens/`; after a change that is meant, PVC_WRITE_SCREENS=1 writes them anew, to be looked at.
"""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pvc.cluster import znodes
from pvc.cluster.formats import encode_progress
from pvc.cluster.progress import Leaving, Progress
from pvc.cluster.store import Create
from pvc.fsm.states import Domain, Kind, Migration, Want
from tests.cli.test_every_command import a_vm, put
from tests.client.test_vms import measured

SCREENS = Path(__file__).parent / "screens"
WIDTHS = {"80": "80", "200": "200", "pipe": None}
COMMANDS = {
    "vm-list": ("vm", "list"),
    "vm-list-wide": ("vm", "list", "-o", "wide"),
    "vm-info": ("vm", "info", "accounting-database"),
    "vm-history": ("vm", "history", "mail"),
    "node-list": ("node", "list"),
    "node-list-wide": ("node", "list", "-o", "wide"),
    "status": ("status",),
    "flush": ("node", "flush", "hv1", "--dry-run"),
}
ALSO = {"vm-explain": ("vm", "explain", "mail"), "node-explain": ("node", "explain", "hv1"), "events": ("events",)}
"""Too much of the tables' own words to be kept; but they have to fit as well."""


@pytest.fixture
def full(world):
    """VMs of different names, sizes and states, by hand; nodes with little room; a hold."""
    moving = {"target": "hv2", "phase": Migration.moving, "kind": Kind.migrate, "op_id": "op-1"}
    vms = [
        replace(a_vm(1, state=Domain.start, want=Want.start), name="web1"),
        replace(a_vm(2, state=Domain.start, want=Want.start), name="accounting-database", memory_mib=12000),
        replace(a_vm(3, state=Domain.migrate, want=Want.start, **moving), name="mail"),
        replace(a_vm(4, state=Domain.failed, want=Want.start), name="old", reason="Its restarts are used up."),
        replace(a_vm(5, state=Domain.start, want=Want.shutdown, owner="hv2"), name="away"),
    ]
    for vm in vms:
        put(world.small.client, vm)
    told = Progress((Leaving(vms[2].uuid, "op-1", 4.0, 4112, 1028, 700.0, 1),))
    world.small.client.multi([Create(znodes.progress("hv1"), encode_progress("hv1", told))])
    measured(world, hv1=800, hv2=6000, hv3=3000)
    world.client("anna@desk").hold(True, "new switch")
    return world


@pytest.fixture
def screen(full, pvc, monkeypatch):
    """What a command prints, by the width of the terminal."""

    def screen(words, width):
        monkeypatch.delenv("COLUMNS", raising=False)
        if width is not None:
            monkeypatch.setenv("COLUMNS", width)
        return pvc(*words).out

    return screen


@pytest.mark.parametrize("name", COMMANDS)
def test_a_screen_is_as_it_was(screen, name):
    for width, columns in WIDTHS.items():
        shown, path = screen(COMMANDS[name], columns), SCREENS / f"{name}.{width}.txt"
        if os.environ.get("PVC_WRITE_SCREENS"):
            SCREENS.mkdir(exist_ok=True)
            path.write_text(shown)
        assert shown == path.read_text(), f"{path.name}; is it meant? PVC_WRITE_SCREENS=1 writes the screens anew"


@pytest.mark.parametrize("name", [*COMMANDS, *ALSO])
def test_what_is_shown_fits_on_a_terminal_and_nothing_is_cut(screen, name):
    words = {**COMMANDS, **ALSO}[name]
    narrow, piped = screen(words, "80"), screen(words, None)
    assert max(map(len, narrow.splitlines())) <= 80
    shown = [word for word in ("web1", "accounting-database", "mail", "old", "away", "hv1", "hv2", "hv3", "anna@desk") if word in piped]
    assert shown
    assert [word for word in shown if word not in narrow] == []


@pytest.mark.parametrize("columns", [40, 50, 60, 70])
def test_the_status_wraps_between_words(screen, columns):
    words = screen(("status",), None).split()
    narrow = screen(("status",), str(columns))
    assert max(map(len, narrow.splitlines())) <= columns
    assert sorted(narrow.split()) == sorted(words)


# ---- on a real terminal


TOP = """
import sys
sys.path.insert(0, {root!r})
from pvc.cli.main import main
from pvc.cli.sim import SimAccess
from pvc.sim.cluster import SimCluster
simulated = SimCluster(3, seed=5)
simulated.run(10)
simulated.admin.define(simulated.xml("web1", 1024), "hv1")
main.main({words!r}, "pvc", obj=SimAccess("simulated:2181", who="admin", simulated=simulated))
"""


class Terminal:
    """A terminal of tmux's."""

    def __init__(self, folder, columns, environment=""):
        self.tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self.run("new-session", "-d", "-x", str(columns), "-y", "30", "env", *environment.split(), "PS1=$ ", "sh")

    def run(self, *words):
        return subprocess.run([*self.tmux, *words], capture_output=True, text=True, check=True).stdout

    def type(self, line):
        self.run("send-keys", line, "Enter")

    def screen(self, *options):
        return self.run("capture-pane", "-p", *options)

    def until(self, words, *options):
        deadline = time.monotonic() + 60
        while words not in (shown := self.screen(*options)):
            assert time.monotonic() < deadline, f"{words!r} does not come; the terminal shows:\n{shown}"
            time.sleep(0.05)
        return shown

    def close(self):
        subprocess.run([*self.tmux, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def terminal(require, tmp_path):
    """A terminal of 100 columns."""
    require("tmux", bool(shutil.which("tmux")), "install the Debian package tmux")
    made = []

    def open_(environment=""):
        made.append(Terminal(tmp_path, 100, environment))
        return made[0]

    yield open_
    for one in made:
        one.close()


def script(tmp_path, *words):
    """A command line on a simulated cluster, as a program."""
    path = tmp_path / "pvc.py"
    path.write_text(TOP.format(root=str(Path(__file__).parent.parent.parent), words=list(words)))
    return f"{sys.executable} {path}"


@pytest.mark.long
@pytest.mark.parametrize("environment", ["", "NO_COLOR=1"])
def test_a_screen_that_stays_up_is_drawn_in_place_and_ctrl_c_leaves_the_shell(terminal, tmp_path, environment):
    shell = terminal(environment)
    shell.type(f"{script(tmp_path, 'top')}; echo ended with $?")
    shown = shell.until("hv3")
    assert shown.splitlines()[0] == "Cluster sim"
    assert ("\x1b[" in shell.screen("-e")) == (not environment)
    shell.run("send-keys", "C-c")
    shell.until("ended with 0")


@pytest.mark.long
def test_a_question_is_asked_on_a_terminal_and_no_changes_nothing(terminal, tmp_path):
    shell = terminal()
    shell.type(f"{script(tmp_path, 'vm', 'undefine', 'web1')}; echo ended with $?")
    shell.until("[y/N]")
    shell.type("n")
    shell.until("Nothing was changed.")
    shell.until("ended with 1")
