"""A live cluster as the beginning of a scenario: its nodes and VMs as a client has just read them.

What is on its way is taken as done: a guest that moves is where its owner is, one that waits for its place starts where it is wanted.
How long things take is no part of a record; a live migration is assumed to copy memory at a steady pace.
"""

from typing import Any

from pvc.client.snapshot import NodeNow, Snapshot
from pvc.cluster.records import DomainRecord, FenceMethod, NodeRecord, Policy
from pvc.fsm.states import Daemon, Domain, Flush, Want
from pvc.sim.figures import SYSTEM_MIB
from pvc.sim.kinds import Said
from pvc.sim.policy_fields import FIELDS
from pvc.sim.world import COPY_MIB_PER_S

DESIRED = {Domain.stop: "stop", Domain.disable: "disable", Domain.failed: "failed"}


def recorded(snapshot: Snapshot, at: str) -> Said:
    """The scenario in which nothing happens; ``at`` says when the snapshot was taken."""
    records = sorted(snapshot.records(), key=lambda record: record.name)
    nodes = [_node(node, records) for _, node in sorted(snapshot.nodes.items()) if isinstance(node.record, NodeRecord)]
    names = {node["name"] for node in nodes}
    known = [node.record for node in snapshot.nodes.values() if isinstance(node.record, NodeRecord)]
    leaving = [record.name for record in known if record.life.flush is Flush.flush]
    unread = sorted(set(snapshot.domains) - {record.uuid for record in records})
    left_out = f" {len(unread)} VMs whose records cannot be read are left out: {', '.join(unread)}." if unread else ""
    return {
        "name": snapshot.config.value.name,
        "area": "recorded",
        "notes": f"The cluster {snapshot.config.value.name} at {at}.{left_out}",
        "nodes": nodes,
        "vms": [_vm(record, names) for record in records],
        "zk": "external",
        "steps": [{"at": 0.0, "do": "node_flush", "node": name} for name in leaving],
        "end": 60.0,
        "expect_always": ["no VM runs on two nodes"],
    }


def _node(node: NodeNow, records: list[DomainRecord]) -> Said:
    """A node; what it has for guests is what is free now and what they take."""
    record = node.record
    assert isinstance(record, NodeRecord)
    taken = sum(vm.memory_mib for vm in records if _place(vm) == node.name)
    said: Said = {"name": node.name}
    if node.stats is not None:
        said["memory_mib"] = node.stats.memory_free_mib + taken
    elif record.machine.memory_mib:
        said["memory_mib"] = max(taken, record.machine.memory_mib - SYSTEM_MIB)
    if not node.alive or record.life.daemon is not Daemon.run:
        said["power"] = "off"
    if record.life.flush is Flush.flushed:
        said["flushed"] = True
    if record.fencing.method is FenceMethod.none:
        said["bmc"] = "silent"
    return said


def _place(record: DomainRecord) -> str | None:
    """Where its guest is, or is about to be."""
    life = record.life
    return life.owner or (life.target if life.state is Domain.place else None)


def _vm(record: DomainRecord, nodes: set[str]) -> Said:
    life, place = record.life, _place(record)
    home = str(life.home) if life.home in nodes else min(nodes)
    said: Said = {"name": record.name, "home": home, "desired": DESIRED.get(life.state, "start" if life.want is Want.start else "stop")}
    if said["desired"] == "start" and place not in (None, home):
        said["on"] = place
    said |= {"memory_mib": record.memory_mib, "migrate_s": round(record.memory_mib / COPY_MIB_PER_S, 1)}
    policy = _policy(record.policy, nodes)
    return said | ({"policy": policy} if policy else {})


def _policy(policy: Policy, nodes: set[str]) -> dict[str, Any]:
    """What differs from the usual, which is what a scenario file assumes."""
    usual, said = Policy(), {name: getattr(policy, name) for name in FIELDS}
    said["nodes"] = tuple(name for name in policy.nodes if name in nodes)
    kept = {name: value for name, value in said.items() if value != getattr(usual, name)}
    plain = {tuple: list, int: int}
    return {name: plain.get(type(value), str)(value) for name, value in kept.items()}
