"""Happenings of several steps, which lead to where each step by itself hardly comes: every schedule tells some of them."""

from collections.abc import Iterator

from pvc.sim.kinds import Chances, Kind, Said, ambush

STORIES: list[Kind] = [ambush]


def _story(draw: Kind) -> Kind:
    STORIES.append(draw)
    return draw


@_story
def _fencer_goes(s: Chances) -> Iterator[Said]:
    """A node is being shot, its device has fallen silent, and it is back when its fencer goes."""
    node, thaw = s.host(), s.later(48.0, 54.0)
    yield {"do": "daemon_freeze", "node": node}
    yield {"do": "bmc", "node": node, "mood": "silent", "in": 43.0}
    yield {"do": "daemon_thaw", "node": node, "in": thaw}
    leaves = s.pick(("daemon_stop", "daemon_stop", "daemon_crash"))
    yield {"do": leaves, "node": f"@fencer:{node}", "fallback": node, "in": thaw + s.later(0.5, 6.0)}
    yield {"do": "bmc", "node": node, "mood": "works", "in": thaw + 30.0}


@_story
def _away(s: Chances) -> Iterator[Said]:
    """A VM is moved away for a while, and the admin thinks again."""
    vm = s.vm()
    yield {"do": "vm_start", "vm": vm}
    yield {"do": "vm_migrate", "vm": vm, "in": 6.0}
    verb = s.pick(("vm_cancel", "vm_unmigrate", "vm_unmigrate", "vm_stay"))
    yield {"do": verb, "vm": vm, "in": s.later(6.05, 8.0) if verb == "vm_cancel" else s.later(10.0, 50.0)}


@_story
def _target_flushed(s: Chances) -> Iterator[Said]:
    """A VM is given to a node that cannot take it any more, and whoever would choose again is busy: the first node by name."""
    vm, node = s.vm(), s.nodes[0]
    yield {"do": "vm_stop", "vm": vm}
    yield {"do": "daemon_freeze", "node": node, "in": 14.0}
    yield {"do": "vm_start", "vm": vm, "to": node, "in": 14.1}
    yield {"do": "node_flush", "node": node, "in": 14.2}
    yield {"do": "vm_start", "vm": vm, "in": 14.3}
    yield {"do": "daemon_thaw", "node": node, "in": s.later(15.0, 19.0)}
    yield {"do": "node_ready", "node": node, "in": s.later(20.0, 60.0)}


@_story
def _ordered_shot(s: Chances) -> Iterator[Said]:
    """A node is lost, and an operator does not want to wait."""
    node = s.host()
    yield {"do": s.pick(("daemon_crash", "net_cut")), "node": node}
    yield {"do": "node_fence", "node": node, "in": s.later(6.5, 40.0)}
    yield {"do": "net_heal", "node": node, "in": s.later(40.0, 80.0)}


@_story
@_story  # it may go many ways
def _found(s: Chances) -> Iterator[Said]:
    """A guest of a VM that is off, by whatever wish, is started past PVC; an admin resolves it, or it goes, or its node goes."""
    vm, node = s.vm(), s.host()
    yield s.pick(({"do": "vm_stop", "vm": vm}, {"do": "vm_disable", "vm": vm}, {"do": "start_fail", "vm": vm, "node": "*", "count": -1}))
    yield {"do": "vm_crash", "vm": vm, "in": 0.5}
    yield {"do": "vm_by_hand", "vm": vm, "node": node, "paused": s.chance.random() < 0.5, "in": s.later(20.0, 45.0)}
    then = s.later(46.0, 60.0)
    yield from s.pick((
        [{"do": "vm_resolve", "vm": vm, "keep": s.chance.random() < 0.7, "in": then}],
        [{"do": "vm_crash", "vm": vm, "in": then}],
        [{"do": "power_off", "node": node, "in": then}, {"do": "power_on", "node": node, "in": then + 30.0}],
    ))  # fmt: skip
    yield {"do": "start_fail", "vm": vm, "node": "*", "count": 0, "in": then + 20.0}


@_story
def _stubborn(s: Chances) -> Iterator[Said]:
    """A guest ignores what it is asked for beyond its deadline."""
    vm = s.vm()
    yield {"do": "shutdown_hang", "vm": vm}
    yield {"do": s.pick(("vm_shutdown", "vm_restart")), "vm": vm, "in": 0.1}
    yield {"do": "shutdown_heed", "vm": vm, "in": s.later(60.0, 80.0)}


@_story
def _unheard(s: Chances) -> Iterator[Said]:
    """The reply to what the owner of a VM writes because of a command is lost."""
    vm, lost = s.vm(), {"applied": s.chance.random() < 0.5, "for_s": s.later(0.1, 20.0)}
    yield {"do": "reply_lost", "node": f"@where:{vm}", "fallback": s.host(), **lost}
    yield {"do": s.pick(("vm_restart", "vm_shutdown", "vm_stop", "vm_migrate", "vm_disable")), "vm": vm, "in": 0.1}
    yield {"do": "vm_start", "vm": vm, "in": s.later(10.0, 60.0)}


@_story
def _fails_to_move(s: Chances) -> Iterator[Said]:
    """A live migration fails."""
    vm = s.vm()
    yield {"do": "migrate_fail", "vm": vm, "count": s.pick((1, 2))}
    yield {"do": "vm_migrate", "vm": vm, "in": 0.1}
