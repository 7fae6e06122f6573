"""A schedule by chance: a cluster, what befalls it and what admins ask of it, as a scenario that one seed tells in full.

Nothing here looks at a cluster, so the same seed gives the same schedule, whatever becomes of it, and any part of it can be left out. Each
seed draws its own kinds of happenings and how often each comes, and leaves others out (a swarm): bugs hide where one fault comes often and
another never.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from pvc.cluster.records import HandoverPolicy, Method, OnPoweroff, Selector

Said = dict[str, Any]  # as a scenario file has it

LEFT_OUT = 0.45
"""How likely a kind of happening does not come under one seed."""
GAPS_S = (0.5, 2.0, 4.0, 8.0)
"""How long it takes on average from one happening to the next: one of these, for a whole seed."""
BEGIN_S = 5.0
REST_S = 900.0
"""How long a cluster in which everything is mended may take until all is at rest."""
ASKED = 3.0
"""How often, at least, an admin asks for something, compared with one kind of fault."""


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
        self.room = {name: self.chance.choice((4096, 16384, 16384)) for name in self.nodes}

    def scenario(self) -> Said:
        """The whole as a scenario file has it; in the end everything is mended, and has to come to rest."""
        room = dict(self.room)
        vms, end = [self._vm(name) for name in self.vms], BEGIN_S + self.sizes.seconds
        last = round(end + REST_S, 3)
        steps = [*self._weather(BEGIN_S, end), {"at": round(end, 3), "do": "mend"}, {"at": last, "do": "rest"}]
        return {
            "name": f"seed-{self.seed}",
            "area": "explore",
            "nodes": [{"name": name, "memory_mib": memory_mib} for name, memory_mib in room.items()],
            "vms": vms,
            "zk": "external",
            "config": {"power_back": True} if self.chance.random() < 0.25 else {},
            "steps": steps,
            "end": last,
            "expect_always": ["no VM runs on two nodes"],
        }

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
        desired = "start" if self.room[home] >= memory_mib and self.chance.random() < 0.9 else "stop"
        self.room[home] -= memory_mib if desired == "start" else 0
        said = {"name": name, "home": home, "desired": desired, "memory_mib": memory_mib}
        return {**said, "migrate_s": self.pick((0.5, 2.0, 20.0)), "policy": policy}

    def pick(self, some: Sequence[Any]) -> Any:
        """One of these."""
        return self.chance.choice(some)

    # ---- what happens when

    def _weather(self, begin: float, end: float) -> list[Said]:
        kinds = {kind: self.chance.expovariate(1.0) for kind in KINDS if self.chance.random() > LEFT_OUT}
        kinds[_ask] = ASKED + self.chance.expovariate(0.3)
        at, steps = begin, []
        while at < end:
            (kind,) = self.chance.choices(tuple(kinds), tuple(kinds.values()))
            steps += [{"at": round(at + said.pop("in", 0.0), 3), **said} for said in kind(self)]
            at += self.chance.expovariate(1.0 / self.gap_s)
        return sorted((step for step in steps if step["at"] < end), key=lambda step: float(step["at"]))

    def host(self) -> str:
        """Some node."""
        return str(self.pick(self.nodes))

    def vm(self) -> str:
        """Some VM."""
        return str(self.pick(self.vms))

    def later(self, low: float, high: float) -> float:
        """Some seconds."""
        return round(self.chance.uniform(low, high), 3)


Kind = Callable[[Schedule], Iterator[Said]]
KINDS: list[Kind] = []


def _kind(draw: Kind) -> Kind:
    KINDS.append(draw)
    return draw


def _on_a_node(verb: str) -> Kind:
    """The kind that is one verb on one node."""
    return lambda s: iter([{"do": verb, "node": s.host()}])


ON_A_NODE = (
    "power_off", "power_on", "node_shutdown", "node_reboot", "net_cut", "net_heal", "zk_cut", "zk_heal", "daemon_crash",
    "daemon_crash_at_order", "daemon_start", "daemon_stop", "daemon_freeze", "daemon_thaw", "libvirtd_freeze", "libvirtd_thaw",
    "libvirtd_kill", "libvirtd_start",
)  # fmt: skip
KINDS.extend(map(_on_a_node, ON_A_NODE))


# ---- faults


@_kind
def _short_power_cut(s: Schedule) -> Iterator[Said]:
    node = s.host()
    yield {"do": "power_off", "node": node}
    yield {"do": "power_on", "node": node, "in": s.later(0.1, 60.0)}


@_kind
def _short_cut(s: Schedule) -> Iterator[Said]:
    node = s.host()
    yield {"do": "net_cut", "node": node}
    yield {"do": "net_heal", "node": node, "in": s.later(0.1, 60.0)}


SWIZZLED = (("net_cut", "net_heal"), ("zk_cut", "zk_heal"), ("daemon_freeze", "daemon_thaw"), ("libvirtd_freeze", "libvirtd_thaw"))


@_kind
def _swizzle(s: Schedule) -> Iterator[Said]:
    """Some nodes go one by one, and come back in another order."""
    some = s.chance.sample(s.nodes, s.chance.randint(1, len(s.nodes)))
    cut, heal = s.pick(SWIZZLED)
    for node in some:
        yield {"do": cut, "node": node, "in": s.later(0.0, 10.0)}
        yield {"do": heal, "node": node, "in": s.later(10.0, 40.0)}


@_kind
def _link(s: Schedule) -> Iterator[Said]:
    one, other = s.host(), s.host()
    if one != other:
        yield {"do": "link_cut", "node": one, "to": other}
        yield {"do": "link_heal", "node": one, "to": other, "in": s.later(0.5, 60.0)}


@_kind
def _ensemble(s: Schedule) -> Iterator[Said]:
    yield {"do": "zk_down"}
    yield {"do": "zk_up", "in": s.later(0.5, 60.0)}


@_kind
def _lost_reply(s: Schedule) -> Iterator[Said]:
    yield {"do": "reply_lost", "node": s.host(), "applied": s.chance.random() < 0.5, "for_s": s.later(0.1, 20.0)}


@_kind
def _restart_of_a_daemon(s: Schedule) -> Iterator[Said]:
    node = s.host()
    yield {"do": s.pick(("daemon_crash", "daemon_stop", "daemon_crash_at_order")), "node": node}
    yield {"do": "daemon_start", "node": node, "in": s.later(0.1, 40.0)}


@_kind
def _freeze(s: Schedule) -> Iterator[Said]:
    node = s.host()
    yield {"do": "daemon_freeze", "node": node}
    yield {"do": "daemon_thaw", "node": node, "in": s.later(0.5, 90.0)}


@_kind
def _restart_of_libvirtd(s: Schedule) -> Iterator[Said]:
    node = s.host()
    yield {"do": "libvirtd_kill", "node": node}
    yield {"do": "libvirtd_start", "node": node, "in": s.later(0.2, 10.0)}


@_kind
def _bmc(s: Schedule) -> Iterator[Said]:
    yield {"do": "bmc", "node": s.host(), "mood": s.pick(("works", "works", "slow", "silent", "deaf", "stuck"))}


@_kind
def _guest_dies(s: Schedule) -> Iterator[Said]:
    yield {"do": "vm_crash", "vm": s.vm()}


@_kind
def _guest_goes(s: Schedule) -> Iterator[Said]:
    yield {"do": "vm_poweroff", "vm": s.vm()}


@_kind
def _guest_ignores(s: Schedule) -> Iterator[Said]:
    yield {"do": "shutdown_hang", "vm": s.vm()}


@_kind
def _starts_fail(s: Schedule) -> Iterator[Said]:
    yield {"do": "start_fail", "vm": s.vm(), "node": s.pick((*s.nodes, "*")), "count": s.pick((1, 2, 3, 8, 0))}


@_kind
def _migrations_fail(s: Schedule) -> Iterator[Said]:
    yield {"do": "migrate_fail", "vm": s.vm(), "count": s.pick((1, 2, -1, 0))}


@_kind
def _ambush(s: Schedule) -> Iterator[Said]:
    """Something strikes a migration at its switchover or its arrival: a moment so short that chance alone hardly finds it."""
    vm, side = s.vm(), s.pick(("source", "target"))
    blow = s.pick(("libvirtd_kill", "libvirtd_freeze", "power_off", "daemon_crash", "net_cut", "vm_crash"))
    yield {"do": "ambush", "vm": vm, "moment": s.pick(("switching", "arrived")), "side": side, "blow": blow, "for_s": s.later(1.0, 15.0)}
    yield {"do": "vm_migrate", "vm": vm}


@_kind
def _clock_step(s: Schedule) -> Iterator[Said]:
    yield {"do": "clock_step", "node": s.host(), "by_s": s.pick((-86400, -3600, -1, 1, 3600, 86400))}


@_kind
def _by_hand(s: Schedule) -> Iterator[Said]:
    """Somebody starts a guest with virsh, past PVC."""
    yield {"do": "vm_by_hand", "vm": s.vm(), "node": s.host(), "paused": s.chance.random() < 0.3}
    if s.chance.random() < 0.7:
        yield {"do": "vm_resolve", "vm": s.vm(), "keep": s.chance.random() < 0.5, "in": s.later(1.0, 20.0)}


@_kind
def _word_of_an_operator(s: Schedule) -> Iterator[Said]:
    node = s.host()
    yield {"do": "power_off", "node": node}
    yield {"do": "bmc", "node": node, "mood": "silent"}
    yield {"do": "confirm_off", "node": node, "in": s.later(5.0, 60.0)}
    yield {"do": "bmc", "node": node, "mood": "works", "in": s.later(60.0, 90.0)}


@_kind
def _maintenance(s: Schedule) -> Iterator[Said]:
    node = s.host()
    yield {"do": "node_flush", "node": node}
    yield {"do": "node_ready", "node": node, "in": s.later(0.1, 60.0)}


# ---- commands

VERBS: Mapping[str, int] = {
    "vm_start": 5, "vm_migrate": 4, "vm_move": 2, "vm_unmigrate": 3, "vm_restart": 3, "vm_shutdown": 2, "vm_stop": 1, "vm_disable": 1,
    "vm_enable": 1, "vm_cancel": 1, "vm_stay": 1, "node_flush": 2, "node_ready": 2, "vm_set": 1, "vm_resolve": 1, "vm_undefine": 1,
    "vm_define": 1, "hold": 1,
}  # fmt: skip
"""What admins do, and how often."""


def _ask(s: Schedule) -> Iterator[Said]:
    """An admin gives a command, which may well be refused."""
    (verb,) = s.chance.choices(tuple(VERBS), tuple(VERBS.values()))
    match verb:
        case "node_flush" | "node_ready":
            yield {"do": verb, "node": s.host()}
        case "hold":
            yield {"do": verb, "on": s.chance.random() < 0.4}
        case "vm_define":
            yield {"do": verb, "vm": s.vm(), "home": s.host()}
        case "vm_resolve":
            yield {"do": verb, "vm": s.vm(), "keep": s.chance.random() < 0.5}
        case "vm_set":
            yield {"do": verb, "vm": s.vm(), "policy": {"migration": str(s.pick(tuple(Method))), "handover": s.pick(("paused", "libvirt"))}}
        case _:
            to = {"to": s.host()} if verb in ("vm_start", "vm_migrate", "vm_move") and s.chance.random() < 0.5 else {}
            yield {"do": verb, "vm": s.vm(), **to}
