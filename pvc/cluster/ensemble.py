"""A ZooKeeper ensemble in memory: the tree, its versions, the sessions and the watches, and no clock of its own.

Time is what `advance` says, nothing here is random and nothing runs by itself, so the same calls give the same
history: contract tests and the simulator share it. It is linearizable: a read is never older than the last write,
which ZooKeeper promises only after a sync.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pvc.cluster.store import ANY_VERSION, GONE, Absent, Check, Create, Delete, Op, Refused, SessionLost, Set, Why, Znode

DATA = "data"
CHILDREN = "children"

Key = tuple[str, str]
"""What a watch looks at: `DATA` or `CHILDREN`, and the path."""


class Client(Protocol):
    """What the ensemble tells a client. Both calls may only note it: the ensemble is in the middle of a change."""

    def notify(self, key: Key) -> None:
        """A watch of this client's fired, and is gone."""

    def session_over(self) -> None:
        """The ensemble has ended this client's session."""

    def clock_moved(self) -> None:
        """`now` has moved on."""

    def quorum_changed(self) -> None:
        """Requests are answered no more, or again."""

    @property
    def heard(self) -> bool:
        """Whether heartbeats of this client reach the ensemble."""


@dataclass(slots=True)
class _Node:
    data: bytes
    owner: int
    czxid: int
    mzxid: int
    version: int = 0
    children: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Session:
    timeout_s: float
    heard_at: float
    client: Client
    ephemerals: dict[str, None] = field(default_factory=dict)
    """Paths it created as ephemeral: some may be gone again, or be another's by now."""


def parent_of(path: str) -> str:
    """The path one level up."""
    return path.rpartition("/")[0] or "/"


