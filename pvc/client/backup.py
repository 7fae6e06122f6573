"""A cluster's wishes and definitions as one JSON document, and their way back: what is wanted and configured, never what is.

Owners, operations and fences are left out on purpose: they are true at one moment alone, and a restored one would be a lie about who runs
a guest. So everything comes back switched off, into a cluster in which nothing runs.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from pvc.client.cluster import Cluster
from pvc.client.snapshot import Snapshot, Vm
from pvc.cluster import znodes
from pvc.cluster.codec import Bad
from pvc.cluster.domain_xml import check_domain_xml
from pvc.cluster.names import is_name, is_uuid
from pvc.cluster.records import DomainOutline, DomainRecord, NodeRecord, Policy
from pvc.cluster.schemas import POLICY
from pvc.errors import PvcError, Refused
from pvc.fsm.domain import OWNED
from pvc.fsm.states import Flush, Want

VERSION = 1
KIND = "pvc backup"


@dataclass(frozen=True, slots=True)
class SavedVm:
    """A VM as it was wanted."""

    uuid: str
    name: str
    home: str
    want: str
    policy: Policy
    xml: bytes


@dataclass(frozen=True, slots=True)
class Backup:
    """What a document holds: the cluster's settings, its VMs, and the nodes that were to take none."""

    cluster: str
    defaults: Policy
    locks: tuple[str, ...]
    vms: tuple[SavedVm, ...]
    flushed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Restoring:
    """What a restore would do, in words, and what stands in its way."""

    steps: tuple[str, ...]
    blockers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """A backup as it is written: the document, how many VMs it holds, and those that it does not, with the reason."""

    text: str
    vms: int
    left_out: Mapping[str, str]


def saved(cluster: Cluster) -> Saved:
    """Everything that can be read, and could be restored."""
    snapshot = cluster.snapshot()
    left_out = dict(_unread(uuid, seen.value) for uuid, seen in snapshot.domains.items() if not isinstance(seen.value, DomainRecord))
    records = sorted(snapshot.records(), key=lambda one: one.name)
    xml = cluster.store.read_many([znodes.xml(record.uuid) for record in records])
    vms: list[dict[str, Any]] = []
    for record, znode in zip(records, xml.values(), strict=True):
        problems = [f"{znodes.xml(record.uuid)} is missing"]
        if znode is not None:
            vm, problems = _saved_vm(record, znode.data), []
            if _parsed_vm(len(vms), vm, problems) is not None:
                vms.append(vm)
        if problems:
            left_out[record.name] = problems[0].removeprefix(f"VM {len(vms) + 1} ({record.name}): ")
    text = _document(snapshot, vms)
    parsed(text)  # what cannot be restored is no backup
    return Saved(text, len(vms), left_out)


