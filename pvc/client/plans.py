"""What a command would do, without doing it: the steps, and everything that stands in their way."""

from pvc.client.cluster import Cluster
from pvc.client.deciding import Plan, plan
from pvc.client.room import Placed, leaving
from pvc.cluster.records import NodeRecord, Unreadable
from pvc.fsm.flush import FLUSH
from pvc.fsm.row import explain
from pvc.fsm.states import By
from pvc.fsm.views import NodeView


def vm_plan(cluster: Cluster, name: str, trigger: str, target: str | None = None) -> Plan:
    """What this command on a VM would do now; raises NotFound for an unknown VM or node."""
    return plan(trigger, cluster.domain(name), cluster.snapshot(), target)


def node_plan(cluster: Cluster, name: str, trigger: str) -> Plan:
    """What flushing a node, or giving it back, would do now; a VM that cannot leave stands in the way of a flush."""
    node, snapshot = cluster.node(name), cluster.snapshot()
    if not isinstance(node.record, NodeRecord):
        why = node.record if isinstance(node.record, Unreadable) else f"it is written in version {node.record.version} of its format"
        return Plan((), (f"{name}: {why}",))
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


def _step(one: Placed) -> str:
    return f"{one.name} ({one.memory_mib} MiB) to {one.target}, {one.how}" if one.target else f"{one.name}: {one.how}"
