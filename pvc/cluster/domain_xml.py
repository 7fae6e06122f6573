"""The XML of a VM, as somebody hands it in: what must be true of it before libvirt sees it, and what PVC reads from it.

It is checked where a VM is defined and again where it is started, because in between it lay where others can write. It is never rewritten:
libvirt gets the very bytes that were handed in, with a UUID added where there was none. Nothing in it is resolved or expanded: a document
type, the only way to declare an entity, ends the reading.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from pvc.cluster.names import NAME_RULE, UUID_RULE, is_name, shown
from pvc.cluster.records import MAX_XML_BYTES
from pvc.errors import PvcError

QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
MAX_VCPUS = 10_000
MAX_MEMORY_MIB = 1 << 30

# libvirt's own: a bare letter is a power of 1024, with "b" behind it one of 1000; a bare number is KiB; case does not count.
_PREFIXES = "kmgtpe"
_BYTES = ("b", "byte", "bytes")
_DECLARATION = re.compile(r"""<\?xml[^>]*?encoding\s*=\s*["']([^"']*)["']""")
_HEX = re.compile(r"[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class XmlLimits:
    """What the XML of a VM may contain; `emulators` are patterns in which `*` stands for any part of one file name."""

    max_bytes: int = MAX_XML_BYTES
    max_depth: int = 32
    emulators: tuple[str, ...] = ("/usr/bin/qemu-system-*", "/usr/bin/kvm", "/usr/bin/qemu-kvm", "/usr/libexec/qemu-kvm")
    qemu_commandline: bool = False


LIMITS = XmlLimits()


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk: `device` is disk, cdrom, floppy or lun; `kind` is libvirt's type, `source` what it names, empty where nothing is inserted."""

    target: str
    device: str
    kind: str
    source: str
    read_only: bool
    shareable: bool


@dataclass(frozen=True, slots=True)
class DomainFacts:
    """What PVC reads from a VM's XML; `uuid` is canonical, None where the XML leaves it to others. Memory in MiB, rounded up."""

    name: str
    uuid: str | None
    memory_mib: int
    vcpus: int
    disks: tuple[Disk, ...]


