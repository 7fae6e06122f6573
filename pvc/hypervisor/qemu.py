"""The end of a guest's QEMU, seen at once: libvirt looks only every 0.2 s, and while it does a guest that is handed over stands still.

Once the process is gone its guest cannot run here again, whatever libvirt will say a moment later.
"""

import os
import select
from itertools import pairwise
from pathlib import Path

PROCESSES = Path("/proc")


def find(uuid: str) -> int | None:
    """A descriptor of the QEMU of this guest (a pidfd, to be closed); None where there is not exactly one in sight."""
    found = [int(path.name) for path in PROCESSES.iterdir() if path.name.isdigit() and _is_of(path, uuid)]
    if len(found) != 1:
        return None  # libvirt is on another machine, or somebody else's guest has the same UUID
    try:
        process = os.pidfd_open(found[0])
    except OSError:
        return None
    if _is_of(PROCESSES / str(found[0]), uuid):  # it was not replaced in between
        return process
    os.close(process)
    return None


def has_ended(process: int, within_s: float) -> bool:
    """Whether this process has ended; waits for so long."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(within_s * 1000))


def _is_of(path: Path, uuid: str) -> bool:
    try:
        words = (path / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return "qemu" in os.fsdecode(os.path.basename(words[0])) and (b"-uuid", uuid.encode()) in pairwise(words)
