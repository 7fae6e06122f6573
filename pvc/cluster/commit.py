"""The one way a change gets into ZooKeeper, and the one way to learn what became of it when no answer came.

Whoever writes beside these two functions loses either the guards or the truth about the outcome (H1, H2).
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from dataclasses import dataclass

from pvc.cluster.store import Absent, Check, Create, Delete, NotConnected, Op, Set, Store, Znode

WRITES = (Create, Set, Delete)


@dataclass(frozen=True, slots=True)
class Change:
    """One transition: what is written, and what must be true for it.

    `primary` is the record that carries `request`, an id which nobody else uses: by it the change is recognised
    later. `guards` are what the decision relied on and does not write: a daemon's own boot token (a process that was
    frozen past its session writes no more), the node records and the cluster record that its guards read.
    """

    primary: str
    request: str
    ops: tuple[Op, ...]
    guards: tuple[Check | Absent, ...] = ()

    def __post_init__(self) -> None:
        if not any(op.path == self.primary for op in self._writes()):
            raise ValueError(f"a change must write its primary record {self.primary}: its outcome could not be settled")

    def guarded(self, *guards: Check | Absent) -> Change:
        """The same change under further guards."""
        return dataclasses.replace(self, guards=self.guards + guards)

    def primary_op(self) -> Create | Set | Delete:
        """The operation that writes the primary record."""
        return next(op for op in self._writes() if op.path == self.primary)

    def _writes(self) -> tuple[Create | Set | Delete, ...]:
        return tuple(op for op in self.ops if isinstance(op, WRITES))


class Outcome(enum.Enum):
    """What became of a change whose reply was lost."""

    APPLIED = "applied"
    NOT_APPLIED = "not applied"
    UNKNOWN = "unknown"
    """There is still no connection, or so much was written since that our change cannot be seen any more."""


def commit(store: Store, change: Change) -> int:
    """Write the change, all or nothing, and return the primary record's new version.

    Guards go first, so that a refusal names the lost right to write before any conflict that follows from it.
    Raises what `Store.multi` raises. After `OutcomeUnknown` do not repeat it: `settle` it.
    """
    ops, primary = (*change.guards, *change.ops), change.primary_op()
    versions = store.multi(ops)
    assert len(versions) == len(ops), "a multi answers every operation"
    return next(version for op, version in zip(ops, versions, strict=True) if op is primary)


def settle(store: Store, change: Change, applied: Callable[[Znode], bool]) -> Outcome:
    """Look what became of a change after `OutcomeUnknown`; it writes nothing and repeats nothing.

    `applied` tells whether the record (or the history in it) shows the change's request id. The answer is final, it
    cannot land later: requests of one connection are answered in order, ZooKeeper refuses what arrives over a
    connection that its session has left or in a session that has ended, and the read here is synced behind all that.
    On `NOT_APPLIED` decide anew from fresh records: guards may have changed.
    """
    try:
        znode = store.read(change.primary, sync=True)
    except NotConnected:
        return Outcome.UNKNOWN
    if znode is not None and applied(znode):
        return Outcome.APPLIED
    return _by_version(change.primary_op(), znode)


def _by_version(op: Create | Set | Delete, znode: Znode | None) -> Outcome:
    """What the version says about a record that does not show the request id.

    A record that was deleted and created again meanwhile counts as its successor: generations keep them apart.
    """
    match op:
        case Delete():
            if znode is None:
                return Outcome.APPLIED  # by us, or by another who wanted the same
            return Outcome.NOT_APPLIED if znode.version == op.version else Outcome.UNKNOWN
        case Create():
            return Outcome.NOT_APPLIED if znode is None or znode.version == 0 else Outcome.UNKNOWN
        case Set():
            # One write made version + 1 of this one: not ours, or it would show, so ours can never apply.
            known = znode is not None and znode.version in (op.version, op.version + 1)
            return Outcome.NOT_APPLIED if known else Outcome.UNKNOWN
