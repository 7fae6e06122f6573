"""What the steps of a scenario file do: each verb with its fields, and what happens to the cluster.

Commands of an admin go through the client's code, as those of `pvc` do; everything else befalls machines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pvc.fsm.states import Fence
from pvc.sim import blows, snapshots
from pvc.sim.machine import Mood
from pvc.sim.policy_fields import policy_of

if TYPE_CHECKING:
    from pvc.sim.stage import Stage

Said = Mapping[str, Any]
"""The fields of a step, with every node named."""

FENCER, WHERE = "@fencer:", "@where:"


@dataclass(frozen=True, slots=True)
class Verb:
    """What a step may do: the fields that it needs, those that it may have, and how it is done."""

    needs: tuple[str, ...]
    act: Callable[[Stage, Said], None]
    may: tuple[str, ...] = ()
    command: bool = False


NODES = ("node", "to", "home", "fallback")
"""Fields that name a node; those and no others may be ``@fencer:NODE`` or ``@where:VM``."""


def named(stage: Stage, text: str) -> str | None:
    """The node that a word of a step means at this moment; None when there is none."""
    if text.startswith(FENCER):
        return _fencer(stage, text.removeprefix(FENCER))
    if text.startswith(WHERE):
        return stage.cluster.witness.ran.get(stage.cluster.uuid(text.removeprefix(WHERE)))
    return text


def _fencer(stage: Stage, name: str) -> str | None:
    """Who holds this node's fence, until nothing is left to recover."""
    witness = stage.cluster.witness
    if name not in witness.nodes:
        return None
    life = witness.nodes[name].life
    done = life.fence is Fence.proven and not any(vm.life.owner == name for vm in witness.domains.values())
    return None if life.fence is Fence.none or done else life.by


# ---- machines


def _power_off(stage: Stage, said: Said) -> None:
    stage.cluster.power_off(said["node"])


def _power_on(stage: Stage, said: Said) -> None:
    stage.cluster.power_on(said["node"], said.get("boot_s"))


def _add(stage: Stage, said: Said) -> None:
    if said["node"] in stage.cluster.world.machines:
        stage.cluster.power_on(said["node"], said.get("boot_s"))  # listed already, and off perhaps
    else:
        stage.add_node(said["node"], said.get("memory_mib", 16384), said.get("boot_s", 25.0))


def _shut_down(stage: Stage, said: Said) -> None:
    stage.shut_down(said["node"], then_on=False)


def _reboot(stage: Stage, said: Said) -> None:
    stage.shut_down(said["node"], then_on=True)


def _cut(cut: bool) -> Callable[[Stage, Said], None]:
    return lambda stage, said: stage.cut(said["node"], cut)


def _cut_store(cut: bool) -> Callable[[Stage, Said], None]:
    return lambda stage, said: stage.cluster.cut_store(said["node"], cut)


def _cut_link(cut: bool) -> Callable[[Stage, Said], None]:
    return lambda stage, said: (stage.cluster.world.cut if cut else stage.cluster.world.heal)(said["node"], said["to"])


def _zookeeper(down: bool) -> Callable[[Stage, Said], None]:
    return lambda stage, said: stage.zookeeper(down)


def _fence(mood: Mood) -> Callable[[Stage, Said], None]:
    def act(stage: Stage, said: Said) -> None:
        stage.cluster.world.machines[said["node"]].bmc.mood = mood

    return act


def _bmc(stage: Stage, said: Said) -> None:
    stage.cluster.world.machines[said["node"]].bmc.mood = Mood(said["mood"])


def _libvirtd(what: str) -> Callable[[Stage, Said], None]:
    return lambda stage, said: getattr(stage.cluster.world.machines[said["node"]].libvirtd, what)()


# ---- daemons


def _daemon(what: str) -> Callable[[Stage, Said], None]:
    return lambda stage, said: getattr(stage.cluster, what)(said["node"])


def _process(what: str) -> Callable[[Stage, Said], None]:
    def act(stage: Stage, said: Said) -> None:
        daemon = stage.cluster.daemons.get(said["node"])
        if daemon is not None:
            getattr(daemon, what)()

    return act


