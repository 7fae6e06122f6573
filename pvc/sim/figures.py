"""What a simulated daemon tells of its machine: once as it joins, and with every keepalive."""

from pvc.cluster.records import Machine as MachineFacts
from pvc.cluster.records import NodeStats
from pvc.sim.hypervisor import Figures
from pvc.sim.machine import Machine

SYSTEM_MIB = 512
"""What a host takes for itself."""


def stats_of(machine: Machine, figures: Figures, tick: int, libvirt: bool) -> NodeStats:
    """What the machine has and uses."""
    used = machine.memory_used_mib + SYSTEM_MIB
    return NodeStats(
        tick=tick,
        memory_total_mib=machine.memory_mib,
        memory_used_mib=used,
        memory_free_mib=max(0, machine.memory_mib - used),
        memory_allocated_mib=figures.memory_allocated_mib,
        load=round(0.1 + 0.5 * figures.domains, 2),
        vcpus=figures.vcpus,
        domains=figures.domains,
        libvirt=libvirt,
    )


def facts_of(machine: Machine) -> MachineFacts:
    """What never changes."""
    return MachineFacts(
        cpus=machine.cpus,
        memory_mib=machine.memory_mib,
        arch="x86_64",
        os="Debian GNU/Linux 12",
        kernel="6.1.0",
        pvc="",
        libvirt="9.0.0",
        qemu="7.2.0",
    )
