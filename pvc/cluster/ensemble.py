"""A ZooKeeper ensemble in memory: the tree, its versions, the sessions and the watches, and no clock of its own.

Time is what `advance` says, nothing here is random and nothing runs by itself, so the same calls give the same
history: contract tests and the simulator share it. It is linearizable: a read is never older than the last write,
which ZooKeeper promises only after a sync.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Protocol

from pvc.cluster.store import ANY_VERSION, Create, Delete, Op, Refused, SessionLost, Znode
from pvc.cluster.transaction import Transaction, TreeNode
from pvc.cluster.watches import Key

EPOCH_BITS = 32
"""The lower bits of a transaction's number count within an epoch, which begins with an election."""


class Watcher(Protocol):
    """Whom the ensemble tells what has changed. These calls, and those of a client, may only note it: it is in the middle of a change."""

    def notify(self, key: Key) -> None:
        """A watch of this client's fired, and is gone."""


class Client(Watcher, Protocol):
    """What the ensemble tells who has a session, or wants one."""

    def session_over(self) -> None:
        """The ensemble has ended this client's session."""

    def clock_moved(self) -> None:
        """`now` has moved on, as far as `due_at` at least, or this client has been heard until now."""

    def link_changed(self) -> None:
        """Requests are answered no more, or again."""

    @property
    def session_id(self) -> int:
        """The session that this client takes for its own."""

    @property
    def heard(self) -> bool:
        """Whether heartbeats of this client reach the ensemble; before it changes, the client says `stir`."""

    @property
    def due_at(self) -> float:
        """When this client wants to be told of the time, in seconds of the ensemble's `now`; infinite while it waits for nothing."""


@dataclass(slots=True)
class _Session:
    timeout_s: float
    heard_at: float
    client: Client
    ephemerals: dict[str, None] = field(default_factory=dict)
    """Paths it created as ephemeral: some may be gone again, or be another's by now."""

    @property
    def due_at(self) -> float:
        """When it ends unless it is heard: never while it is."""
        return math.inf if self.client.heard else self.heard_at + self.timeout_s


