"""The rack: two switches in a network namespace of their own, and the links from there to the hosts.

Over the first switch goes everything; a cut is a rule in it, so a cut outlives the power of a host. Over the second one
reaches the BMCs, always. The machine itself has one port in the first, under which a client finds the cluster.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from lab.place import Place
from lab.shell import batch, run

CLIENT = "client"
MANAGEMENT_MAC = "02:99:00:00:02:00"
"""Where the BMCs are. A switch left to itself takes the address of a port, and another when that is unplugged: nobody finds it then."""
KERNEL = Path(__file__).resolve().parent.parent / "etc" / "50-pvc-daemon.conf"
RULES = """
table bridge lab {
    set cut { type ifname . ifname; }
    chain cuts { type filter hook forward priority 0; policy accept; meta iifname . meta oifname @cut drop; }
    chain losses { type filter hook forward priority 1; policy accept; }
}
"""
Pair = tuple[str, str]


class Rack:
    """The switches and links of one lab."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @property
    def ports(self) -> tuple[str, ...]:
        """What the first switch connects: every host, and the machine itself."""
        return (*self._place.machines, CLIENT)

    def create(self) -> None:
        """Set up the switches, the machine's port and the addresses of the BMCs."""
        place = self._place
        run("ip", "netns", "add", place.rack)
        addresses = [f"address add {place.bmc_address(host)}/24 dev management" for host in place.hosts]
        batch(
            ["link set lo up", "link add data type bridge", f"link add management address {MANAGEMENT_MAC} type bridge",
             "link set data up", "link set management up", *addresses],
            place.rack,
        )  # fmt: skip
        self._inside("nft", "-f", "-", text=RULES)
        batch([
            f"link add {place.port} type veth peer name {CLIENT} netns {place.rack}",
            f"address add {place.client_address}/24 dev {place.port}",
            f"link set {place.port} up",
        ])  # fmt: skip
        batch([f"link set {CLIENT} master data up"], place.rack)

    def remove(self) -> None:
        """Take it down, however much of it there is."""
        run("ip", "link", "delete", self._place.port, check=False)
        run("ip", "netns", "delete", self._place.rack, check=False)

    # -- Links to the hosts --------------------------------------------------------------------------------------------

    def plug(self, host: str) -> None:
        """Give a host that is off its network: a new one, or connections of its last life would say goodbye now."""
        place = self._place
        number = place.machines.index(host) + 1
        run("ip", "netns", "add", place.namespace(host))
        batch(["link set lo up"], place.namespace(host))
        # As the package sets it on a node; it belongs to the network of a host, not to the machine.
        run("ip", "netns", "exec", place.namespace(host), "sysctl", "-q", "-p", str(KERNEL))
        links = ((host, "eth0", "data", place.address(host)), (f"{host}-m", "eth1", "management", place.management_address(host)))
        for line, (port, interface, switch, address) in enumerate(links):
            # The same hardware address in each life, or the others would talk to the last one for a while.
            mac = f"02:99:00:00:{line:02x}:{number:02x}"
            batch([
                f"link add {port} type veth peer name {interface} address {mac} netns {place.namespace(host)}",
                f"link set {port} master {switch} up",
            ], place.rack)  # fmt: skip
            batch([f"address add {address}/24 dev {interface}", f"link set {interface} up"], place.namespace(host))

    def unplug(self, host: str) -> None:
        """Take a host's links away: from now on nothing of it is heard, not even the end of its connections."""
        for port in (host, f"{host}-m"):
            run("ip", "-n", self._place.rack, "link", "delete", port, check=False)

    def forget(self, host: str) -> None:
        """Drop the network namespace of a host in which nothing runs any more."""
        run("ip", "netns", "delete", self._place.namespace(host), check=False)

    # -- Faults --------------------------------------------------------------------------------------------------------

    def cut(self, pairs: Iterable[Pair]) -> None:
        """Drop in silence what goes from the first to the second of each pair."""
        self._inside("nft", "add", "element", "bridge", "lab", "cut", _elements(pairs))

    def heal(self, pairs: Iterable[Pair]) -> None:
        """Let through again what a cut of the same pairs dropped; others stay cut."""
        wanted = set(pairs) & self.cuts()
        if wanted:
            self._inside("nft", "delete", "element", "bridge", "lab", "cut", _elements(sorted(wanted)))

    def cuts(self) -> set[Pair]:
        """What is cut now."""
        found = json.loads(self._inside("nft", "-j", "list", "set", "bridge", "lab", "cut"))["nftables"]
        elements = next(item["set"] for item in found if "set" in item).get("elem", [])
        return {(element["concat"][0], element["concat"][1]) for element in elements}

    def carrier(self, host: str, up: bool) -> None:
        """Pull the cable of a host, which it notices, or plug it in again; until its next power-on."""
        run("ip", "-n", self._place.rack, "link", "set", host, "up" if up else "down")

    def slow(self, host: str, rate_mbit: float | None) -> None:
        """Let at most so much through to a host, or everything again; until its next power-on."""
        run("tc", "-n", self._place.rack, "qdisc", "delete", "dev", host, "root", check=False)
        if rate_mbit is not None:
            shape = ("tbf", "rate", f"{rate_mbit}mbit", "burst", "64kb", "latency", "400ms")
            run("tc", "-n", self._place.rack, "qdisc", "add", "dev", host, "root", *shape)

    def lose(self, host: str, percent: int) -> None:
        """Lose so much of what goes to a host and comes from it; 0 lifts that for every host."""
        if not percent:
            self._inside("nft", "flush", "chain", "bridge", "lab", "losses")
            return
        for direction in ("iifname", "oifname"):
            words = ("meta", direction, f'"{host}"', "numgen", "random", "mod", "100", "<", str(percent), "drop")
            self._inside("nft", "add", "rule", "bridge", "lab", "losses", *words)

    def _inside(self, *argv: str, text: str | None = None) -> str:
        return run("ip", "netns", "exec", self._place.rack, *argv, text=text).stdout


def both_ways(host: str, peers: Iterable[str]) -> list[Pair]:
    """The pairs between a host and others, in both directions."""
    return [pair for peer in peers if peer != host for pair in ((host, peer), (peer, host))]


def _elements(pairs: Iterable[Pair]) -> str:
    return "{ " + ", ".join(f'"{source}" . "{target}"' for source, target in pairs) + " }"
