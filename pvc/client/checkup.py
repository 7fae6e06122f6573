"""What `pvc doctor` looks at beyond what stands still: fencing, versions, addresses, clocks, and records that contradict each other."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from pvc.client.attention import FINE, PROBLEM, WARNING, Finding, unfenceable
from pvc.client.cluster import Cluster
from pvc.client.snapshot import Snapshot
from pvc.cluster import znodes
from pvc.cluster.changes import index_repair, named
from pvc.cluster.evidence import Seen
from pvc.cluster.names import is_name, is_uuid
from pvc.cluster.records import DomainRecord, NodeRecord
from pvc.cluster.store import Op, Refused
from pvc.core.settings import settings_of

AHEAD_S = 5.0
"""A clock that is ahead by more than this is worth a word: nothing depends on clocks, but histories are read by them."""


def checkup(cluster: Cluster, snapshot: Snapshot, *, repair: bool = False) -> Iterator[Finding]:
    """All of it, what is fine included; with `repair` the index of VMs is corrected."""
    yield from _fencing(snapshot)
    yield from _versions(snapshot)
    yield from _times(snapshot)
    yield from _addresses(snapshot)
    yield from _clocks(cluster, snapshot)
    yield from _names(cluster, snapshot)
    yield from _index(cluster, snapshot, repair)


def _records(snapshot: Snapshot) -> list[NodeRecord]:
    return [node.record for node in snapshot.nodes.values() if isinstance(node.record, NodeRecord)]


def _fencing(snapshot: Snapshot) -> Iterator[Finding]:
    without = unfenceable(snapshot)
    for name, why in without.items():
        next_step = f"set fence_method for {name} in pvcd.conf" if "no fence device" in why else f"pvcd --check on {name} says more"
        yield Finding(WARNING, name, f"{why}, so when it is lost its VMs wait", next_step)
    if snapshot.nodes and not without:
        yield Finding(FINE, "fencing", "every node has a fence device, or a watchdog")
    if len(snapshot.nodes) == 2:
        sentence = "of two nodes neither ever shoots the other, for one is no majority: only power that reads off is recovered by itself"
        yield Finding(WARNING, "fencing", sentence, "add a third node, perhaps one that takes no VMs: it is asked all the same")


def _versions(snapshot: Snapshot) -> Iterator[Finding]:
    for what in ("pvc", "libvirt", "qemu"):
        found: dict[str, list[str]] = {}
        for record in _records(snapshot):
            if text := getattr(record.machine, what):
                found.setdefault(text, []).append(record.name)
        if len(found) > 1:
            told = "; ".join(f"{text} on {', '.join(sorted(names))}" for text, names in sorted(found.items()))
            yield Finding(WARNING, f"{what} versions", told, "bring all nodes to one version: guests move from older to newer only")
        elif found:
            yield Finding(FINE, f"{what} versions", f"{next(iter(found))} everywhere")


def _times(snapshot: Snapshot) -> Iterator[Finding]:
    """Whoever holds a fence counts by their own times, so they should be everybody's."""
    found: dict[str, list[str]] = {}
    for record in _records(snapshot):
        if (settings := settings_of(record.machine)) is not None:
            found.setdefault(settings.lost_words, []).append(record.name)
    if len(found) > 1:
        told = "; ".join(f"{', '.join(sorted(names))}: {words}" for words, names in sorted(found.items()))
        yield Finding(WARNING, "times", told, "let the same pvcd.conf lie on all nodes, and restart pvcd where it was another")
    elif found:
        yield Finding(FINE, "times", next(iter(found)))


def _addresses(snapshot: Snapshot) -> Iterator[Finding]:
    used: dict[str, list[str]] = {}
    for record in _records(snapshot):
        if record.migration_address:
            used.setdefault(record.migration_address, []).append(record.name)
        if record.fencing.address:
            used.setdefault(f"fence device {record.fencing.address}", []).append(record.name)
    for address, names in used.items():
        if len(names) > 1:
            sentence = f"{', '.join(sorted(names))} share it: one of them would be taken for the other"
            yield Finding(PROBLEM, address, sentence, "correct pvcd.conf")


def _clocks(cluster: Cluster, snapshot: Snapshot) -> Iterator[Finding]:
    now = _instant(cluster.now())
    ahead: dict[str, float] = {}
    for name in snapshot.nodes:
        events = cluster.reader.events(name)
        entries = events.value.entries if isinstance(events, Seen) else ()
        for entry in entries:
            told = _instant(entry.time)
            if now is not None and told is not None and told - now > AHEAD_S:
                ahead[entry.who] = max(ahead.get(entry.who, 0.0), told - now)
    for who, seconds in sorted(ahead.items()):
        sentence = f"its clock is ahead of this one by {seconds:.0f} s or more"
        yield Finding(WARNING, who, sentence, f"look at the time service of {who} and of this host")
    if not ahead:
        yield Finding(FINE, "clocks", "no node has told of a moment that is still to come")


def _instant(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _names(cluster: Cluster, snapshot: Snapshot) -> Iterator[Finding]:
    names = [name for name in cluster.store.children(znodes.NAMES) or () if is_name(name)]
    found = cluster.store.read_many([znodes.name(name) for name in names])
    for name, znode in zip(names, found.values(), strict=True):
        uuid = "" if znode is None else znode.data.decode("ascii", "replace")
        if znode is not None and (not is_uuid(uuid) or uuid not in snapshot.domains):
            yield Finding(WARNING, name, "the name leads to a VM that is not there", f"delete {znodes.name(name)} by hand")
    for record in snapshot.records():
        if record.name not in names:
            sentence = "its name is not registered, so it is found by its UUID alone"
            yield Finding(PROBLEM, record.name, sentence, f"create {znodes.name(record.name)} with its UUID")


def _index(cluster: Cluster, snapshot: Snapshot, repair: bool) -> Iterator[Finding]:
    """A VM that is not in the index of a node that it names is not seen by that node's daemon."""
    entries = {name: set(cluster.reader.named_by(name)) for name in snapshot.nodes}
    for uuid, seen in snapshot.domains.items():
        if not isinstance(seen.value, DomainRecord):
            continue
        record, there = seen.value, [node for node in entries if uuid in entries[node]]
        ops = index_repair(Seen(record, seen.version), there, snapshot.nodes)
        if not ops:
            continue
        missing = sorted(node for node in named(record.life) if node in entries and node not in there)
        unseen = f"the index of {', '.join(missing)} does not have it: not seen there"
        sentence = unseen if missing else "it is in the index of too many nodes"
        if not repair:
            yield Finding(PROBLEM if missing else WARNING, record.name, sentence, "pvc doctor --repair")
        else:
            yield _repaired(cluster, record.name, ops)


def _repaired(cluster: Cluster, name: str, ops: Sequence[Op]) -> Finding:
    try:
        cluster.store.multi(ops)
    except Refused:
        return Finding(WARNING, name, "it changed while its index was corrected", "pvc doctor --repair")
    return Finding(FINE, name, "its index was corrected")
