"""A ZooKeeper ensemble in memory: the tree, its versions, the sessions and the watches, and no clock of its own.

Time is what `advance` says, nothing here is random and nothing runs by itself, so the same calls give the same
history: contract tests and the simulator share it. It is linearizable: a read is never older than the last write,
which ZooKeeper promises only after a sync.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pvc.cluster.store import ANY_VERSION, Absent, Check, Create, Delete, Op, Refused, SessionLost, Set, Why, Znode
from pvc.cluster.watches import CHILDREN, DATA, Key


class Client(Protocol):
    """What the ensemble tells a client. Both calls may only note it: the ensemble is in the middle of a change."""

    def notify(self, key: Key) -> None:
        """A watch of this client's fired, and is gone."""

    def session_over(self) -> None:
        """The ensemble has ended this client's session."""

    def clock_moved(self) -> None:
        """`now` has moved on."""

    def link_changed(self) -> None:
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
        self._calm = False  # every session and every client is heard, and none has stirred since
        # One-shot, as ZooKeeper's. A dict of dicts keeps the order in which clients asked: histories must repeat.
        self._watches: dict[Key, dict[int, Client]] = {}

    # -- Faults and time, called by the owner of the world ----------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass, then end every session that was not heard for its timeout."""
        self.now += seconds
        if self._calm:
            return  # as nearly always; everybody was heard just now, which `stir` notes
        if self.quorum:
            for session in self._sessions.values():
                if session.client.heard:
                    session.heard_at = self.now
            for session_id in self._overdue():
                self.expire(session_id)
        for client in tuple(self._clients):
            client.clock_moved()
        self._calm = self.quorum and all(s.client.heard for s in self._sessions.values()) and all(c.heard for c in self._clients)

    @property
    def calm(self) -> bool:
        """Whether nothing can happen by time alone, until somebody stirs."""
        return self._calm

    def stir(self) -> None:
        """Somebody comes, goes, or is about to be heard no more, or again: until now everybody was heard, if all was calm."""
        if self._calm:
            self._calm = False
            for session in self._sessions.values():
                session.heard_at = self.now
            for client in tuple(self._clients):
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

    def _tell_quorum(self) -> None:
        for client in tuple(self._clients):
            client.link_changed()

    def _overdue(self) -> list[int]:
        return [i for i, s in self._sessions.items() if self.now - s.heard_at >= s.timeout_s]

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

    def multi(self, session_id: int, ops: Sequence[Op]) -> None:
        """Apply all or nothing, in this session's name."""
        if session_id not in self._sessions:
            raise SessionLost("the session has ended at the ensemble")
        self._write(ops, session_id)
        self._sessions[session_id].ephemerals.update({op.path: None for op in ops if isinstance(op, Create) and op.ephemeral})

    def _write(self, ops: Sequence[Op], session_id: int) -> None:
        self.zxid += 1
        transaction = _Transaction(self._tree, self.zxid, session_id)
        try:
            for op in ops:
                transaction.apply(op)
        except Refused:
            transaction.roll_back()
            raise
        self._fire(transaction.fired)


class _Transaction:
    """Operations applied one after the other to a tree, each undone when a later one is refused."""

    def __init__(self, tree: dict[str, _Node], zxid: int, session_id: int) -> None:
        self._tree, self._zxid, self._session_id = tree, zxid, session_id
        self._undo: list[Callable[[], object]] = []
        self.fired: list[Key] = []

    def roll_back(self) -> None:
        for step in reversed(self._undo):
            step()

    def apply(self, op: Op) -> None:
        match op:
            case Create(_, data, ephemeral):
                self._create(op, data, self._session_id if ephemeral else 0)
            case Set(_, data, version):
                self._set(op.path, self._matching(op, version), data)
            case Delete(_, version):
                self._delete(op, self._matching(op, version))
            case Check(_, version):
                self._matching(op, version)
            case Absent():
                self._create(op, b"", 0)
                self._delete(op, self._tree[op.path])

    def _matching(self, op: Op, version: int) -> _Node:
        node = self._tree.get(op.path)
        if node is None:
            raise Refused(op.path, Why.MISSING, op)
        if version not in (ANY_VERSION, node.version):
            raise Refused(op.path, Why.VERSION, op, f"expected {version}, found {node.version}")
        return node

    def _create(self, op: Op, data: bytes, owner: int) -> None:
        if op.path in self._tree:
            raise Refused(op.path, Why.EXISTS, op)
        parent = self._tree.get(parent_of(op.path))
        if parent is None:
            raise Refused(op.path, Why.MISSING, op)
        if parent.owner:
            raise Refused(op.path, Why.EPHEMERAL_PARENT, op)
        self._put(op.path, _Node(data, owner, self._zxid, self._zxid))

    def _set(self, path: str, node: _Node, data: bytes) -> None:
        old = (node.data, node.version, node.mzxid)

        def restore() -> None:
            node.data, node.version, node.mzxid = old

        self._undo.append(restore)
        node.data, node.version, node.mzxid = data, node.version + 1, self._zxid
        self.fired.append((DATA, path))

    def _delete(self, op: Op, node: _Node) -> None:
        if node.children:
            raise Refused(op.path, Why.NOT_EMPTY, op)
        self._take(op.path, node)

    def _put(self, path: str, node: _Node) -> None:
        self._link(path, node)
        self._undo.append(lambda: self._unlink(path))
        self._note(path)

    def _take(self, path: str, node: _Node) -> None:
        self._unlink(path)
        self._undo.append(lambda: self._link(path, node))
        self._note(path)

    def _note(self, path: str) -> None:
        self.fired += [(DATA, path), (CHILDREN, path), (CHILDREN, parent_of(path))]

    def _link(self, path: str, node: _Node) -> None:
        self._tree[path] = node
        self._tree[parent_of(path)].children.add(path.rpartition("/")[2])

    def _unlink(self, path: str) -> None:
        del self._tree[path]
        self._tree[parent_of(path)].children.remove(path.rpartition("/")[2])
