"""What must be so at one instant, as scenario files say it, held against what is so.

In the words of the specification: a node whose death is declared or proven is ``dead``, however far its fence has come; a VM that is
undefined is ``absent``. PVC's own, finer words may be expected as well.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pvc.errors import unknown
from pvc.fsm.states import Daemon, Domain, Flush
from pvc.fsm.views import Life, NodeLife
from pvc.sim.cluster import SimCluster
from pvc.sim.trace import recorded_node

ABSENT = "absent"
NOWHERE = frozenset({"stop", "disable", "failed", ABSENT})
"""States of a VM in which its guest must run nowhere."""
DEAD = frozenset({Daemon.dead, Daemon.fencing, Daemon.fenced, Daemon.unfenced})

NODE_FIELDS = ("daemon", "domain")
VM_FIELDS = ("state", "node", "running_on", "home")
WORDS = {
    "daemon": (*map(str, Daemon), ABSENT),
    "domain": tuple(map(str, Flush)),
    "state": (*map(str, Domain), "unmigrate", ABSENT),
}
"""The words that a field may have, among them one of PVC 0.1 that no VM is in any more; all other fields name nodes."""

Facts = Mapping[str, tuple[str | None, ...]]
"""The fields of one node or VM, each with the words that are true of it."""
NODE_GONE: Facts = {"daemon": (ABSENT,), "domain": (None,)}
VM_GONE: Facts = {"state": (ABSENT,), "node": (None,), "home": (None,), "running_on": (None,)}


def now(cluster: SimCluster) -> dict[str, dict[str, Facts]]:
    """How a cluster is, in the words of expectations."""
    witness = cluster.witness
    nodes = {name: _node_facts(node.life) for name, node in witness.nodes.items()}
    return {"nodes": nodes, "vms": {vm.name: _vm_facts(vm.life, witness.ran.get(uuid)) for uuid, vm in witness.domains.items()}}


def _node_facts(life: NodeLife) -> Facts:
    daemon = str(life.daemon)
    return {"daemon": ("dead", daemon) if life.daemon in DEAD else (daemon,), "domain": (str(life.flush),)}


def _vm_facts(life: Life, runs: str | None) -> Facts:
    return {"state": (str(life.state),), "node": (recorded_node(life),), "home": (life.home,), "running_on": (runs,)}


def wrong(expected: Mapping[str, Any], found: Mapping[str, Mapping[str, Facts]]) -> list[str]:
    """What is not as expected, one sentence each."""
    return [
        *_any(expected, lambda one: wrong(one, found)),
        *_each(expected.get("nodes", {}), found["nodes"], NODE_GONE, _node_wrong),
        *_each(expected.get("vms", {}), found["vms"], VM_GONE, _vm_wrong),
    ]


def _any(expected: Mapping[str, Any], judge: Any) -> list[str]:
    """The alternatives of this part: none where one of them holds as a whole."""
    alternatives = [judge(one) for one in expected.get("any_of", ())]
    if not alternatives or not all(alternatives):
        return []
    told = "; ".join(f"({number}) {', '.join(one)}" for number, one in enumerate(alternatives, 1))
    return [f"none of {len(alternatives)} alternatives holds: {told}"]


def _each(expected: Mapping[str, Any], found: Mapping[str, Facts], gone: Facts, judge: Any) -> list[str]:
    said = _any(expected, lambda one: _each(one, found, gone, judge))
    for name, wanted in expected.items():
        if name != "any_of":
            said += judge(name, wanted, found.get(name, gone))
    return said


def _node_wrong(name: str, wanted: Mapping[str, Any], facts: Facts) -> list[str]:
    said = _any(wanted, lambda one: _node_wrong(name, one, facts))
    return said + [wrong for field in NODE_FIELDS if field in wanted for wrong in _field_wrong(name, field, wanted[field], facts)]


def _vm_wrong(name: str, wanted: Mapping[str, Any], facts: Facts) -> list[str]:
    said = _any(wanted, lambda one: _vm_wrong(name, one, facts))
    said += [wrong for field in VM_FIELDS if field in wanted for wrong in _field_wrong(name, field, wanted[field], facts)]
    state, runs = facts["state"][0], facts["running_on"][0]
    if said or "state" not in wanted:
        return said
    if state == "start" and runs != facts["node"][0]:
        return [f"{name} is start on {facts['node'][0]} by its record, and runs {_on(runs)}"]
    return [f"{name} is {state}, and runs on {runs}"] if state in NOWHERE and runs is not None else []


def _on(node: str | None) -> str:
    return "nowhere" if node is None else f"on {node}"


def _field_wrong(name: str, field: str, wanted: Any, facts: Facts) -> Iterable[str]:
    allowed = wanted if isinstance(wanted, list) else [wanted]
    if not set(allowed) & set(facts[field]):
        yield f"{name}: {field} is {_shown(facts[field][-1])}, expected {' or '.join(map(_shown, allowed))}"


def _shown(word: str | None) -> str:
    return "none" if word is None else word


# ---- reading


def problems(expected: Any, where: str, nodes: Iterable[str], vms: Iterable[str]) -> Iterable[str]:
    """Everything that is wrong with an expectation, as a file has it."""
    if not isinstance(expected, dict):
        yield f"{where} is no object"
        return
    for key, part in expected.items():
        if key == "any_of":
            yield from _alternatives(part, where, lambda one, at: problems(one, at, nodes, vms))
        elif key == "nodes":
            yield from _part(part, f"{where}.nodes", "node", nodes, NODE_FIELDS, nodes)
        elif key == "vms":
            yield from _part(part, f"{where}.vms", "VM", vms, VM_FIELDS, nodes)
        else:
            yield f"{where}: {unknown('field', key, ('nodes', 'vms', 'any_of'))}"


def _alternatives(part: Any, where: str, judge: Any) -> Iterable[str]:
    if not isinstance(part, list) or not part:
        yield f"{where}.any_of is no list of alternatives"
        return
    for number, one in enumerate(part, 1):
        yield from judge(one, f"{where}.any_of {number}")


def _part(part: Any, where: str, kind: str, names: Iterable[str], fields: Iterable[str], nodes: Iterable[str]) -> Iterable[str]:
    if not isinstance(part, dict):
        yield f"{where} is no object"
        return
    for name, wanted in part.items():
        if name == "any_of":
            yield from _alternatives(wanted, where, lambda one, at: _part(one, at, kind, names, fields, nodes))
        elif name not in names:
            yield f"{where}: {unknown(kind, name, names)}"
        else:
            yield from _fields(wanted, f"{where}.{name}", fields, nodes)


def _fields(wanted: Any, where: str, fields: Iterable[str], nodes: Iterable[str]) -> Iterable[str]:
    if not isinstance(wanted, dict):
        yield f"{where} is no object"
        return
    for field, value in wanted.items():
        if field == "any_of":
            yield from _alternatives(value, where, lambda one, at: _fields(one, at, fields, nodes))
        elif field not in fields:
            yield f"{where}: {unknown('field', field, fields)}"
        else:
            yield from _values(value, f"{where}.{field}", WORDS.get(field), nodes)


def _values(value: Any, where: str, words: Iterable[str] | None, nodes: Iterable[str]) -> Iterable[str]:
    if value == []:
        yield f"{where} is an empty list: nothing could be any of these"
    for one in value if isinstance(value, list) else [value]:
        if one is None and words is None:
            continue
        if not isinstance(one, str):
            yield f"{where}: {one!r} is no word"
        elif words is not None and one not in words:
            yield f"{where}: {unknown('state', one, words)}"
        elif words is None and one not in nodes:
            yield f"{where}: {unknown('node', one, nodes)}"
