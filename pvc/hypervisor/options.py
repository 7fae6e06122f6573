"""What the libvirt port is told, and the figures that it hands out."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class HypervisorOptions:
    """Where libvirt is, and the limits of the port. `boot` is the id of this kernel boot, `name` that of this node."""

    name: str
    boot: str
    claims_directory: Path
    uri: str = "qemu+tcp://127.0.0.1:16509/system"
    migration_uri: str = "qemu+tcp://{address}/system"
    """How the libvirtd of a target is reached from the one of the source."""
    data_uri: str = "tcp://{address}"
    """Where QEMU sends a guest's memory."""
    keepalive_interval_s: int = 2
    keepalive_count: int = 3
    workers: int = 8
    migrations_out: int = 2
    bandwidth_mib_s: int = 0
    """0: no limit."""
    parallel_connections: int = 0
    """Connections over which one migration is sent; 0: one, in the ordinary way."""
    reach_timeout_s: float = 3.0
    reopen_s: float = 0.25
    reopen_max_s: float = 5.0
    settle_s: float = 5.0
    """Between the two counts after which a guest whose job nobody saw end is taken for gone."""
    relist_s: float = 45.0


@dataclass(frozen=True, slots=True)
class HypervisorFacts:
    """What a hypervisor says of itself."""

    libvirt: str
    qemu: str
    hostname: str


@dataclass(frozen=True, slots=True)
class GuestFigures:
    """What the guests that are here take together; memory in MiB, as much as each may ever use."""

    domains: int = 0
    vcpus: int = 0
    memory_allocated_mib: int = 0


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """How far a live migration is: MiB, MiB/s, how often memory was gone over, by how much libvirt slows the guest (percent), and how long
    it expects the guest to stand still.
    """

    seconds: float
    total_mib: int
    remaining_mib: int
    rate_mib_s: float
    iteration: int
    throttle: int
    downtime_ms: int = 0

    @property
    def percent(self) -> int:
        """How much of the guest's memory is on the other side, while it goes on changing it."""
        return 0 if not self.total_mib else max(0, 100 - 100 * self.remaining_mib // self.total_mib)
