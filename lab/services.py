"""What runs on a host: its ZooKeeper server, its libvirtd and its pvcd, each with its files and its command."""

import os
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from lab import zookeeper
from lab.place import DOMAIN, Place
from lab.shell import run

REPOSITORY = Path(__file__).resolve().parent.parent
PVC, PVCD = (REPOSITORY / ".venv" / "bin" / name for name in ("pvc", "pvcd"))
CHROOT = "/pvc"
SHARED_FOLDER_SOURCE = Path(__file__).parent / "sharedfs.c"
HOOK = REPOSITORY / "hooks" / "pvc-claims"
LIBVIRT_PORT = 16509
CLIENT_PORT = 2181
TICK_MS = 500
# 3 s without a word from the leader, and the followers elect another: well within a session, so that those survive it.
SYNC_TICKS = 6

LIBVIRTD_CONF = """listen_tls = 0
listen_tcp = 1
listen_addr = "0.0.0.0"
auth_tcp = "none"
auth_unix_rw = "none"
host_uuid = "{host_uuid}"
keepalive_interval = 2
keepalive_count = 3
log_outputs = "2:stderr"
"""
# No user, cgroup or security module of the machine's is needed. Keepalive: a peer that is gone is noticed within 8 s, not 30.
QEMU_CONF = """user = "root"
group = "root"
cgroup_controllers = []
security_driver = "none"
namespaces = []
stdio_handler = "file"
remember_owner = 0
keepalive_interval = 2
keepalive_count = 3
"""
# Short times, so that a person at the lab, or a test, does not wait long: a node is dead after 6 s without a sign.
BMC_USER, BMC_PASSWORD = "admin", "lab"
PVCD_DEFAULTS = {
    "keepalive_interval": "1", "session_timeout": "5", "boot_grace": "15", "ipmi_username": BMC_USER, "ipmi_password": BMC_PASSWORD,
}  # fmt: skip


@dataclass(frozen=True)
class Service:
    """A command of a host: whether it starts with the host, and whether it is tried again when it gives up."""

    argv: list[str]
    log: str
    env: dict[str, str] = field(default_factory=dict)
    boot: bool = True
    retry: bool = True


def services(place: Place, host: str, *, pvcd: bool) -> dict[str, Service]:
    """Every service of a host, in the order in which they start; `pvcd`: whether that starts with the host."""
    log = place.host_directory(host) / "log"
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": "/"}
    found = {
        "zookeeper": Service(
            zookeeper.command(place.host_directory(host) / "zookeeper" / "zoo.cfg"),
            str(log / "zookeeper"),
            environment | zookeeper.environment(place.host_directory(host) / "zookeeper"),
        ),
        "libvirtd": Service(
            ["libvirtd", "--listen"],
            str(log / "libvirtd"),
            environment | {"LD_PRELOAD": str(shared_folder_library(place)), "PVC_LAB_SHARED": str(place.shared)},
        ),
        "pvcd": Service(
            [str(PVCD)],
            str(log / "pvcd"),
            environment | {"PVCD_CONFIG_FILE": str(pvcd_conf(place, host)), "PYTHONUNBUFFERED": "1"},
            boot=pvcd,
        ),
    }
    return {name: service for name, service in found.items() if host in (place.servers if name == "zookeeper" else place.hosts)}


def pvcd_conf(place: Place, host: str) -> Path:
    """Where a host's pvcd finds its configuration."""
    return place.host_directory(host) / "pvcd.conf"


def shared_folder_library(place: Place) -> Path:
    """What makes the shared folder one in libvirtd's eyes."""
    return place.directory / "sharedfs.so"


def build_shared_folder_library(place: Place) -> None:
    """Compile that."""
    run("gcc", "-O1", "-shared", "-fPIC", "-o", str(shared_folder_library(place)), str(SHARED_FOLDER_SOURCE), "-ldl")


def write_files(place: Place, host: str) -> None:
    """Write the configuration of every service of a host."""
    if host in place.servers:
        _write_zookeeper(place, host)
    if host in place.hosts:
        _write_libvirt(place, host)
        write_pvcd_conf(place, host, {})


def write_pvcd_conf(place: Place, host: str, options: dict[str, str]) -> None:
    """Write a host's pvcd.conf: what the lab needs, with `options` added to or in place of it, for every node."""
    local_first = sorted(place.servers, key=lambda other: other != host)
    servers = ",".join(f"{place.address(other)}:{CLIENT_PORT}" for other in local_first)
    state = place.host_directory(host) / "pvc" / "state.json"
    values = {"zookeeper": servers, "chroot": CHROOT, "state_file": str(state)} | PVCD_DEFAULTS | options
    lines = ["[default]", *(f"{key} = {value}" for key, value in values.items())]
    for other in place.hosts:
        lines += ["", f"[{other}]", f"migration_address = {place.address(other)}", f"ipmi_guid = {place.bmc_guid(other)}"]
    path = pvcd_conf(place, host)
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)


def _write_zookeeper(place: Place, host: str) -> None:
    directory = place.host_directory(host) / "zookeeper"
    members = "".join(f"server.{number}={place.address(other)}:2888:3888\n" for number, other in enumerate(place.servers, 1))
    text = zookeeper.config(directory / "data", CLIENT_PORT, tick_ms=TICK_MS, sync_ticks=SYNC_TICKS, address="0.0.0.0")
    (directory / "data").mkdir(parents=True)
    (directory / "data" / "myid").write_text(str(place.servers.index(host) + 1))
    (directory / "zoo.cfg").write_text(text + members)


def _write_libvirt(place: Place, host: str) -> None:
    directory = place.host_directory(host) / "root" / "etc" / "libvirt"
    # Two hosts of one identity would be one host to libvirt, and between them nothing can migrate.
    identity = uuid.uuid5(uuid.NAMESPACE_DNS, f"{place.name}.{host}.{DOMAIN}")
    (directory / "libvirtd.conf").write_text(LIBVIRTD_CONF.format(host_uuid=identity))
    (directory / "qemu.conf").write_text(QEMU_CONF)
    if HOOK.exists():
        hooks = directory / "hooks" / "qemu.d"
        hooks.mkdir(parents=True)
        shutil.copy(HOOK, hooks)
        (hooks / HOOK.name).chmod(0o755)