def _document(snapshot: Snapshot, vms: list[dict[str, Any]]) -> str:
    config = snapshot.config.value
    flushed = [node.name for node in snapshot.nodes.values() if isinstance(node.record, NodeRecord) and _is_flushed(node.record)]
    document = {
        "kind": KIND,
        "version": VERSION,
        "cluster": {"name": config.name, "id": config.id, "defaults": POLICY.write(asdict(config.defaults)), "locks": list(config.locks)},
        "flushed": sorted(flushed),
        "vms": vms,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _unread(uuid: str, vm: Vm) -> tuple[str, str]:
    """The name of a VM whose record says too little, as far as it is known, and what is the matter with it."""
    if isinstance(vm, DomainOutline):
        return vm.name, f"its record is of version {vm.version}, which this pvc does not know"
    return uuid, str(vm)


def _is_flushed(record: NodeRecord) -> bool:
    return record.life.flush in (Flush.flush, Flush.flushed)


def _saved_vm(record: DomainRecord, xml: bytes) -> dict[str, Any]:
    try:
        told = {"xml": xml.decode("utf-8")}
    except UnicodeDecodeError:  # another encoding, as its declaration says
        told = {"xml_base64": base64.b64encode(xml).decode("ascii")}
    life, policy = record.life, POLICY.write(asdict(record.policy))
    return {"uuid": record.uuid, "name": record.name, "home": life.home, "want": str(life.want), "policy": policy, **told}


def parsed(text: str | bytes) -> Backup:
    """The document; raises PvcError with everything that is wrong in it."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PvcError(f"this is no backup: {error}", "pvc cluster backup FILE makes one") from error
    if not isinstance(value, dict) or value.get("kind") != KIND:
        raise PvcError("this is no backup of PVC", "pvc cluster backup FILE makes one")
    if value.get("version") != VERSION:
        raise PvcError(f"the backup is of version {value.get('version')}, which this pvc does not know", "use the pvc that made it")
    cluster, vms, flushed = value.get("cluster", {}), value.get("vms", []), value.get("flushed", [])
    locks = cluster.get("locks", []) if isinstance(cluster, dict) else []
    shapes = {"cluster": (cluster, dict), "locks": (locks, list), "vms": (vms, list), "flushed": (flushed, list)}
    problems = [f"{name} is of another kind" for name, (one, kind) in shapes.items() if not isinstance(one, kind)]
    if not problems:
        found = [_parsed_vm(number, one, problems) for number, one in enumerate(vms)]
        defaults = _defaults(cluster, problems)
    if problems:
        raise PvcError(f"the backup cannot be used: {'; '.join(problems)}", "correct the file, or take another")
    kept = tuple(filter(is_name, map(str, flushed)))
    return Backup(str(cluster.get("name", "")), defaults, tuple(map(str, locks)), tuple(vm for vm in found if vm is not None), kept)


def _defaults(cluster: Mapping[str, Any], problems: list[str]) -> Policy:
    try:
        return Policy(**POLICY.read(cluster.get("defaults", {}), "defaults"))
    except Bad as bad:
        problems.append(str(bad))
        return Policy()


def _parsed_vm(number: int, value: Any, problems: list[str]) -> SavedVm | None:
    try:
        uuid, name, home, want = (str(value[key]) for key in ("uuid", "name", "home", "want"))
        xml = value["xml"].encode() if "xml" in value else base64.b64decode(value["xml_base64"])
        if not (is_uuid(uuid) and is_name(name) and is_name(home)):
            raise Bad("", "its name, UUID or home is none")
        facts = check_domain_xml(xml)
        if (facts.name, facts.uuid) != (name, uuid):
            raise Bad("", f"its XML is that of {facts.name}, {facts.uuid}")
        return SavedVm(uuid, name, home, str(Want(want)), Policy(**POLICY.read(value.get("policy", {}), "policy")), xml)
    except (KeyError, TypeError, AttributeError, ValueError, PvcError) as error:
        problems.append(f"VM {number + 1} ({value.get('name', '?') if isinstance(value, Mapping) else '?'}): {error}")
        return None


def restoring(cluster: Cluster, backup: Backup) -> Restoring:
    """What restoring would do now, and all that stands in its way."""
    snapshot = cluster.snapshot()
    running = sorted(record.name for record in snapshot.records() if record.life.state in OWNED)
    quiet = "a backup is restored into a cluster that is empty, or in which nothing runs"
    blockers = [f"{', '.join(running)} may run: {quiet}"] if running else []
    unread = [uuid for uuid, seen in snapshot.domains.items() if not isinstance(seen.value, DomainRecord)]
    blockers += [f"{uuid}: its record cannot be read" for uuid in unread]
    blockers += [] if snapshot.nodes else ["no node has joined this cluster yet, so a VM cannot belong anywhere: start pvcd on a node"]
    present = {record.uuid: record for record in snapshot.records()}
    names = {record.name: record.uuid for record in snapshot.records()}
    steps = _settings(snapshot, backup)
    for vm in backup.vms:
        if names.get(vm.name, vm.uuid) != vm.uuid:
            blockers.append(f"{vm.name}: another VM has this name, {names[vm.name]}")
        if vm.uuid in present and present[vm.uuid].name != vm.name:
            blockers.append(f"{vm.name}: its UUID belongs to {present[vm.uuid].name}")
        unknown = [node for node in vm.policy.nodes if node not in snapshot.nodes]
        blockers += [f"{vm.name}: its policy names {', '.join(unknown)}, which is not in this cluster"] if unknown else []
        home = vm.home if vm.home in snapshot.nodes else "the best node, because its own is not here"
        kept = "gets its XML and policy again" if vm.uuid in present else f"is defined, off, at home on {home}"
        steps.append(f"{vm.name} {kept}" + ("; it was wanted up" if vm.want == Want.start else ""))
    steps += [f"{name} is flushed" for name in backup.flushed if name in snapshot.nodes and snapshot.nodes[name].alive]
    return Restoring(tuple(steps), tuple(blockers))


def _settings(snapshot: Snapshot, backup: Backup) -> list[str]:
    config = snapshot.config.value
    steps = ["the defaults of VMs are set"] if backup.defaults != config.defaults else []
    return steps + (["the storage with locks is set"] if backup.locks != config.locks else [])


def restore(cluster: Cluster, backup: Backup, why: str = "", start: bool = False) -> list[str]:
    """Do it, one VM after the other; returns what was done. Raises Refused while anything stands in its way."""
    found = restoring(cluster, backup)
    if found.blockers:
        raise Refused(f"it cannot be restored: {'; '.join(found.blockers)}", "pvc cluster restore FILE --dry-run")
    snapshot = cluster.snapshot()
    defaults = {field.name: getattr(backup.defaults, field.name) for field in fields(Policy)}
    defaults["nodes"] = tuple(node for node in backup.defaults.nodes if node in snapshot.nodes)
    cluster.set_cluster(locks=backup.locks, **defaults)
    done = [_restored(cluster, vm, snapshot, why) for vm in backup.vms]
    for name in backup.flushed:
        if name in snapshot.nodes and snapshot.nodes[name].alive and snapshot.facts()[name].life.flush is Flush.ready:
            cluster.flush(name, why)
            done.append(f"{name} is flushed")
    for vm in backup.vms if start else ():
        if vm.want == Want.start:
            cluster.start(vm.name, why=why)
            done.append(f"{vm.name}: start is asked for")
    return done


def _restored(cluster: Cluster, vm: SavedVm, snapshot: Snapshot, why: str) -> str:
    policy = {field.name: getattr(vm.policy, field.name) for field in fields(Policy)}
    if vm.uuid not in {record.uuid for record in snapshot.records()}:
        record = cluster.define(vm.xml, vm.home if vm.home in snapshot.nodes else None, policy, why)
        return f"{record.name} is defined, off, at home on {record.life.home}"
    cluster.modify(vm.uuid, vm.xml, why)
    cluster.set_policy(vm.uuid, why, **policy)
    return f"{vm.name} has its XML and policy again"


