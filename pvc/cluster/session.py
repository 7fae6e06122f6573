"""The connection's state as events, and the one thread that keeps a session alive and knows when it may be over.

Nothing here knows kazoo: `Line` is what it needs of a client.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from pvc.cluster.lease import Lease
from pvc.cluster.store import Broken, Connection, Event, Listener, State

log = logging.getLogger(__name__)

CHECKS_PER_TIMEOUT = 20


class Line(Protocol):
    """A client library's connection."""

    def heartbeat(self) -> None:
        """Ask the leader for an answer."""

    def drop(self) -> None:
        """Give up this server, so that the next one is tried."""

    def ended(self) -> str | None:
        """Why the library has stopped working for good, None while it works."""


class Session:
    """State, generation and lease of one session. Its lock guards the whole store: events leave in one order."""

    def __init__(self, asked_s: float) -> None:
        self.lock = threading.RLock()
        self.lease = Lease(asked_s)
        self.state = State.LOST
        self.generation = 0
        self.session_id = 0
        self._listener: Listener | None = None
        self._changed = threading.Condition(self.lock)
        self._over = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def listen(self, listener: Listener) -> None:
        """Report to this listener from now on."""
        assert not self._closing.is_set(), "a closed store stays closed"
        self._listener = listener

    def emit(self, event: Event) -> None:
        """Hand an event to the listener, which may only enqueue it (H7)."""
        with self.lock:
            if self._listener is not None:
                self._listener(event)

    def connected(self, session_id: int) -> None:
        """A server answers, in this session."""
        self.generation += 1
        self.session_id = session_id
        self._become(State.CONNECTED)

    def suspended(self) -> None:
        """The connection is gone."""
        if self.state is State.CONNECTED:
            self._become(State.SUSPENDED)

    def lost(self) -> None:
        """The session has ended or may have. Said once, whoever notices first: our lease or the ensemble."""
        if self.state is not State.LOST:
            self._become(State.LOST)

    def _become(self, state: State) -> None:
        self.state = state
        self.emit(Connection(state, self.session_id, self.generation))
        with self.lock:
            self._changed.notify_all()

    def reconnected(self, after: int, timeout_s: float) -> bool:
        """Wait for a connection later than this generation; False when none comes in time, or none can come any more."""

        def later() -> bool:
            return self.state is State.CONNECTED and self.generation > after

        with self.lock:
            self._changed.wait_for(lambda: self._over or later(), timeout_s)
            return later()

    @contextmanager
    def callback(self) -> Iterator[None]:
        """Around what a library's thread runs: under the lock, and no exception is lost in its log (H7)."""
        with self.lock:
            try:
                yield
            except Exception as error:
                log.exception("a callback failed")
                self._break(f"a callback failed: {error!r}")

    def _break(self, why: str) -> None:
        self.lost()
        self.emit(Broken(why))
        self._finish()

    def _finish(self) -> None:
        with self.lock:
            self._over = True
            self._changed.notify_all()

    def keep(self, line: Line) -> None:
        """Start the heartbeat."""
        self._thread = threading.Thread(target=self._beat, args=(line,), name="zookeeper-heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Report nothing more and stop the heartbeat."""
        with self.lock:
            self._listener = None
            self.state = State.LOST
        self._finish()
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _beat(self, line: Line) -> None:
        why = None
        while why is None and not self._closing.wait(self.lease.granted_s / CHECKS_PER_TIMEOUT):
            try:
                self._check(line)
                why = line.ended()
            except Exception as error:  # without its heartbeat a store must not look alive
                log.exception("the heartbeat failed")
                why = f"the heartbeat failed: {error!r}"
        if why is not None:
            with self.lock:
                self._break(why)

    def _check(self, line: Line) -> None:
        with self.lock:
            if self.state is State.CONNECTED and self.lease.silent():
                log.warning("ZooKeeper has not answered for %.1f s: trying another server", self.lease.age_s())
                line.drop()
            elif self.state is State.CONNECTED and self.lease.beat_due():
                self.lease.beat_sent()
                line.heartbeat()
            elif self.state is State.SUSPENDED and self.lease.over():
                self.lost()  # kazoo says nothing while it is disconnected
