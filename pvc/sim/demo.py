"""The story that `pvc sim demo` tells: what an admin types, what befalls the machines, and what has to be so afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pvc.fsm.states import Daemon, Domain, Fence, Flush
from pvc.sim.cluster import SimCluster

VMS = {"web1": ("hv1", 2048), "web2": ("hv1", 2048), "db1": ("hv2", 4096), "mail1": ("hv3", 1024)}
"""The VMs: where each is at home, and its memory in MiB."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A heading, and what it is about."""

    title: str
    about: str


@dataclass(frozen=True, slots=True)
class Typed:
    """A command line of `pvc`; ``refused`` where the point is that it is."""

    words: tuple[str, ...]
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Happens:
    """Something befalls the machines, and time passes until this holds."""

    what: str
    action: Callable[[], None]
    until: Callable[[], bool]
    limit_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Holds:
    """What has to be so now; where the command has just said the same it is only told when it is not."""

    what: str
    so: Callable[[], bool]
    said: bool = False


Step = Chapter | Typed | Happens | Holds


def typed(line: str, refused: bool = False) -> Typed:
    """A command line from its words."""
    return Typed(tuple(line.split()[1:]), refused)


def story(cluster: SimCluster) -> Iterator[Step]:
    """The whole story, on this cluster of three nodes."""
    yield from _begin(cluster)
    yield from _move(cluster)
    yield from _flush(cluster)
    yield from _lose_power(cluster)
    yield from _lose_network(cluster)
    yield Chapter("Everything is back", "What was defined runs, once, and every node works.")
    yield _keepalive_later(cluster)
    yield typed("pvc vm list")
    yield typed("pvc node list")
    yield Holds("nothing is left to do", lambda: not cluster.settled())


def _begin(cluster: SimCluster) -> Iterator[Step]:
    about = "Each node's daemon joins, counts its guests, and works. A guest is started only by the node that its record names."
    yield Chapter("Three nodes, four VMs", about)
    yield Happens("hv1, hv2 and hv3 are switched on", lambda: None, cluster.all_run, 60.0)
    for name, (home, _) in VMS.items():
        yield typed(f"pvc vm define {name}.xml --home {home}")
    for name, (home, _) in VMS.items():
        yield typed(f"pvc vm start {name}")
        yield _runs(cluster, name, home)
    yield typed("pvc vm list")


def _move(cluster: SimCluster) -> Iterator[Step]:
    about = "The copy on the target stays paused until the record says whose the guest is: never two, whatever breaks."
    yield Chapter("Moving a guest while it runs", about)
    yield typed("pvc vm migrate web1 hv3")
    yield _runs(cluster, "web1", "hv3")
    yield Holds("web1 has not forgotten its home", lambda: cluster.life("web1").home == "hv1")


def _flush(cluster: SimCluster) -> Iterator[Step]:
    def back() -> bool:
        return _all_start(cluster) and _are_on(cluster, ("web1", "web2"), "hv1")

    about = "hv1 needs new disks. Its guests leave it live; then it gets back what is at home there, web1 too."
    yield Chapter("Emptying a node, and giving it back", about)
    yield typed("pvc node flush hv1 --yes")
    yield Holds("nothing runs on hv1", lambda: not cluster.world.machines["hv1"].libvirtd.guests)
    yield typed("pvc vm migrate db1 hv1", refused=True)
    yield typed("pvc node ready hv1")
    yield Happens("hv1 takes back what is at home there", lambda: None, back)


def _lose_power(cluster: SimCluster) -> Iterator[Step]:
    def again() -> bool:
        return cluster.node("hv1").life.daemon is Daemon.fenced and _all_start(cluster) and not _are_on(cluster, ("web1", "web2"), "hv1")

    about = "Its silence proves nothing. Its fence device does: it reads off, twice. Then its guests start elsewhere."
    yield Chapter("A node loses its power", about)
    yield Happens("hv1 loses its power, with web1 and web2", lambda: cluster.power_off("hv1"), again)
    yield Holds("web1 and web2 run elsewhere", lambda: _elsewhere(cluster, ("web1", "web2"), "hv1"))
    yield Holds("nobody was shot: what is off needs no shot", lambda: not cluster.fences("begun"))
    yield _keepalive_later(cluster)
    yield typed("pvc vm list")
    yield typed("pvc node list")
    yield Happens("hv1 is switched on again, and boots", lambda: cluster.power_on("hv1"), cluster.all_run)
    for name in ("web1", "web2"):
        yield typed(f"pvc vm unmigrate {name}")
        yield _runs(cluster, name, "hv1")


def _lose_network(cluster: SimCluster) -> Iterator[Step]:
    def again() -> bool:
        return cluster.node("hv2").life.daemon is Daemon.fenced and _all_start(cluster) and not _are_on(cluster, ("db1",), "hv2")

    def back() -> None:
        cluster.cut_host("hv2", cut=False)
        cluster.power_on("hv2")

    yield Chapter(
        "A node loses its network",
        "db1 runs on there, and nobody can see it: the dangerous case. Nothing is started elsewhere until hv2 is shot, and read to be off.",
    )
    yield Happens("hv2 loses its network; db1 runs on", lambda: cluster.cut_host("hv2"), again)
    yield Holds("db1 runs elsewhere", lambda: _elsewhere(cluster, ("db1",), "hv2"))
    yield Holds("hv2 was shot once", lambda: cluster.fences("begun") == ["hv2"])
    yield Happens("its cable is mended, and hv2 is switched on again", back, cluster.all_run)
    yield Holds("its fence is over", lambda: cluster.node("hv2").life.fence is Fence.none)
    yield typed("pvc vm unmigrate db1")
    yield _runs(cluster, "db1", "hv2")
    yield Holds("hv2 takes VMs again", lambda: cluster.node("hv2").life.flush is Flush.ready)


def _runs(cluster: SimCluster, name: str, node: str) -> Holds:
    return Holds(f"{name} runs on {node}", lambda: cluster.running(name) == [node], said=True)


def _keepalive_later(cluster: SimCluster) -> Happens:
    """Time for every node to measure what it has now."""
    later = cluster.settings.keepalive_interval_s
    ends: list[float] = []
    return Happens(f"{later:g} s pass", lambda: ends.append(cluster.now + later), lambda: cluster.now >= ends[0])


def _all_start(cluster: SimCluster) -> bool:
    return all(cluster.life(name).state is Domain.start for name in VMS)


def _are_on(cluster: SimCluster, names: tuple[str, ...], node: str) -> bool:
    return all(cluster.life(name).owner == node for name in names)


def _elsewhere(cluster: SimCluster, names: tuple[str, ...], node: str) -> bool:
    return all(len(cluster.running(name)) == 1 and node not in cluster.running(name) for name in names)
