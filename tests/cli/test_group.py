"""Groups of commands: lazy, suggesting, and clear about what went wrong."""

import subprocess
import sys

import click
import pytest

from pvc import errors
from pvc.cli.group import Lazy, RootGroup


@pytest.fixture
def pvc(capsys):
    """Runs a command line of a small tree of commands as a process would, and returns exit code, stdout and stderr."""

    @click.group(cls=RootGroup, name="pvc", lazy={"absent": Lazy("pvc.no_such_module:command", "Cannot be imported.")})
    def root():
        """The root."""

    @root.group()
    def vm():
        """Work on VMs."""

    @vm.command()
    @click.argument("name")
    def start(name):
        """Start a VM."""
        click.echo(f"{name} started")

    @root.command()
    def refuse():
        """Refuse."""
        raise errors.Refused("web1 cannot move to hv3: it is flushed.", "pvc node ready hv3")

    @root.command()
    def lose():
        """Lose the quorum."""
        raise errors.NoQuorum("ZooKeeper does not answer.")

    @root.command()
    def interrupt():
        """Be interrupted."""
        raise KeyboardInterrupt

    @root.command()
    def complain():
        """Fail in click's own way."""
        raise click.FileError("x.xml", "no such file")

    @root.command()
    @click.pass_context
    def leave(ctx):
        """End with a code of its own."""
        ctx.exit(7)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            root.main(arguments, "pvc")
        return ended.value.code, *capsys.readouterr()

    return run


def test_a_command_runs(pvc):
    assert pvc("vm", "start", "web1") == (0, "web1 started\n", "")


@pytest.mark.parametrize("path", [(), ("vm",)])
def test_a_bare_group_shows_its_help_and_ends_well(pvc, path):
    code, out, err = pvc(*path)
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: {' '.join(('pvc', *path))} ")
    assert "Commands:" in out


def test_help_lists_a_lazy_command_without_importing_it(pvc):
    code, out, _ = pvc("--help")
    assert code == 0
    assert "absent" in out
    assert "Cannot be imported." in out
    assert "Work on VMs." in out


def test_an_unknown_command_gets_the_nearest_suggestion(pvc):
    assert pvc("vm", "strat") == (2, "", 'no command called "strat"; did you mean "start"? Known: start\nNext: pvc vm -h\n')


def test_a_missing_argument_is_a_sentence_and_a_next_step(pvc):
    code, out, err = pvc("vm", "start")
    assert (code, out) == (2, "")
    assert err == "Missing argument 'NAME'.\nNext: pvc vm start -h\n"


def test_an_error_is_its_message_its_next_step_and_its_code(pvc):
    assert pvc("refuse") == (1, "", "web1 cannot move to hv3: it is flushed.\nNext: pvc node ready hv3\n")


def test_an_error_without_a_next_step_is_one_line(pvc):
    assert pvc("lose") == (5, "", "ZooKeeper does not answer.\n")


def test_an_interrupt_ends_with_130(pvc):
    code, out, err = pvc("interrupt")
    assert (code, out, err.strip()) == (130, "", "interrupted")


def test_an_error_of_clicks_own_keeps_its_code(pvc):
    code, out, err = pvc("complain")
    assert (code, out) == (1, "")
    assert "x.xml" in err


def test_a_command_may_end_with_a_code_of_its_own(pvc):
    assert pvc("leave") == (7, "", "")


def test_only_the_invoked_command_is_imported():
    probe = """
import sys
from pvc.cli.group import Lazy, RootGroup
lazy = {"one": Lazy("colorsys:one", ""), "two": Lazy("wave:two", "")}
root = RootGroup(name="pvc", lazy=lazy)
root.list_commands(None)
try:
    root.get_command(None, "one")
except AttributeError:
    print("colorsys" in sys.modules, "wave" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"


def test_a_caller_in_the_same_process_gets_the_exception():
    @click.group(cls=RootGroup, lazy={})
    def root():
        """The root."""

    with pytest.raises(errors.UsageProblem):
        root.main(["nothing"], standalone_mode=False)
