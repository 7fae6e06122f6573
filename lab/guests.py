"""Tiny real guests: Debian's cloud kernel, a busybox, and an init that prints a tick a second on its serial line."""

import gzip
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from lab.shell import run

SOURCES = Path(__file__).parent / "guest"
BUSYBOX = Path("/usr/bin/busybox")
# In the order in which they must be loaded: power button, then the disk and what it stands on.
MODULES = (
    "drivers/input/evdev.ko", "drivers/acpi/button.ko", "drivers/virtio/virtio_ring.ko", "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko", "drivers/virtio/virtio_pci_modern_dev.ko", "drivers/virtio/virtio_pci.ko",
    "drivers/block/virtio_blk.ko",
)  # fmt: skip
# Seen by each host as its own folder: which host a guest's ticks came from is told by where they are.
CONSOLES = Path("/var/log/libvirt/console")
TICK = re.compile(r"tick (?P<boot>[0-9a-f]+) (?P<number>\d+) (?P<uptime>[0-9.]+) \.\r?$", re.MULTILINE)
DISK_MIB = 16


@dataclass(frozen=True)
class Tick:
    """A line of a guest: where it ran then, in which boot of its, the how manieth of that boot, and its uptime in seconds."""

    host: str
    boot: str
    number: int
    uptime_s: float


def build(directory: Path) -> None:
    """Put kernel and initramfs for guests there."""
    kernel, modules = kernels()[0]
    shutil.copy(kernel, directory / "kernel")
    root = directory / "initramfs.d"
    for path in ("bin", "dev", "proc", "sys", "tmp", "modules", "etc/acpi/PWRF"):
        (root / path).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin" / "busybox")
    for module in MODULES:
        shutil.copy(modules / "kernel" / module, root / "modules")
    (root / "modules" / "order").write_text("\n".join(Path(module).name for module in MODULES) + "\n")
    shutil.copy(SOURCES / "init", root / "init")
    shutil.copy(SOURCES / "power-button", root / "etc" / "acpi" / "PWRF" / "00000080")
    for script in (root / "init", root / "etc" / "acpi" / "PWRF" / "00000080"):
        script.chmod(0o755)
    run("sh", "-c", 'cd "$1" && find . | cpio --quiet -o -H newc -F "$2"', "sh", str(root), str(directory / "initramfs.cpio"))
    (directory / "initramfs").write_bytes(gzip.compress((directory / "initramfs.cpio").read_bytes(), 1))
    (directory / "initramfs.cpio").unlink()
    shutil.rmtree(root)


def kernels() -> list[tuple[Path, Path]]:
    """The cloud kernels that have their modules, and those, the newest first."""
    found = [(path, Path("/lib/modules") / path.name.removeprefix("vmlinuz-")) for path in Path("/boot").glob("vmlinuz-*cloud*")]
    return sorted(((kernel, modules) for kernel, modules in found if modules.is_dir()), reverse=True)


def guest_uuid(name: str) -> str:
    """The UUID that a guest of this name has in every lab."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.guest.pvc.lab"))


def guest_xml(
    shared: Path, name: str, *, memory_mib: int = 96, deaf: bool = False, dirty_mib: int = 0, tick_s: float = 1, disk: bool = False
) -> str:
    """The domain XML of a guest.

    `deaf`: it ignores a shutdown. `dirty_mib`: it writes over so much of its memory all the time, so that a migration takes
    long. `disk`: it has a small disk in the shared folder, made here when there is none, and counts its boots on it.
    """
    options = [word for word, wanted in (("deaf", deaf), (f"dirty={dirty_mib}", dirty_mib)) if wanted]
    words = " ".join(["console=ttyS0 quiet loglevel=1 panic=1", f"tick={tick_s:g}", *options])
    domain = ElementTree.Element("domain", type="qemu")
    for tag, text in (("name", name), ("uuid", guest_uuid(name)), ("vcpu", "1")):
        ElementTree.SubElement(domain, tag).text = text
    ElementTree.SubElement(domain, "memory", unit="MiB").text = str(memory_mib + dirty_mib)
    system = ElementTree.SubElement(domain, "os")
    ElementTree.SubElement(system, "type", arch="x86_64", machine="pc").text = "hvm"
    for tag, text in (("kernel", f"{shared}/kernel"), ("initrd", f"{shared}/initramfs"), ("cmdline", words)):
        ElementTree.SubElement(system, tag).text = text
    ElementTree.SubElement(ElementTree.SubElement(domain, "features"), "acpi")
    for tag, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        ElementTree.SubElement(domain, tag).text = action
    _devices(domain, shared, name, disk)
    ElementTree.indent(domain)
    return ElementTree.tostring(domain, encoding="unicode")


def _devices(domain: ElementTree.Element, shared: Path, name: str, disk: bool) -> None:
    devices = ElementTree.SubElement(domain, "devices")
    ElementTree.SubElement(devices, "emulator").text = "/usr/bin/qemu-system-x86_64"
    serial = ElementTree.SubElement(devices, "serial", type="file")
    ElementTree.SubElement(serial, "source", path=str(CONSOLES / f"{name}.log"), append="on")
    ElementTree.SubElement(serial, "target", port="0")
    ElementTree.SubElement(devices, "controller", type="usb", model="none")
    ElementTree.SubElement(devices, "memballoon", model="none")
    if disk:
        drive = ElementTree.SubElement(devices, "disk", type="file", device="disk")
        # A cache on one host would be a lie on the other, so libvirt migrates it without one only.
        ElementTree.SubElement(drive, "driver", name="qemu", type="qcow2", cache="none")
        ElementTree.SubElement(drive, "source", file=str(_disk(shared, name)))
        ElementTree.SubElement(drive, "target", dev="vda", bus="virtio")


def _disk(shared: Path, name: str) -> Path:
    path = shared / f"{name}.qcow2"
    if not path.exists():
        run("qemu-img", "create", "-q", "-f", "qcow2", str(path), f"{DISK_MIB}M")
    return path


def read_ticks(host: str, text: str) -> Iterator[Tick]:
    """The whole ticks in what a guest printed on a host; what a migration tore apart is left out."""
    for found in TICK.finditer(text):
        yield Tick(host, found["boot"], int(found["number"]), float(found["uptime"]))
