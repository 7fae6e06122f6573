"""How long a guest is away when its node loses its power, or its network, and what that time goes into; in a lab of its own.

Run it as root: ``python bench/failover.py [power] [cut] [--runs N] [--times 5|1|0.5|2s…]``. A run ends with the first tick of the guest on
another node, and begins with its last one before the fault. Between them, by what ZooKeeper's own log says of the fence and the VM:

    detection    until the session of the lost node has ended
    proof        until its power was read off, twice, a second apart; with a cut: the rest of the dead time, saving throws and shot before
    placement    until another node has claimed the VM
    creation     until libvirt shows it running there
    boot         until its guest ticks: a Linux kernel without KVM

"PVC adds" is proof and placement without what it was told to wait, the second between two readings, dead time and saving throws, and
without "device": from when the shot was written until the power was gone.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from lab import Lab, wait_until
from lab.guests import TICK, guest_uuid
from lab.journal import transactions
from lab.reset import new_cluster, reset

TICK_S = 0.1
LIMIT_S = 180
SETTLED_S = 10.0
"""After a migration: should its target die within a second, the source's libvirt waits for it, some 8 s, and does not start the guest."""
READINGS_S = 1.0
"""Two readings of the power, a second apart: part of the protocol."""
PARTS = ("detection", "proof", "placement", "creation", "boot")


@dataclass(frozen=True)
class Times:
    """What a cluster is told to wait: the keys of its configuration, and the session that they lead to."""

    interval: float
    session: float

    @property
    def options(self) -> dict[str, str]:
        """For pvcd.conf."""
        dead_s = 6 * self.interval
        return {"keepalive_interval": f"{self.interval:g}", "session_timeout": f"{self.session:g}", "boot_grace": f"{max(15.0, dead_s):g}"}

    def waits(self, fault: str) -> float:
        """What it has to wait after the session has ended: the second reading, and, cut off, for death and the saving throws."""
        return READINGS_S + (0.0 if fault == "power" else (6 + 3) * self.interval - self.session)


CASES = {"5": Times(5, 6), "1": Times(1, 3), "0.5": Times(0.5, 1.5), "2s": Times(1, 2)}


class Ear:
    """When each tick of a guest was printed, on which host."""

    def __init__(self, lab: Lab, vm: str) -> None:
        self._lab, self._vm = lab, vm
        self._read = dict.fromkeys(lab.hosts, 0)
        self._ending = threading.Event()
        self.heard: list[tuple[float, str]] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._ending.wait(0.01):
            for name, host in self._lab.hosts.items():
                text = host.console(self._vm)
                new = len(TICK.findall(text[self._read[name] :]))
                if new:
                    self.heard.append((time.time(), name))
                    self._read[name] = len(text)

    def close(self) -> None:
        """Listen no more."""
        self._ending.set()
        self._thread.join()


def main() -> None:
    """Run what is asked for, and print a table per case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faults", nargs="*", metavar="power|cut")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--times", nargs="+", choices=CASES, default=["5", "1", "0.5"])
    options = parser.parse_args()
    faults = options.faults or ["power", "cut"]
    with Lab("failover", leashed=True, pvcd=False) as lab:
        for name in options.times:
            for fault in faults:
                case(lab, CASES[name], fault, options.runs)


def case(lab: Lab, times: Times, fault: str, runs: int) -> None:
    """Several runs of one fault at one setting."""
    reset(lab)
    new_cluster(lab, **times.options)
    victim = next(name for name, host in lab.hosts.items() if host.zookeeper_mode() == "follower")
    lab.pvc("vm", "define", str(lab.guest_file("web", tick_s=TICK_S)), "--home", victim)
    lab.pvc("vm", "start", "web", victim)
    time.sleep(6 * times.interval)  # nobody shoots before it has been connected for the dead time
    ear = Ear(lab, "web")
    found = []
    for _ in range(runs):
        found.append(run(lab, ear, victim, fault))
        print("   ", "  ".join(f"{part} {seconds:.2f}" for part, seconds in found[-1].items()), flush=True)
        come_home(lab, victim)
    ear.close()
    title = {"power": "power lost, its BMC alive", "cut": "cut off from everybody"}[fault]
    print(f"\n{title}: keepalive {times.interval:g} s x 6, session {times.session:g} s, {runs} runs: min / median / max in s")
    for part in ("away", *PARTS):
        line(part, [one[part] for one in found])
    line("to running", [sum(one[part] for part in PARTS[:-1]) for one in found])
    if fault == "cut":
        line("device", [one["device"] for one in found])
    line("PVC adds", [one["proof"] + one["placement"] - one["device"] - times.waits(fault) for one in found])


def run(lab: Lab, ear: Ear, victim: str, fault: str) -> dict[str, float]:
    """One fault, and its times."""
    before = len(ear.heard)
    wait_until(lambda: any(host == victim for _, host in ear.heard[before:]), LIMIT_S, "it ticks")
    began = time.time()
    if fault == "power":
        lab[victim].power_off()
    else:
        lab.cut(victim)
    after = lambda: [at for at, host in ear.heard if at > began and host != victim]  # noqa: E731
    wait_until(after, LIMIT_S, "the guest ticks elsewhere")
    last = max(at for at, host in ear.heard if at <= began)
    *moments, device = moments_of(lab, victim, began)
    points = (began, *moments, after()[0])
    parts = dict(zip(PARTS, (later - earlier for earlier, later in pairwise(points)), strict=True))
    return {"away": after()[0] - last, **parts, "device": device}


def moments_of(lab: Lab, victim: str, since: float) -> tuple[float, ...]:
    """When the victim's session ended, when it was proven off, when the VM was claimed, and when it ran; how long the device took."""
    writes = [(one.at, write) for one in transactions(lab) if one.at >= since for write in one.writes]

    def first(path: str, condition: Callable[[dict], bool]) -> float:
        return next(at for at, write in writes if write.what == "set" and write.path == path and condition(json.loads(write.data)))

    node, vm = f"/nodes/{victim}", f"/domains/{guest_uuid('web')}"
    ended = next(at for at, write in writes if write.what == "delete" and write.path == f"/alive/{victim}")
    proven = first(node, lambda record: record["fence"]["phase"] == "proven")
    claimed = first(vm, lambda record: record["owner"] not in (None, victim))
    started = first(vm, lambda record: record["owner"] not in (None, victim) and record["state"] == "start")
    if not lab.bmcs[victim].orders():
        return ended, proven, claimed, started, 0.0
    shot = first(node, lambda record: record["fence"]["phase"] == "shot")
    return ended, proven, claimed, started, lab[victim].power_history()[-1][0] - shot


def come_home(lab: Lab, victim: str) -> None:
    """Everything as it was."""
    lab.heal_all()
    lab.bmcs.reset()
    lab[victim].power_on()
    wait_until(lambda: sorted(lab.working_nodes()) == sorted(lab.hosts), LIMIT_S, "all nodes work")
    wait_until(lab.has_quorum, LIMIT_S, "all ZooKeeper servers serve")
    lab.pvc("vm", "migrate", "web", victim)
    time.sleep(SETTLED_S)


def line(part: str, seconds: Iterable[float]) -> None:
    """One line of the table."""
    values = list(seconds)
    print(f"  {part:<12}{min(values):8.2f}{median(values):8.2f}{max(values):8.2f}", flush=True)


if __name__ == "__main__":
    main()
