"""What a daemon finds around it and does not make itself: a host and its hypervisor. Tests of the process bring their own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pvc.agent.ports import Hypervisor
from pvc.core.events import Event
from pvc.daemon.config import DaemonConfig


class Figures(Protocol):
    """What the guests on a hypervisor take together."""

    @property
    def domains(self) -> int:
        """How many there are."""

    @property
    def vcpus(self) -> int:
        """Their virtual CPUs."""

    @property
    def memory_allocated_mib(self) -> int:
        """Their memory."""


class Moving(Protocol):
    """How far a live migration is."""

    @property
    def seconds(self) -> float:
        """Since it began to copy."""

    @property
    def total_mib(self) -> int:
        """Memory of the guest."""

    @property
    def remaining_mib(self) -> int:
        """Of it to be sent, in this pass."""

    @property
    def rate_mib_s(self) -> float:
        """What is sent now."""

    @property
    def iteration(self) -> int:
        """Passes over its memory."""

    @property
    def throttle(self) -> int:
        """By how much the guest is slowed, percent."""

    @property
    def downtime_ms(self) -> int:
        """How long the guest is expected to stand still."""


class NodeHypervisor(Hypervisor, Protocol):
    """The hypervisor of a node, as its daemon uses it. Nothing here waits for anybody."""

    def start(self) -> None:
        """Begin to connect; guests are reported once they are counted."""

    def figures(self) -> Figures:
        """What was counted last."""

    def progress(self, uuid: str) -> Moving | None:
        """How far the migration of this VM from here is, as last told; None when none is under way."""

    def halted(self, uuid: str) -> float | None:
        """When the guest halted for the end of its migration from here, on the monotonic clock; None when that was not heard."""

    def abort_precopy(self) -> None:
        """Break off every migration whose guest still runs here: nobody could decide who owns it."""

    def close(self) -> None:
        """Report nothing more and let go; guests are left alone."""


class HypervisorFacts(Protocol):
    """What a hypervisor says of itself."""

    @property
    def libvirt(self) -> str:
        """Its version."""

    @property
    def qemu(self) -> str:
        """Its version."""


@dataclass(frozen=True, slots=True)
class Calls:
    """What a hypervisor asks of the daemon. The first two wait for ZooKeeper and raise PvcError; the last two only enqueue."""

    xml_of: Callable[[str], bytes]
    address_of: Callable[[str], str]
    report: Callable[[Event], None]
    say: Callable[[str], None]


Probe = Callable[[str], HypervisorFacts]
"""Ask the hypervisor at this URI who it is; raises PvcError when it does not answer."""

MakeHypervisor = Callable[[DaemonConfig, str, Calls], NodeHypervisor]
"""For this configuration and this kernel boot id."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The hypervisor, how it is asked who it is, and what this host is called."""

    probe: Probe
    hypervisor: MakeHypervisor
    hostname: str
