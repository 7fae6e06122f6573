"""From a fired transition of a node to the one write that makes it true, and the writes by which a node's daemon comes and stays.

The boot record carries the fence: whoever proves a node dead writes its boot record anew, and from that write on nothing that the dead
daemon still sends is accepted, because each of its writes checks the version it joined with.
"""

from dataclasses import dataclass, field, replace

from pvc.cluster import znodes
from pvc.cluster.changes import HistorySeen, history_entry, history_ops
from pvc.cluster.commit import Change
from pvc.cluster.evidence import NotRead, Relied, Seen, Transition, holder_guards, node_guards
from pvc.cluster.formats import encode_boot, encode_history, encode_node, encode_stats
from pvc.cluster.names import checked_token, clipped
from pvc.cluster.records import MAX_WHY, MAX_WORDS, Boot, FenceDetail, Fencing, History, HistoryEntry, Machine, NodeRecord, NodeStats
from pvc.cluster.store import Check, Create, Delete, Op, Set, version_after
from pvc.errors import Refused
from pvc.fsm.states import Daemon, Fence
from pvc.fsm.tables import FIELDS
from pvc.fsm.views import NodeLife


@dataclass(frozen=True, slots=True)
class Joining:
    """What a daemon says of its node when it joins; `boot` is the id of the kernel's boot, `stats` its first keepalive."""

    boot: str
    machine: Machine
    migration_address: str | None
    fencing: Fencing
    stats: NodeStats = field(default_factory=NodeStats)


def node_change(
    seen: Seen[NodeRecord],
    life: NodeLife,
    transition: Transition,
    relied: Relied,
    boot: Seen[bytes] | None = None,
    events: HistorySeen = None,
) -> Change:
    """The write by which a node's record becomes this life; to join is `join_change`.

    `boot` is the node's boot record, data and version, which a proof of death writes anew; `events` its last transitions, which this one
    joins where they were read. Raises `NotRead` when the row relied on more than `relied` tells.
    """
    old = seen.value
    if not transition.row.writes:
        raise ValueError(f"'{transition.row}' only gives orders: there is nothing to write")
    record = replace(old, life=life, fence=_fence(old, life, transition), request=checked_token(transition.request))
    ops: tuple[Op, ...] = (Set(znodes.node(old.name), encode_node(record), seen.version), *_told(old, life, transition, events))
    if life.daemon is Daemon.fenced and old.life.daemon is not Daemon.fenced:
        if boot is None:
            raise NotRead(f"'{transition.row}' takes the boot token from {old.name}, whose boot record was not read")
        # Its data stays as it is: the version is what fences, and so a record of any version of PVC can be taken.
        ops = (*ops, Set(znodes.boot(old.name), boot.value, boot.version))
    return Change(znodes.node(old.name), transition.request, ops, node_guards(old.name, old.life.by, transition, relied))


def join_change(
    name: str,
    life: NodeLife,
    joining: Joining,
    transition: Transition,
    relied: Relied,
    *,
    seen: Seen[NodeRecord] | None,
    boot: Seen[Boot] | None,
    alive: Seen[Boot] | None,
    stats: int | None = None,
    events: HistorySeen = None,
) -> Change:
    """The write by which a daemon enters: record, boot record, proof of life and first keepalive at once, and never one without the others
    (H73).

    `seen` and `boot` are None for a node that never was here. `alive` is a proof of life that is still there,
    `stats` the version of the statistics of a node that was here, `events` its last transitions. Raises Refused when that proof of life is
    of another kernel boot: it may belong to another machine under the same name (H77); ours of an earlier boot goes with its session.
    """
    if alive is not None and alive.value.boot != joining.boot:
        next_step = "make sure that no other machine has this name; an old session of this one ends by itself, so try again"
        raise Refused(f"{name} is alive under another kernel boot", next_step)
    old = NodeRecord(name, NodeLife()) if seen is None else seen.value
    record = replace(
        old,
        life=life,
        boot=joining.boot,
        machine=joining.machine,
        migration_address=joining.migration_address,
        fencing=joining.fencing,
        fence=_fence(old, life, transition),
        request=checked_token(transition.request),
    )
    entered = Boot(1, joining.boot) if boot is None else replace(boot.value, incarnation=boot.value.incarnation + 1, boot=joining.boot)
    # A proof of life of this very kernel boot is that of our former self, which this write locks out by the boot record.
    former = () if alive is None else (Delete(znodes.alive(name), alive.version),)
    ops: tuple[Op, ...] = (
        _put(znodes.boot(name), encode_boot(name, entered), boot),
        _put(znodes.node(name), encode_node(record), seen),
        *(_below(name, joining.stats, _entries(old, life, transition)) if seen is None else _first_keepalive(name, joining.stats, stats)),
        *(() if seen is None else _told(old, life, transition, events)),
        *former,
        Create(znodes.alive(name), encode_boot(name, entered), ephemeral=True),
    )
    return Change(znodes.node(name), transition.request, ops, holder_guards(old.life.by, transition, relied))


def _put(path: str, data: bytes, seen: Seen[NodeRecord] | Seen[Boot] | None) -> Create | Set:
    return Create(path, data) if seen is None else Set(path, data, seen.version)


def _first_keepalive(name: str, stats: NodeStats, version: int | None) -> tuple[Op, ...]:
    return () if version is None else (Set(znodes.stats(name), encode_stats(name, stats), version),)


def _below(name: str, stats: NodeStats, entries: tuple[HistoryEntry, ...]) -> tuple[Create, ...]:
    return (
        Create(znodes.index(name)),
        Create(znodes.stats(name), encode_stats(name, stats)),
        Create(znodes.events(name), encode_history(znodes.events(name), History(entries))),
    )


def _told(old: NodeRecord, life: NodeLife, transition: Transition, events: HistorySeen) -> tuple[Op, ...]:
    """The transition in the node's list; nothing where that was not read: it costs the list its past, and nothing else."""
    return () if events is None else history_ops(znodes.events(old.name), events, *_entries(old, life, transition))


def _entries(old: NodeRecord, life: NodeLife, transition: Transition) -> tuple[HistoryEntry, ...]:
    """What fired, and what moved along with it in another machine of the node."""
    first = history_entry(transition, old.name, old.life, life)
    along = transition.row.joint
    if along is None or getattr(old.life, FIELDS[along[0]]) is getattr(life, FIELDS[along[0]]):
        return (first,)
    moved = {"source": str(getattr(old.life, FIELDS[along[0]])), "dest": str(getattr(life, FIELDS[along[0]]))}
    return first, replace(first, machine=along[0], trigger=along[1], **moved)


def token_of(change: Change, name: str) -> int:
    """The boot token that a daemon has once this change of `join_change` is committed."""
    return next(version_after(op) for op in change.ops if op.path == znodes.boot(name))


def keepalive(name: str, stats: NodeStats, version: int, token: int) -> Change:
    """What a daemon writes with every tick; refused once its boot token is another's: so a thawed daemon learns that it is over."""
    path = znodes.stats(name)
    return Change(path, "", (Set(path, encode_stats(name, stats), version),), (Check(znodes.boot(name), token),))


def _fence(old: NodeRecord, life: NodeLife, transition: Transition) -> FenceDetail:
    if life.fence is old.life.fence:
        return old.fence
    tries = 0 if life.fence is Fence.none else old.fence.tries + (life.fence is Fence.shot)
    return FenceDetail(clipped(transition.at, MAX_WORDS), clipped(transition.reason, MAX_WHY), tries)
