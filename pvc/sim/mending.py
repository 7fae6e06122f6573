"""The end of bad weather: everything is mended, and an operator does what operators do until all is at rest.

What faults and other people left behind is put right once; what PVC leaves to people, such as a node that was shot, is looked after again
and again.
"""

from contextlib import suppress

from pvc.cluster import znodes
from pvc.cluster.formats import decode_history
from pvc.cluster.records import DomainRecord, History
from pvc.cluster.store import StoreError
from pvc.errors import PvcError
from pvc.fsm.states import Domain, Flush, Want
from pvc.sim.cluster import SimCluster
from pvc.sim.figures import SYSTEM_MIB
from pvc.sim.machine import Mood

ATTEND_S = 5.0
"""How often the operator looks."""


def mend(cluster: SimCluster) -> None:
    """Every fault is over, and every machine switched on; from now on an operator attends."""
    world = cluster.world
    for kept in (world.start_failures, world.migration_failures, world.ambushes):
        kept.clear()
    for profile in world.profiles.values():
        profile.obeys = True
    cluster.ensemble_down(down=False)
    for name, machine in world.machines.items():
        cluster.units[name].forget()
        machine.bmc.mood = Mood.works
        machine.libvirtd.thaw()
        machine.libvirtd.start()
        machine.power_on()
        _revive(cluster, name)
    world.clock.every(ATTEND_S, "an operator looks", lambda: attend(cluster))


def _revive(cluster: SimCluster, name: str) -> None:
    cluster.cut_host(name, cut=False)  # also where a reply was lost only now
    daemon = cluster.daemons.get(name)
    if daemon is not None:
        daemon.fragile = daemon.hung = daemon.store.deaf = False
        daemon.thaw()
    cluster.start_daemon(name)


def attend(cluster: SimCluster) -> None:
    """Switch on what was shot, start what stopped, give back what was flushed, end the hold, and resolve conflicts."""
    for name, machine in cluster.world.machines.items():
        machine.power_on()
        _revive(cluster, name)
        record = cluster.witness.nodes.get(name)
        if record is not None and record.life.flush in (Flush.flush, Flush.flushed):
            with suppress(PvcError, StoreError):
                cluster.admin.ready(name)
    for vm in list(cluster.witness.domains.values()):
        if vm.life.state is Domain.conflict:
            with suppress(PvcError, StoreError):
                cluster.admin.resolve(vm.name, keep=False)
    with suppress(PvcError, StoreError):
        cluster.admin.hold(False)


def restless(cluster: SimCluster) -> list[str]:
    """What is not at rest, or rests in a state that nobody wants.

    A VM that used up its restarts has failed rightly, one that powered itself off may have stayed so by its policy, and one waits where no
    node that its policy allows has room.
    """
    placed = (record for record in cluster.witness.domains.values() if record.life.state is Domain.place)
    waiting = [record.name for record in placed if not _has_room(cluster, record)]
    wrong = [what for what in cluster.settled() if what.partition(" is ")[0] not in waiting]
    wrong += [f"{name} is {node.life.flush}" for name, node in cluster.witness.nodes.items() if node.life.flush is not Flush.ready]
    for record in cluster.witness.domains.values():
        state, up = record.life.state, record.life.want is Want.start
        stays = up and state is Domain.stop and _powered_itself_off(cluster, record)
        if (state is Domain.start) is not up and state is not Domain.failed and not stays and record.name not in waiting:
            wrong.append(f"{record.name} is {record.life.state} and wanted {record.life.want}")
    return wrong


def _powered_itself_off(cluster: SimCluster, record: DomainRecord) -> bool:
    """Whether it stopped so, when its policy was to stay off then; an admin may have set another one since."""
    path = znodes.history(record.uuid)
    znode = cluster.ensemble.read(path)
    history = None if znode is None else decode_history(path, znode.data)
    moved = [one for one in history.entries if one.machine == "domain" and one.source != one.dest] if isinstance(history, History) else []
    return bool(moved) and moved[-1].trigger == "ended"


def _has_room(cluster: SimCluster, record: DomainRecord) -> bool:
    allowed = [machine for name, machine in cluster.world.machines.items() if not record.policy.nodes or name in record.policy.nodes]
    return any(machine.memory_mib - SYSTEM_MIB - machine.memory_used_mib >= record.memory_mib for machine in allowed)
