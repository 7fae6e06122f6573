"""What can happen to a daemon, and what its Core answers: values, so that both can be recorded, compared and replayed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from pvc.cluster.records import ClusterConfig, DomainOutline, DomainRecord, NodeOutline, NodeRecord, NodeStats, Unreadable
from pvc.core.decide import Move
from pvc.fsm.states import Guest, Job, Power

# ---- events


@dataclass(frozen=True, slots=True)
class Opened:
    """The daemon starts, and connects."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The store is connected; ``new_session`` when it is not the session in which this daemon last joined."""

    new_session: bool


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The store is not connected; ``expired`` when the session or the own lease has ended."""

    expired: bool = False


@dataclass(frozen=True, slots=True)
class Synced:
    """Everything watched was read again since the last :class:`Connected`."""


@dataclass(frozen=True, slots=True)
class AliveSeen:
    """The nodes that hold a session."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A node's record, and the version of its znode; ``None`` when it is gone."""

    name: str
    record: NodeRecord | NodeOutline | Unreadable | None
    version: int = 0


@dataclass(frozen=True, slots=True)
class StatsSeen:
    """What this node's daemon has just measured of itself."""

    stats: NodeStats


@dataclass(frozen=True, slots=True)
class Measured:
    """What the daemons of all nodes last measured, read because :class:`Measure` asked for it."""

    stats: Mapping[str, NodeStats]


@dataclass(frozen=True, slots=True)
class DomainSeen:
    """A VM's record, and the version of its znode; ``None`` when it is gone."""

    uuid: str
    record: DomainRecord | DomainOutline | Unreadable | None
    version: int = 0


@dataclass(frozen=True, slots=True)
class ConfigSeen:
    """The cluster record, and the version of its znode."""

    config: ClusterConfig
    version: int = 0


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every guest on the hypervisor and every job that is under way, counted when no earlier call can still be waiting somewhere.

    ``claimed`` are the VMs that this node once claimed or admitted under its present kernel boot: what else runs here is none of ours.
    """

    guests: Mapping[str, Guest]
    jobs: Mapping[str, Job] = field(default_factory=dict)
    claimed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class HypervisorLost:
    """The hypervisor does not answer: what its guests do is unknown, and unknown is not gone (H19)."""


@dataclass(frozen=True, slots=True)
class GuestSeen:
    """What the hypervisor shows of one guest now; ``by_itself`` when the guest powered itself off."""

    uuid: str
    guest: Guest
    by_itself: bool = False


@dataclass(frozen=True, slots=True)
class JobDone:
    """A job has ended, well or not, and what the hypervisor shows of the guest since; ``trouble`` is what it said of a failure."""

    uuid: str
    job: Job
    guest: Guest
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class PowerRead:
    """What a node's fence device said twice, a second apart; ``ticket`` is that of the transition that ordered it."""

    node: str
    ticket: int
    reading: Power


class Result(Enum):
    """What became of a transition that the Core decided."""

    written = "written"
    refused = "refused"
    lost = "lost"


@dataclass(frozen=True, slots=True)
class Fired:
    """A transition was written, was refused (another version, a guard that no longer holds), or nobody could tell.

    What the record says now follows in each case, unless the row only gave orders: as written, or when it was read again.
    """

    ticket: int
    result: Result


@dataclass(frozen=True, slots=True)
class Due:
    """A wait that the Core asked for is over."""

    wait: str


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The daemon was told to stop; guests are left alone."""


Event = (
    Opened
    | Connected
    | Disconnected
    | Synced
    | AliveSeen
    | NodeSeen
    | StatsSeen
    | Measured
    | DomainSeen
    | ConfigSeen
    | Inventory
    | HypervisorLost
    | GuestSeen
    | JobDone
    | PowerRead
    | Fired
    | Due
    | StopAsked
)

# ---- answers


@dataclass(frozen=True, slots=True)
class Fire:
    """Fire this transition on the VM or node of this key, against the version that was seen; ``why`` adds to the row's words.

    To be answered with :class:`Fired` before any of its orders can report.
    """

    ticket: int
    key: str
    move: Move
    version: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Reread:
    """Read this VM's or node's record again and answer with :class:`DomainSeen` or :class:`NodeSeen`, even when nothing changed."""

    key: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Answer with :class:`Due` after this many seconds on the own monotonic clock; a wait of the same object replaces the one before."""

    wait: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Follow:
    """Watch the index of a node that is lost, and the VMs in it."""

    node: str


@dataclass(frozen=True, slots=True)
class Attend:
    """Watch the records of exactly these VMs too: guests of theirs are here, whatever the index says."""

    uuids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Measure:
    """Read the statistics of these nodes and answer with :class:`Measured`: a node is to be chosen."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Say:
    """A sentence for the log."""

    sentence: str


Answer = Fire | Reread | Wait | Follow | Attend | Measure | Say
