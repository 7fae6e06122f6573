"""How fast the simulator is, in one process: short scenarios, their beginnings, schedules as `pvc sim explore` draws them, long bad
weather, a large cluster, and plans for it.

Run it as ``python bench/simulation.py [PART…]``; without parts, all of them. Counted is processor time, so others on the computer disturb
less; compare the ratios. Of several runs of the same, the best counts, with the worst beside it.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from pvc.sim.cluster import SimCluster
from pvc.sim.explore import play
from pvc.sim.foresee import foresee
from pvc.sim.recorded import recorded
from pvc.sim.scenario import Scenario
from pvc.sim.scenario_file import read_scenario, scenario_of
from pvc.sim.schedule import Schedule, Sizes
from pvc.sim.stage import Stage
from pvc.sim.verdict import run

SCENARIOS = Path(__file__).parent.parent / "tests" / "scenarios"
SHORT_S = 200.0
"""A scenario that lasts no longer is short."""
SEEDS = range(100, 112)
ROUNDS = 3
NODES, VMS = 100, 2000


def main(parts: list[str]) -> None:
    """Run the parts that are named, or all."""
    unknown = set(parts) - set(PARTS)
    if unknown:
        sys.exit(f"no part called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    for name in parts or PARTS:
        print(f"\n== {name}", flush=True)
        for line in PARTS[name]():
            print(line, flush=True)


def timed(what: Callable[[], float]) -> tuple[float, float, float]:
    """Processor seconds of the best and of the worst run, and what a run returns: the virtual seconds that went by in it."""
    took, virtual_s = [], 0.0
    for _ in range(ROUNDS):
        began = process_time()
        virtual_s = what()
        took.append(process_time() - began)
    return min(took), max(took), virtual_s


def rates(count: int, what: str, virtual_s: float, best: float, worst: float) -> str:
    """So many of these per second of processor time, and virtual seconds with them."""
    slow = f"at worst {count / worst:.1f} and {virtual_s / worst:,.0f}"
    return f"{count / best:8.1f} {what} and {virtual_s / best:9,.0f} virtual seconds per second ({slow})"


# ---- short scenarios


def scenarios() -> Iterator[str]:
    """Every file of tests/scenarios that is short, played and judged."""
    short = _short()

    def all_of_them() -> float:
        return sum(_judged(scenario) for scenario in short)

    best, worst, virtual_s = timed(all_of_them)
    yield f"{len(short)} files, {sum(len(one.nodes) for one in short) / len(short):.1f} nodes each"
    yield rates(len(short), "scenarios", virtual_s, best, worst)


def beginnings() -> Iterator[str]:
    """Their clusters until the first second: nodes that join, VMs that are defined and started; and so 100 nodes with 2,000 VMs."""
    short = _short()

    def all_of_them() -> float:
        return sum(Stage(scenario, 0).trace.began for scenario in short)

    best, worst, virtual_s = timed(all_of_them)
    yield rates(len(short), "beginnings", virtual_s, best, worst)
    began = process_time()
    virtual_s = Stage(_large([], 60), 0).trace.began
    yield f"{process_time() - began:8.1f} s for {NODES} nodes with {VMS} VMs, which take {virtual_s:.0f} s"


def _short() -> list[Scenario]:
    return [one for path in sorted(SCENARIOS.glob("*.json")) if (one := read_scenario(path)).end <= SHORT_S]


def _judged(scenario: Scenario) -> float:
    verdict = run(scenario)
    assert verdict.passed, f"{scenario.path}: {verdict.failures}"
    return scenario.end


# ---- schedules


def schedules() -> Iterator[str]:
    """What `make explore` plays: something every half to eight seconds, for four minutes, and then all has to come to rest."""
    sizes = Sizes((3, 4, 5), tuple(range(4, 13)))
    yield from _played([Schedule(seed, sizes) for seed in SEEDS])


def chaos() -> Iterator[str]:
    """An hour of faults and commands on three nodes with four VMs: something every 4, 15 and 60 seconds on average, and nothing at all."""
    for gap_s in (4.0, 15.0, 60.0):
        some = [Schedule(seed, Sizes((3,), (4,), 3600.0)) for seed in (1, 2, 3)]
        for schedule in some:
            schedule.gap_s = gap_s
        yield f"something every {gap_s:g} s"
        yield from _played(some)
    yield "nothing happens"
    cluster = settled(3, 4)
    best, worst, virtual_s = timed(lambda: _quiet(cluster, 3600.0))
    yield f"{'':31}{virtual_s / best:10,.0f} virtual seconds per second ({virtual_s / worst:,.0f} at worst)"


def _played(schedules: list[Schedule]) -> Iterator[str]:
    said, kinds = [(schedule.scenario(), schedule.seed) for schedule in schedules], Counter[str]()

    def all_of_them() -> float:
        outcomes = [play(one, seed) for one, seed in said]
        kinds.update(outcome.kind for outcome in outcomes if outcome.broken)
        return sum(outcome.at for outcome in outcomes)

    best, worst, virtual_s = timed(all_of_them)
    steps = sum(len(one["steps"]) for one, _ in said)
    yield rates(len(said), "schedules", virtual_s, best, worst) + f", {steps / len(said):.0f} steps each"
    yield from (f"         BROKEN: {kind}" for kind in kinds)


# ---- a large cluster


def large() -> Iterator[str]:
    """100 nodes with 2,000 VMs: begun, at rest, and with a node without power, against real time."""
    began = process_time()
    cluster = settled(NODES, VMS)
    took = process_time() - began
    yield f"{cluster.now:8.1f} s until all run, in {took:.1f} s: {cluster.now / took:.1f} times real time"
    for what, act in (("at rest", lambda: None), ("a node loses its power", lambda: cluster.power_off("hv7"))):
        act()
        began = process_time()
        cluster.run(120.0)
        took = process_time() - began
        yield f"{120.0:8.1f} s, {what}, in {took:.1f} s: {120.0 / took:.1f} times real time"
    assert all(cluster.life(f"vm{number}").owner != "hv7" for number in range(VMS)), "not everything was recovered"


def story() -> Iterator[str]:
    """100 nodes with 2,000 VMs as a scenario of ten minutes, in which a node loses its power: played and judged, its beginning included."""
    scenario = _large([{"at": 300, "do": "power_off", "node": "hv7"}], 600)
    began = process_time()
    _judged(scenario)
    took = process_time() - began
    yield f"{600.0:8.1f} s in {took:.1f} s: {600.0 / took:.1f} times real time"


def _large(steps: list[dict[str, Any]], end: float) -> Scenario:
    nodes = [{"name": f"hv{number + 1}", "memory_mib": 65536} for number in range(NODES)]
    vms = [{"name": f"vm{number}", "home": f"hv{number % NODES + 1}"} for number in range(VMS)]
    always = ["no VM runs on two nodes", "a VM of an unreachable node starts elsewhere only after that node is confirmed off"]
    said = {"name": "large", "nodes": nodes, "vms": vms, "zk": "external", "steps": steps, "end": end, "expect_always": always}
    return scenario_of(said, Path("large"))


def plans() -> Iterator[str]:
    """What `pvc plan` says of 100 nodes with 2,000 VMs."""
    cluster = settled(NODES, VMS)
    said = recorded(cluster.admin.snapshot(), cluster.wall())
    for step in ({"do": "power_off", "node": "hv7"}, {"do": "node_flush", "node": "hv7"}, {"do": "vm_migrate", "vm": "vm6"}):
        began = process_time()
        seen = foresee(said, step)
        moved = [fate for fate in seen.fates if fate.before != fate.after]
        assert len(moved) == (1 if "vm" in step else VMS // NODES), moved
        assert not seen.down, seen.down
        took = process_time() - began
        yield f"{took:8.1f} s for {' '.join(step.values())}: {len(moved)} VMs move, the last at {seen.moments[-1].at:.0f} s"


def settled(nodes: int, vms: int) -> SimCluster:
    """A cluster in which everything runs."""
    cluster = SimCluster(nodes, memory_mib=65536)
    cluster.run_until(cluster.all_run)
    cluster.run(10.0)
    for number in range(vms):
        cluster.define(f"vm{number}", f"hv{number % nodes + 1}")
        cluster.admin.start(f"vm{number}")
    cluster.run(60.0)
    assert not cluster.settled()
    return cluster


def _quiet(cluster: SimCluster, seconds: float) -> float:
    cluster.run(seconds)
    return seconds


PARTS = {part.__name__: part for part in (scenarios, beginnings, schedules, chaos, large, story, plans)}


if __name__ == "__main__":
    main(sys.argv[1:])
