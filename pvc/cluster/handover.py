"""Who lets a migrated guest run on its target: the record, or libvirt by itself.

libvirt alone can leave a guest running on both sides when the link is cut at the switchover (H32). It is trusted only where a second copy
could not write: where a lock across hosts protects every disk that the guest may write to. No XML shows that, so the admin declares in the
cluster record which storage has such locks (QEMU's image locks on a shared file system, virtlockd, sanlock, RBD's exclusive lock).
"""

from collections.abc import Iterable, Sequence

from pvc.cluster.domain_xml import Disk
from pvc.cluster.records import HandoverPolicy
from pvc.fsm.states import Handover


def all_locked(disks: Iterable[Disk], locks: Sequence[str]) -> bool:
    """Whether the guest has a disk to write to, and each of these lies on storage that the cluster declares as locked.

    An entry of `locks` is a path, which means everything below it, or `rbd:pool`. Without a disk nothing would stop a second copy.
    """
    written = [disk for disk in disks if disk.source and not disk.read_only]
    return bool(written) and all(not disk.shareable and any(_covers(lock, disk) for lock in locks) for disk in written)


def _covers(lock: str, disk: Disk) -> bool:
    if lock.startswith("rbd:"):
        return disk.kind == "network" and disk.source.startswith(f"{lock.removeprefix('rbd:')}/")
    return disk.kind in ("file", "block") and ".." not in disk.source.split("/") and disk.source.startswith(f"{lock.rstrip('/')}/")


def handover_of(policy: HandoverPolicy, locked: bool) -> Handover:
    """What a migration that begins now will do: the policy's word, and under `auto` libvirt's own only where locks make it harmless."""
    if policy is HandoverPolicy.auto:
        return Handover.libvirt if locked else Handover.paused
    return Handover.libvirt if policy is HandoverPolicy.libvirt else Handover.paused


def why_handover(policy: HandoverPolicy, locked: bool) -> str:
    """The same in words, for the admin."""
    if policy is not HandoverPolicy.auto:
        return f"its policy says {policy}"
    if locked:
        return "every disk that it writes to has a lock across hosts, so a second copy could not write"
    return "not all of its disks are declared to have a lock across hosts, so its copy stays paused until the record says who owns it"
