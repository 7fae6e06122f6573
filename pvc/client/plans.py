"""What a command would do, without doing it: the steps, and everything that stands in their way."""

from collections.abc import Iterator

from pvc.client.cluster import Cluster
from pvc.client.deciding import Plan, plan
from pvc.client.room import Placed, leaving
from pvc.cluster.records import NodeOutline, NodeRecord, Unreadable
from pvc.core.brakes import unshootable
from pvc.fsm.fence import FENCE
from pvc.fsm.flush import FLUSH
from pvc.fsm.row import explain
from pvc.fsm.states import By, Want
from pvc.fsm.views import NodeView


def vm_plan(cluster: Cluster, name: str, trigger: str, target: str | None = None) -> Plan:
    """What this command on a VM would do now; raises NotFound for an unknown VM or node."""
    return plan(trigger, cluster.domain(name), cluster.snapshot(), target)


def node_plan(cluster: Cluster, name: str, trigger: str) -> Plan:
    """What flushing a node, or giving it back, would do now; a VM that cannot leave stands in the way of a flush."""
    node, snapshot = cluster.node(name), cluster.snapshot()
    if not isinstance(node.record, NodeRecord):
        return _unread(name, node.record)
    view = NodeView(node.record.life, name, alive=node.alive)
    reason = explain(FLUSH, node.record.life.flush, trigger, By.CLIENT, view).reason
    blockers = [reason] if reason else []
    if not node.alive and trigger == "flush":
        blockers.append("it does not answer, and only its own daemon can empty it")
    if trigger == "ready":
        away = sorted(one.name for one in snapshot.records() if one.life.home == name and one.life.owner not in (None, name))
        return Plan((f"{name}: it takes VMs again, and calls {', '.join(away) or 'no VM'} home",), tuple(blockers))
    if snapshot.config.value.hold.on:
        blockers.append("the cluster is held: pvc hold off")
    going = leaving(name, snapshot)
    steps = [f"{name}: no VM comes, and {len(going)} leave{'s' if len(going) == 1 else ''}"]
    steps += [_step(one) for one in going if not one.why]
    return Plan(tuple(steps), (*blockers, *(f"{one.name} cannot leave: {one.why}" for one in going if one.why)))


def _unread(name: str, record: NodeOutline | Unreadable) -> Plan:
    why = record if isinstance(record, Unreadable) else f"it is written in version {record.version} of its format"
    return Plan((), (f"{name}: {why}",))


def fence_plan(cluster: Cluster, name: str, trigger: str) -> Plan:
    """What a shot at a node that is ordered now (`order`), or the word that it is off (`confirm`), would do."""
    node = cluster.node(name)
    if not isinstance(node.record, NodeRecord):
        return _unread(name, node.record)
    reason = explain(FENCE, node.record.life.fence, trigger, By.CLIENT, NodeView(node.record.life, name, alive=node.alive)).reason
    brake = unshootable(node.record.fencing) if trigger == "order" else ""
    how = "it is shot, and recovered once its power reads off" if trigger == "order" else "it is taken for off, unseen, and recovered"
    return Plan((f"{name}: {how}", *recovered(cluster, name)), tuple(filter(None, (reason, brake))))


def recovered(cluster: Cluster, name: str) -> Iterator[str]:
    """What would become of the VMs that a node owns, were it proven off."""
    snapshot = cluster.snapshot()
    for record in sorted((one for one in snapshot.records() if one.life.owner == name), key=lambda one: one.name):
        others = [other for other in snapshot.ranking(record).fits if other != name]
        if record.life.want is not Want.start:
            yield f"{record.name}: wanted {record.life.want}"
        else:
            yield f"{record.name}: {f'started on {others[0]}' if others else 'no other node can take it now: it would wait'}"


def _step(one: Placed) -> str:
    return f"{one.name} ({one.memory_mib} MiB) to {one.target}, {one.how}" if one.target else f"{one.name}: {one.how}"
