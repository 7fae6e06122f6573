"""What PVC costs on real parts, in a lab of its own: counts of ZooKeeper operations, and times against plain libvirt in the same run.

Run it as root: ``python bench/product.py [PART…]``; without parts, all of them. Times depend on the machine and on what else it does:
compare the ratios. Each figure is the median of several runs, with the smallest and the largest.
"""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parent.parent))

from lab import Host, Lab, wait_until
from lab.reset import new_cluster, reset
from lab.services import CHROOT, CLIENT_PORT
from lab.zookeeper import ask
from pvc.client.cluster import Cluster
from pvc.client.ear import Ear
from pvc.cluster.live import ZooKeeperStore
from pvc.cluster.options import Options
from pvc.fsm.states import Domain

PVC = Path(sys.executable).parent / "pvc"
RUNS = 5
LIMIT_S = 60.0
DEFAULTS = {"keepalive_interval": "5", "session_timeout": "6", "boot_grace": "180"}


def main(parts: list[str]) -> None:
    """Run the parts that are named, or all."""
    unknown = set(parts) - set(PARTS)
    if unknown:
        sys.exit(f"no part called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    with Lab("bench", leashed=True, pvcd=False) as lab:
        for name in parts or PARTS:
            reset(lab)
            print(f"\n== {name}", flush=True)
            PARTS[name](lab)


# ---- cost at rest


def idle(lab: Lab) -> None:
    """Operations of ZooKeeper per keepalive and node, watches, threads and memory of a daemon, with few and many VMs."""
    new_cluster(lab, **DEFAULTS)
    defined = 0
    with client_of(lab) as client:
        for vms in (0, 50, 500):
            define(lab, client, defined, vms)
            defined = vms
            time.sleep(12)  # what defining has set off must not be counted
            before, began = packets(lab), time.monotonic()
            time.sleep(60)
            after, ticks = packets(lab), (time.monotonic() - began) / 5
            nodes = len(lab.hosts)
            per_tick = sum(after[name] - before[name] for name in after) / ticks / nodes
            print(f"{vms:>4} VMs: {per_tick:.2f} requests per keepalive and node, pings included; {watches(lab) / nodes:.0f} watches each")
            for host in lab.hosts.values():
                print(f"          {host.name}: {process_of(host)}")


def many(lab: Lab) -> None:
    """How soon a daemon is ready with 500 VMs, and what a list of them costs."""
    new_cluster(lab, **DEFAULTS)
    with client_of(lab) as client:
        define(lab, client, 0, 500)
    host = lab["hv1"]
    times = []
    for _ in range(3):
        host.stop_pvcd()
        wait_until(lambda: "hv1" not in lab.working_nodes(), LIMIT_S, "hv1 stops")
        began = time.monotonic()
        host.start_pvcd()
        wait_until(lambda: "hv1" in lab.working_nodes(), LIMIT_S, "hv1 works")
        times.append(time.monotonic() - began)
    show("daemon started until it is seen as run, 500 VMs", times)
    walls, cpus = [], []
    for _ in range(RUNS):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run([PVC, "-z", lab.zookeeper, "vm", "list"], stdout=subprocess.DEVNULL, check=True)
        walls.append(time.monotonic() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    show("pvc vm list, 500 VMs, wall", walls)
    show("pvc vm list, 500 VMs, processor", cpus)


# ---- life of a guest


def start(lab: Lab) -> None:
    """From the command to a running guest, against `virsh create` of the same XML; the client's process included in both."""
    new_cluster(lab, **DEFAULTS)
    host, xml = lab["hv1"], lab.guest_file("plain")  # of a UUID that PVC never claimed: its hook would refuse it
    plain, ours = [], []
    lab.pvc("vm", "define", str(lab.guest_file("web")))
    host.virsh("create", str(xml))  # the first one asks QEMU what it can do
    host.virsh("destroy", "plain")
    for _ in range(RUNS):
        plain.append(timed(host.virsh, "create", str(xml)))
        host.virsh("destroy", "plain")
        ours.append(timed(lab.pvc, "vm", "start", "web", "hv1"))
        lab.pvc("vm", "stop", "web", "--yes")
    compare("virsh create", plain, "pvc vm start", ours)


def migrate(lab: Lab) -> None:
    """A live migration until it is settled, against `virsh migrate`, and how long the guest stood still in each."""
    new_cluster(lab, **DEFAULTS)
    names = ("hv1", "hv2")
    lab["hv1"].virsh("create", str(lab.guest_file("plain")))
    wait_until(lambda: lab.ticks("plain"), LIMIT_S, "it ticks")
    plain, plain_pause = [], []
    for number in range(RUNS):
        source, target = lab[names[number % 2]], lab[names[(number + 1) % 2]]
        with pause_of(lab, source, target) as pause:
            plain.append(timed(source.virsh, "migrate", "--live", "--p2p", "plain", f"qemu+tcp://{target.address}/system"))
        plain_pause.append(pause())
    lab[names[RUNS % 2]].virsh("destroy", "plain")
    show("virsh migrate", plain)
    show("  guest stood still", plain_pause)
    lab.pvc("vm", "define", str(lab.guest_file("web")))
    lab.pvc("vm", "start", "web", "hv1")
    for handover in ("paused", "libvirt"):
        lab.pvc("vm", "set", "web", "--handover", handover)
        ours, ours_pause = [], []
        for _ in range(RUNS):
            with client_of(lab) as client:
                owner = client.domain("web").life.owner
            source, target = lab[owner], lab[next(name for name in names if name != owner)]
            with pause_of(lab, source, target) as pause:
                ours.append(timed(lab.pvc, "vm", "migrate", "web", target.name))
            ours_pause.append(pause())
        compare("virsh migrate", plain, f"pvc vm migrate, {handover} hand-over", ours)
        compare("  guest stood still", plain_pause, "  guest stood still", ours_pause)


def flush(lab: Lab) -> None:
    """A node with five guests emptied, and all of them back."""
    new_cluster(lab, **DEFAULTS)
    vms = [f"web{number}" for number in range(5)]
    for name in vms:
        lab.pvc("vm", "define", str(lab.guest_file(name)))
        lab.pvc("vm", "start", name, "hv1")
        lab.pvc("vm", "move", name, "hv1", check=False)
    emptied, returned = [], []
    with client_of(lab) as client:
        for _ in range(3):
            emptied.append(timed(lab.pvc, "node", "flush", "hv1", "--yes"))
            began = time.monotonic()
            lab.pvc("node", "ready", "hv1")
            wait_until(lambda: all(is_at(client, name, "hv1") for name in vms), LIMIT_S, "all are home")
            returned.append(time.monotonic() - began)
    show("node with 5 guests emptied", emptied)
    show("all 5 back", returned)


def killed(lab: Lab) -> None:
    """A guest's process is killed, until it runs again: another process, and its vCPUs go."""
    new_cluster(lab, **DEFAULTS)
    lab.pvc("vm", "define", str(lab.guest_file("web")))
    times = []
    with client_of(lab) as client:
        for _ in range(RUNS):
            lab.pvc("vm", "start", "web", "hv1")
            old = lab["hv1"].guests()[0].pid
            began = time.monotonic()
            os.kill(old, signal.SIGKILL)
            wait_until(lambda: client.domain("web").life.restarts and is_at(client, "web", "hv1"), LIMIT_S, "it runs again")
            times.append(time.monotonic() - began)
            lab.pvc("vm", "stop", "web", "--yes")
    show("guest killed until it runs", times)


PARTS: dict[str, Callable[[Lab], None]] = {"start": start, "migrate": migrate, "flush": flush, "killed": killed, "many": many, "idle": idle}

# ---- measuring


def timed(action: Callable[..., object], *words: str) -> float:
    """Seconds that this takes."""
    began = time.monotonic()
    action(*words)
    return time.monotonic() - began


def show(what: str, times: list[float]) -> None:
    """One line: median, smallest and largest."""
    print(f"{what:<60} {median(times):7.2f} s   ({min(times):.2f} to {max(times):.2f})", flush=True)


def compare(plain: str, plain_times: list[float], ours: str, our_times: list[float]) -> None:
    """Both, and what ours is on top."""
    show(plain, plain_times)
    show(ours, our_times)
    more, ratio = median(our_times) - median(plain_times), median(our_times) / max(median(plain_times), 0.001)
    print(f"{'':<60} {more:+7.2f} s   (x {ratio:.2f})", flush=True)


@contextmanager
def pause_of(lab: Lab, source: Host, target: Host) -> Iterator[Callable[[], float]]:
    """How long the guest stood still: from the source's "suspended" to the target's "resumed", by libvirt's own events.

    Both hosts share one clock, so their times can be compared.
    """
    listeners = [listen(host) for host in (source, target)]
    found: dict[str, float] = {}
    yield lambda: found["pause"]
    time.sleep(0.5)
    texts = []
    for listener in listeners:
        listener.terminate()
        texts.append(listener.communicate()[0])
    suspended = [stamp for stamp, event in events(texts[0]) if event.startswith("Suspended")]
    resumed = [stamp for stamp, event in events(texts[1]) if event.startswith("Resumed")]
    found["pause"] = max(resumed) - max(stamp for stamp in suspended if stamp < max(resumed)) if suspended and resumed else float("nan")


def listen(host: Host) -> subprocess.Popen[str]:
    """Follow the lifecycle events of a host's guests."""
    words = ["virsh", "-c", host.libvirt_uri, "event", "--event", "lifecycle", "--loop", "--timestamp"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    time.sleep(0.3)
    return process


def events(text: str) -> Iterator[tuple[float, str]]:
    """Time in seconds of the day, and what happened."""
    for hour, minute, second, event in re.findall(r"(\d\d):(\d\d):(\d\d\.\d+)\+\d+: event 'lifecycle' for domain '?\S+?'?: (.*)", text):
        yield int(hour) * 3600 + int(minute) * 60 + float(second), event


def packets(lab: Lab) -> dict[str, int]:
    """What each ZooKeeper server received from the daemons so far; the asking itself is not in it."""
    counted = {}
    for host in lab.hosts.values():
        lines = [line for line in ask(host.address, CLIENT_PORT, "cons").splitlines() if "sid=0x" in line]
        counted[host.name] = sum(int(re.search(r"recved=(\d+)", line)[1]) for line in lines)
    return counted


def watches(lab: Lab) -> int:
    """All watches of the ensemble."""
    return sum(int(re.search(r"Total watches:(\d+)", ask(host.address, CLIENT_PORT, "wchs"))[1]) for host in lab.hosts.values())


def process_of(host: Host) -> str:
    """Threads and memory of a host's pvcd."""
    pid = next(pid for pid, argv in host.processes().items() if any(word.endswith("/bin/pvcd") for word in argv))
    status = Path(f"/proc/{pid}/status").read_text()
    threads, memory = (int(re.search(rf"{word}:\s+(\d+)", status)[1]) for word in ("Threads", "VmRSS"))
    return f"{threads} threads, {memory / 1024:.0f} MiB"


# ---- the cluster


@contextmanager
def client_of(lab: Lab) -> Iterator[Cluster]:
    """A client as a program uses it."""
    ear = Ear()
    store = ZooKeeperStore(Options(tuple(f"{host.address}:{CLIENT_PORT}" for host in lab.hosts.values()), CHROOT))
    store.start(ear.hear)
    try:
        yield Cluster(store, "bench", ear)
    finally:
        store.close()


def is_at(client: Cluster, name: str, node: str) -> bool:
    """Whether this VM runs there, undisturbed."""
    life = client.domain(name).life
    return life.owner == node and life.state is Domain.start


def define(lab: Lab, client: Cluster, first: int, last: int) -> None:
    """Define VMs of these numbers, spread over the nodes."""
    nodes = list(lab.hosts)
    for number in range(first, last):
        xml = re.sub("<uuid>.*?</uuid>", f"<uuid>{uuid4()}</uuid>", lab.guest_xml(f"vm{number}"))
        client.define(xml.encode(), nodes[number % len(nodes)])


if __name__ == "__main__":
    main(sys.argv[1:])
