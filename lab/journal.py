"""Everything that was ever written to ZooKeeper, in its order, from the transaction logs of its servers.

This is how a test learns what happened, and not only what was left of it: nobody is asked, nothing is missed between two looks, and
a daemon cannot embellish it. The format is that of ZooKeeper 3.8: org.apache.zookeeper.server.persistence.FileTxnLog, in Jute's encoding.
"""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.lab import Lab
from lab.services import CHROOT

CREATE, DELETE, SET, CHECK, MULTI, CREATE2 = 1, 2, 5, 13, 14, 15
OPEN_SESSION, CLOSE_SESSION, ERROR = -10, -11, -1
MAGIC = b"ZKLG"


@dataclass(frozen=True)
class Write:
    """One part of a transaction: "create", "set", "delete" or "check"; `version` is the one that it leaves, or found."""

    what: str
    path: str
    data: bytes = b""
    version: int = 0
    ephemeral: bool = False


@dataclass(frozen=True)
class Transaction:
    """What was committed at once; `at` is the leader's wall clock, in seconds, and `opens` the timeout of a session that begins with it."""

    zxid: int
    at: float
    session: int
    writes: tuple[Write, ...] = ()
    opens: float | None = None
    closes: bool = False


def transactions(lab: Lab) -> list[Transaction]:
    """Every one that most of the servers have, below the cluster's root, oldest first; paths are as the cluster's clients see them."""
    found: dict[int, Transaction] = {}
    servers: Counter[int] = Counter()
    for server in lab.servers.values():
        mine = {one.zxid: one for file in logs(server.directory) for one in read(file)}
        found |= mine
        servers.update(mine.keys())
    agreed = (zxid for zxid in sorted(found) if 2 * servers[zxid] > len(lab.servers))
    return [_below_root(found[zxid]) for zxid in agreed]


def logs(directory: Path) -> list[Path]:
    """The files of one server, oldest first."""
    files = (directory / "zookeeper" / "data" / "version-2").glob("log.*")
    return sorted(files, key=lambda file: int(file.suffix[1:], 16))


def read(file: Path) -> Iterator[Transaction]:
    """What is in one file. Its end may be torn off, half written, or filled up with zeros."""
    data = file.read_bytes()
    if data[:4] != MAGIC:
        return
    place = 16
    while place + 12 <= len(data):
        checksum, length = struct.unpack_from(">qi", data, place)
        place += 12
        if length <= 0 or place + length >= len(data):
            return
        record = data[place : place + length]
        if zlib.adler32(record) != checksum:
            return
        one = _transaction(_Reader(record))
        place += length + 1
        if one is not None:
            yield one


class _Reader:
    """Jute, the encoding of Hadoop's records: big-endian numbers, and lengths before everything that has one."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def number(self, kind: str) -> int:
        (found,) = struct.unpack_from(f">{kind}", self._data, self._place)
        self._place += struct.calcsize(kind)
        return int(found)

    def bytes(self) -> bytes:
        length = max(0, self.number("i"))
        self._place += length
        return self._data[self._place - length : self._place]

    def text(self) -> str:
        return self.bytes().decode()


def _transaction(data: _Reader) -> Transaction | None:
    session, _, zxid, milliseconds, kind = (data.number(each) for each in "qiqqi")
    at = milliseconds / 1000
    if kind == OPEN_SESSION:
        return Transaction(zxid, at, session, opens=data.number("i") / 1000)
    if kind == CLOSE_SESSION:
        paths = [data.text() for _ in range(data.number("i"))]
        return Transaction(zxid, at, session, tuple(Write("delete", path) for path in paths), closes=True)
    if kind == MULTI:
        parts = [(data.number("i"), _Reader(data.bytes())) for _ in range(data.number("i"))]
        if any(part == ERROR for part, _ in parts):
            return None  # refused as a whole: what stands before the part that failed was not done either
        writes = tuple(write for part, inside in parts if (write := _write(part, inside)) is not None)
    else:
        write = _write(kind, data)
        writes = () if write is None else (write,)
    return Transaction(zxid, at, session, writes) if writes else None


def _write(kind: int, data: _Reader) -> Write | None:
    if kind in (CREATE, CREATE2):
        path, content = data.text(), data.bytes()
        for _ in range(data.number("i")):  # permissions, scheme and identity of each entry of its ACL
            data.number("i"), data.bytes(), data.bytes()
        return Write("create", path, content, 0, bool(data.number("?")))
    if kind == DELETE:
        return Write("delete", data.text())
    if kind == SET:
        return Write("set", data.text(), data.bytes(), data.number("i"))
    if kind == CHECK:
        return Write("check", data.text(), b"", data.number("i") - 1)
    return None


def _below_root(one: Transaction) -> Transaction:
    writes = tuple(
        Write(write.what, write.path.removeprefix(CHROOT) or "/", write.data, write.version, write.ephemeral) for write in one.writes
    )
    return Transaction(one.zxid, one.at, one.session, writes, one.opens, one.closes)
