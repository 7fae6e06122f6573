"""What may happen in a schedule: one generator for each kind of happening, which draws its particulars and says when each step comes.

``in`` is how many seconds after the happening began a step comes; a kind looks at no cluster, so what it aims at may be missed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, Protocol

from pvc.cluster.records import Method, OnPoweroff, Selector

Said = dict[str, Any]  # as a scenario file has it


class Chances(Protocol):
    """What a kind draws from: the cluster of one schedule, and its chance."""

    chance: Random
    nodes: list[str]
    vms: list[str]

    def pick(self, some: Sequence[Any]) -> Any:
        """One of these."""

    def host(self) -> str:
        """Some node."""

    def vm(self) -> str:
        """Some VM."""

    def later(self, low: float, high: float) -> float:
        """Some seconds."""


Kind = Callable[[Chances], Iterator[Said]]
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
    "libvirtd_kill", "libvirtd_start", "daemon_fail",
)  # fmt: skip
KINDS.extend(map(_on_a_node, ON_A_NODE))


# ---- faults


@_kind
def _short_power_cut(s: Chances) -> Iterator[Said]:
    node = s.host()
    yield {"do": "power_off", "node": node}
    yield {"do": "power_on", "node": node, "in": s.later(0.1, 60.0)}


@_kind
def _short_cut(s: Chances) -> Iterator[Said]:
    node = s.host()
    yield {"do": "net_cut", "node": node}
    yield {"do": "net_heal", "node": node, "in": s.later(0.1, 60.0)}


SWIZZLED = (("net_cut", "net_heal"), ("zk_cut", "zk_heal"), ("daemon_freeze", "daemon_thaw"), ("libvirtd_freeze", "libvirtd_thaw"))


@_kind
def _swizzle(s: Chances) -> Iterator[Said]:
    """Some nodes go one by one, and come back in another order."""
    some = s.chance.sample(s.nodes, s.chance.randint(1, len(s.nodes)))
    cut, heal = s.pick(SWIZZLED)
    for node in some:
        yield {"do": cut, "node": node, "in": s.later(0.0, 10.0)}
        yield {"do": heal, "node": node, "in": s.later(10.0, 40.0)}


@_kind
def _link(s: Chances) -> Iterator[Said]:
    one, other = s.host(), s.host()
    if one != other:
        yield {"do": "link_cut", "node": one, "to": other}
        yield {"do": "link_heal", "node": one, "to": other, "in": s.later(0.5, 60.0)}


@_kind
def _ensemble(s: Chances) -> Iterator[Said]:
    yield {"do": "zk_down"}
    yield {"do": "zk_up", "in": s.later(0.5, 60.0)}


@_kind
def _lost_reply(s: Chances) -> Iterator[Said]:
    yield {"do": "reply_lost", "node": s.host(), "applied": s.chance.random() < 0.5, "for_s": s.later(0.1, 20.0)}


@_kind
def _restart_of_a_daemon(s: Chances) -> Iterator[Said]:
    node = s.host()
    yield {"do": s.pick(("daemon_crash", "daemon_stop", "daemon_crash_at_order")), "node": node}
    yield {"do": "daemon_start", "node": node, "in": s.later(0.1, 40.0)}


@_kind
def _freeze(s: Chances) -> Iterator[Said]:
    node = s.host()
    yield {"do": "daemon_freeze", "node": node}
    yield {"do": "daemon_thaw", "node": node, "in": s.later(0.5, 90.0)}


@_kind
def _hang(s: Chances) -> Iterator[Said]:
    yield {"do": "daemon_hang", "node": s.host(), "for_s": s.later(0.5, 30.0)}


@_kind
def _watches_lost(s: Chances) -> Iterator[Said]:
    yield {"do": "watches_lost", "node": s.host(), "for_s": s.later(1.0, 60.0)}


@_kind
def _garbled(s: Chances) -> Iterator[Said]:
    """Somebody writes over a record, and later it is as it was."""
    vm = s.vm()
    yield {"do": "record_garbled", "vm": vm}
    yield {"do": "record_repaired", "vm": vm, "in": s.later(2.0, 60.0)}


@_kind
def _newcomer(s: Chances) -> Iterator[Said]:
    """A node joins, a VM is moved there, and something befalls it."""
    node, then = f"hv{len(s.nodes) + 1}", s.later(20.0, 90.0)
    yield {"do": "node_add", "node": node, "boot_s": s.later(1.0, 40.0)}
    yield {"do": "vm_migrate", "vm": s.vm(), "to": node, "in": then}
    blow = s.pick(("power_off", "net_cut", "daemon_crash", "node_reboot", "node_flush"))
    yield {"do": blow, "node": node, "in": then + s.later(0.0, 20.0)}


@_kind
def _restart_of_libvirtd(s: Chances) -> Iterator[Said]:
    node = s.host()
    yield {"do": "libvirtd_kill", "node": node}
    yield {"do": "libvirtd_start", "node": node, "in": s.later(0.2, 10.0)}


@_kind
def _bmc(s: Chances) -> Iterator[Said]:
    yield {"do": "bmc", "node": s.host(), "mood": s.pick(("works", "works", "slow", "silent", "deaf", "stuck", "stranger"))}


@_kind
def _guest_dies(s: Chances) -> Iterator[Said]:
    yield {"do": "vm_crash", "vm": s.vm()}


@_kind
def _guest_goes(s: Chances) -> Iterator[Said]:
    yield {"do": "vm_poweroff", "vm": s.vm()}


@_kind
def _guest_ignores(s: Chances) -> Iterator[Said]:
    yield {"do": "shutdown_hang", "vm": s.vm()}


@_kind
def _starts_fail(s: Chances) -> Iterator[Said]:
    yield {"do": "start_fail", "vm": s.vm(), "node": s.pick((*s.nodes, "*")), "count": s.pick((1, 2, 3, 8, 0))}


@_kind
def _migrations_fail(s: Chances) -> Iterator[Said]:
    yield {"do": "migrate_fail", "vm": s.vm(), "count": s.pick((1, 2, -1, 0))}


BLOWS = ("libvirtd_kill", "libvirtd_freeze", "power_off", "daemon_crash", "net_cut", "vm_crash")


@_kind
def ambush(s: Chances) -> Iterator[Said]:
    """Something strikes migrations at their switchover or their arrival: a moment so short that chance alone hardly finds it."""
    for vm in s.chance.sample(s.vms, min(len(s.vms), s.chance.randint(1, 3))):
        struck = {"moment": s.pick(("switching", "arrived")), "side": s.pick(("source", "target")), "blow": s.pick(BLOWS)}
        yield {"do": "ambush", "vm": vm, **struck, "for_s": s.later(1.0, 15.0)}
        yield {"do": "vm_migrate", "vm": vm}


@_kind
def _clock_step(s: Chances) -> Iterator[Said]:
    yield {"do": "clock_step", "node": s.host(), "by_s": s.pick((-86400, -3600, -1, 1, 3600, 86400))}


@_kind
def _by_hand(s: Chances) -> Iterator[Said]:
    """Somebody starts a guest with virsh, past PVC."""
    yield {"do": "vm_by_hand", "vm": s.vm(), "node": s.host(), "paused": s.chance.random() < 0.3}
    if s.chance.random() < 0.7:
        yield {"do": "vm_resolve", "vm": s.vm(), "keep": s.chance.random() < 0.5, "in": s.later(1.0, 20.0)}


@_kind
def _word_of_an_operator(s: Chances) -> Iterator[Said]:
    node = s.host()
    yield {"do": "power_off", "node": node}
    yield {"do": "bmc", "node": node, "mood": "silent"}
    yield {"do": "confirm_off", "node": node, "in": s.later(5.0, 60.0)}
    yield {"do": "bmc", "node": node, "mood": "works", "in": s.later(60.0, 90.0)}


@_kind
def _maintenance(s: Chances) -> Iterator[Said]:
    node = s.host()
    yield {"do": "node_flush", "node": node}
    yield {"do": "node_ready", "node": node, "in": s.later(0.1, 60.0)}


# ---- commands

VERBS: Mapping[str, int] = {
    "vm_start": 5, "vm_migrate": 4, "vm_move": 2, "vm_unmigrate": 3, "vm_restart": 3, "vm_shutdown": 2, "vm_stop": 1, "vm_disable": 1,
    "vm_enable": 1, "vm_cancel": 1, "vm_stay": 1, "node_flush": 2, "node_ready": 2, "vm_set": 1, "vm_resolve": 1, "vm_undefine": 1,
    "vm_define": 1, "hold": 1, "node_fence": 1,
}  # fmt: skip
"""What admins do, and how often."""


def ask(s: Chances) -> Iterator[Said]:
    """An admin gives a command, which may well be refused."""
    (verb,) = s.chance.choices(tuple(VERBS), tuple(VERBS.values()))
    match verb:
        case "node_flush" | "node_ready" | "node_fence":
            yield {"do": verb, "node": s.host()}
        case "hold":
            yield {"do": verb, "on": s.chance.random() < 0.4}
        case "vm_define":
            yield {"do": verb, "vm": s.vm(), "home": s.host()}
        case "vm_resolve":
            yield {"do": verb, "vm": s.vm(), "keep": s.chance.random() < 0.5}
        case "vm_set":
            yield {"do": verb, "vm": s.vm(), "policy": s.pick(_policies(s))}
        case _:
            to = {"to": s.host()} if verb in ("vm_start", "vm_migrate", "vm_move") and s.chance.random() < 0.5 else {}
            yield {"do": verb, "vm": s.vm(), **to}


UNDRAWN = {
    "fence_fail": "`bmc` draws it among other moods.",
    "fence_ok": "`bmc` draws it among other moods.",
    "node_remove": "A node that is forgotten and comes back is a new one, and who judges knows nodes by their names.",
    "zk_snapshot": "For `zk_restore` alone.",
    "zk_restore": "What runs and what is recorded contradict each other then, and which of both is right is for people to say.",
    "state_file_removed": "Who has looked says so after `zk_restore` alone.",
}
"""Verbs that no schedule has, and why."""


def _policies(s: Chances) -> Sequence[Said]:
    return (
        {"migration": str(s.pick(tuple(Method))), "handover": s.pick(("paused", "libvirt"))},
        {"nodes": sorted(s.chance.sample(s.nodes, s.chance.randint(1, len(s.nodes))))},
        {"selector": str(s.pick(tuple(Selector))), "restart_budget": s.pick((0, 1, 2))},
        {"on_poweroff": str(s.pick(tuple(OnPoweroff))), "shutdown_timeout_s": s.pick((5, 30))},
    )
