"""How far a migration is, on a terminal and in a log."""

from dataclasses import replace

import pytest

from pvc.cli import following
from pvc.cli.following import LINE_S, ProgressLine
from tests.client.test_moving import TOLD


@pytest.fixture
def terminal(monkeypatch):
    """Somebody who watches a screen of 60 columns."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(following, "narrates", lambda: True)


def test_a_terminal_shows_one_line_again_and_again(terminal, capsys):
    line = ProgressLine("web1")
    line(TOLD)
    line(replace(TOLD, remaining_mib=0))
    out = capsys.readouterr().out
    assert out.count("\r\x1b[K") == 2
    assert "web1: [##################......] 75 % migrated" in out
    assert "\n" not in out
    assert all(len(part) < 60 for part in out.split("\r\x1b[K"))
    assert out.endswith("100 % migrated, 500 MiB/s"), "what does not fit is left out as a whole"
    following.narrate("web1: migrate -> start")
    assert capsys.readouterr().out.endswith("web1: migrate -> start\n")


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_said_before_anything_was_measured_and_the_standstill_in_the_end(monkeypatch, capsys, terminal):
    monkeypatch.setattr(following, "narrates", lambda: terminal)
    line = ProgressLine("web1")
    line(replace(TOLD, total_mib=0, remaining_mib=0, rate_mib_s=0.0))
    assert capsys.readouterr().out == ""
    line(replace(TOLD, total_mib=0, stood_ms=358))
    assert capsys.readouterr().out.endswith("web1: its guest stood still for 358 ms at most\n")


def test_a_log_gets_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(following, "narrates", lambda: False)
    now = [100.0]
    line = ProgressLine("web1", lambda: now[0])
    for _ in range(5):
        line(TOLD)
        now[0] += LINE_S / 4
    lines = capsys.readouterr().out.splitlines()
    assert [text[20:] for text in lines] == ["web1: 75 % migrated, 500 MiB/s, 2 s left"] * 2
