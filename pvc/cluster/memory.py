"""The store port over a `MemoryEnsemble`: the same promises as ZooKeeper's, with faults by explicit call.

Events wait in one queue per client until its owner pumps `deliver`, so a simulator decides when a daemon learns
what. A watch event says only that something changed; the value is read when it is delivered, as with ZooKeeper.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from pvc.cluster.ensemble import MemoryEnsemble
from pvc.cluster.limits import check_ops, check_path
from pvc.cluster.store import (
    Changed,
    ChildrenChanged,
    Connection,
    Event,
    Listener,
    NotConnected,
    Op,
    OutcomeUnknown,
    Refused,
    Relisted,
    State,
    Store,
    Znode,
    version_after,
)
from pvc.cluster.watches import CHILDREN, DATA, Key, Look


class MemoryStore(Store):
    """One process's session with a `MemoryEnsemble`; its death is `disconnect` and `close`: the session lives on until its timeout.

    `disconnect`, `reconnect`, `freeze`, `thaw` and `lose_next_reply` are the faults; `deliver` hands out events, which are `waiting` until
    then; some may turn out to be nothing new.
    """

    def __init__(self, ensemble: MemoryEnsemble, session_timeout_s: float = 10.0) -> None:
        self._ensemble = ensemble
        self._asked_s = self._granted_s = session_timeout_s
        self._listener: Listener | None = None
        self._closed = False
        self._session = self._generation = self._zxid = self.requests = 0
        self._state = State.LOST
        self._link_up = True
        self._frozen = False
        self._acked_at = self._thawed_at = -math.inf
        self._reply_to_lose: bool | None = None
        self._watched: dict[Key, None] = {}  # a set that keeps its order
        self._reported: dict[Key, Changed | ChildrenChanged] = {}
        self.waiting: deque[Connection | Relisted | Look] = deque()

    def start(self, listener: Listener, timeout_s: float = 10.0) -> None:
        assert not self._closed, "a closed store stays closed"
        if not (self._link_up and self._ensemble.quorum):
            raise NotConnected(f"no server answered within {timeout_s:g} s")
        self._listener = listener
        self._ensemble.join(self)
        self._connect()

    def close(self) -> None:
        self._closed = True
        if self._listener is None:
            return
        self._ensemble.leave(self)
        if self.heard:
            self._ensemble.end_session(self._session)  # otherwise it ends by its timeout
        self._forget_watches()
        self._listener, self._state = None, State.LOST
        self.waiting.clear()

    @property
    def connected(self) -> bool:
        return self._state is State.CONNECTED

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def session_id(self) -> int:
        return self._session

    @property
    def session_timeout_s(self) -> float:
        return self._granted_s

    @property
    def last_zxid(self) -> int:
        return self._zxid

    def lease_age_s(self) -> float:
        return 0.0 if self._acked else self._ensemble.now - self._acked_at

    # -- Requests --------------------------------------------------------------------------------------------------

    def read(self, path: str, *, sync: bool = False) -> Znode | None:
        check_path(path)
        self._send()
        return self._ensemble.read(path)

    def read_many(self, paths: Iterable[str], *, sync: bool = False) -> Mapping[str, Znode | None]:
        return {path: self.read(path) for path in paths}

    def children(self, path: str, *, sync: bool = False) -> tuple[str, ...] | None:
        check_path(path)
        self._send()
        return self._ensemble.children(path)

    def multi(self, ops: Sequence[Op]) -> tuple[int, ...]:
        check_ops(ops)
        self._send()
        lost, self._reply_to_lose = self._reply_to_lose, None
        if lost is not None:
            self._lose_reply(ops, applied=lost)
        self._ensemble.multi(self._session, ops)
        self._zxid = self._ensemble.zxid
        return tuple(version_after(op) for op in ops)

    def _lose_reply(self, ops: Sequence[Op], *, applied: bool) -> NoReturn:
        if applied:
            with suppress(Refused):  # a refusal is lost as well
                self._ensemble.multi(self._session, ops)
        self.disconnect()
        raise OutcomeUnknown("the connection went before the reply")

    def _send(self) -> None:
        if self._frozen:
            raise RuntimeError("a frozen process makes no requests: thaw it first")
        if not self.connected:
            raise NotConnected(f"no connection to ZooKeeper ({self._state.value}): nothing was sent")
        self.requests += 1
        self._acked_at, self._zxid = self._ensemble.now, self._ensemble.zxid

    # -- Watches ---------------------------------------------------------------------------------------------------

    def watch(self, path: str) -> None:
        self._watch((DATA, path))

    def unwatch(self, path: str) -> None:
        self._unwatch((DATA, path))

    def watch_children(self, path: str) -> None:
        self._watch((CHILDREN, path))

    def unwatch_children(self, path: str) -> None:
        self._unwatch((CHILDREN, path))

    def relist(self) -> None:
        if self.connected:
            self.waiting.extend(Look(key, self._generation) for key in self._watched)
            self.waiting.append(Relisted(self._generation))

    def refresh(self) -> None:
        if self.connected and self._watched:
            key = next(iter(self._watched))
            self._watched[key] = self._watched.pop(key)
            self.waiting.append(Look(key, self._generation))

    def _watch(self, key: Key) -> None:
        check_path(key[1])
        if key not in self._watched:
            self._watched[key] = None
            self.notify(key)

    def _unwatch(self, key: Key) -> None:
        self._watched.pop(key, None)
        self._reported.pop(key, None)
        self._ensemble.disarm(key, self)

    def _forget_watches(self) -> None:
        """What the server does when a connection ends."""
        for key in self._watched:
            self._ensemble.disarm(key, self)

    def deliver(self, limit: int | None = None) -> int:
        """Hand waiting events to the listener, oldest first, and return how many were taken."""
        taken = 0
        while self.waiting and not self._frozen and (limit is None or taken < limit):
            event = self._event(self.waiting.popleft())
            if event is not None and self._listener is not None:
                self._listener(event)
            taken += 1
        return taken

    def _event(self, item: Connection | Relisted | Look) -> Event | None:
        if isinstance(item, Connection):
            return item
        if item.generation != self._generation:
            return None
        return self._look(item.key) if isinstance(item, Look) else item

    def _look(self, key: Key) -> Event | None:
        if not self.connected or key not in self._watched:
            return None
        self.requests += 1
        self._ensemble.arm(key, self)
        event, before = self._present(key), self._reported.get(key)
        self._reported[key] = event
        return None if event == before else event

    def _present(self, key: Key) -> Changed | ChildrenChanged:
        kind, path = key
        if kind == DATA:
            return Changed(path, self._ensemble.read(path), self._generation)
        return ChildrenChanged(path, self._ensemble.children(path), self._generation)

    # -- What the ensemble tells -------------------------------------------------------------------------------------

    @property
    def heard(self) -> bool:
        return self._state is State.CONNECTED and not self._frozen  # asked for all the time

    @property
    def due_at(self) -> float:
        waits = self._state is State.SUSPENDED and not self._frozen
        return math.nextafter(self._acked_at + self._granted_s, math.inf) if waits else math.inf

    def notify(self, key: Key) -> None:
        if self.connected:
            self.waiting.append(Look(key, self._generation))

    def session_over(self) -> None:
        if self.connected:
            self._become(State.SUSPENDED)
            self._forget_watches()
            self.link_changed()

    def link_changed(self) -> None:
        if self._listener is None or self._frozen:
            return
        reachable = self._link_up and self._ensemble.quorum
        if self.connected and not reachable:
            self._become(State.SUSPENDED)
            self._forget_watches()
        elif reachable and not self.connected:
            self._connect()

    @property
    def _acked(self) -> bool:
        """Whether the last heartbeat was answered just now: a process that goes on has sent none yet."""
        return self.heard and self._ensemble.now > self._thawed_at

    def clock_moved(self) -> None:
        if self._acked:
            self._acked_at = self._ensemble.now
        elif self._ensemble.now >= self.due_at:
            self._become(State.LOST)  # kazoo reports none while it is disconnected: both stores count for themselves

    # -- Faults ----------------------------------------------------------------------------------------------------

    def disconnect(self) -> None:
        """Cut this client off until `reconnect`."""
        self._link_up = False
        self.link_changed()

    def reconnect(self) -> None:
        """Restore the link: the client comes back with its session, or with a new one when that has ended."""
        self._link_up = True
        self.link_changed()

    def freeze(self) -> None:
        """Stop the process: it sends, receives and counts nothing, and does not know."""
        self._ensemble.stir()
        self._frozen = True

    def thaw(self) -> None:
        """Let the process go on. What it was about to do it may do now, in a new session if its own has ended."""
        self._ensemble.stir()
        self._frozen, self._thawed_at = False, self._ensemble.now
        self.link_changed()
        self.clock_moved()

    def lose_next_reply(self, *, applied: bool) -> None:
        """Let the connection go between the next multi and its reply, with the multi applied or not."""
        self._reply_to_lose = applied

    def _connect(self) -> None:
        if self._session == 0 or not self._ensemble.resume_session(self._session):
            if self._session and self._state is not State.LOST:
                self._become(State.LOST)
            self._session, self._granted_s = self._ensemble.open_session(self, self._asked_s)
        self._generation += 1
        self._acked_at = self._ensemble.now
        self._become(State.CONNECTED)
        self.relist()

    def _become(self, state: State) -> None:
        self._ensemble.stir()
        self._state = state
        self.waiting.append(Connection(state, self._session, self._generation))
