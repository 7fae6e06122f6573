# ruff: noqa: E501 - a field is one line
"""The fields of every record in JSON, each with its kind and its meaning; `docs/znodes.md` is written from these tables.

`stable` fields stay where they are in all versions: an outline is read from them, so that a cluster of two versions still fails over (H87).
"""

from pvc.cluster.codec import Choice, Flag, Maybe, Number, Real, Several, Text
from pvc.cluster.fields import Field, Object, V, Whole
from pvc.cluster.names import ADDRESS_RULE, NAME_RULE, TOKEN_RULE, UUID_RULE, is_address, is_name, is_token, is_uuid
from pvc.cluster.progress import MAX_LEAVING
from pvc.cluster.records import (
    MAX_HISTORY_ENTRIES,
    MAX_LOCKS,
    MAX_NODES,
    MAX_WHY,
    MAX_WORDS,
    FenceMethod,
    HandoverPolicy,
    Method,
    OnPoweroff,
    Policy,
    Selector,
)
from pvc.fsm.states import Daemon, Domain, Fence, Flush, Handover, Kind, Migration, Request, Want

NAME = Text(63, f"a name: {NAME_RULE}", is_name)
UUID = Text(36, f"a UUID: {UUID_RULE}", is_uuid)
TOKEN = Text(64, f"an id: {TOKEN_RULE}", is_token)
ADDRESS = Text(255, ADDRESS_RULE, is_address)
SENTENCE = Text(MAX_WHY)
WORDS = Text(MAX_WORDS)

DEFAULT = Policy()

# fmt: off
REQUEST_ID = Field("request_id", Text(64), "id of the request that made this write, unique; by it a write is recognised whose reply was lost", "")

POLICY = Object((
    Field("nodes",              Several(NAME, MAX_NODES), "nodes that may run the VM; empty: all", DEFAULT.nodes),
    Field("selector",           Choice(Selector), "a node is chosen by what it has most left of", DEFAULT.selector),
    Field("migration",          Choice(Method), "how the VM leaves a flushed node: live, off and on again, or not at all", DEFAULT.migration),
    Field("handover",           Choice(HandoverPolicy), "who lets a migrated guest run: the record, libvirt, or libvirt only where its disks are locked", DEFAULT.handover),
    Field("shutdown_timeout_s", Number(1, 24 * 3600), "how long the guest may take to power itself off", DEFAULT.shutdown_timeout_s),
    Field("restart_budget",     Number(0, 100), "failures in a row after which it is left off", DEFAULT.restart_budget),
    Field("on_poweroff",        Choice(OnPoweroff), "what follows when the guest powers itself off", DEFAULT.on_poweroff),
))

OPERATION = Object((
    Field("id",          TOKEN, "the operation; never changes while it is in flight"),
    Field("kind",        Choice(Kind, (Kind.none,)), "what it does to the VM's home: nothing, sets it, or leads there"),
    Field("source",      Maybe(NAME), "where it began", None),
    Field("target",      NAME, "where it leads; equal to the record's `target`"),
    Field("target_boot", Maybe(TOKEN), "kernel boot id of the target when it accepted", None),
    Field("phase",       Choice(Migration, (Migration.none,)), "how far it is"),
    Field("handover",    Choice(Handover), "who lets the guest run on the target"),
))

DOMAIN = Whole((
    V,
    Field("name",       NAME, "the VM's name", stable=True),
    Field("gen",        TOKEN, "generation: which VM of this UUID it is", stable=True),
    Field("state",      Choice(Domain, (Domain.delete,)), "state, see `states.md`"),
    Field("want",       Choice(Want), "what the admin wants; it sticks"),
    Field("request",    Choice(Request), "what the admin wants once", Request.none),
    Field("owner",      Maybe(NAME), "the node that may run the guest, the only one", stable=True),
    Field("target",     Maybe(NAME), "the node it goes to, or where a guest of it was found", stable=True),
    Field("home",       NAME, "the node it belongs to", stable=True),
    Field("epoch",      Number(), "grows with each change of owner", stable=True),
    Field("op",         Maybe(OPERATION), "the migration in flight, null when there is none"),
    Field("restarts",   Number(), "failures in a row", 0),
    Field("unheard",    Number(), "starts in a row whose end nobody heard, as when libvirt went away meanwhile", 0),
    Field("avoid",      Several(NAME, MAX_NODES), "nodes that failed to take it a moment ago", ()),
    Field("memory_mib", Number(1), "memory, MiB", stable=True),
    Field("vcpus",      Number(1, 10_000), "virtual CPUs", stable=True),
    Field("policy",     POLICY, "what the admin decided for good", POLICY.read({}, "")),
    Field("locked",     Flag(), "whether a lock across hosts protects every disk that it writes to", False),
    Field("reason",     SENTENCE, "why it is in this state", ""),
    Field("since",      WORDS, "since when; wall clock, only shown", ""),
    REQUEST_ID,
))

FENCE = Object((
    Field("phase",  Choice(Fence), "phase of the fence, see `states.md`", stable=True),
    Field("by",     Maybe(NAME), "the node that holds the fence", stable=True),
    Field("since",  WORDS, "since when it is in this phase; wall clock, only shown", ""),
    Field("reason", SENTENCE, "why it is in this phase", ""),
    Field("tries",  Number(), "shots so far", 0),
    Field("ordered", Flag(), "whether an operator wants it shot without any wait or brake", False),
))

