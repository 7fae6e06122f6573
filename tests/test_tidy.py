"""How the code reads, where a test can tell; each rule is first shown what it must refuse."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pvc import __version__
from tests import tidy
from tests.tidy import Module

ROOT = Path(__file__).parent.parent
MODULES = [Module(str(path.relative_to(ROOT)), path.read_text()) for path in sorted((ROOT / "pvc").rglob("*.py"))]

# Modules that are tables and may be long: path, and why.
TABLES: dict[str, str] = {}
# Functions that may be long: "path:name", and why.
LONG_FUNCTIONS: dict[str, str] = {}
# Written in two parts, or this file would complain about itself.
MACHINE_PATHS = ["/" + "work/", "/" + "root/"]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("pvc/errors.py", "import pvc.fsm.domain"),
        ("pvc/fsm/domain.py", "from pvc.core import core"),
        ("pvc/cluster/store.py", "from pvc import core"),
        ("pvc/core/core.py", "import pvc.daemon.main"),
        ("pvc/check/search.py", "from pvc.sim import world"),
        ("pvc/sim/world.py", "from pvc.daemon.main import main"),
        ("pvc/cli/vm.py", "from ..daemon import main"),
        ("pvc/daemon/main.py", "from pvc.cli.group import Group"),
        ("pvc/elsewhere.py", "import pvc.errors"),
    ],
)
def test_layering_refuses_an_import_that_points_up(path, line):
    assert len(tidy.layering(Module(path, line))) == 1


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("pvc/cli/main.py", "from pvc import __version__"),
        ("pvc/core/core.py", "from pvc.cluster.records import Domain"),
        ("pvc/fsm/domain.py", "from .row import Row"),
        ("pvc/__init__.py", "import pvc.errors"),
    ],
)
def test_layering_accepts_an_import_that_points_down(path, line):
    assert tidy.layering(Module(path, line)) == []


def test_dependencies_point_down():
    assert _all(tidy.layering) == []


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "from os import path",
        "import random",
        "from logging import handlers",
        "import kazoo.client",
        "import numpy",
        "import transitions",
        "open('x')",
    ],
)
def test_purity_refuses_what_the_checker_could_not_replay(line):
    assert len(tidy.purity(Module("pvc/fsm/domain.py", line))) == 1
    assert len(tidy.purity(Module("pvc/core/core.py", f"def on(event):\n    {line}"))) == 1


def test_purity_accepts_calculation_and_the_declared_exceptions():
    assert tidy.purity(Module("pvc/fsm/domain.py", "import json, logging\nfrom pvc.errors import Refused")) == []
    assert tidy.purity(Module("pvc/fsm/machine.py", "import transitions")) == []
    assert tidy.purity(Module("pvc/daemon/main.py", "import time")) == []


def test_fsm_and_core_know_no_io_clock_thread_or_chance():
    assert _all(tidy.purity) == []


def test_purity_is_not_lost_on_the_way_through_another_module():
    modules = [
        Module("pvc/core/core.py", "from pvc.cluster import records"),
        Module("pvc/cluster/records.py", "from pvc.cluster.zookeeper import Client"),
        Module("pvc/cluster/zookeeper.py", "import kazoo.client"),
    ]
    (complaint,) = tidy.reached_impurity(modules)
    assert complaint.startswith("pvc.core.core -> pvc.cluster.records -> pvc.cluster.zookeeper -> kazoo.client")
    assert tidy.reached_impurity(modules[1:]) == []


def test_fsm_and_core_reach_no_io_through_others():
    assert tidy.reached_impurity(MODULES) == []


@pytest.mark.parametrize("package", tidy.ONE_IMPORTER)
def test_two_importers_of_a_tamed_package_are_refused(package):
    modules = [Module("pvc/cli/one.py", f"import {package}"), Module("pvc/cli/two.py", f"from {package}.x import y")]
    assert len(tidy.single_importers(modules)) == 1


def test_a_tamed_package_belongs_to_its_own_file():
    assert len(tidy.single_importers([Module("pvc/cluster/other.py", "import kazoo")])) == 1
    assert len(tidy.single_importers([Module("pvc/cluster/zookeeper.py", "import json")])) == 1
    assert tidy.single_importers([Module("pvc/cluster/zookeeper.py", "from kazoo.client import KazooClient")]) == []
    assert tidy.single_importers([Module("pvc/hypervisor/library.py", "import libvirt")]) == []


def test_kazoo_libvirt_transitions_and_graphviz_are_imported_by_one_file_each():
    assert tidy.single_importers(MODULES) == []


@pytest.mark.parametrize("text", ["import time\ntime.sleep(1)", "from time import sleep\nsleep(1)"])
def test_a_sleep_is_refused(text):
    assert len(tidy.sleeping(Module("pvc/daemon/main.py", text))) == 1
    assert tidy.sleeping(Module("pvc/cli/vm.py", text)) == []


def test_no_wait_is_a_stack_frame():
    assert _all(tidy.sleeping) == []


def test_a_long_module_is_refused_unless_it_is_a_declared_table():
    long = Module("pvc/fsm/domain.py", "x = 1\n" * 301)
    assert len(tidy.long_module(long, {})) == 1
    assert tidy.long_module(long, {"pvc/fsm/domain.py": "a table"}) == []
    assert tidy.long_module(Module("pvc/fsm/domain.py", "x = 1\n" * 300), {}) == []


def test_modules_fit_in_the_head():
    assert _all(tidy.long_module, TABLES) == []


def test_a_long_function_is_refused_unless_it_is_excused():
    body = "    x = 1\n"
    assert len(tidy.long_functions(Module("pvc/core/core.py", "def on():\n" + body * 40), {})) == 1
    assert tidy.long_functions(Module("pvc/core/core.py", "def on():\n" + body * 40), {"pvc/core/core.py:on": "why"}) == []
    assert tidy.long_functions(Module("pvc/core/core.py", 'def on():\n    """What."""\n' + body * 39), {}) == []


def test_functions_fit_on_a_screen():
    assert _all(tidy.long_functions, LONG_FUNCTIONS) == []


def test_an_excuse_that_nobody_needs_any_more_is_taken_out():
    needed = {complaint.rsplit(": ", 1)[0] for complaint in _all(tidy.long_functions, {}) + _all(tidy.long_module, {})}
    assert sorted({*TABLES, *LONG_FUNCTIONS} - needed) == []


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("x = 1", 1),
        ('"""M."""\nclass C:\n    def m(self): ...', 2),
        ('"""M."""\ndef f(): ...\ndef _g(): ...', 1),
        ('"""M."""\nclass C(Base):\n    """C."""\n    def m(self): ...', 0),
        ('"""M."""\nclass C(Protocol[T]):\n    """C."""\n    def m(self): ...\n    def __len__(self): ...', 1),
    ],
)
def test_a_missing_docstring_is_noticed(text, missing):
    assert len(tidy.undocumented(Module("pvc/core/core.py", text))) == missing


def test_a_protocol_speaks_for_those_who_implement_it():
    protocol = Module("pvc/cluster/store.py", '"""M."""\nclass P(Protocol):\n    """P."""\n    def read(self):\n        """R."""')
    store = Module("pvc/cluster/memory.py", '"""M."""\nclass C:\n    """C."""\n    def read(self): ...\n    def other(self): ...')
    assert tidy.undocumented(store, tidy.promised_methods([protocol])) == ["pvc/cluster/memory.py:C.other"]


def test_everything_public_says_what_it_is():
    assert _all(tidy.undocumented, tidy.promised_methods(MODULES)) == []


def test_a_path_of_one_machine_is_noticed():
    assert len(tidy.forbidden_words("README.md", f"see\n{MACHINE_PATHS[0]}main and {MACHINE_PATHS[1]}x", MACHINE_PATHS)) == 2


def test_no_file_names_a_path_of_one_machine(require):
    inside_git = shutil.which("git") is not None and (ROOT / ".git").exists()
    require("git", inside_git, "it tells which files are ours")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    complaints = []
    for path in filter(None, listed.stdout.split("\0")):
        complaints += tidy.forbidden_words(path, _text(ROOT / path), MACHINE_PATHS)
    assert complaints == []


def test_the_changelog_mentions_this_version():
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def _all(rule, *arguments):
    return [complaint for module in MODULES for complaint in rule(module, *arguments)]


def _text(path):
    """The text of a file, empty when it is not text or was deleted and not yet committed."""
    try:
        return path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, FileNotFoundError):
        return ""
