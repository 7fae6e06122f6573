"""The store port: what PVC asks of ZooKeeper, in ZooKeeper's words, and nothing more.

Two implementations keep every promise written here: `live.ZooKeeperStore` and `memory.MemoryStore`.
One contract suite (`tests/cluster/`) runs the same bodies over both.

Two rules hold throughout. A write is one `multi`, carries the versions its decision saw, and either raises
or has happened (H1, H2). An event is a hint that carries the latest value: values in between are lost (H3),
so whoever listens looks at what is, and never counts what came.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pvc.errors import NoQuorum, PvcError

ANY_VERSION = -1
"""For `Check`: the znode exists. For `Delete`: whatever its version. Never for `Set` (H2)."""

GONE = -1
"""In place of a version: the operation leaves no znode behind."""


@dataclass(frozen=True, slots=True)
class Znode:
    """One znode as one read saw it.

    `version` restarts at 0 when the path is deleted and created again; `czxid` does not come back.
    """

    data: bytes
    version: int
    owner: int = 0
    """Session that holds this znode when it is ephemeral, 0 when it is persistent."""
    czxid: int = 0
    mzxid: int = 0

    @property
    def ephemeral(self) -> bool:
        """Whether it goes when the session of its owner ends."""
        return self.owner != 0


@dataclass(frozen=True, slots=True)
class Create:
    """The path does not exist and its parent does: create it."""

    path: str
    data: bytes = b""
    ephemeral: bool = False


@dataclass(frozen=True, slots=True)
class Set:
    """The path has exactly this version: replace its data."""

    path: str
    data: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Delete:
    """The path has this version (or `ANY_VERSION`) and no children: delete it."""

    path: str
    version: int


@dataclass(frozen=True, slots=True)
class Check:
    """The path has this version (or `ANY_VERSION`: it exists), or the whole multi is refused."""

    path: str
    version: int


@dataclass(frozen=True, slots=True)
class Absent:
    """The path does not exist although its parent does, or the whole multi is refused. ZooKeeper has no such operation: it is sent as
    create + delete and counts as two.
    """

    path: str


Op = Create | Set | Delete | Check | Absent


def version_after(op: Op) -> int:
    """The version of the path when this has been applied."""
    match op:
        case Create():
            return 0
        case Set(version=version):
            return version + 1
        case Check(version=version):
            return version
        case Delete() | Absent():
            return GONE


class Why(enum.Enum):
    """Why a request was refused: the reasons a caller can act upon."""

    VERSION = "the version is another"
    EXISTS = "it exists already"
    MISSING = "it, or its parent, does not exist"
    NOT_EMPTY = "it has children"
    EPHEMERAL_PARENT = "its parent is ephemeral and cannot have children"
    NO_AUTH = "the credentials do not allow it"
    TOO_LARGE = "it is larger than the limit"
    INVALID = "the request is not well formed"
    QUOTA = "a quota of the ensemble is exceeded"
    OTHER = "the ensemble refused it"


LOGIN = "log in as the cluster was created: zookeeper_user or zookeeper_cert, in pvc.conf or pvcd.conf"


class StoreError(PvcError):
    """Base of all that a store raises."""


class Refused(StoreError):
    """The request was answered with no: nothing of it was applied.

    `op` is the operation of the multi that failed, None where a read was refused.
    """

    def __init__(self, path: str, why: Why, op: Op | None = None, detail: str = "") -> None:
        self.path, self.why, self.op, self.detail = path, why, op, detail
        what = f"{type(op).__name__.lower()} {path}" if op else f"request for {path or 'several znodes'}"
        next_step = LOGIN if why is Why.NO_AUTH else None
        super().__init__(f"{what} refused: {why.value}" + (f" ({detail})" if detail else ""), next_step)


class NotConnected(StoreError):
    """There is no connection: the request was not sent and will not land later. Or a read was sent and not answered."""

    exit_code = NoQuorum.exit_code


class OutcomeUnknown(StoreError):
    """The request was sent and no answer came: it may be applied, and may be applied yet.

    Never repeat it blindly: `commit.settle` finds out after the next CONNECTED.
    """

    exit_code = NoQuorum.exit_code


class SessionLost(StoreError):
    """The session ended before the request was applied: it is not applied, and our ephemerals are gone."""


class State(enum.Enum):
    """The connection, as the one thing that all decisions of a daemon depend on."""

    CONNECTED = "connected"
    """Requests are answered. The session id tells whether the session is the old one."""
    SUSPENDED = "suspended"
    """No connection. The session may live on at the ensemble."""
    LOST = "lost"
    """The session has ended, or the lease has: for as long as the granted timeout nothing was acknowledged.
    The ensemble may still know the session (it counts no time while it is down): the next CONNECTED tells."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The connection changed. `generation` grows by one with each CONNECTED."""

    state: State
    session_id: int
    generation: int


