"""What this machine is and has, as its kernel says: read from /proc and /etc, never asked of a program that may hang."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pvc import __version__
from pvc.cluster.names import clipped
from pvc.cluster.records import MAX_WORDS, Machine, NodeStats
from pvc.errors import PvcError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
DMI_UUID = Path("/sys/class/dmi/id/product_uuid")
MEMINFO = Path("/proc/meminfo")
LOADAVG = Path("/proc/loadavg")
OS_RELEASE = Path("/etc/os-release")
PROC_TCP = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
LISTENING = "0A"
"""A socket that listens, in /proc/net/tcp."""


@dataclass(frozen=True, slots=True)
class GuestSums:
    """What the guests on this machine take together."""

    domains: int = 0
    vcpus: int = 0
    memory_allocated_mib: int = 0


def boot_id() -> str:
    """The id of the kernel's boot: a node that has another one now has lost all guests it had."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError as error:
        raise PvcError(f"{BOOT_ID} cannot be read: {error.strerror}", "pvcd needs a Linux kernel with /proc mounted") from error


def wall_clock() -> str:
    """Now, for people alone."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def dmi_uuid() -> str | None:
    """The UUID that the firmware gives this machine, as 32 digits; None where there is none, or none that tells machines apart."""
    try:
        digits = DMI_UUID.read_text().strip().replace("-", "").lower()
    except OSError:
        return None
    return digits if len(digits) == 32 and digits.strip("0") and digits.strip("f") else None


def describe(libvirt: str, qemu: str) -> Machine:
    """The static facts that a node's record shows; the versions of libvirt and QEMU are handed in by whoever asked libvirt."""
    return Machine(
        cpus=os.cpu_count() or 0,
        memory_mib=memory()["MemTotal"],
        arch=clipped(platform.machine(), MAX_WORDS),
        os=clipped(_os_name(), MAX_WORDS),
        kernel=clipped(platform.release(), MAX_WORDS),
        pvc=__version__,
        libvirt=clipped(libvirt, MAX_WORDS),
        qemu=clipped(qemu, MAX_WORDS),
    )


def memory() -> Mapping[str, int]:
    """The kernel's figures by their names there, in MiB."""
    lines = (line.split() for line in MEMINFO.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) // 1024 for words in lines if len(words) > 2 and words[2] == "kB"}


def measure(tick: int, guests: GuestSums, reserve_mib: int, libvirt: bool) -> NodeStats:
    """What a keepalive says.

    Free is what a new guest may take: no more than the kernel can give now, no more than what is not promised to guests that do not use
    all of theirs yet, and in both cases without the reserve.
    """
    found = memory()
    total, available = found["MemTotal"], found["MemAvailable"]
    return NodeStats(
        tick=tick,
        memory_total_mib=total,
        memory_used_mib=total - available,
        memory_free_mib=max(0, min(available, total - guests.memory_allocated_mib) - reserve_mib),
        memory_allocated_mib=guests.memory_allocated_mib,
        load=float(LOADAVG.read_text().split()[0]),
        vcpus=guests.vcpus,
        domains=guests.domains,
        libvirt=libvirt,
    )


def listeners(port: int) -> list[str]:
    """The addresses on which somebody accepts TCP connections to this port, in this network namespace."""
    found = set()
    for path in PROC_TCP:
        lines = path.read_text().splitlines()[1:] if path.exists() else []
        for words in (line.split() for line in lines):
            address, _, hexport = words[1].partition(":")
            if words[3] == LISTENING and int(hexport, 16) == port:
                found.add(_dotted(address))
    return sorted(found)


def _dotted(hexadecimal: str) -> str:
    """An address of /proc/net/tcp, which is in words of the machine's byte order, as people write it."""
    raw = bytes.fromhex(hexadecimal)
    if len(raw) == 4:
        return ".".join(str(byte) for byte in reversed(raw))
    words = [raw[i : i + 4][::-1] for i in range(0, 16, 4)]
    joined = b"".join(words).hex()
    return "::" if not any(raw) else ":".join(joined[i : i + 4] for i in range(0, 32, 4))


def _os_name() -> str:
    try:
        lines = OS_RELEASE.read_text().splitlines()
    except OSError:
        return platform.system()
    return next((line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")), platform.system())
