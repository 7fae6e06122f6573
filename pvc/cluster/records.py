"""The records that the cluster consists of, frozen: what `formats` reads from znodes and writes to them.

The name of a VM's or node's znode is not repeated inside, so that the two cannot contradict each other. `foreign` holds, as JSON text, what
another version or program has added; it is kept. `request` is the id of the write that made this record: by it a write is recognised whose
reply was lost.
"""

from dataclasses import dataclass, field

from pvc.fsm.states import Word
from pvc.fsm.views import Life, NodeLife

MAX_RECORD_BYTES = 64 * 1024
MAX_HISTORY_BYTES = 64 * 1024
MAX_HISTORY_ENTRIES = 32
MAX_XML_BYTES = 256 * 1024
MAX_WHY = 256
"""Characters of a sentence in a record."""
MAX_WORDS = 64
"""Characters of a short text: a time, a version, a name of a program."""
MAX_LOCKS = 64
"""Entries of storage with locks."""
MAX_NODES = 256
"""Nodes that one list can name."""


class Selector(Word):
    """By what the node for a VM is chosen: where the most of this is left."""

    mem = "mem"
    load = "load"
    vcpus = "vcpus"
    vms = "vms"


class Method(Word):
    """How a VM leaves a node that is flushed."""

    live = "live"
    cold = "cold"
    none = "none"


class HandoverPolicy(Word):
    """Who lets a migrated guest run on the target."""

    auto = "auto"
    paused = "paused"
    libvirt = "libvirt"


class OnPoweroff(Word):
    """What follows when the guest powers itself off."""

    restart = "restart"
    stay = "stay"


class FenceMethod(Word):
    """How a node's power is read and cut."""

    none = "none"
    ipmi = "ipmi"
    watchdog = "watchdog"
    agent = "agent"
    manual = "manual"

    @property
    def has_device(self) -> bool:
        """Whether peers have a device to ask for the node's power, and to cut it with."""
        return self in (FenceMethod.ipmi, FenceMethod.agent)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the admin decides about a VM once and for all. `nodes` empty means every node."""

    nodes: tuple[str, ...] = ()
    selector: Selector = Selector.mem
    migration: Method = Method.live
    handover: HandoverPolicy = HandoverPolicy.auto
    shutdown_timeout_s: int = 60
    restart_budget: int = 5
    on_poweroff: OnPoweroff = OnPoweroff.restart


@dataclass(frozen=True, slots=True)
class DomainRecord:
    """A VM. `since` is wall clock and only shown; `source` is where the operation in flight began; `locked` says whether a lock across
    hosts protects every disk that it writes to, see `handover`; `unheard` counts starts in a row whose end nobody heard.
    """

    uuid: str
    name: str
    gen: str
    life: Life
    memory_mib: int
    vcpus: int
    policy: Policy = Policy()
    source: str | None = None
    reason: str = ""
    since: str = ""
    request: str = ""
    locked: bool = False
    unheard: int = 0
    foreign: str = ""


@dataclass(frozen=True, slots=True)
class DomainOutline:
    """A VM whose record is of a version that we do not know: it cannot be written, but it counts for its owner's fence and for room."""

    uuid: str
    version: int
    name: str
    gen: str
    owner: str | None
    target: str | None
    home: str
    epoch: int
    memory_mib: int
    vcpus: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What a node's daemon found on its machine when it joined, and by which times it counts; 0 where it did not say."""

    cpus: int = 0
    memory_mib: int = 0
    arch: str = ""
    os: str = ""
    kernel: str = ""
    pvc: str = ""
    libvirt: str = ""
    qemu: str = ""
    keepalive_interval_s: float = 0.0
    session_timeout_s: float = 0.0
    dead_ticks: int = 0
    throws_ticks: int = 0
    migration_timeout_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Fencing:
    """How a node is fenced. A password is in root's files on the nodes, never here (H88).

    `guid` is what its device has to tell of itself; `reset_s` how long after its proof of life is gone its armed watchdog has reset it, 0
    without one; `fault` why its device is not believed.
    """

    method: FenceMethod = FenceMethod.none
    address: str | None = None
    guid: str | None = None
    reset_s: int = 0
    fault: str = ""

    @property
    def works(self) -> bool:
        """Whether peers have a device that they can ask, and believe."""
        return self.method.has_device and not self.fault


@dataclass(frozen=True, slots=True)
class FenceDetail:
    """What is shown of a node's fence beyond its phase and holder."""

    since: str = ""
    reason: str = ""
    tries: int = 0


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node; `boot` is the id of the kernel boot under which its daemon joined."""

    name: str
    life: NodeLife
    boot: str | None = None
    machine: Machine = Machine()
    migration_address: str | None = None
    fencing: Fencing = Fencing()
    fence: FenceDetail = FenceDetail()
    request: str = ""
    foreign: str = ""


@dataclass(frozen=True, slots=True)
class NodeOutline:
    """A node whose record is of a version that we do not know: it cannot be written, but it can be judged."""

    name: str
    version: int
    life: NodeLife
    boot: str | None


@dataclass(frozen=True, slots=True)
class NodeStats:
    """What a node's daemon measured; `tick` grows with every keepalive, and is 0 before the first.

    `libvirt` is false while the node's libvirt does not answer: it can start nothing, and what its guests do is unknown.
    """

    tick: int = 0
    memory_total_mib: int = 0
    memory_used_mib: int = 0
    memory_free_mib: int = 0
    memory_allocated_mib: int = 0
    load: float = 0.0
    vcpus: int = 0
    domains: int = 0
    libvirt: bool = True
    foreign: str = ""


@dataclass(frozen=True, slots=True)
class Boot:
    """One start of a node's daemon: `incarnation` grows with each, `boot` is the kernel's boot id."""

    incarnation: int
    boot: str
    foreign: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """While it is on, no node is shot; one that reads off is recovered all the same."""

    on: bool = False
    by: str = ""
    why: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """The cluster; `id` tells it from another with the same name, `defaults` is the policy of a VM that states none, `locks` is storage
    whose disks have a lock across hosts: paths, or `rbd:pool`.
    """

    id: str
    name: str
    hold: Hold = Hold()
    defaults: Policy = Policy()
    locks: tuple[str, ...] = ()
    request: str = ""
    foreign: str = ""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One transition of one machine; `time` is wall clock and only shown, `who` is a person or a node, `by` the role they acted in."""

    time: str
    of: str
    machine: str
    source: str
    dest: str
    trigger: str
    by: str
    who: str
    why: str = ""
    request: str = ""
    foreign: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """The last transitions, oldest first."""

    entries: tuple[HistoryEntry, ...] = ()
    foreign: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A znode whose data is not what is declared: it is shown, nobody acts on it, and nobody overwrites it (H12)."""

    path: str
    why: str
    data: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"{self.path} cannot be read: {self.why}"
