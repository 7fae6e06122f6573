"""Log lines: in the journal with fields, on a terminal with colour, elsewhere plain."""

import io
import logging
import os
import pty
import socket

import pytest

from pvc.agent.ports import Moved
from pvc.daemon import journal
from pvc.daemon.logs import AgentLog, open_log

MOVED = Moved("web1", "domain", "place", "boot", "claim", "The write that makes this node the owner is the only way to start a guest.")
SENTENCE = str(MOVED)


@pytest.fixture(autouse=True)
def _other_handlers_are_back_afterwards():
    root, kazoo = logging.getLogger(), logging.getLogger("kazoo")
    before, level, kazoos = root.handlers[:], root.level, kazoo.level
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = before, level
    kazoo.setLevel(kazoos)


@pytest.fixture
def heard(tmp_path, monkeypatch):
    """A journal of our own: what it gets, parsed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "journal"))
        listener.settimeout(5)
        monkeypatch.setattr(journal.Journal.__init__, "__defaults__", (str(tmp_path / "journal"),))
        yield lambda: parsed(listener.recv(65536))


def parsed(datagram):
    """The fields of a datagram, read as the journal reads them."""
    found = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if equals:
            found[name.decode()], datagram = value.decode(), rest
        else:
            size = int.from_bytes(rest[:8], "little")
            found[name.decode()], datagram = rest[8 : 8 + size].decode(), rest[9 + size :]
    return found


@pytest.fixture
def stream(tmp_path):
    with (tmp_path / "stderr").open("w+") as file:
        yield file


def journal_environment(stream):
    found = os.fstat(stream.fileno())
    return {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}


def test_a_transition_is_one_sentence_with_fields_to_find_it_by(heard, stream):
    open_log(journal_environment(stream), stream)
    AgentLog().moved(MOVED)
    assert heard() == {
        "MESSAGE": SENTENCE, "PRIORITY": "6", "SYSLOG_IDENTIFIER": "pvcd",
        "PVC_VM": "web1", "PVC_MACHINE": "domain", "PVC_FROM": "place", "PVC_TO": "boot", "PVC_TRIGGER": "claim",
    }  # fmt: skip


def test_a_transition_of_a_node_is_found_by_the_node(heard, stream):
    open_log(journal_environment(stream), stream)
    AgentLog().moved(Moved("hv2", "fence", "none", "evidence", "suspect", "It lost its session."))
    assert heard()["PVC_NODE"] == "hv2"


def test_levels_are_the_journals(heard, stream):
    open_log(journal_environment(stream), stream)
    logging.getLogger("pvcd").error("it broke")
    found = heard()
    assert (found["MESSAGE"], found["PRIORITY"]) == ("error: it broke", "3")


def test_a_traceback_stays_one_entry(heard, stream):
    open_log(journal_environment(stream), stream)
    try:
        raise ValueError("MESSAGE=forged")
    except ValueError:
        logging.getLogger("pvcd").exception("it broke")
    found = heard()
    assert found["MESSAGE"].startswith("error: it broke\nTraceback")
    assert found["MESSAGE"].endswith("ValueError: MESSAGE=forged")


def test_a_journal_that_does_not_listen_loses_nothing(stream, monkeypatch, tmp_path):
    monkeypatch.setattr(journal.Journal.__init__, "__defaults__", (str(tmp_path / "nobody"),))
    open_log(journal_environment(stream), stream)
    AgentLog().moved(MOVED)
    stream.seek(0)
    assert stream.read() == f"{SENTENCE}\n"


def test_a_stream_that_was_turned_elsewhere_is_not_the_journal(stream):
    open_log({"JOURNAL_STREAM": "1:1"}, stream)
    AgentLog().moved(MOVED)
    stream.seek(0)
    assert stream.read().endswith(f" {SENTENCE}\n")


def on_a_terminal(environment):
    mine, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        open_log(environment, terminal)
        AgentLog().moved(MOVED)
        AgentLog().say("hv2 does not answer")
        terminal.flush()
        shown = b""
        while shown.count(b"\n") < 2:
            shown += os.read(mine, 4096)
    os.close(mine)
    return shown.decode().splitlines()


def test_a_terminal_gets_colour():
    moved, said = on_a_terminal({"TERM": "xterm"})
    assert moved.endswith(f"\x1b[1m{SENTENCE}\x1b[0m")
    assert said.endswith("\x1b[33mwarning: hv2 does not answer\x1b[0m")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_none_gets_none(environment):
    assert "\x1b" not in "".join(on_a_terminal(environment))


def test_what_is_no_file_is_no_journal():
    assert not journal.is_journal("", io.StringIO())
