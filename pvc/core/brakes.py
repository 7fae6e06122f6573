"""Why nobody may be shot now, as far as the records tell: the same for the daemon that would shoot and for whoever asks why it does not.

Brakes concern shots, never readings: a node that reads off is recovered, however many there are.
"""

from pvc.cluster.records import Fencing
from pvc.core.facts import Nodes
from pvc.fsm.states import Fence
from pvc.fsm.views import Node


def unshootable(fencing: Fencing) -> str:
    """Why a node has no device to be shot with; empty when it has one."""
    if fencing.works:
        return ""
    if fencing.reset_s:
        return f"its watchdog resets it, {fencing.reset_s} s after its proof of life is gone"
    none = f"it has no fence device (fence_method = {fencing.method})"
    return f"{f'its fence device is not believed: {fencing.fault}' if fencing.fault else none}; only an operator can tell that it is off"


def minority(nodes: Nodes) -> str:
    """A shot needs a strict majority of the nodes that are not proven to be off: half of them cut off is a network fault (H60)."""
    unproven = [facts for facts in nodes.values() if facts.life.fence is not Fence.proven]
    alive = sum(facts.alive for facts in unproven)
    if 2 * alive > len(unproven):
        return ""
    return f"only {alive} of {len(unproven)} nodes answer: this may be a network fault, and a shot needs a majority"


def just_regained(settling: bool) -> str:
    """What was cut off together comes back one by one: the first must not make the majority that shoots the rest (H60)."""
    return "a majority answers again since a moment ago: others may be on their way back" if settling else ""


def another_shot(nodes: Nodes, victim: Node, most: int) -> str:
    """No more than so many shots are in flight at a time: what looks like many dead nodes is more often something else."""
    shot = sorted(name for name, facts in nodes.items() if name != victim and facts.life.fence is Fence.shot)
    return f"{', '.join(shot)} is being shot, and no more than {most} at a time" if len(shot) >= most else ""