class BadXml(PvcError):
    """XML that cannot define a VM: every problem that was found, each a sentence."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"the XML cannot be used: {'; '.join(problems)}", "correct the XML, and try again")


def check_domain_xml(data: bytes, limits: XmlLimits = LIMITS) -> DomainFacts:
    """What this XML says; raises `BadXml` with every problem at once."""
    root = _parsed(data, limits)
    if root.tag != "domain":
        raise BadXml([f"its root is <{root.tag}>, not <domain>"])
    problems: list[str] = []
    name = _one(root, "name", problems)
    facts = DomainFacts(
        name=_name(name, problems),
        uuid=_uuid(root, problems),
        memory_mib=_memory(root, problems),
        vcpus=_vcpus(root, problems),
        disks=tuple(_disk(disk) for disk in root.iterfind("devices/disk")),
    )
    problems += [*_type(root), *_emulators(root, limits), *_foreign(root, limits)]
    if problems:
        raise BadXml(problems)
    return facts


def with_uuid(data: bytes, uuid: str) -> bytes:
    """The same XML, which was checked and has no UUID, with this one in front of its name."""
    at = _read(data, LIMITS).name_at
    assert at is not None, "XML that passed the check has a name"
    return data[:at] + f"<uuid>{uuid}</uuid>\n  ".encode() + data[at:]


# ---- reading


class _Reader:
    """Builds the tree, and stops at what must not be there."""

    def __init__(self, limits: XmlLimits) -> None:
        self.limits = limits
        self.builder = TreeBuilder()
        self.depth = 0
        self.name_at: int | None = None
        # The encoding is ours: what the document declares was compared with it.
        self.parser = expat.ParserCreate("UTF-8", "}")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self.builder.data
        self.parser.StartDoctypeDeclHandler = self._doctype

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > self.limits.max_depth:
            raise BadXml([f"it is nested deeper than {self.limits.max_depth} levels"])
        if self.depth == 2 and tag == "name" and self.name_at is None:
            self.name_at = self.parser.CurrentByteIndex
        self.builder.start(_tag(tag), {_tag(name): value for name, value in attributes.items()})

    def _end(self, tag: str) -> None:
        self.depth -= 1
        self.builder.end(_tag(tag))

    def _doctype(self, *_: object) -> None:
        raise BadXml(["it has a document type (<!DOCTYPE>), which a VM does not need and which could declare entities"])


def _tag(name: str) -> str:
    return f"{{{name}" if "}" in name else name


def _read(data: bytes, limits: XmlLimits) -> _Reader:
    reader = _Reader(limits)
    reader.parser.Parse(data, True)
    return reader


def _parsed(data: bytes, limits: XmlLimits) -> Element:
    if len(data) > limits.max_bytes:
        raise BadXml([f"it has {len(data)} bytes, at most {limits.max_bytes} are read"])
    try:
        text = data.decode("utf-8")
        declared = _DECLARATION.match(text.lstrip("\ufeff"))
        if declared and declared[1].lower() not in ("utf-8", "us-ascii", "ascii"):
            raise BadXml([f"it declares the encoding {shown(declared[1])}, only UTF-8 is read"])
        return _read(data, limits).builder.close()
    except UnicodeDecodeError as error:
        raise BadXml([f"it is not UTF-8 at byte {error.start}"]) from error
    except expat.ExpatError as error:
        raise BadXml([f"it is not well-formed: {error}"]) from error


# ---- what it must say


def _one(root: Element, tag: str, problems: list[str]) -> str | None:
    """The text of this child, None where there is none: libvirt takes the first of two, others the last."""
    found = root.findall(tag)
    if len(found) > 1:
        problems.append(f"it has {len(found)} of <{tag}>, one is read")
    return None if not found else _text(found[0])


def _text(element: Element) -> str:
    """All text below, as libvirt takes it: an element in between must not hide a part of a name."""
    return "".join(element.itertext())


def _name(text: str | None, problems: list[str]) -> str:
    if text is None:
        problems.append("it has no <name>")
    elif not is_name(text):
        problems.append(f"{shown(text)} cannot be the name of a VM: a name is {NAME_RULE}")
    return text or ""


def _uuid(root: Element, problems: list[str]) -> str | None:
    text = _one(root, "uuid", problems)
    if text is None:
        return None
    digits = text.strip().replace("-", "").lower()
    if not _HEX.fullmatch(digits):
        problems.append(f"{shown(text)} is no UUID: {UUID_RULE}")
    elif len(set(digits)) == 1:
        problems.append(f"libvirt refuses the UUID {shown(text)}, all of whose digits are the same")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


def _memory(root: Element, problems: list[str]) -> int:
    text = _one(root, "memory", problems)
    if text is None:
        problems.append("it has no <memory>")
        return 0
    unit = next(root.iterfind("memory")).get("unit", "KiB")
    factor = _factor(unit.strip())
    if factor is None:
        problems.append(f"{shown(unit)} is no unit of memory: take KiB, MiB or GiB")
    if not re.fullmatch(r"\s*[0-9]{1,18}\s*", text, re.ASCII):
        problems.append(f"its memory is {shown(text)}, not a number")
        return 0
    mib = math.ceil(int(text) * (factor or 1) / (1 << 20))
    if factor and not 1 <= mib <= MAX_MEMORY_MIB:
        problems.append(f"its memory of {mib} MiB is not between 1 and {MAX_MEMORY_MIB} MiB")
    return mib


def _factor(unit: str) -> int | None:
    """Bytes in one of this unit, None when libvirt knows no such unit."""
    low = unit.lower()
    if low in _BYTES:
        return 1
    power = _PREFIXES.find(low[:1]) + 1 if low else 0
    if not power or low[1:] not in ("", "b", "ib"):
        return None
    return int((1000 if low[1:] == "b" else 1024) ** power)


def _vcpus(root: Element, problems: list[str]) -> int:
    text = _one(root, "vcpu", problems)
    if text is None:
        return 1  # as libvirt takes it
    if not re.fullmatch(r"\s*[0-9]{1,6}\s*", text, re.ASCII) or not 1 <= int(text) <= MAX_VCPUS:
        problems.append(f"its number of virtual CPUs is {shown(text)}, not between 1 and {MAX_VCPUS}")
        return 0
    return int(text)


def _type(root: Element) -> Iterator[str]:
    if not root.get("type"):
        yield "<domain> has no type, such as type='kvm'"


def _emulators(root: Element, limits: XmlLimits) -> Iterator[str]:
    for emulator in root.iterfind("devices/emulator"):
        path = _text(emulator)
        if not path.startswith("/") or not any(PurePosixPath(path).match(pattern) for pattern in limits.emulators):
            yield f"its emulator {shown(path)} is not among those that are allowed: {', '.join(limits.emulators)}"


def _foreign(root: Element, limits: XmlLimits) -> Iterator[str]:
    tags = {element.tag.rpartition("}")[2] for element in root.iter() if element.tag.startswith(f"{{{QEMU_NAMESPACE}}}")}
    if tags and not limits.qemu_commandline:
        yield f"it passes {', '.join(f'<qemu:{tag}>' for tag in sorted(tags))} past libvirt, which the configuration does not allow"


def _disk(disk: Element) -> Disk:
    source, target = disk.find("source"), disk.find("target")
    named = {} if source is None else source.attrib
    return Disk(
        target="" if target is None else target.get("dev", ""),
        device=disk.get("device", "disk"),
        kind=disk.get("type", "file"),
        source=next((named[key] for key in ("file", "dev", "name", "volume", "dir") if key in named), ""),
        read_only=disk.find("readonly") is not None or disk.get("device") == "cdrom",
        shareable=disk.find("shareable") is not None,
    )
