"""What this node remembers of the cluster between two starts, beside ZooKeeper: enough to notice that ZooKeeper is not what it was.

A daemon that obeys another cluster's records, or those of a restored snapshot, would stop the guests of today for what was wished then.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from pvc.errors import PvcError


@dataclass(frozen=True, slots=True)
class Remembered:
    """The cluster's id, the version of the own boot record (the last token), and the highest transaction that was seen."""

    cluster: str = ""
    boot_version: int = -1
    zxid: int = 0


def recall(path: Path) -> Remembered:
    """What was kept; nothing where there is no file yet. Raises PvcError for one that cannot be read: it may be a warning."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Remembered(str(found["cluster"]), int(found["boot_version"]), int(found["zxid"]))
    except FileNotFoundError:
        return Remembered()
    except (OSError, ValueError, KeyError, TypeError) as error:
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


def objection(before: Remembered, cluster: str, boot_version: int, zxid: int, path: Path) -> PvcError | None:
    """Why a daemon that remembers this must not work with what ZooKeeper says now; None when it may."""
    accept = f"if the records are right (compare `pvc vm list` with what runs), remove {path} on every node and start pvcd again"
    if before.cluster and before.cluster != cluster:
        return PvcError(
            f"this node belongs to the cluster {before.cluster}, and ZooKeeper holds {cluster}",
            f"correct zookeeper and chroot; if the node is to join the other cluster, remove {path}",
        )
    if zxid < before.zxid:
        return PvcError(
            f"ZooKeeper has gone back in time, from transaction {before.zxid:#x} to {zxid:#x}: it was restored from a snapshot,"
            " and its records may tell of guests as they were then; nothing is automated on this node",
            accept,
        )
    if boot_version < before.boot_version:
        return PvcError(
            f"ZooKeeper has forgotten {before.boot_version - boot_version} starts of this node: it was restored from a snapshot,"
            " and its records may tell of guests as they were then; nothing is automated on this node",
            accept,
        )
    return None
