"""ZooKeeper's data is copied, and put back later: by a backup, or by servers that come up with an old disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pvc.cluster import znodes
from pvc.cluster.formats import decode_domain, decode_node
from pvc.cluster.records import DomainRecord, NodeRecord
from pvc.errors import PvcError

if TYPE_CHECKING:
    from pvc.sim.stage import Stage
    from pvc.sim.witness import Witness

Said = Mapping[str, Any]


def take(stage: Stage, said: Said) -> None:
    """Somebody copies all that ZooKeeper holds."""
    stage.snapshot = stage.cluster.ensemble.snapshot()


def put_back(stage: Stage, said: Said) -> None:
    """All servers are stopped, and come up with the last copy."""
    if stage.snapshot is None:
        raise PvcError("nobody has copied anything", "zk_snapshot")
    ensemble, witness = stage.cluster.ensemble, stage.cluster.witness
    before = {**{("node", name): str(node.life.daemon) for name, node in witness.nodes.items()}, **_vms(witness)}
    ensemble.restore(stage.snapshot)
    nodes = (decode_node(name, _data(stage, znodes.node(name))) for name in ensemble.children(znodes.NODES) or ())
    domains = (decode_domain(uuid, _data(stage, znodes.domain(uuid))) for uuid in ensemble.children(znodes.DOMAINS) or ())
    witness.nodes = {node.name: node for node in nodes if isinstance(node, NodeRecord)}
    witness.domains = {domain.uuid: domain for domain in domains if isinstance(domain, DomainRecord)}
    for name, node in witness.nodes.items():
        _tell(witness, "node", name, before.pop(("node", name), ""), str(node.life.daemon), node.life)
    for vm in witness.domains.values():
        _tell(witness, "vm", vm.name, before.pop(("vm", vm.name), ""), str(vm.life.state), vm.life)
    for (kind, name), state in before.items():
        _tell(witness, kind, name, state, "", None)


def forget(stage: Stage, said: Said) -> None:
    """Somebody removes a node's state file, and starts its daemon again."""
    stage.cluster.units[said["node"]].forget()
    stage.cluster.start_daemon(said["node"])


def _data(stage: Stage, path: str) -> bytes:
    znode = stage.cluster.ensemble.read(path)
    assert znode is not None
    return znode.data


def _vms(witness: Witness) -> dict[tuple[str, str], str]:
    return {("vm", vm.name): str(vm.life.state) for vm in witness.domains.values()}


def _tell(witness: Witness, kind: str, name: str, source: str, dest: str, life: Any) -> None:
    """How a record is now, without anybody having written it."""
    said = {"kind": kind, "name": name, "from": source, "to": dest, "trigger": "", "by": ""}
    witness.note("record", f"{name} is {dest or 'gone'}, as it was", **said, fields=life, initial=True)
