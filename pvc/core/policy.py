"""Which nodes may take a VM, in which order, and why not: one check for client, placement, flush, recovery and return alike (I11)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pvc.cluster.records import DomainRecord, NodeStats, Selector
from pvc.core.facts import NodeFacts, Nodes
from pvc.fsm.states import Daemon, Flush
from pvc.fsm.views import Life


@dataclass(frozen=True, slots=True)
class Ranking:
    """The nodes that fit, best first, and the reason for each that does not."""

    fits: tuple[str, ...]
    unfit: tuple[tuple[str, str], ...]
    full: bool = False
    """Whether a node is unfit for nothing but room, which statistics may show tomorrow."""


def rank(record: DomainRecord, nodes: Nodes, stats: Mapping[str, NodeStats], bound: Iterable[DomainRecord]) -> Ranking:
    """Rank the nodes for this VM, its home first; ``bound`` are the VMs on their way to a node whose statistics do not show them yet."""
    promised, allowed = _promised(record, bound), record.policy.nodes
    fits, unfit, full = [], [], False
    for name, facts in sorted(nodes.items()):
        never = () if facts.eligible and not allowed else tuple(_why_never(record, name, facts))  # as nearly always
        coming = promised.get(name, ())
        room = _why_full(record, name, stats.get(name), sum(other.memory_mib for other in coming)) if facts.alive else ""
        if never or room:
            unfit.append((name, ", and ".join((*never, *filter(None, (room,))))))
            full = full or not never
        else:
            away = name != record.life.home
            fits.append((away, _load(record.policy.selector, stats.get(name), coming), name))
    return Ranking(tuple(name for _, _, name in sorted(fits)), tuple(unfit), full)


def preferring(ranking: Ranking, life: Life, me: str) -> Ranking:
    """The same ranking for a VM that is to run again: its own node first, unless it failed there twice in a row."""
    if me not in ranking.fits:
        return ranking
    others = tuple(name for name in ranking.fits if name != me)
    return replace(ranking, fits=(me, *others) if life.restarts < 2 else (*others, me))


def with_recorded(stats: NodeStats, owned: Iterable[DomainRecord], here: Iterable[str]) -> NodeStats:
    """A node's own statistics with every VM counted that it owns by the records: what was claimed a moment ago is not measured yet."""
    owned, here = list(owned), frozenset(here)
    coming = sum(record.memory_mib for record in owned if record.uuid not in here)
    recorded = sum(record.memory_mib for record in owned)
    free = min(stats.memory_free_mib - coming, stats.memory_free_mib + stats.memory_allocated_mib - recorded)
    return stats if free == stats.memory_free_mib else replace(stats, memory_free_mib=max(0, free))


def _promised(record: DomainRecord, bound: Iterable[DomainRecord]) -> dict[str, list[DomainRecord]]:
    """To which VMs each node is promised before this one.

    Of the VMs that were promised to its own target one has to come first, or all of them would wait for each other's room.
    """
    promised: dict[str, list[DomainRecord]] = {}
    for other in bound:
        target = other.life.target
        if target is not None and (other.uuid < record.uuid if target == record.life.target else other.uuid != record.uuid):
            promised.setdefault(target, []).append(other)
    return promised


def _why_never(record: DomainRecord, name: str, facts: NodeFacts) -> Iterator[str]:
    """Every reason but room: an admin wants to read them all at once."""
    if not facts.alive:
        yield "it does not answer"
    elif facts.life.daemon is not Daemon.run:
        yield f"it is {facts.life.daemon}"
    if facts.life.flush is not Flush.ready:
        yield f"it is {facts.life.flush}"
    if record.policy.nodes and name not in record.policy.nodes:
        yield "the VM's policy does not allow it"


def _why_full(record: DomainRecord, name: str, stats: NodeStats | None, promised: int) -> str:
    if stats is not None and not stats.libvirt:
        return "its libvirt does not answer"
    if stats is not None and record.life.owner != name and stats.memory_free_mib - promised < record.memory_mib:
        return f"it has {max(0, stats.memory_free_mib - promised)} MiB free, {record.name} needs {record.memory_mib} MiB"
    return ""


def _load(selector: Selector, stats: NodeStats | None, coming: Sequence[DomainRecord]) -> float:
    """The smaller, the better; ``coming`` count as if they were there, and with all of their processors busy."""
    if stats is None:
        return 0.0
    match selector:
        case Selector.load:
            return stats.load + sum(other.vcpus for other in coming)
        case Selector.vcpus:
            return float(stats.vcpus + sum(other.vcpus for other in coming))
        case Selector.vms:
            return float(stats.domains + len(coming))
        case _:
            return float(sum(other.memory_mib for other in coming) - stats.memory_free_mib)