def _fail(stage: Stage, said: Said) -> None:
    """Something that ZooKeeper's client calls in the daemon raises."""
    daemon = stage.cluster.daemons.get(said["node"])
    if daemon is not None and not (daemon.frozen or daemon.hung):
        daemon.fail("the ZooKeeper client cannot go on: a callback failed")


def _hang(stage: Stage, said: Said) -> None:
    """Something that ZooKeeper's client calls in the daemon does not return."""
    daemon = stage.cluster.daemons.get(said["node"])
    if daemon is not None:
        daemon.hang(said["for_s"])


def _reply_lost(stage: Stage, said: Said) -> None:
    """The reply to the daemon's next write is lost, and its connection with it, from then on for a while."""
    daemon = stage.cluster.daemons.get(said["node"])
    if daemon is not None and daemon.alive:
        daemon.lose_next_reply(said.get("applied", True), said.get("for_s", 2.0))


def _crash_at_order(stage: Stage, said: Said) -> None:
    """The daemon's next order is never given: it dies after the write."""
    daemon = stage.cluster.daemons.get(said["node"])
    if daemon is not None:
        daemon.fragile = True


# ---- guests


def _guest_dies(by_itself: bool) -> Callable[[Stage, Said], None]:
    def act(stage: Stage, said: Said) -> None:
        uuid = stage.cluster.uuid(said["vm"])
        node = stage.cluster.witness.ran.get(uuid)
        if node is not None:
            why = "it powered itself off" if by_itself else "its process died"
            stage.cluster.world.machines[node].libvirtd.dies(uuid, why, by_itself)

    return act


def _obeys(obeys: bool) -> Callable[[Stage, Said], None]:
    def act(stage: Stage, said: Said) -> None:
        stage.cluster.profile(said["vm"]).obeys = obeys

    return act


def _start_fail(stage: Stage, said: Said) -> None:
    stage.cluster.world.start_failures[stage.cluster.uuid(said["vm"]), said["node"]] = said["count"]


def _migrate_fail(stage: Stage, said: Said) -> None:
    stage.cluster.world.migration_failures[stage.cluster.uuid(said["vm"]), "*"] = said["count"]


# ---- commands of an admin


def _node_command(method: str) -> Verb:
    return Verb(("node",), lambda stage, said: getattr(stage.admin, method)(said["node"]), command=True)


def _vm_command(method: str, *may: str) -> Verb:
    return Verb(("vm",), lambda stage, said: getattr(stage.admin, method)(said["vm"], *(said.get(name) for name in may)), may, command=True)


def _define(stage: Stage, said: Said) -> None:
    if "xml" in said:
        stage.admin.define(said["xml"].encode(), said["home"])
    else:
        stage.define(said["vm"], said["home"], said)


def _policy(stage: Stage, said: Said) -> None:
    stage.admin.set_policy(said["vm"], **policy_of(said["policy"]))


def _hold(stage: Stage, said: Said) -> None:
    stage.admin.hold(said["on"])


def _resolve(stage: Stage, said: Said) -> None:
    stage.admin.resolve(said["vm"], said["keep"])


ONE_NODE, ONE_VM = ("node",), ("vm",)
GUEST = ("memory_mib", "migrate_s", "shutdown_s", "policy")
"""Fields of a VM that is defined in a step, besides its home."""

