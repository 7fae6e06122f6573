"""The line that says what is being done meanwhile: for who watches, and for nobody else."""

import io
from types import SimpleNamespace

import pytest

from pvc.cli.meanwhile import meanwhile


class Terminal(io.StringIO):
    """A terminal, until it is told that it is none."""

    is_one = True

    def isatty(self):
        return self.is_one

    @property
    def lines(self):
        """What stood there, one after the other."""
        return self.getvalue().split("\r\x1b[K")[1:]


@pytest.fixture
def stderr(monkeypatch):
    """A terminal of 40 columns."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr("pvc.cli.meanwhile.sys", SimpleNamespace(stderr=terminal))
    return terminal


def test_it_is_told_once_a_second_and_erased_in_the_end(stderr):
    now = [0.0]
    with meanwhile(clock=lambda: now[0]) as show:
        for now[0] in (0.0, 0.4, 0.9, 1.0, 1.5, 2.7):
            show(f"{now[0]} s")
    assert stderr.lines == ["0.0 s", "1.0 s", "2.7 s", ""]


def test_it_never_takes_a_second_line(stderr):
    with meanwhile() as show:
        show("x" * 100)
    assert stderr.lines == ["x" * 39, ""]


def gone_wrong():
    with meanwhile() as show:
        show("this")
        raise ValueError("wrong")


def test_what_goes_wrong_meanwhile_is_not_written_behind_it(stderr):
    with pytest.raises(ValueError, match="wrong"):
        gone_wrong()
    assert stderr.lines == ["this", ""]


@pytest.mark.parametrize(("wanted", "terminal", "term"), [(False, True, "xterm"), (True, False, "xterm"), (True, True, "dumb")])
def test_nobody_is_told_who_does_not_watch(stderr, monkeypatch, wanted, terminal, term):
    stderr.is_one = terminal
    monkeypatch.setenv("TERM", term)
    with meanwhile(wanted) as show:
        show("this")
    assert stderr.lines == []
