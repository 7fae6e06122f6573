"""The door: libvirt's hook, which lets no guest of PVC begin on this host, or migrate to it, that its daemon has not claimed.

PVC is safe without it as long as nobody else starts its guests, and no libvirtd carries out late what it was once told.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from pvc.daemon.findings import Finding, ok, warning
from pvc.daemon.keys import BY_NAME

HOOK = Path("/etc/libvirt/hooks/qemu.d/pvc-claims")
"""Where libvirt looks for it; it has to be executable."""
USUAL = str(BY_NAME["claims_directory"].default)
"""Where the hook looks for claims unless it is told."""


def findings(claims_directory: Path) -> Iterator[Finding]:
    """Whether it is there, and looks for claims where the daemon writes them."""
    if not HOOK.exists():
        yield warning(
            f"hook: {HOOK} is not there: nobody keeps out a guest that is started here by hand, or by a libvirtd that was frozen",
            f"install PVC's hooks/pvc-claims as {HOOK}, mode 0755, and restart libvirtd: its guests do not notice",
        )
    elif not os.access(HOOK, os.X_OK):
        yield warning(f"hook: {HOOK} is not executable, so libvirt does not ask it", f"chmod 0755 {HOOK}, and restart libvirtd")
    elif str(claims_directory) != USUAL:
        yield warning(
            f"hook: it looks for claims in {USUAL} unless PVC_CLAIMS_DIRECTORY says otherwise, and they are in {claims_directory}",
            f"set PVC_CLAIMS_DIRECTORY={claims_directory} in the environment of libvirtd",
        )
    else:
        yield ok(f"hook: libvirt asks {HOOK} before a guest begins here")
