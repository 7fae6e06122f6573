"""What this node remembers of the cluster between two starts, in a file of its own."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from pvc.agent.remembered import Remembered
from pvc.errors import PvcError


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
