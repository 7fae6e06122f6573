"""PVC, the Parallel Virtual Cluster: QEMU/KVM guests on a cluster, with libvirt and ZooKeeper."""

# The one place of the version: the package's metadata, both commands and the changelog's test read it here.
__version__ = "0.2.0"
