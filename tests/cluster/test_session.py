"""The heartbeat: a silent server is left, an ended lease is said, and a store that has stopped working says so."""

import queue
import threading

import pytest

from pvc.cluster.session import Session
from pvc.cluster.store import Broken, Connection, State

WAIT_S = 60


class Line:
    """A client library that does nothing but take notes."""

    def __init__(self):
        self.calls = queue.Queue()
        self.dead = None
        self.error = None

    def heartbeat(self):
        if self.error:
            raise self.error
        self.calls.put("heartbeat")

    def drop(self):
        self.calls.put("drop")

    def ended(self):
        return self.dead


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def session():
    """Granted half a second."""
    session = Session(0.5)
    session.events = queue.Queue()
    session.listen(session.events.put)
    session.lease.granted(0.5, session.lease.clock())
    session.connected(7)
    yield session
    session.close()


def test_an_answered_heartbeat_is_followed_by_another(session, line):
    line.heartbeat = lambda: (line.calls.put("heartbeat"), session.lease.acked(session.lease.clock()))
    session.keep(line)
    assert [line.calls.get(timeout=WAIT_S) for _ in range(4)] == ["heartbeat"] * 4


def test_a_server_that_does_not_answer_is_left(session, line):
    """kazoo sends no ping while other requests go out, so it would stay."""
    session.keep(line)
    assert [line.calls.get(timeout=WAIT_S) for _ in range(2)] == ["heartbeat", "drop"]


def test_lost_is_said_without_a_connection(session, line):
    session.keep(line)
    session.suspended()
    assert [session.events.get(timeout=WAIT_S) for _ in range(3)] == [
        Connection(State.CONNECTED, 7, 1), Connection(State.SUSPENDED, 7, 1), Connection(State.LOST, 7, 1)
    ]  # fmt: skip


def test_a_library_that_has_stopped_is_reported_once(session, line):
    line.dead = "it died"
    session.keep(line)
    assert [session.events.get(timeout=WAIT_S) for _ in range(3)] == [
        Connection(State.CONNECTED, 7, 1), Connection(State.LOST, 7, 1), Broken("it died")
    ]  # fmt: skip
    session.close()
    assert session.events.empty()


def test_a_heartbeat_that_fails_is_reported(session, line):
    line.error = OSError("no more sockets")
    session.keep(line)
    session.events.get(timeout=WAIT_S)
    session.events.get(timeout=WAIT_S)
    assert "no more sockets" in session.events.get(timeout=WAIT_S).why


def test_an_exception_in_a_callback_is_reported(session):
    """H7: kazoo logs it and goes on, deaf."""
    with session.callback():
        raise ValueError("a bug")
    events = [session.events.get(timeout=WAIT_S) for _ in range(3)]
    assert isinstance(events[-1], Broken)
    assert "a bug" in events[-1].why


def test_each_state_is_said_once(session):
    for _ in range(2):
        session.suspended()
        session.lost()
        session.suspended()
    session.connected(8)
    states = []
    while not session.events.empty():
        states.append(session.events.get().state)
    assert states == [State.CONNECTED, State.SUSPENDED, State.LOST, State.CONNECTED]
    assert session.generation == 2


def test_a_later_connection_is_waited_for(session):
    assert session.reconnected(0, 0)
    assert not session.reconnected(1, 0)
    session.suspended()
    threading.Timer(0.05, session.connected, [7]).start()
    assert session.reconnected(1, WAIT_S)


def test_nobody_waits_for_a_session_that_is_over(session, line):
    session.suspended()
    line.dead = "it has stopped"
    session.keep(line)
    assert not session.reconnected(1, 1000)
