"""libvirt behind the hypervisor port: orders become jobs of its domains, and what its domains show becomes events.

Only `library` knows libvirt, and imports it when a connection is opened, so a node without libvirt-python can still say that it lacks it.
"""

from pvc.hypervisor.options import GuestFigures, HypervisorFacts, HypervisorOptions, MigrationProgress
from pvc.hypervisor.port import LibvirtHypervisor, probe

__all__ = ["GuestFigures", "HypervisorFacts", "HypervisorOptions", "LibvirtHypervisor", "MigrationProgress", "probe"]
