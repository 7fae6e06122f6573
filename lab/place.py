"""Where a lab lives: every name, path and address of it derives from its own name, so that several do not meet."""

import fcntl
import ipaddress
import json
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.shell import run
from pvc.errors import PvcError

ROOT = Path("/var/lib/pvc-lab")
DOMAIN = "pvc.lab"
# An interface name has 15 characters, and "pvc-" goes before it.
NAME = re.compile(r"[a-z][a-z0-9]{0,10}")
CLIENT = 254
BMC = 100


@dataclass(frozen=True)
class Layout:
    """Hosts for guests, and machines that run a ZooKeeper server and nothing else; without any of those, each host runs a server."""

    hosts: int = 3
    servers: int = 0


class Place:
    """The names and paths of one lab. Without a layout it has that of the lab of this name, or the usual one where there is none."""

    def __init__(self, name: str, layout: Layout | None = None) -> None:
        if not NAME.fullmatch(name):
            raise PvcError(f'"{name}" cannot name a lab', "take at most 11 small letters and digits, a letter first")
        self.name = name
        self.directory = ROOT / name
        self.shared = self.directory / "shared"
        # The namespace that holds the switches, and the interface that leads from the machine into it.
        self.rack = self.port = f"pvc-{name}"
        self.layout = layout or self._read_layout()
        self.hosts = tuple(f"hv{number}" for number in range(1, self.layout.hosts + 1))
        self.servers = tuple(f"zk{number}" for number in range(1, self.layout.servers + 1)) or self.hosts
        self.machines = tuple(dict.fromkeys((*self.hosts, *self.servers)))

    @property
    def exists(self) -> bool:
        """Whether anything of such a lab is on the machine, be it only the rest of a failed start."""
        return self.directory.exists()

    def keep_layout(self) -> None:
        """Let every other process know it."""
        (self.directory / "layout.json").write_text(json.dumps(asdict(self.layout)))

    def _read_layout(self) -> Layout:
        file = self.directory / "layout.json"
        return Layout(**json.loads(file.read_text())) if file.exists() else Layout()

    def namespace(self, host: str) -> str:
        """The network namespace of a host."""
        return f"pvc-{self.name}-{host}"

    def host_directory(self, host: str) -> Path:
        """What is this host's own."""
        return self.directory / host

    @property
    def owner_lock(self) -> Path:
        """Held by the process which the lab must not outlive, when there is one."""
        return self.directory / "owner.lock"

    @property
    def is_orphan(self) -> bool:
        """Whether the process which the lab must not outlive has ended: then only what no process needs is left of it."""
        try:
            lock = self.owner_lock.open()
        except FileNotFoundError:
            return False
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: who waits for that end may hold it for a moment
            except BlockingIOError:
                return False
            return True

    @property
    def leash(self) -> list[str]:
        """That lock as a word for the supervisors, if there is one."""
        return [str(self.owner_lock)] if self.owner_lock.exists() else []

    @property
    def without_pvcd(self) -> Path:
        """A file that is there when pvcd does not start with the hosts."""
        return self.directory / "without-pvcd"

    # -- Addresses -----------------------------------------------------------------------------------------------------

    def address(self, host: str) -> str:
        """On the network that can be cut."""
        return str(self._network(0)[self.machines.index(host) + 1])

    def management_address(self, host: str) -> str:
        """On the network that cannot: it leads to the BMCs and nowhere else."""
        return str(self._network(1)[self.machines.index(host) + 1])

    def bmc_guid(self, host: str) -> str:
        """What that BMC says it is part of."""
        return uuid.uuid5(uuid.NAMESPACE_DNS, f"{host}.bmc.{self.name}").hex

    def bmc_address(self, host: str) -> str:
        """Of the BMC that switches this host."""
        return str(self._network(1)[BMC + self.machines.index(host) + 1])

    @property
    def client_address(self) -> str:
        """Of the machine itself."""
        return str(self._network(0)[CLIENT])

    def hosts_file(self) -> str:
        """An /etc/hosts with every name in this lab."""
        lines = ["127.0.0.1 localhost"]
        for host in self.machines:
            lines.append(f"{self.address(host)} {host}.{DOMAIN} {host}")
            lines.append(f"{self.bmc_address(host)} {host}-lom.{DOMAIN} {host}-lom")
        return "\n".join(lines) + "\n"

    def choose_networks(self) -> None:
        """Take two networks that nobody on this machine uses or knows a way to."""
        taken = [*_networks_of_machine(), *_networks_of_labs()]
        free = (pair for pair in _candidates() if not any(mine.overlaps(theirs) for mine in pair for theirs in taken))
        chosen = next(free, None)
        if chosen is None:
            raise PvcError("no free network is left in 10.99.0.0/16", "take down labs that nobody needs: tools/lab list")
        (self.directory / "networks.json").write_text(json.dumps([str(network) for network in chosen]))

    def _network(self, number: int) -> ipaddress.IPv4Network:
        return _read_networks(self.directory / "networks.json")[number]


def labs() -> list[str]:
    """Names of all labs on this machine, running or half taken down."""
    return sorted(path.name for path in ROOT.iterdir() if path.is_dir()) if ROOT.exists() else []


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Nobody else on this machine makes or removes a lab meanwhile."""
    # A directory that is always there: a file of ours would have to be left behind.
    directory = os.open(ROOT.parent, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _candidates() -> Iterator[tuple[ipaddress.IPv4Network, ipaddress.IPv4Network]]:
    for third in range(0, 256, 2):
        yield ipaddress.IPv4Network(f"10.99.{third}.0/24"), ipaddress.IPv4Network(f"10.99.{third + 1}.0/24")


def _networks_of_machine() -> list[ipaddress.IPv4Network]:
    routes = json.loads(run("ip", "-4", "-json", "route", "show", "table", "all").stdout or "[]")
    found = [route["dst"] for route in routes if route["dst"] != "default"]
    return [ipaddress.IPv4Network(network, strict=False) for network in found]


def _networks_of_labs() -> list[ipaddress.IPv4Network]:
    return [network for file in ROOT.glob("*/networks.json") for network in _read_networks(file)]


def _read_networks(file: Path) -> list[ipaddress.IPv4Network]:
    return [ipaddress.IPv4Network(network) for network in json.loads(file.read_text())]