MACHINE = Object((
    Field("cpus",       Number(), "CPUs", 0),
    Field("memory_mib", Number(), "memory, MiB", 0),
    Field("arch",       WORDS, "architecture", ""),
    Field("os",         WORDS, "operating system", ""),
    Field("kernel",     WORDS, "version of the kernel", ""),
    Field("pvc",        WORDS, "version of PVC", ""),
    Field("libvirt",    WORDS, "version of libvirt", ""),
    Field("qemu",       WORDS, "version of QEMU", ""),
    Field("keepalive_interval_s", Real(), "one tick, seconds; 0, as each of the following, where an older daemon did not say", 0.0),
    Field("session_timeout_s",    Real(), "its session's timeout as ZooKeeper granted it, seconds", 0.0),
    Field("dead_ticks",           Number(), "ticks without a proof of life after which it takes a node for dead", 0),
    Field("throws_ticks",         Number(), "ticks from then to the shot", 0),
    Field("migration_timeout_s",  Real(), "how long a live migration may take, seconds", 0.0),
))

FENCING = Object((
    Field("method",  Choice(FenceMethod), "how its power is read and cut", FenceMethod.none),
    Field("address", Maybe(ADDRESS), "address of its fence device, never a user or password", None),
    Field("guid",    Maybe(Text(32)), "GUID that its fence device has to tell, null when it need not tell any", None),
    Field("reset_s", Number(), "seconds after which its armed watchdog has reset it, from when its proof of life was gone; 0: it has none", 0),
    Field("fault",   SENTENCE, "why its fence device is not believed, empty when it is", ""),
))

NODE = Whole((
    V,
    Field("daemon",            Choice(Daemon), "state of the node's daemon, see `states.md`", stable=True),
    Field("flush",             Choice(Flush), "whether it takes VMs, see `states.md`", stable=True),
    Field("fence",             FENCE, "its fence", stable=True),
    Field("boot",              Maybe(TOKEN), "kernel boot id under which its daemon joined", None, stable=True),
    Field("machine",           MACHINE, "what the daemon found when it joined, and by which times it counts", MACHINE.read({}, "")),
    Field("migration_address", Maybe(ADDRESS), "where other nodes reach its libvirt for migrations", None),
    Field("fencing",           FENCING, "how it is fenced", FENCING.read({}, "")),
    REQUEST_ID,
))

STATS = Whole((
    V,
    Field("tick",                 Number(), "grows with every keepalive"),
    Field("memory_total_mib",     Number(), "memory, MiB"),
    Field("memory_used_mib",      Number(), "of it in use"),
    Field("memory_free_mib",      Number(), "of it free"),
    Field("memory_allocated_mib", Number(), "of it promised to VMs"),
    Field("load",                 Real(), "load average over one minute"),
    Field("vcpus",                Number(), "virtual CPUs of its guests"),
    Field("domains",              Number(), "guests"),
    Field("libvirt",              Flag(), "whether the node's libvirt answers", True),
))

LEAVING = Object((
    Field("of",            UUID, "the VM"),
    Field("op",            TOKEN, "the operation, the `id` of the record's `op`: of another one, these figures say nothing"),
    Field("seconds",       Real(), "since it began to copy", 0.0),
    Field("total_mib",     Number(), "memory of the guest, MiB", 0),
    Field("remaining_mib", Number(), "of it to be sent, in this pass", 0),
    Field("rate_mib_s",    Real(), "what is sent now, MiB/s", 0.0),
    Field("iteration",     Number(), "passes over its memory so far", 0),
    Field("throttle",      Number(), "by how much the guest is slowed so that it converges, percent", 0),
    Field("downtime_ms",   Number(), "how long the guest is expected to stand still, ms", 0),
    Field("stood_ms",      Maybe(Number()), "told at its end: how long the guest stood still here before the record gave it to the target, ms", None),
))

PROGRESS = Whole((
    V,
    Field("migrations", Several(LEAVING, MAX_LEAVING), "those under way", ()),
))

BOOT = Whole((
    V,
    Field("incarnation", Number(), "grows with each start of the node's daemon", stable=True),
    Field("boot",        TOKEN, "kernel boot id", stable=True),
))

HOLD = Object((
    Field("on",    Flag(), "whether the hold is on"),
    Field("by",    WORDS, "who set it", ""),
    Field("why",   SENTENCE, "why", ""),
    Field("since", WORDS, "since when; wall clock, only shown", ""),
))

CONFIG = Whole((
    V,
    Field("id",       UUID, "the cluster; tells it from another of the same name"),
    Field("name",     NAME, "the cluster's name"),
    Field("hold",     HOLD, "while it is on, no node is shot; one that reads off is recovered all the same", HOLD.read({"on": False}, "")),
    Field("defaults", POLICY, "policy of a VM that is defined without one", POLICY.read({}, "")),
    Field("locks",    Several(Text(255), MAX_LOCKS), "storage whose disks have a lock across hosts: paths, or `rbd:pool`", ()),
    REQUEST_ID,
))

ENTRY = Whole((
    Field("time",       WORDS, "when; wall clock, only shown"),
    Field("of",         WORDS, "name of the VM or node"),
    Field("machine",    WORDS, "state machine"),
    Field("from",       WORDS, "state before"),
    Field("to",         WORDS, "state after"),
    Field("trigger",    WORDS, "what was fired"),
    Field("by",         WORDS, "in which role"),
    Field("who",        WORDS, "person or node"),
    Field("why",        SENTENCE, "why", ""),
    REQUEST_ID,
))

HISTORY = Whole((
    V,
    Field("entries", Several(ENTRY, MAX_HISTORY_ENTRIES), "oldest first"),
))
# fmt: on