class _Nobody:
    """In place of a client that is no more, or has another session by now."""

    session_id, heard, due_at = 0, False, math.inf

    def notify(self, key: Key) -> None:
        """Nobody hears it."""

    session_over = clock_moved = link_changed = lambda self: None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the servers keep on their disks: the tree, and the sessions."""

    tree: Mapping[str, TreeNode]
    sessions: Mapping[int, _Session]


class MemoryEnsemble:
    """The servers, as one.

    `tick_s` bounds what a client is granted, as ZooKeeper's tickTime does: between 2 and 20 ticks.
    """

    def __init__(self, tick_s: float = 2.0) -> None:
        self.now = 0.0
        self.zxid = 0
        self.quorum = True
        self._tick_s = tick_s
        self._tree: dict[str, TreeNode] = {"/": TreeNode(b"", 0, 0, 0)}
        self._sessions: dict[int, _Session] = {}
        self._next_session = 1
        self._clients: list[Client] = []
        self._due_at: float | None = None
        # One-shot, as ZooKeeper's. A dict of dicts keeps the order in which clients asked: histories must repeat.
        self._watches: dict[Key, dict[int, Watcher]] = {}

    # -- Faults and time, called by the owner of the world ----------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass, then end every session that was not heard for its timeout."""
        self.advance_to(self.now + seconds)

    def advance_to(self, now: float) -> None:
        """Let time pass until then."""
        self.now = now
        if now < self.due_at:
            return  # as nearly always
        for session_id in self._overdue():
            self.expire(session_id)
        for client in tuple(self._clients):
            if not client.heard:
                client.clock_moved()
        self._due_at = None

    @property
    def due_at(self) -> float:
        """When time alone does something next, in seconds of `now`: a session ends, or a client counts its own as lost; else infinite."""
        if self._due_at is None:
            ends = [session.due_at for session in self._sessions.values()] if self.quorum else []
            self._due_at = min([*ends, *(client.due_at for client in self._clients)], default=math.inf)
        return self._due_at

    def stir(self) -> None:
        """Somebody comes, goes, or is about to be heard no more, or again: who is heard was heard until now."""
        self._due_at = None
        for session in self._sessions.values():
            if session.client.heard:
                session.heard_at = self.now
        for client in self._clients:
            if client.heard:
                client.clock_moved()

    def expire(self, session_id: int) -> None:
        """End a session: its ephemerals go at once."""
        client = self._sessions[session_id].client
        self.end_session(session_id)
        client.session_over()

    def lose_quorum(self) -> None:
        """No server answers. Time passes, but no session ends: nobody is there to count it."""
        self.stir()
        self.quorum = False
        self._tell_quorum()

    def regain_quorum(self) -> None:
        """Servers answer again. The new leader gives each session its full timeout anew."""
        self.stir()
        self.quorum = True
        for session in self._sessions.values():
            session.heard_at = self.now
        self._tell_quorum()

    def snapshot(self) -> Snapshot:
        """A copy of everything."""
        sessions = {i: replace(session, ephemerals=dict(session.ephemerals)) for i, session in self._sessions.items()}
        return Snapshot(deepcopy(self._tree), sessions)

    def restore(self, snapshot: Snapshot) -> None:
        """Put a copy back in place of everything since, as with all servers stopped; they then elect a leader, which begins a new epoch."""
        had_quorum = self.quorum
        self.lose_quorum()
        for client in self._clients:
            client.session_over()  # also who is frozen has no connection any more
        self._tree = deepcopy(dict(snapshot.tree))
        holders = {client.session_id: client for client in self._clients}
        kept = {i: (session, holders.get(i, _Nobody())) for i, session in snapshot.sessions.items()}
        self._sessions = {i: _Session(old.timeout_s, self.now, client, dict(old.ephemerals)) for i, (old, client) in kept.items()}
        self.zxid = ((self.zxid >> EPOCH_BITS) + 1) << EPOCH_BITS
        if had_quorum:
            self.regain_quorum()

    def _tell_quorum(self) -> None:
        for client in tuple(self._clients):
            client.link_changed()

    def _overdue(self) -> list[int]:
        return [i for i, s in self._sessions.items() if self.now >= s.due_at] if self.quorum else []

    # -- Sessions ---------------------------------------------------------------------------------------------------

    def join(self, client: Client) -> None:
        """Tell this client of time and quorum from now on."""
        self.stir()
        self._clients.append(client)

    def leave(self, client: Client) -> None:
        """Tell it no more; its session is left to its timeout."""
        self.stir()
        self._clients.remove(client)

    def open_session(self, client: Client, asked_s: float) -> tuple[int, float]:
        """A new session and the timeout granted for it."""
        self.stir()
        granted_s = min(max(asked_s, 2 * self._tick_s), 20 * self._tick_s)
        session_id, self._next_session = self._next_session, self._next_session + 1
        self._sessions[session_id] = _Session(granted_s, self.now, client)
        return session_id, granted_s

    def resume_session(self, session_id: int) -> bool:
        """Whether this session still lives; if so it was heard just now."""
        session = self._sessions.get(session_id)
        if session:
            session.heard_at = self.now
        return session is not None

    def end_session(self, session_id: int) -> None:
        """Forget a session and delete the ephemerals it holds."""
        self.stir()
        held = self._sessions.pop(session_id).ephemerals
        self._write([Delete(path, ANY_VERSION) for path in held if path in self._tree and self._tree[path].owner == session_id], 0)

    # -- Reads and watches ------------------------------------------------------------------------------------------

    def read(self, path: str) -> Znode | None:
        """The znode as it is."""
        node = self._tree.get(path)
        return None if node is None else Znode(node.data, node.version, node.owner, node.czxid, node.mzxid)

    def children(self, path: str) -> tuple[str, ...] | None:
        """The sorted names of the children, None when the path does not exist."""
        node = self._tree.get(path)
        return None if node is None else tuple(sorted(node.children))

    def arm(self, key: Key, client: Watcher) -> None:
        """Notify `client` once, at the next change of what `key` names."""
        self._watches.setdefault(key, {})[id(client)] = client

    def disarm(self, key: Key, client: Watcher) -> None:
        """Forget a watch that has not fired."""
        armed = self._watches.get(key, {})
        armed.pop(id(client), None)
        if not armed:
            self._watches.pop(key, None)

    def _fire(self, keys: Sequence[Key]) -> None:
        for key in dict.fromkeys(keys):
            for client in self._watches.pop(key, {}).values():
                client.notify(key)

    # -- Writes -----------------------------------------------------------------------------------------------------

    def multi(self, session_id: int, ops: Sequence[Op]) -> None:
        """Apply all or nothing, in this session's name."""
        if session_id not in self._sessions:
            raise SessionLost("the session has ended at the ensemble")
        self._write(ops, session_id)
        self._sessions[session_id].ephemerals.update({op.path: None for op in ops if isinstance(op, Create) and op.ephemeral})

    def _write(self, ops: Sequence[Op], session_id: int) -> None:
        self.zxid += 1
        transaction = Transaction(self._tree, self.zxid, session_id)
        try:
            for op in ops:
                transaction.apply(op)
        except Refused:
            transaction.roll_back()
            raise
        self._fire(transaction.fired)
