"""A schedule by chance: a cluster, what befalls it and what admins ask of it, as a scenario that one seed tells in full.

Nothing here looks at a cluster, so the same seed gives the same schedule, whatever becomes of it, and any part of it can be left out. Each
seed draws its own kinds of happenings and how often each comes, and leaves others out (a swarm): bugs hide where one fault comes often and
another never.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from pvc.cluster.records import HandoverPolicy, Method, OnPoweroff, Selector
from pvc.sim.kinds import KINDS, Said, ask
from pvc.sim.stories import STORIES

LEFT_OUT = 0.45
"""How likely a kind of happening does not come under one seed."""
GAPS_S = (0.5, 2.0, 4.0, 8.0)
"""How long it takes on average from one happening to the next: one of these, for a whole seed."""
BEGIN_S = 5.0
LULLS = 0.15
"""How likely a seed has a time in which nothing happens, and how long that is: longer than failures of a VM are remembered."""
LULL_S = 660.0
REST_S = 900.0
"""How long a cluster in which everything is mended may take until all is at rest."""
ON_NODES, OFF = 0.2, 0.03
"""How likely ZooKeeper is on the nodes of a seed, and how likely each of them is off at first."""
GUARDED = 0.12
"""How likely the nodes of a seed have watchdogs."""
WATCHDOGS: Sequence[Said] = (
    {"watchdog_device": "/dev/watchdog"},
    {"watchdog_device": "/dev/watchdog", "watchdog_timeout": 40},
    {"fence_method": "watchdog"},
)
TOLD, ASKED = 0.5, 3.0
"""How often, at least, a story is told and an admin asks for something, compared with one kind of fault."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large clusters are: one of these numbers of nodes and VMs, for so many seconds of weather."""

    nodes: Sequence[int] = (2, 3, 3, 3, 4, 5)
    vms: Sequence[int] = (1, 2, 4, 4, 6, 12)
    seconds: float = 240.0


USUAL = Sizes()


class Schedule:
    """Draws everything for one seed."""

    def __init__(self, seed: int, sizes: Sizes = USUAL) -> None:
        self.chance = Random(f"schedule {seed}")
        self.seed = seed
        self.sizes = sizes
        self.nodes = [f"hv{number + 1}" for number in range(self.chance.choice(sizes.nodes))]
        self.vms = [f"vm{number + 1}" for number in range(self.chance.choice(sizes.vms))]
        self.gap_s = self.chance.choice(GAPS_S)
        self.watchdogs = self.chance.choice(WATCHDOGS) if self.chance.random() < GUARDED else {}
        self.room = {name: self.chance.choice((4096, 16384, 16384)) for name in self.nodes}

    def scenario(self) -> Said:
        """The whole as a scenario file has it; in the end everything is mended, and has to come to rest."""
        room = dict(self.room)
        vms, end = [self._vm(name) for name in self.vms], BEGIN_S + self.sizes.seconds
        weather, end = self._weather(BEGIN_S, end)
        last = round(end + REST_S, 3)
        steps = [*weather, {"at": round(end, 3), "do": "mend"}, {"at": last, "do": "rest"}]
        return {
            "name": f"seed-{self.seed}",
            "area": "explore",
            "nodes": [self._node(name, memory_mib) for name, memory_mib in room.items()],
            "vms": vms,
            "zk": self._ensemble() if self.chance.random() < ON_NODES else "external",
            "config": ({"power_back": True} if self.chance.random() < 0.25 else {}) | self.watchdogs,
            "steps": steps,
            "end": last,
            "expect_always": ["no VM runs on two nodes"],
        }

    def _node(self, name: str, memory_mib: int) -> Said:
        said: Said = {"name": name, "memory_mib": memory_mib}
        if self.chance.random() < OFF:
            said["power"] = "off"
        if self.watchdogs and self.chance.random() < 0.2:
            said["watchdog"] = False
        return said

    def _ensemble(self) -> Any:
        """Where ZooKeeper is when it is on nodes: on all of them, or on some."""
        return self.pick(("on_nodes", sorted(self.chance.sample(self.nodes, self.chance.randint(1, len(self.nodes))))))

    def _vm(self, name: str) -> Said:
        policy: Said = {"handover": str(self.pick((HandoverPolicy.paused, HandoverPolicy.paused, HandoverPolicy.libvirt)))}
        if self.chance.random() < 0.3:
            policy |= {"migration": str(self.pick(tuple(Method))), "on_poweroff": str(self.pick(tuple(OnPoweroff)))}
        if self.chance.random() < 0.2:
            policy |= {"selector": str(self.pick(tuple(Selector))), "restart_budget": self.pick((0, 1, 2))}
        if self.chance.random() < 0.1:
            policy |= {"nodes": sorted(self.chance.sample(self.nodes, self.chance.randint(1, len(self.nodes))))}
        home = self.pick(policy.get("nodes", self.nodes))
        memory_mib = self.pick((512, 512, 1024, 2048))
        fits = self.room[home] >= memory_mib
        desired = "start" if fits and self.chance.random() < 0.9 else self.pick(("stop", "stop", "disable", "failed"))
        self.room[home] -= memory_mib if desired == "start" else 0
        said = {"name": name, "home": home, "desired": desired, "memory_mib": memory_mib}
        return {**said, "migrate_s": self.pick((0.5, 2.0, 20.0)), "policy": policy}

    def pick(self, some: Sequence[Any]) -> Any:
        """One of these."""
        return self.chance.choice(some)

    # ---- what happens when

    def _weather(self, begin: float, end: float) -> tuple[list[Said], float]:
        """What happens, and when it ends; sometimes nothing does for long, so that what takes its time can come about."""
        kinds = {kind: self.chance.expovariate(1.0) for kind in KINDS if self.chance.random() > LEFT_OUT}
        kinds |= {story: TOLD + self.chance.expovariate(1.0) for story in self.chance.sample(STORIES, 4)}
        kinds[ask] = ASKED + self.chance.expovariate(0.3)
        at, steps = begin, list[Said]()
        lull = self.chance.uniform(begin, end) if self.chance.random() < LULLS else end
        while at < end:
            if at > lull:
                lull, end, at = end + LULL_S, end + LULL_S, at + LULL_S
            (kind,) = self.chance.choices(tuple(kinds), tuple(kinds.values()))
            steps += [{"at": round(at + said.pop("in", 0.0), 3), **said} for said in kind(self)]
            at += self.chance.expovariate(1.0 / self.gap_s)
        return sorted((step for step in steps if step["at"] < end), key=lambda step: float(step["at"])), end

    def host(self) -> str:
        """Some node."""
        return str(self.pick(self.nodes))

    def vm(self) -> str:
        """Some VM."""
        return str(self.pick(self.vms))

    def later(self, low: float, high: float) -> float:
        """Some seconds."""
        return round(self.chance.uniform(low, high), 3)
