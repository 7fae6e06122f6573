"""Whether ZooKeeper is what it was: what a node knows of the cluster beside ZooKeeper, held against what ZooKeeper says.

A daemon that obeys another cluster's records, or those of a restored snapshot, would stop the guests of today for what was wished then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pvc.cluster import znodes
from pvc.cluster.store import Store, Znode
from pvc.errors import PvcError


@dataclass(frozen=True, slots=True)
class Remembered:
    """The cluster's id, the version of the own boot record (the last token), the highest transaction that was seen, and the own statistics:
    the transaction that created them, 0 where that is not known, and how often they were written since.

    A transaction's number begins with the ensemble's epoch, which grows with each election: servers that were restored together, or have
    lost what they had acknowledged, count on from a higher one. What this daemon itself wrote tells.
    """

    cluster: str = ""
    boot_version: int = -1
    zxid: int = 0
    stats_born: int = 0
    stats_version: int = -1


def seen_now(cluster: str, boot: Znode | None, stats: Znode | None, zxid: int) -> Remembered:
    """What ZooKeeper says now, of a node's own znodes."""
    version = -1 if boot is None else boot.version
    return Remembered(cluster, version, zxid, *((0, -1) if stats is None else (stats.czxid, stats.version)))


def objection(before: Remembered, now: Remembered, path: Path) -> PvcError | None:
    """Why a daemon that remembers this must not work with what ZooKeeper says now; None when it may."""
    accept = f"if the records are right (compare `pvc vm list` with what runs), remove {path} on every node and start pvcd again"
    if before.cluster and before.cluster != now.cluster:
        return PvcError(
            f"this node belongs to the cluster {before.cluster}, and ZooKeeper holds {now.cluster}",
            f"correct zookeeper and chroot; if the node is to join the other cluster, remove {path}",
        )
    back = ""
    if now.zxid < before.zxid:
        back = f"gone back in time, from transaction {before.zxid:#x} to {now.zxid:#x}"
    elif now.boot_version < before.boot_version:
        back = f"forgotten {before.boot_version - now.boot_version} starts of this node"
    elif now.stats_born and now.stats_born == before.stats_born and now.stats_version < before.stats_version:
        back = f"gone back in time: {before.stats_version - now.stats_version} keepalives of this node are not there any more"
    if not back:
        return None
    return PvcError(
        f"ZooKeeper has {back}: it was restored from a snapshot, or its servers have lost what they had acknowledged,"
        " and its records may tell of guests as they were then; nothing is automated on this node",
        accept,
    )


def look_back(store: Store, me: str, known: Callable[[], Remembered], path: Path) -> None:
    """Make sure that this ZooKeeper is the one that a running daemon knows; raises the objection, or StoreError where it cannot be told."""
    before = known()  # first: what is written meanwhile is no objection
    boot, stats = store.read_many([znodes.boot(me), znodes.stats(me)], sync=True).values()
    wrong = objection(before, seen_now(before.cluster, boot, stats, store.last_zxid), path)
    if wrong is not None:
        raise wrong
