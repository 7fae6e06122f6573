"""A node that is lost: why nobody shoots it, as far as the records tell, when it waits for a person, and when its VMs wait for room."""

from pvc.client.snapshot import NodeNow, Snapshot
from pvc.cluster.records import DomainRecord, NodeRecord
from pvc.core.brakes import another_shot, minority, unshootable
from pvc.core.settings import Settings
from pvc.fsm.fence import OPEN
from pvc.fsm.states import Daemon, Fence, Want

ENDED_BY_A_SHOT = (Fence.evidence, Fence.throws, Fence.failed)


def word_for(name: str) -> str:
    """How an operator says that this node is off."""
    return f'look, then pvc node fence {name} --confirm-off --reason "..."'


def waits_for_word(node: NodeNow) -> str:
    """Why nothing but an operator's word can prove that this node is off; empty where something else can, or nobody suspects it."""
    record = node.record
    suspected = isinstance(record, NodeRecord) and not node.alive and record.life.fence in OPEN
    return unshootable(record.fencing) if isinstance(record, NodeRecord) and suspected and not record.fencing.reset_s else ""


def not_shot(name: str, snapshot: Snapshot) -> str:
    """Why a node that is lost is not shot; empty where it is not lost, or where no record speaks against it."""
    node = snapshot.nodes[name]
    record = node.record
    if not isinstance(record, NodeRecord) or node.alive or record.life.fence not in ENDED_BY_A_SHOT:
        return ""
    return "it was stopped cleanly" if record.life.daemon is Daemon.stop else brake(name, snapshot)


def brake(name: str, snapshot: Snapshot) -> str:
    """Why nobody may shoot this node now; empty where no record speaks against it.

    A daemon may have reasons of its own: it was away itself a moment ago, or has never seen the node alive.
    """
    record, hold = snapshot.nodes[name].record, snapshot.config.value.hold
    if not isinstance(record, NodeRecord):
        return ""
    if record.life.ordered or unshootable(record.fencing):
        return unshootable(record.fencing)
    if hold.on:
        return f"{hold.by} holds the cluster: {hold.why or 'no reason given'}"
    if not concerns(name, snapshot):
        return f"no VM names {name}: there is nothing to recover"
    facts = snapshot.facts()
    return minority(facts) or another_shot(facts, name, Settings().parallel_shots)


def concerns(name: str, snapshot: Snapshot) -> bool:
    """Whether a VM's record names this node as its owner or target; one that cannot be read might."""
    seen = (one.value for one in snapshot.domains.values())
    return any(not isinstance(vm, DomainRecord) or name in (vm.life.owner, vm.life.target) for vm in seen)


def waits_for_room(vm: DomainRecord, snapshot: Snapshot) -> bool:
    """Whether this VM is to be started elsewhere, because its node is proven off, and no node can take it."""
    facts = snapshot.facts().get(str(vm.life.owner))
    off = facts is not None and facts.life.daemon is Daemon.fenced
    return off and vm.life.want is Want.start and not snapshot.ranking(vm).fits
