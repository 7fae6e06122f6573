"""What is refused before anything is sent: both stores make the same checks.

ZooKeeper answers a request that is too large by cutting the connection, which looks like an outage and is
repeated by whoever retries; kazoo quietly changes some paths into others. Neither may get that far.
"""

from collections.abc import Sequence
from functools import lru_cache

from pvc.cluster.store import Absent, Create, Delete, Op, Refused, Set, Why

# The server's limit is 1 MiB for a whole request.
MAX_DATA_BYTES = 512 * 1024
MAX_MULTI_BYTES = 768 * 1024
MAX_MULTI_OPS = 100

WITH_DATA = (Create, Set)


def check_path(path: str, op: Op | None = None) -> None:
    """Refuse what ZooKeeper would refuse, and what kazoo would quietly change: `//` and `..` name another znode."""
    if not _is_path(path):
        raise Refused(path, Why.INVALID, op, "paths are absolute, without empty, '.' or '..' segments")


@lru_cache(4096)
def _is_path(path: str) -> bool:
    segments = path.split("/")
    good = path == "/" or (segments[0] == "" and len(segments) > 1 and all(s not in ("", ".", "..") for s in segments[1:]))
    return good and path.isprintable()


def check_ops(ops: Sequence[Op]) -> None:
    """Refuse what is malformed, or too large for one request: ZooKeeper would cut the connection instead."""
    if not ops:
        raise Refused("", Why.INVALID, None, "a multi needs at least one operation")
    for op in ops:
        _check_op(op)
    count = sum(2 if isinstance(op, Absent) else 1 for op in ops)
    if count > MAX_MULTI_OPS:
        raise Refused("", Why.TOO_LARGE, None, f"{count} operations, at most {MAX_MULTI_OPS} in one multi")
    size = sum(_size(op) for op in ops)
    if size > MAX_MULTI_BYTES:
        raise Refused("", Why.TOO_LARGE, None, f"{size} bytes, at most {MAX_MULTI_BYTES} in one multi")


def _check_op(op: Op) -> None:
    check_path(op.path, op)
    if isinstance(op, Delete) and op.path == "/":
        raise Refused(op.path, Why.INVALID, op, "the root stays")
    if isinstance(op, WITH_DATA) and len(op.data) > MAX_DATA_BYTES:
        raise Refused(op.path, Why.TOO_LARGE, op, f"{len(op.data)} bytes, at most {MAX_DATA_BYTES} in one znode")
    if isinstance(op, Set) and op.version < 0:
        raise Refused(op.path, Why.INVALID, op, "a set needs the version that its decision saw")  # H2


def _size(op: Op) -> int:
    data = len(op.data) if isinstance(op, WITH_DATA) else 0
    return data + 2 * len(op.path.encode()) + 128
