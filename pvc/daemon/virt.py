"""The real hypervisor as this daemon's configuration wants it."""

from pvc.daemon.config import DaemonConfig
from pvc.daemon.surroundings import Calls
from pvc.hypervisor import HypervisorOptions, LibvirtHypervisor, probe

__all__ = ["hypervisor", "probe"]


def hypervisor(config: DaemonConfig, boot: str, calls: Calls) -> LibvirtHypervisor:
    """libvirt at the configured URI; nothing is opened yet."""
    options = HypervisorOptions(
        name=config.node,
        boot=boot,
        claims_directory=config.claims_directory,
        uri=config.libvirt_uri,
        migration_uri=config.migration_uri,
        migrations_out=config.settings.parallel_migrations,
    )
    return LibvirtHypervisor(options, xml_of=calls.xml_of, address_of=calls.address_of, report=calls.report, say=calls.say)
