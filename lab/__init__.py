"""The lab: three hosts on one machine, with real ZooKeeper, libvirt, QEMU and BMCs, each of which can be taken away."""

from lab.host import Host
from lab.lab import Lab
from lab.wait import wait_until

__all__ = ["Host", "Lab", "wait_until"]
