"""What else may happen in a scenario: blows at a moment too short to hit, people who work past PVC, and the end of it all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pvc.cluster import znodes
from pvc.cluster.store import Set, StoreError
from pvc.fsm.states import Guest
from pvc.sim import mending
from pvc.sim.migration import Migration, Moment

if TYPE_CHECKING:
    from pvc.sim.cluster import SimCluster
    from pvc.sim.libvirtd import Libvirtd
    from pvc.sim.stage import Stage

Said = Mapping[str, Any]

BLOWS: Mapping[str, Callable[[SimCluster, Libvirtd, str], None]] = {
    "libvirtd_kill": lambda cluster, side, uuid: side.kill(),
    "libvirtd_freeze": lambda cluster, side, uuid: side.freeze(),
    "power_off": lambda cluster, side, uuid: side.machine.power_off(),
    "daemon_crash": lambda cluster, side, uuid: cluster.kill_daemon(side.machine.name),
    "net_cut": lambda cluster, side, uuid: cluster.cut_host(side.machine.name),
    "vm_crash": lambda cluster, side, uuid: side.dies(uuid),
}
SIDES = ("source", "target")
MOMENTS = (Moment.switching.value, Moment.arrived.value)


def ambush(stage: Stage, said: Said) -> None:
    """Something strikes the VM's next migration at its switchover or its arrival, on one side; after a while that side recovers."""
    cluster, uuid, moment = stage.cluster, stage.cluster.uuid(said["vm"]), Moment(said["moment"])

    def strike(migration: Migration) -> bool:
        if migration.uuid != uuid or migration.moment is not moment:
            return False
        side = migration.source if said["side"] == "source" else migration.target
        name = side.machine.name
        BLOWS[said["blow"]](cluster, side, uuid)
        cluster.world.clock.after(said.get("for_s", 5.0), f"{name} recovers", lambda: _recover(cluster, name))
        return True

    cluster.world.ambushes.append(strike)


def _recover(cluster: SimCluster, name: str) -> None:
    cluster.cut_host(name, cut=False)
    libvirtd = cluster.world.machines[name].libvirtd
    libvirtd.thaw()
    libvirtd.start()
    cluster.start_daemon(name)


def by_hand(stage: Stage, said: Said) -> None:
    """Somebody starts the VM's guest with virsh on a node that does not own it: two copies may be the consequence, and are theirs."""
    cluster, uuid, node = stage.cluster, stage.cluster.uuid(said["vm"]), said["node"]
    libvirtd, record = cluster.world.machines[node].libvirtd, cluster.witness.domains.get(uuid)
    free = libvirtd.guest(uuid) is Guest.absent and uuid not in libvirtd.work
    if libvirtd.answers and free and record is not None and node not in (record.life.owner, record.life.target):
        cluster.world.by_hand.add((node, uuid))
        libvirtd.become(uuid, Guest.paused if said.get("paused") else Guest.running, "somebody started it by hand")


def confirm_off(stage: Stage, said: Said) -> None:
    """An operator looks at a node, and gives their word when it is off."""
    if not stage.cluster.world.machines[said["node"]].on:
        stage.admin.confirm_off(said["node"], "an operator looked")


def garble(stage: Stage, said: Said) -> None:
    """Another program, or a hand, writes over a VM's record what is none."""
    store, path = stage.admin.store, znodes.domain(stage.cluster.uuid(said["vm"]))
    znode = store.read(path)
    if znode is not None and path not in stage.garbled:
        store.multi([Set(path, b'{"v": 1, "state": "start"', znode.version)])
        stage.garbled[path] = znode.data


def repair(stage: Stage, said: Said) -> None:
    """An admin writes the record as it was."""
    _repair(stage, znodes.domain(stage.cluster.uuid(said["vm"])))


def _repair(stage: Stage, path: str) -> None:
    znode = stage.admin.store.read(path)
    if znode is not None and path in stage.garbled:
        stage.admin.store.multi([Set(path, stage.garbled[path], znode.version)])
    stage.garbled.pop(path, None)


def _repair_all(stage: Stage) -> None:
    with suppress(StoreError):
        for path in list(stage.garbled):
            _repair(stage, path)


def lose_watches(stage: Stage, said: Said) -> None:
    """For a while a daemon hears of nothing that it watches, and nothing tells it so."""
    daemon = stage.cluster.daemons.get(said["node"])
    if daemon is not None:
        store = daemon.store
        store.deaf = True

        def over() -> None:
            store.deaf = False

        stage.cluster.world.clock.after(said["for_s"], f"{said['node']} hears of its watches", over)


def clock_step(stage: Stage, said: Said) -> None:
    """A node's wall clock is set."""
    clocks = stage.cluster.clocks
    clocks[said["node"]] = clocks.get(said["node"], 0.0) + said["by_s"]


def mend(stage: Stage, said: Said) -> None:
    """Every fault is over, every machine is on, and an operator looks after the rest."""
    stage.down = False
    stage.cut_nodes.clear()
    mending.mend(stage.cluster)
    stage.cluster.world.clock.every(mending.ATTEND_S, "an operator repairs", lambda: _repair_all(stage))


def rest(stage: Stage, said: Said) -> None:
    """By now everything has to be at rest, as it is wanted."""
    stage.cluster.witness.wrong += [f"not at rest: {what}" for what in mending.restless(stage.cluster)]
