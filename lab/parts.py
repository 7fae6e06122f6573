"""What the lab needs of a machine, and what of it is missing."""

import os
import pwd
import shutil
from pathlib import Path

from lab import guests, services, zookeeper
from lab.init import BINDS
from lab.shell import run

TOOLS = (
    "ip", "tc", "nft", "nsenter", "unshare", "mount", "gcc", "cpio", "libvirtd", "virsh", "qemu-system-x86_64", "qemu-img", "ipmi_sim",
    "ipmitool",
)  # fmt: skip
# libvirtd looks this user up even where it starts no guest as it.
USER = "libvirt-qemu"


def missing() -> list[str]:
    """Everything that is missing, as words for a sentence; empty when a lab can be started here."""
    found = [tool for tool in TOOLS if shutil.which(tool) is None]
    found += [str(path) for path in (guests.BUSYBOX, zookeeper.SCRIPT, services.PVCD) if not path.exists()]
    found += [f"/{path}" for path in (*BINDS, "etc/hosts") if not Path("/", path).exists()]
    if not guests.kernels():
        found.append("a cloud kernel with its modules")
    if not _has_user():
        found.append(f"the user {USER}")
    if os.geteuid() != 0:
        found.append("root")
    elif not _may_make_namespaces():
        found.append("leave to make namespaces and to mount (a container needs --privileged)")
    return found


def _has_user() -> bool:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def _may_make_namespaces() -> bool:
    inside = "mount -t tmpfs lab /mnt && ip link add pvc-try type bridge"
    tools = shutil.which("unshare") and shutil.which("ip")
    return not tools or run("unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", inside, check=False).returncode == 0
