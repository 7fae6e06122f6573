"""Which nodes VMs would go to, one after the other, each with the room that those before it have left: for dry runs, and for what a cluster
can lose.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from pvc.client.snapshot import Snapshot
from pvc.cluster.records import DomainRecord, Method, NodeStats
from pvc.core.policy import rank
from pvc.fsm.states import Domain, Want


@dataclass(frozen=True, slots=True)
class Placed:
    """A VM, and the node that it would go to; or why no node can take it."""

    name: str
    memory_mib: int
    target: str | None
    why: str = ""
    how: str = ""


def without(snapshot: Snapshot, lost: Collection[str]) -> Snapshot:
    """The cluster as if these nodes did not answer."""
    nodes = {name: replace(node, alive=node.alive and name not in lost) for name, node in snapshot.nodes.items()}
    return replace(snapshot, nodes=nodes)


def placements(records: Iterable[DomainRecord], snapshot: Snapshot) -> Iterator[Placed]:
    """Where these VMs would go, the largest first; none goes where it is."""
    facts = snapshot.facts()
    stats = {node.name: node.stats for node in snapshot.nodes.values() if node.stats is not None}
    bound = [record for record in snapshot.records() if record.life.target is not None]
    for record in sorted(records, key=lambda one: (-one.memory_mib, one.name)):
        ranking = rank(record, facts, stats, bound)
        target = next((name for name in ranking.fits if name != record.life.owner), None)
        why = "" if target else "; ".join(f"{name}: {why}" for name, why in ranking.unfit if name != record.life.owner)
        if target in stats:
            stats[target] = _fuller(stats[target], record)
        yield Placed(record.name, record.memory_mib, target, why or ("" if target else "there is no other node"))


def _fuller(stats: NodeStats, record: DomainRecord) -> NodeStats:
    free, vcpus = max(0, stats.memory_free_mib - record.memory_mib), stats.vcpus + record.vcpus
    return replace(stats, memory_free_mib=free, vcpus=vcpus, domains=stats.domains + 1)


def leaving(name: str, snapshot: Snapshot) -> list[Placed]:
    """What a flush of this node would do with each VM that it owns; `why` where one cannot leave."""
    owned = [record for record in snapshot.records() if record.life.owner == name]
    up = [record for record in owned if record.life.state is Domain.start and record.life.want is Want.start]
    bound = [one for one in up if one.policy.migration is Method.none]
    stays = [Placed(one.name, one.memory_mib, None, "its policy is to stay where it is") for one in bound]
    by_name = {record.name: record for record in up}
    goes = placements((one for one in up if one not in bound), snapshot)
    moving = [replace(one, how="live" if by_name[one.name].policy.migration is Method.live else "off and on again") for one in goes]
    others = [Placed(one.name, one.memory_mib, None, how=f"it is {one.life.state}, and leaves by itself") for one in owned if one not in up]
    return sorted([*stays, *moving, *others], key=lambda one: one.name)


@dataclass(frozen=True, slots=True)
class Loss:
    """What the loss of a node would mean: how many VMs would be started elsewhere, and those that no node could take: its own, and those
    that are about to go there.

    Whether it would come so is not known where some are to go to a node that is `unmeasured`.
    """

    node: str
    moved: int
    left: tuple[Placed, ...]
    unmeasured: tuple[str, ...] = ()


def unmeasured(snapshot: Snapshot) -> list[str]:
    """The nodes that answer and have not told yet how much room they have, which counts as enough for whatever is to go there."""
    return sorted(name for name, node in snapshot.nodes.items() if node.alive and node.stats is None)


def stranded(snapshot: Snapshot) -> list[str]:
    """The VMs that are wanted up, are on no node that answers nor about to be, and have room nowhere."""
    return [name for name, target in _next_places(_waiting(snapshot), snapshot).items() if target is None]


def losses(snapshot: Snapshot) -> list[Loss]:
    """For each node that answers, what its loss would mean: whether the cluster can lose any one. What waits for a node counts as being
    where it would go today; what would go nowhere is no matter of a loss.
    """
    waiting = {record.name: record for record in _waiting(snapshot)}
    places = _next_places(waiting.values(), snapshot)
    there: dict[str, list[DomainRecord]] = {name: [] for name, node in sorted(snapshot.nodes.items()) if node.alive}
    for record in _wanted_up(snapshot):
        place = places[record.name] if record.name in waiting else record.life.owner or record.life.target
        if place in there:
            there[str(place)].append(record)
    nodes = dict(snapshot.nodes)
    for name, target in places.items():
        if target is not None and (stats := nodes[target].stats) is not None:
            nodes[target] = replace(nodes[target], stats=_fuller(stats, waiting[name]))
    return [_loss(name, records, replace(snapshot, nodes=nodes)) for name, records in there.items()]


def _loss(name: str, records: list[DomainRecord], snapshot: Snapshot) -> Loss:
    placed = list(placements(records, without(snapshot, {name})))
    targets = {one.target for one in placed}
    moved, left = sum(one.target is not None for one in placed), tuple(one for one in placed if one.target is None)
    return Loss(name, moved, left, tuple(one for one in unmeasured(snapshot) if one in targets))


def _next_places(records: Iterable[DomainRecord], snapshot: Snapshot) -> dict[str, str | None]:
    return {one.name: one.target for one in placements(records, snapshot)}


def _wanted_up(snapshot: Snapshot) -> Iterator[DomainRecord]:
    given_up = (Domain.failed, Domain.conflict)
    return (record for record in snapshot.records() if record.life.want is Want.start and record.life.state not in given_up)


def _waiting(snapshot: Snapshot) -> list[DomainRecord]:
    """The VMs that are wanted up and need another node: theirs does not answer, or the one that they are to go to cannot take them."""
    alive = {name for name, node in snapshot.nodes.items() if node.alive}
    return [one for one in _wanted_up(snapshot) if alive.isdisjoint((one.life.owner, one.life.target)) or _held_up(one, snapshot)]


def _held_up(record: DomainRecord, snapshot: Snapshot) -> bool:
    return record.life.state is Domain.place and not snapshot.ranking(record).fits