@dataclass(frozen=True, slots=True)
class Changed:
    """A watched path: its latest value, None while it does not exist."""

    path: str
    znode: Znode | None
    generation: int
    noticed_at: float | None = field(default=None, compare=False)  # when its watch went off, monotonic; the value may be of later


@dataclass(frozen=True, slots=True)
class ChildrenChanged:
    """A path with watched children: their names, sorted, None while the path does not exist."""

    path: str
    names: tuple[str, ...] | None
    generation: int


@dataclass(frozen=True, slots=True)
class Relisted:
    """Everything watched was read again and is armed: all events of this generation up to here are the present.

    Follows each CONNECTED, and each `relist()`.
    """

    generation: int


@dataclass(frozen=True, slots=True)
class Broken:
    """The store cannot go on and will report nothing more: the process should end."""

    why: str


Event = Connection | Changed | ChildrenChanged | Relisted | Broken

Listener = Callable[[Event], None]
"""Called on a thread of the store's: it may only enqueue (H6, H7)."""


class Store(Protocol):
    """A session with ZooKeeper.

    Every request raises `NotConnected` at once while there is no connection: it is never queued, so that no
    write lands after its reason has gone.
    """

    def start(self, listener: Listener, timeout_s: float = 10.0) -> None:
        """Open the session and report to `listener` from now on; `NotConnected` when no server answers in time."""

    def close(self) -> None:
        """End the session: its ephemerals go at once. Closing twice does nothing."""

    def read(self, path: str, *, sync: bool = False) -> Znode | None:
        """The znode, None when there is none. `sync` for decisions: as new as what the leader had when asked."""

    def read_many(self, paths: Iterable[str], *, sync: bool = False) -> Mapping[str, Znode | None]:
        """Many znodes, pipelined, in the order asked for. Not one instant: each by itself."""

    def children(self, path: str, *, sync: bool = False) -> tuple[str, ...] | None:
        """The names of the children, sorted; None when the path does not exist."""

    def multi(self, ops: Sequence[Op]) -> tuple[int, ...]:
        """Do all or nothing. Returns the version after each operation, see `version_after`.

        Raises `Refused` naming the operation that failed, `NotConnected`, `OutcomeUnknown`, `SessionLost`.
        """

    def watch(self, path: str) -> None:
        """Report `Changed` with the present value soon, and whenever it is another, until `unwatch`.

        Works on a path that does not exist, while disconnected, and across deletion of its parents.
        """

    def unwatch(self, path: str) -> None:
        """Report `Changed` for this path no more."""

    def watch_children(self, path: str) -> None:
        """As `watch`, for the names of the children."""

    def unwatch_children(self, path: str) -> None:
        """Report `ChildrenChanged` for this path no more."""

    def relist(self) -> None:
        """Read and arm everything watched once more, then report `Relisted`: heals a watch event that was lost.

        What has not changed is not reported again within a generation.
        """

    def refresh(self) -> None:
        """Read and arm one of what is watched once more, the next in turn: heals a lost watch event, at a cost that does not grow."""

    @property
    def connected(self) -> bool:
        """Whether a request would be sent now."""

    @property
    def generation(self) -> int:
        """How many times this store has been CONNECTED."""

    @property
    def session_id(self) -> int:
        """The session, 0 before the first. Compare it with `Znode.owner`."""

    @property
    def session_timeout_s(self) -> float:
        """What the ensemble granted, which need not be what was asked for."""

    @property
    def last_zxid(self) -> int:
        """The highest transaction seen: a lower one after a restart means a restored snapshot."""

    def lease_age_s(self) -> float:
        """Seconds since the last request that the leader acknowledged was *sent*; infinite before the first.

        Decide on two thirds of `session_timeout_s`: the ensemble ends no session before the whole has passed, but
        the death of a server may cost half a tick of it.
        """
