"""How far migrations are, as their node publishes it: figures to show, by which nobody decides."""

from dataclasses import dataclass

MAX_LEAVING = 64
"""Migrations whose progress is told at a time."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """How far a live migration is: of which VM (its UUID) and which operation, MiB and MiB/s, how often memory was gone over, by how much
    libvirt slows the guest (percent), and how long it expects the guest to stand still.

    `stood_ms` is told at its end, for some seconds: how long the guest stood still here before the record gave it to the target.
    """

    of: str
    op: str
    seconds: float = 0.0
    total_mib: int = 0
    remaining_mib: int = 0
    rate_mib_s: float = 0.0
    iteration: int = 0
    throttle: int = 0
    downtime_ms: int = 0
    stood_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """The migrations away from a node, as its libvirt last told; empty when there is none."""

    migrations: tuple[Leaving, ...] = ()
    foreign: str = ""