VERBS: dict[str, Verb] = {
    "power_on": Verb(ONE_NODE, _power_on, ("boot_s",)),
    "power_off": Verb(ONE_NODE, _power_off),
    "net_cut": Verb(ONE_NODE, _cut(True)),
    "net_heal": Verb(ONE_NODE, _cut(False)),
    "zk_down": Verb((), _zookeeper(True)),
    "zk_up": Verb((), _zookeeper(False)),
    "fence_fail": Verb(ONE_NODE, _fence(Mood.silent)),
    "fence_ok": Verb(ONE_NODE, _fence(Mood.works)),
    "daemon_stop": Verb(ONE_NODE, _daemon("stop_daemon")),
    "daemon_crash": Verb(ONE_NODE, _daemon("kill_daemon")),
    "daemon_start": Verb(ONE_NODE, _daemon("start_daemon")),
    "node_shutdown": Verb(ONE_NODE, _shut_down),
    "node_reboot": Verb(ONE_NODE, _reboot),
    "node_add": Verb(ONE_NODE, _add, ("memory_mib", "boot_s")),
    "node_flush": _node_command("flush"),
    "node_ready": _node_command("ready"),
    "vm_start": _vm_command("start", "to"),
    "vm_stop": _vm_command("stop"),
    "vm_shutdown": _vm_command("shutdown"),
    "vm_restart": _vm_command("restart"),
    "vm_disable": _vm_command("disable"),
    "vm_unmigrate": _vm_command("unmigrate"),
    "vm_undefine": _vm_command("undefine"),
    "vm_migrate": _vm_command("migrate", "to"),
    "vm_move": _vm_command("move", "to"),
    "vm_define": Verb(("vm", "home"), _define, (*GUEST, "xml"), command=True),
    "vm_crash": Verb(ONE_VM, _guest_dies(by_itself=False)),
    "shutdown_hang": Verb(ONE_VM, _obeys(False)),
    "start_fail": Verb(("vm", "node", "count"), _start_fail),
    "migrate_fail": Verb(("vm", "count"), _migrate_fail),
    # Our own.
    "zk_cut": Verb(ONE_NODE, _cut_store(True)),
    "zk_heal": Verb(ONE_NODE, _cut_store(False)),
    "link_cut": Verb(("node", "to"), _cut_link(True)),
    "link_heal": Verb(("node", "to"), _cut_link(False)),
    "reply_lost": Verb(ONE_NODE, _reply_lost, ("applied", "for_s")),
    "bmc": Verb(("node", "mood"), _bmc),
    "daemon_crash_at_order": Verb(ONE_NODE, _crash_at_order),
    "daemon_fail": Verb(ONE_NODE, _fail),
    "daemon_hang": Verb(("node", "for_s"), _hang),
    "daemon_freeze": Verb(ONE_NODE, _process("freeze")),
    "daemon_thaw": Verb(ONE_NODE, _process("thaw")),
    "libvirtd_kill": Verb(ONE_NODE, _libvirtd("kill")),
    "libvirtd_start": Verb(ONE_NODE, _libvirtd("start")),
    "libvirtd_freeze": Verb(ONE_NODE, _libvirtd("freeze")),
    "libvirtd_thaw": Verb(ONE_NODE, _libvirtd("thaw")),
    "vm_poweroff": Verb(ONE_VM, _guest_dies(by_itself=True)),
    "shutdown_heed": Verb(ONE_VM, _obeys(True)),
    "node_fence": _node_command("order_shot"),
    "node_remove": _node_command("remove_node"),
    "vm_enable": _vm_command("enable"),
    "vm_stay": _vm_command("stay"),
    "vm_cancel": _vm_command("cancel"),
    "vm_resolve": Verb(("vm", "keep"), _resolve, command=True),
    "vm_set": Verb(("vm", "policy"), _policy, command=True),
    "hold": Verb(("on",), _hold, command=True),
    "confirm_off": Verb(ONE_NODE, blows.confirm_off, command=True),
    "ambush": Verb(("vm", "moment", "side", "blow"), blows.ambush, ("for_s",)),
    "vm_by_hand": Verb(("vm", "node"), blows.by_hand, ("paused",)),
    "record_garbled": Verb(ONE_VM, blows.garble),
    "record_repaired": Verb(ONE_VM, blows.repair),
    "watches_lost": Verb(("node", "for_s"), blows.lose_watches),
    "zk_snapshot": Verb((), snapshots.take),
    "zk_restore": Verb((), snapshots.put_back),
    "state_file_removed": Verb(ONE_NODE, snapshots.forget),
    "clock_step": Verb(("node", "by_s"), blows.clock_step),
    "mend": Verb((), blows.mend),
    "rest": Verb((), blows.rest),
}
"""Every verb: those of the format first, then those that PVC adds."""
