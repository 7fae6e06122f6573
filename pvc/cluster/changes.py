"""From a fired transition of a VM to the one write that makes it true: record, generation, index, history, and what the decision relied on.

Nothing here reads or writes: the caller has read, and hands the `Change` to `commit`. The index says which nodes a record names, so that
each daemon watches its own VMs alone. It is written along with the record and may still drift, by another program or by hand; a VM must not
hang on that, so drift is repaired (`repaired`, `index_repair`) and never an obstacle.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from pvc.cluster import znodes
from pvc.cluster.commit import Change
from pvc.cluster.evidence import Relied, Seen, Transition, domain_guards
from pvc.cluster.fields import Unwritable
from pvc.cluster.formats import decode_domain, encode_config, encode_domain, encode_history
from pvc.cluster.names import checked_token, clipped
from pvc.cluster.records import (
    MAX_HISTORY_ENTRIES,
    MAX_WHY,
    MAX_WORDS,
    MAX_XML_BYTES,
    ClusterConfig,
    DomainRecord,
    History,
    HistoryEntry,
    Unreadable,
)
from pvc.cluster.store import ANY_VERSION, Check, Create, Delete, Op, Refused, Set, Store, Why, Znode
from pvc.fsm.row import by_name
from pvc.fsm.states import Domain, Migration
from pvc.fsm.tables import FIELDS
from pvc.fsm.views import Life, NodeLife

LATEST = 8
"""So many of the last transitions are kept whatever they are."""

HistorySeen = Seen[History] | Unreadable | None
"""The history as it was read; None when there is none, which costs it its past and nothing else."""


def create_cluster(config: ClusterConfig) -> Change:
    """The empty cluster; refused where there is one."""
    parents = tuple(Create(path) for path in znodes.PARENTS)
    return Change(znodes.CONFIG, config.request, (Create(znodes.CONFIG, encode_config(config)), *parents))


def config_change(seen: Seen[ClusterConfig], config: ClusterConfig) -> Change:
    """Another cluster record, such as one with the hold on."""
    return Change(znodes.CONFIG, config.request, (Set(znodes.CONFIG, encode_config(config), seen.version),))


def define_change(record: DomainRecord, xml: bytes, relied: Relied, who: str, at: str, why: str = "") -> Change:
    """A new VM, off; refused where its name or its UUID is taken."""
    uuid, home = record.uuid, str(record.life.home)
    if record.life.state is not Domain.stop:
        raise Unwritable(f"{record.name} cannot be defined as {record.life.state}: a VM begins in {Domain.stop}")
    if not 0 < len(xml) <= MAX_XML_BYTES:
        raise Unwritable(f"the XML of {record.name} has {len(xml)} bytes, it may have 1 to {MAX_XML_BYTES}")
    if relied.config is None or home not in relied.nodes:
        raise Unwritable(f"{record.name} cannot be defined: its home {home} or the cluster record was not read")
    told = (clipped(who, MAX_WORDS), clipped(why, MAX_WHY), record.request)
    entry = HistoryEntry(at, record.name, "domain", "", str(Domain.stop), "define", "client", *told)
    history = znodes.history(uuid)
    ops = (
        Create(znodes.name(record.name), uuid.encode()),
        Create(znodes.domain(uuid), encode_domain(replace(record, since=at))),
        Create(znodes.generation(uuid, record.gen)),
        Create(znodes.xml(uuid), xml),
        Create(history, encode_history(history, History((entry,)))),
        Create(znodes.index_entry(home, uuid)),
    )
    guards = (Check(znodes.CONFIG, relied.config), Check(znodes.node(home), relied.nodes[home]))
    return Change(znodes.domain(uuid), checked_token(record.request), ops, guards)


def domain_change(
    seen: Seen[DomainRecord],
    life: Life,
    transition: Transition,
    relied: Relied,
    history: HistorySeen = None,
    children: Iterable[str] | None = None,
) -> Change:
    """The write by which a VM's record becomes this life.

    `children` are the names below the record, as just read: undefining deletes them all, also those of a newer version. Raises `NotRead`
    when the row relied on more than `relied` tells.
    """
    old = seen.value
    if not transition.row.writes:
        raise ValueError(f"'{transition.row}' only gives orders: there is nothing to write")
    guards = (*domain_guards(old.life, transition, relied), Check(znodes.generation(old.uuid, old.gen), ANY_VERSION))
    if life.state is Domain.delete:
        return Change(znodes.domain(old.uuid), checked_token(transition.request), _deletion(seen, children), guards)
    entry = history_entry(transition, old.name, old.life, life)
    ops = (
        Set(znodes.domain(old.uuid), encode_domain(_changed(old, life, transition)), seen.version),
        *index_ops(old.uuid, named(old.life), named(life)),
        *history_ops(znodes.history(old.uuid), history, entry),
    )
    return Change(znodes.domain(old.uuid), checked_token(transition.request), ops, guards)


def _changed(old: DomainRecord, life: Life, transition: Transition) -> DomainRecord:
    moved = life.state is not old.life.state
    began = old.life.phase is Migration.none and life.phase is not Migration.none
    return replace(
        old,
        life=life,
        source=old.life.owner if began else old.source if life.phase is not Migration.none else None,
        reason=clipped(transition.reason, MAX_WHY) if moved else old.reason,
        since=clipped(transition.at, MAX_WORDS) if moved else old.since,
        request=transition.request,
        unheard=_unheard(old, life),
    )


def _unheard(old: DomainRecord, life: Life) -> int:
    """Starts in a row whose end nobody heard: one that led back to where it began, and is no failure, is one more."""
    if old.life.state is Domain.boot and life.state is Domain.place:
        return old.unheard + (life.restarts == old.life.restarts)
    return 0 if old.life.state is Domain.boot or (life.owner is None and life.state is not Domain.place) else old.unheard


def _deletion(seen: Seen[DomainRecord], children: Iterable[str] | None) -> tuple[Op, ...]:
    """Everything of a VM; below the record first, because ZooKeeper deletes no znode that has children (H26)."""
    record, path = seen.value, znodes.domain(seen.value.uuid)
    below = (f"g-{record.gen}", "history", "xml") if children is None else tuple(sorted(children))
    return (
        *(Delete(f"{path}/{child}", ANY_VERSION) for child in below),
        Delete(path, seen.version),
        *index_ops(record.uuid, named(record.life), frozenset()),
        Delete(znodes.name(record.name), ANY_VERSION),
    )


# ---- history


def history_entry(transition: Transition, of: str, old: Life | NodeLife, new: Life | NodeLife) -> HistoryEntry:
    """One line of history: what this transition made of the VM or node of this name."""
    field = FIELDS[transition.table]
    return HistoryEntry(
        time=clipped(transition.at, MAX_WORDS),
        of=of,
        machine=transition.table,
        source=str(getattr(old, field)),
        dest=str(getattr(new, field)),
        trigger=transition.row.trigger,
        by=by_name(transition.by & transition.row.by),
        who=clipped(transition.who, MAX_WORDS),
        why=clipped(transition.reason, MAX_WHY),
        request=transition.request,
    )


def history_ops(path: str, seen: HistorySeen, *entries: HistoryEntry) -> tuple[Op, ...]:
    """Append to a history; one that cannot be read is left as it is, for whoever can."""
    if isinstance(seen, Unreadable):
        return ()
    if seen is None:
        return (Create(path, encode_history(path, History(entries))),)
    kept = _kept((*seen.value.entries, *entries))
    return (Set(path, encode_history(path, replace(seen.value, entries=kept)), seen.version),)


def _kept(entries: tuple[HistoryEntry, ...]) -> tuple[HistoryEntry, ...]:
    """The last ones. Older ones by which a daemon led nothing anywhere go first: a fence that is passed on and on, because its device is
    silent, must not make forgotten who declared the node dead, and who shot at it.
    """
    idle = [number for number, entry in enumerate(entries[:-LATEST]) if entry.source == entry.dest and entry.by != "client"]
    spared = frozenset(idle[: max(0, len(entries) - MAX_HISTORY_ENTRIES)])
    return tuple(entry for number, entry in enumerate(entries) if number not in spared)[-MAX_HISTORY_ENTRIES:]


# ---- index


def named(life: Life) -> frozenset[str]:
    """The nodes that a record names, each of which has it in its index."""
    return frozenset(node for node in (life.owner, life.target, life.home) if node is not None)


def index_ops(uuid: str, before: Iterable[str], after: Iterable[str]) -> tuple[Create | Delete, ...]:
    """What leads the index from one set of nodes to another."""
    old, new = frozenset(before), frozenset(after)
    created = tuple(Create(znodes.index_entry(node, uuid)) for node in sorted(new - old))
    return (*created, *(Delete(znodes.index_entry(node, uuid), ANY_VERSION) for node in sorted(old - new)))


def is_drift(refused: Refused) -> bool:
    """Whether a write was refused for nothing but an index entry that is not as the record says."""
    return znodes.is_index_entry(refused.path) and refused.why in (Why.EXISTS, Why.MISSING)


def repaired(store: Store, change: Change) -> Change:
    """The same change with the index operations that are still to be done, after a look at what is there.

    An entry is left out where it is as it should be already, and where the node itself is gone.
    """
    entries = [op.path for op in change.ops if _is_index_op(op)]
    parents = [path.rpartition("/")[0] for path in entries]
    there = {path for path, znode in store.read_many([*entries, *parents], sync=True).items() if znode is not None}

    def needed(op: Op) -> bool:
        if not _is_index_op(op):
            return True
        return op.path in there if isinstance(op, Delete) else op.path not in there and op.path.rpartition("/")[0] in there

    return replace(change, ops=tuple(op for op in change.ops if needed(op)))


def _is_index_op(op: Op) -> bool:
    return isinstance(op, Create | Delete) and znodes.is_index_entry(op.path)


def index_repair(seen: Seen[DomainRecord], entries: Iterable[str], nodes: Iterable[str]) -> tuple[Op, ...]:
    """What corrects the index of a VM that nothing is about to change: `entries` are the nodes that have it, `nodes` those that exist.

    Empty when there is nothing to do; otherwise it holds only for the record that was read.
    """
    existing = frozenset(nodes)
    ops = index_ops(seen.value.uuid, frozenset(entries) & existing, named(seen.value.life) & existing)
    path = znodes.domain(seen.value.uuid)
    return (Check(path, seen.version), Check(znodes.generation(seen.value.uuid, seen.value.gen), ANY_VERSION), *ops) if ops else ()


def shows(uuid: str, request: str) -> Callable[[Znode], bool]:
    """For `commit.settle`: whether a VM's znode was written by this request."""

    def applied(znode: Znode) -> bool:
        found = decode_domain(uuid, znode.data)
        return isinstance(found, DomainRecord) and found.request == request

    return applied
