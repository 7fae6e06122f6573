"""What the client costs with many VMs on a real ZooKeeper server: counts of operations, and times against a bare pipelined read of the same
znodes in the same run.

``python bench/client.py [VMS]``, 10,000 by default; it needs ZooKeeper and no root. Times depend on the machine and on what else it does:
compare the ratios. Each figure is the median of several runs, with the smallest and the largest.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from pvc.client.cluster import Cluster
from pvc.client.ear import Ear
from pvc.client.mirror import Mirror
from pvc.cluster import znodes
from pvc.cluster.examples import DOMAIN, KERNEL, NODE, STATS, XML
from pvc.cluster.formats import encode_domain, encode_history, encode_node, encode_stats
from pvc.cluster.live import ZooKeeperStore, create_root
from pvc.cluster.options import Options
from pvc.cluster.records import History, HistoryEntry
from pvc.cluster.store import Create
from pvc.fsm.states import Domain, Handover, Kind, Migration, Want
from tests import ensemble as zk

PVC = Path(sys.executable).parent / "pvc"
RUNS = 5
NODES = 10
VMS = 10_000
BATCH = 10


def main(vms: int) -> None:
    """Fill a cluster, and measure."""
    with tempfile.TemporaryDirectory() as folder, zk.running(Path(folder), servers=1) as ensemble:
        options = Options(ensemble.hosts, "/pvc", 30.0)
        create_root(options)
        ear, store = Ear(), ZooKeeperStore(options)
        store.start(ear.hear)
        cluster = Cluster(store, "bench", ear)
        fill(cluster, vms)
        print(f"{vms} VMs on {NODES} nodes, one ZooKeeper server\n")
        measure(cluster, vms, f"{ensemble.hosts[0]}/pvc", ensemble.hosts[0])
        store.close()


def fill(cluster: Cluster, vms: int) -> None:
    """Nodes that answer, and VMs that run on them, written as they would be; nobody acts on them."""
    cluster.init("bench")
    for number in range(NODES):
        name = f"node{number}"
        free = replace(STATS, memory_free_mib=10_000_000)
        record = encode_node(replace(NODE, name=name, boot=KERNEL))
        cluster.store.multi(
            [
                Create(znodes.node(name), record),
                Create(znodes.index(name)),
                Create(znodes.stats(name), encode_stats(name, free)),
                Create(znodes.alive(name), b"{}", ephemeral=True),
            ]
        )
    made = (vm_znodes(number) for number in range(vms))
    while batch := [op for ops in islice(made, BATCH) for op in ops]:
        cluster.store.multi(batch)


def vm_znodes(number: int) -> list[Create]:
    """What a VM that runs consists of."""
    uuid, name, node = f"00000000-0000-4000-8000-{number:012}", f"vm{number}", f"node{number % NODES}"
    still = {"phase": Migration.none, "kind": Kind.none, "handover": Handover.paused, "op_id": None, "target_boot": None, "target": None}
    life = replace(DOMAIN.life, state=Domain.start, want=Want.start, owner=node, home=node, **still)
    record = replace(DOMAIN, uuid=uuid, name=name, gen="g", life=life, source=None)
    entry = HistoryEntry("2026-03-01 09:30:00+0100", name, "domain", "boot", "start", "started", "owner", node)
    return [
        Create(znodes.name(name), uuid.encode()),
        Create(znodes.domain(uuid), encode_domain(record)),
        Create(znodes.xml(uuid), XML.encode()),
        Create(znodes.history(uuid), encode_history(znodes.history(uuid), History((entry,)))),
        Create(znodes.index_entry(node, uuid)),
    ]


def measure(cluster: Cluster, vms: int, address: str, host: str) -> None:
    """Everything, against the bare read."""
    paths = [znodes.domain(f"00000000-0000-4000-8000-{number:012}") for number in range(vms)]
    bare = timed("a bare pipelined read of all records", lambda: cluster.store.read_many(paths), host)
    timed("the same, decoded, with nodes: a snapshot", cluster.snapshot, host, bare)
    timed("everything that can be done with one VM", lambda: cluster.possibilities(f"vm{vms // 2}"), host, bare)
    timed("every record watched and read: list -w", lambda: mirrored(cluster), host, bare)
    told = "pvc, as a process: "
    nothing = timed(f"{told}-h", lambda: pvc(address, "-h"), host)
    timed(f"{told}vm list -o name", lambda: pvc(address, "vm", "list", "-o", "name"), host, bare + nothing)
    timed(f"{told}vm list", lambda: pvc(address, "vm", "list"), host, bare + nothing)
    timed(f"{told}vm explain", lambda: pvc(address, "vm", "explain", f"vm{vms // 2}"), host, bare + nothing)
    timed(f"{told}status", lambda: pvc(address, "status"), host, bare + nothing)
    timed(f"{told}Tab behind 'vm start vm{vms // 2}'", lambda: tab(address, f"vm{vms // 2}"), host, nothing)


def timed(what: str, action: Callable[[], object], host: str, against: float = 0.0) -> float:
    """Do it some times, print what it took, and return the median of the seconds."""
    taken, before = [], received(host)
    for _ in range(RUNS):
        began = time.perf_counter()
        action()
        taken.append(time.perf_counter() - began)
    asked = (received(host) - before) / RUNS
    middle = median(taken)
    ratio = f", {middle / against:4.1f} times that" if against else ""
    times = f"{middle * 1000:>7.0f} ms ({min(taken) * 1000:.0f} to {max(taken) * 1000:.0f})"
    print(f"{what:<48} {asked:>8.0f} requests, {times}{ratio}", flush=True)
    return middle


def mirrored(cluster: Cluster) -> None:
    """What a list that stays up does before its first line."""
    mirror = Mirror(cluster.store, cluster.ear)
    mirror.begin()
    while not mirror.complete or mirror.snapshot() is None:
        mirror.wait(30.0)
    mirror.close()


def pvc(address: str, *words: str) -> None:
    """A command line."""
    subprocess.run([PVC, "-z", address, *words], stdout=subprocess.DEVNULL, check=False)


def tab(address: str, begun: str) -> None:
    """The Tab key, which has to find one name among all."""
    environment = {"_PVC_COMPLETE": "bash_complete", "COMP_WORDS": f"pvc vm start {begun}", "COMP_CWORD": "3", "PVC_ZOOKEEPER": address}
    done = subprocess.run([PVC], env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if begun not in done.stdout:
        print("  (nothing in time)")


def received(host: str) -> int:
    """How many packets the server has received."""
    name, _, port = host.rpartition(":")
    with socket.create_connection((name, int(port))) as connection:
        connection.sendall(b"srvr")
        told = connection.makefile("rb").read().decode()
    return int(next(line for line in told.splitlines() if line.startswith("Received:")).partition(":")[2])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else VMS)
