"""The command `pvc` as a process."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from pvc import __version__
from pvc.cli.main import COMMANDS


def pvc(*arguments):
    """Run the real entry point and return the finished process."""
    return subprocess.run(
        [sys.executable, "-c", "import sys; from pvc.cli.main import main; sys.exit(main(prog_name='pvc'))", *arguments],
        capture_output=True,
        text=True,
    )


def test_version_is_the_one_of_the_package():
    assert pvc("--version").stdout == f"pvc {__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",)])
def test_help_names_every_command(arguments):
    done = pvc(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("arguments", [["-h"], ["fsm", "list", "-o", "json"]])
def test_a_full_disk_behind_a_redirection_is_a_sentence(arguments):
    command = "import sys; from pvc.cli.main import main; sys.exit(main(prog_name='pvc'))"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", command, *arguments], stdout=full, stderr=-1, text=True)
    assert done.returncode == 1
    assert "the system refused: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_closed_streams_are_no_error():
    command = "import sys; from pvc.cli.main import main; sys.exit(main(['fsm', 'list'], 'pvc'))"
    done = subprocess.run(["sh", "-c", f'exec "{sys.executable}" -c "$0" >&- 2>&-', command])
    assert done.returncode == 0


def test_an_option_of_pvc_itself_after_the_command_is_shown_its_place():
    done = pvc("vm", "list", "--color", "always")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "--color stands before the command: pvc --color ...")


@pytest.mark.parametrize("group", ["cluster", "config", "fsm", "hold", "node", "plan", "sim", "vm"])
def test_no_list_of_commands_cuts_what_it_says(group):
    assert "..." not in pvc(group, "-h").stdout.partition("Commands:")[2]


def test_a_mistyped_command_ends_with_2_and_a_suggestion():
    done = pvc("fms")
    assert (done.returncode, done.stdout) == (2, "")
    assert 'did you mean "fsm"?' in done.stderr


@pytest.mark.parametrize("arguments", [["-h"], ["vm", "-h"], ["vm", "start", "-h"], ["node", "-h"], ["init", "-h"]])
def test_help_imports_nothing_that_is_slow(arguments):
    slow = {"kazoo", "transitions", "graphviz", "numpy", "libvirt", "pvc.client", "pvc.cluster.live", "xml", "logging", "pvc.fsm.tables"}
    told = f"print(sorted({slow} & set(sys.modules)), file=sys.stderr)"
    probe = f"import sys\nfrom pvc.cli.main import main\ntry: main({arguments})\nfinally: {told}"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_a_summary_is_the_first_line_of_the_commands_own_help():
    written = [lazy for lazy in COMMANDS.values() if find_spec(lazy.target.partition(":")[0])]
    assert [lazy.load().get_short_help_str(limit=200) for lazy in written] == [lazy.summary for lazy in written]
