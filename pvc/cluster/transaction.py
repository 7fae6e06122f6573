"""One multi on a tree of znodes in memory: operations applied one after the other, and all undone when a later one is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pvc.cluster.store import ANY_VERSION, Absent, Check, Create, Delete, Op, Refused, Set, Why
from pvc.cluster.watches import CHILDREN, DATA, Key


@dataclass(slots=True)
class TreeNode:
    """A znode as the ensemble keeps it; `owner` is the session of an ephemeral one, else 0."""

    data: bytes
    owner: int
    czxid: int
    mzxid: int
    version: int = 0
    children: set[str] = field(default_factory=set)


def parent_of(path: str) -> str:
    """The path one level up."""
    return path.rpartition("/")[0] or "/"


class Transaction:
    """Operations applied one after the other to a tree, each undone when a later one is refused."""

    def __init__(self, tree: dict[str, TreeNode], zxid: int, session_id: int) -> None:
        self._tree, self._zxid, self._session_id = tree, zxid, session_id
        self._undo: list[Callable[[], object]] = []
        self.fired: list[Key] = []

    def roll_back(self) -> None:
        """Undo what was applied, the last first."""
        for step in reversed(self._undo):
            step()

    def apply(self, op: Op) -> None:
        """Do one operation; raises `Refused`."""
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

    def _matching(self, op: Op, version: int) -> TreeNode:
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
        self._put(op.path, TreeNode(data, owner, self._zxid, self._zxid))

    def _set(self, path: str, node: TreeNode, data: bytes) -> None:
        old = (node.data, node.version, node.mzxid)

        def restore() -> None:
            node.data, node.version, node.mzxid = old

        self._undo.append(restore)
        node.data, node.version, node.mzxid = data, node.version + 1, self._zxid
        self.fired.append((DATA, path))

    def _delete(self, op: Op, node: TreeNode) -> None:
        if node.children:
            raise Refused(op.path, Why.NOT_EMPTY, op)
        self._take(op.path, node)

    def _put(self, path: str, node: TreeNode) -> None:
        self._link(path, node)
        self._undo.append(lambda: self._unlink(path))
        self._note(path)

    def _take(self, path: str, node: TreeNode) -> None:
        self._unlink(path)
        self._undo.append(lambda: self._link(path, node))
        self._note(path)

    def _note(self, path: str) -> None:
        self.fired += [(DATA, path), (CHILDREN, path), (CHILDREN, parent_of(path))]

    def _link(self, path: str, node: TreeNode) -> None:
        self._tree[path] = node
        self._tree[parent_of(path)].children.add(path.rpartition("/")[2])

    def _unlink(self, path: str) -> None:
        del self._tree[path]
        self._tree[parent_of(path)].children.remove(path.rpartition("/")[2])
