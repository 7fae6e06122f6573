"""The real hypervisor as the daemon uses it, imported only when it is asked for: a node without libvirt-python is told so."""

from pvc.daemon.config import DaemonConfig
from pvc.daemon.surroundings import Calls, HypervisorFacts, NodeHypervisor
from pvc.errors import PvcError


def probe(uri: str) -> HypervisorFacts:
    """Ask libvirt at this URI who it is; raises PvcError when it does not answer."""
    raise PvcError("this version of PVC has no libvirt port yet")


def hypervisor(config: DaemonConfig, boot: str, calls: Calls) -> NodeHypervisor:
    """The hypervisor behind the configured URI; nothing is opened yet."""
    raise PvcError("this version of PVC has no libvirt port yet")
