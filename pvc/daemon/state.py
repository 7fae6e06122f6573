"""What this node remembers of the cluster between two starts, beside ZooKeeper: enough to notice that ZooKeeper is not what it was.

A daemon that obeys another cluster's records, or those of a restored snapshot, would stop the guests of today for what was wished then.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from pvc.cluster.store import Znode
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


def recall(path: Path) -> Remembered:
    """What was kept; nothing where there is no file yet. Raises PvcError for one that cannot be read: it may be a warning."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        stats = (int(found.get("stats_born", 0)), int(found.get("stats_version", -1)))  # what an older daemon did not keep
        return Remembered(str(found["cluster"]), int(found["boot_version"]), int(found["zxid"]), *stats)
    except FileNotFoundError:
        return Remembered()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"it is damaged ({error!r})"
        raise PvcError(f"{path} cannot be read: {why}", f"make sure that this is the right cluster, then remove {path}") from error


def remember(path: Path, state: Remembered) -> None:
    """Keep it, as a whole or not at all; raises PvcError when it cannot be kept."""
    fresh = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(asdict(state), file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise PvcError(f"{path} cannot be written: {error.strerror}", "make room, or the directory writable for pvcd") from error


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
