"""Every state, wish and observation that PVC knows: one enum for daemon, client, checker, simulator and documents.

The name of a member equals the word stored in ZooKeeper, so a record, a diagram and an error message cannot disagree (H85).
"""

from enum import Enum, IntFlag, auto
from functools import cache


class Word(str, Enum):  # noqa: UP042 - transitions takes a StrEnum for a plain string
    """An enum whose member prints as the word that is stored."""

    __str__ = str.__str__


class By(IntFlag):
    """Who may fire a row."""

    CLIENT = auto()  # an admin, through the client or another program on the same API
    OWNER = auto()  # the daemon that owns the VM; for a node, the node itself
    TARGET = auto()  # the daemon that the record names to take the VM
    HOME = auto()  # the daemon of the node where the VM belongs
    HOST = auto()  # a daemon that finds the guest on its hypervisor without being its owner
    FENCER = auto()  # the daemon that holds the fence of the node in question
    PEER = auto()  # any other daemon in state run
    SESSION = auto()  # the ZooKeeper client library


def roles_in(by: By) -> tuple[By, ...]:
    """Split a combination of actors into its single actors."""
    return tuple(role for role in By if role & by)


@cache  # asked for with each line of a history
def by_name(by: By) -> str:
    """Say who, in lower case: ``client``, ``owner or target``."""
    return " or ".join(str(role.name).lower() for role in roles_in(by))


class Domain(Word):
    """States of a VM record."""

    stop = "stop"
    place = "place"
    boot = "boot"
    start = "start"
    shutdown = "shutdown"
    restart = "restart"
    destroy = "destroy"
    migrate = "migrate"
    failed = "failed"
    disable = "disable"
    conflict = "conflict"
    delete = "delete"


class Want(Word):
    """What the admin wants of a VM; written by clients alone, it sticks (I2)."""

    start = "start"
    stop = "stop"
    shutdown = "shutdown"
    disable = "disable"
    delete = "delete"


class Request(Word):
    """A wish that is fulfilled once and then forgotten."""

    none = "none"
    restart = "restart"
    home = "home"
    cancel = "cancel"


class Migration(Word):
    """Phases of a live migration."""

    none = "none"
    asked = "asked"
    accepted = "accepted"
    moving = "moving"
    handover = "handover"


class Kind(Word):
    """Why a migration was begun, which decides what it does to the VM's home, and what follows when it fails."""

    none = "none"
    migrate = "migrate"
    move = "move"
    home = "home"


class Handover(Word):
    """Who lets the guest run on the target: our record, or libvirt itself."""

    paused = "paused"
    libvirt = "libvirt"


class Daemon(Word):
    """States of a node."""

    stop = "stop"
    init = "init"
    run = "run"
    dead = "dead"
    fencing = "fencing"
    fenced = "fenced"
    unfenced = "unfenced"


class Flush(Word):
    """Whether a node takes VMs; a field of its own, so that it survives death and reboot."""

    ready = "ready"
    flush = "flush"
    flushed = "flushed"
    unflush = "unflush"


class Fence(Word):
    """Phases of a fence, from suspicion to proof."""

    none = "none"
    evidence = "evidence"
    throws = "throws"
    shot = "shot"
    failed = "failed"
    proven = "proven"


class Connection(Word):
    """States of a daemon's ZooKeeper session."""

    closed = "closed"
    connect = "connect"
    sync = "sync"
    live = "live"
    suspended = "suspended"
    lost = "lost"


class Guest(Word):
    """What one hypervisor shows of a guest."""

    unknown = "unknown"
    absent = "absent"
    incoming = "incoming"
    held = "held"
    running = "running"
    paused = "paused"


class Job(Word):
    """A hypervisor action in flight; at most one per VM and node (I7)."""

    none = "none"
    create = "create"
    shutdown = "shutdown"
    destroy = "destroy"
    migrate = "migrate"
    abort = "abort"
    resume = "resume"
    suspend = "suspend"


class Power(Word):
    """What a fence device said when it was asked, twice a second apart."""

    unread = "unread"
    off = "off"
    on = "on"
    silent = "silent"


class Effect(Word):
    """An order that a row gives after its write has succeeded."""

    create = "create"
    shutdown = "shutdown"
    destroy = "destroy"
    migrate = "migrate"
    abort_job = "abort_job"
    resume = "resume"
    suspend = "suspend"
    discard = "discard"
    admit = "admit"
    read_power = "read_power"
    power_off = "power_off"
    power_on = "power_on"


class Take(Word):
    """A value that a row takes from the situation in which it fires, rather than from the table."""

    me = "me"
    choice = "choice"
    choice_or_me = "choice_or_me"
    owner = "owner"
    home = "home"
    target = "target"
    my_boot = "my_boot"
    next_epoch = "epoch + 1"
    next_restart = "restarts + 1, unless its start was not answered"
    avoid_target = "avoid + target"
    op_id = "op_id"
    home_after = "me if move else home"
    request_again = "home if called home else none"
