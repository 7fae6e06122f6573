"""What an answer of ZooKeeper's means, in our words: applied, refused and why, not sent, or unknown.

Errors are told apart by ZooKeeper's own codes (its KeeperException.Code), which kazoo's exceptions carry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from pvc.cluster.store import (
    Absent,
    Check,
    Create,
    Delete,
    NotConnected,
    Op,
    OutcomeUnknown,
    Refused,
    SessionLost,
    Set,
    StoreError,
    Why,
)

T = TypeVar("T")

NO_NODE = -101
SESSION_EXPIRED = -112
SESSION_MOVED = -118
WHY = {
    -8: Why.INVALID,
    NO_NODE: Why.MISSING,
    -102: Why.NO_AUTH,
    -103: Why.VERSION,
    -108: Why.EPHEMERAL_PARENT,
    -110: Why.EXISTS,
    -111: Why.NOT_EMPTY,
    -114: Why.NO_AUTH,
    -125: Why.QUOTA,
}
# Connection loss, timeout, failed authentication: the library's own word, not an answer.
UNANSWERED = {-4, -7, -115, SESSION_EXPIRED}
# What fills the places of the other operations when one of a multi fails.
BYSTANDERS = {0, -2}


class NotSent(Exception):
    """The request was never written to a socket, and will not be."""


class Reply(Generic[T]):
    """An answer to come: wait for it, or be called when it is there."""

    def __init__(self, path: str, result: Any, convert: Callable[[Any], T], *, write: bool = False) -> None:
        self._path, self._result, self._convert, self._write = path, result, convert, write

    def wait(self, timeout_s: float) -> T | None:
        """The answer; None where a read found no znode. Raises what a store raises."""
        try:
            return self._convert(self._result.get(timeout=timeout_s))  # by name: a bare number means "block", for ever
        except StoreError:
            raise
        except Exception as error:
            if _code(error) == NO_NODE and not self._write:
                return None
            raise _translated(error, self._path, self._write) from error

    def then(self, callback: Callable[[Reply[T]], None]) -> None:
        """Call back on the client's completion thread; `wait` does not wait any more then."""
        self._result.rawlink(lambda _: callback(self))


def _code(error: Exception) -> int | None:
    return getattr(error, "code", None)


def _translated(error: Exception, path: str, write: bool) -> StoreError:
    code = _code(error)
    if isinstance(error, NotSent) or code == SESSION_MOVED:
        return NotConnected("no connection to ZooKeeper: nothing was sent or applied")
    if write and code == SESSION_EXPIRED:
        return SessionLost("the session ended before the request was applied")
    if code is not None and code not in UNANSWERED:
        why = WHY.get(code, Why.OTHER)
        return Refused(path, why, None, "" if why is Why.NO_AUTH else type(error).__name__)
    detail = f"ZooKeeper did not answer ({type(error).__name__})"
    return OutcomeUnknown(f"{detail}: the change may be applied or not") if write else NotConnected(detail)


def fill(transaction: Any, ops: Sequence[Op]) -> list[Op]:
    """Put operations into a transaction and return which of them each of its parts stands for."""
    return [op for op in ops for _ in range(_add(transaction, op))]


def _add(transaction: Any, op: Op) -> int:
    match op:
        case Create(path, data, ephemeral):
            transaction.create(path, data, ephemeral=ephemeral)
        case Set(path, data, version):
            transaction.set_data(path, data, version)
        case Delete(path, version):
            transaction.delete(path, version)
        case Check(path, version):
            transaction.check(path, version)
        case Absent(path):
            transaction.create(path)
            transaction.delete(path)
            return 2
    return 1


def raise_refused(parts: Sequence[Op], results: Sequence[Any]) -> None:
    """kazoo returns the exceptions of a transaction in a list and raises none (H1)."""
    for op, result in zip(parts, results, strict=True):
        if isinstance(result, Exception) and _code(result) not in BYSTANDERS:
            raise Refused(op.path, WHY.get(_code(result) or 0, Why.OTHER), op, type(result).__name__)
    if any(isinstance(result, Exception) for result in results):
        raise Refused("", Why.OTHER, None, "no operation says why")