class MemoryEnsemble:
    """The servers, as one.

    `tick_s` bounds what a client is granted, as ZooKeeper's tickTime does: between 2 and 20 ticks.
    """

    def __init__(self, tick_s: float = 2.0) -> None:
        self.now = 0.0
        self.zxid = 0
        self.quorum = True
        self._tick_s = tick_s
        self._tree: dict[str, _Node] = {"/": _Node(b"", 0, 0, 0)}
        self._sessions: dict[int, _Session] = {}
        self._next_session = 1
        self._clients: list[Client] = []
        # One-shot, as ZooKeeper's. A dict of dicts keeps the order in which clients asked: histories must repeat.
        self._watches: dict[Key, dict[int, Client]] = {}

    # -- Faults and time, called by the owner of the world ----------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass, then end every session that was not heard for its timeout."""
        self.now += seconds
        if self.quorum:
            for session in self._sessions.values():
                if session.client.heard:
                    session.heard_at = self.now
            for session_id in self._overdue():
                self.expire(session_id)
        for client in tuple(self._clients):
            client.clock_moved()

    def next_expiry_in_s(self) -> float | None:
        """Seconds until the next session ends if nothing is heard until then; None when all are heard."""
        silent = [s.heard_at + s.timeout_s for s in self._sessions.values() if not s.client.heard]
        return max(0.0, min(silent) - self.now) if silent and self.quorum else None

    def expire(self, session_id: int) -> None:
        """End a session: its ephemerals go at once."""
        client = self._sessions[session_id].client
        self.end_session(session_id)
        client.session_over()

    def lose_quorum(self) -> None:
        """No server answers. Time passes, but no session ends: nobody is there to count it."""
        self.quorum = False
        self._tell_quorum()

    def regain_quorum(self) -> None:
        """Servers answer again. The new leader gives each session its full timeout anew."""
        self.quorum = True
        for session in self._sessions.values():
            session.heard_at = self.now
        self._tell_quorum()

    def _tell_quorum(self) -> None:
        for client in tuple(self._clients):
            client.quorum_changed()

    def _overdue(self) -> list[int]:
        return [i for i, s in self._sessions.items() if self.now - s.heard_at >= s.timeout_s]

    # -- Sessions ---------------------------------------------------------------------------------------------------

    def join(self, client: Client) -> None:
        """Tell this client of time and quorum from now on."""
        self._clients.append(client)

    def leave(self, client: Client) -> None:
        """Tell it no more; its session is left to its timeout."""
        self._clients.remove(client)

    def open_session(self, client: Client, asked_s: float) -> tuple[int, float]:
        """A new session and the timeout granted for it."""
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

    def arm(self, key: Key, client: Client) -> None:
        """Notify `client` once, at the next change of what `key` names."""
        self._watches.setdefault(key, {})[id(client)] = client

    def disarm(self, key: Key, client: Client) -> None:
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

    def multi(self, session_id: int, ops: Sequence[Op]) -> tuple[int, ...]:
        """Apply all or nothing, in this session's name."""
        if session_id not in self._sessions:
            raise SessionLost("the session has ended at the ensemble")
        return self._write(ops, session_id)

    def _write(self, ops: Sequence[Op], session_id: int) -> tuple[int, ...]:
        self.zxid += 1
        undo: list[Callable[[], object]] = []
        fired: list[Key] = []
        try:
            versions = tuple([self._apply(op, session_id, undo, fired) for op in ops])
        except Refused:
            for step in reversed(undo):
                step()
            raise
        self._fire(fired)
        return versions

    def _apply(self, op: Op, session_id: int, undo: list[Callable[[], object]], fired: list[Key]) -> int:
        match op:
            case Create(path, data, ephemeral):
                if ephemeral:
                    self._sessions[session_id].ephemerals[path] = None
                return self._create(op, path, _Node(data, session_id if ephemeral else 0, self.zxid, self.zxid), undo, fired)
            case Set(path, data, _):
                return self._set(self._matching(op, op.version), path, data, undo, fired)
            case Delete(path, version):
                return self._delete(op, path, self._matching(op, version), undo, fired)
            case Check(path, version):
                return self._matching(op, version).version
            case Absent(path):
                self._create(op, path, _Node(b"", 0, self.zxid, self.zxid), undo, fired)
                return self._delete(op, path, self._tree[path], undo, fired)

    def _matching(self, op: Op, version: int) -> _Node:
        node = self._tree.get(op.path)
        if node is None:
            raise Refused(op.path, Why.MISSING, op)
        if version not in (ANY_VERSION, node.version):
            raise Refused(op.path, Why.VERSION, op, f"expected {version}, found {node.version}")
        return node

    def _create(self, op: Op, path: str, node: _Node, undo: list[Callable[[], object]], fired: list[Key]) -> int:
        parent = self._tree.get(parent_of(path))
        if path in self._tree:
            raise Refused(path, Why.EXISTS, op)
        if parent is None:
            raise Refused(path, Why.MISSING, op)
        if parent.owner:
            raise Refused(path, Why.EPHEMERAL_PARENT, op)
        name = path.rpartition("/")[2]
        self._tree[path] = node
        parent.children.add(name)
        undo += [lambda: self._tree.pop(path), lambda: parent.children.remove(name)]
        fired += [(DATA, path), (CHILDREN, path), (CHILDREN, parent_of(path))]
        return 0

    def _set(self, node: _Node, path: str, data: bytes, undo: list[Callable[[], object]], fired: list[Key]) -> int:
        old = (node.data, node.version, node.mzxid)

        def restore() -> None:
            node.data, node.version, node.mzxid = old

        undo.append(restore)
        node.data, node.version, node.mzxid = data, node.version + 1, self.zxid
        fired.append((DATA, path))
        return node.version

    def _delete(self, op: Op, path: str, node: _Node, undo: list[Callable[[], object]], fired: list[Key]) -> int:
        if node.children:
            raise Refused(path, Why.NOT_EMPTY, op)
        parent, name = self._tree[parent_of(path)], path.rpartition("/")[2]
        del self._tree[path]
        parent.children.remove(name)
        undo += [lambda: self._tree.__setitem__(path, node), lambda: parent.children.add(name)]
        fired += [(DATA, path), (CHILDREN, path), (CHILDREN, parent_of(path))]
        return GONE
