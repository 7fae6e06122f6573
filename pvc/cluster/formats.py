"""Records from JSON and back.

Reading is total: it returns the record, its outline when the version is one we do not know, or `Unreadable` with the reason. Writing reads
back what it is about to write, so nothing gets into the cluster that would be quarantined there.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any, TypeVar

from pvc.cluster import schemas, znodes
from pvc.cluster.codec import Bad
from pvc.cluster.fields import FOREIGN, Format, Unwritable, outlined, readable
from pvc.cluster.handover import handover_of
from pvc.cluster.histories import Histories
from pvc.cluster.progress import Leaving, Progress
from pvc.cluster.records import (
    MAX_HISTORY_BYTES,
    MAX_RECORD_BYTES,
    Boot,
    ClusterConfig,
    DomainOutline,
    DomainRecord,
    FenceDetail,
    Fencing,
    History,
    HistoryEntry,
    Hold,
    Machine,
    NodeOutline,
    NodeRecord,
    NodeStats,
    Policy,
    Unreadable,
)
from pvc.fsm.domain import OWNED
from pvc.fsm.states import Domain, Kind, Migration
from pvc.fsm.views import Life, NodeLife

KEPT = 4096
"""How many records are kept as they were last read: what was just written is read again at once, by a simulator for every daemon."""

Plain = TypeVar("Plain", Boot, ClusterConfig, HistoryEntry, NodeStats)
Values = Mapping[str, Any]


# ---- VMs


def _life(values: Values) -> Life:
    op = values["op"]
    life = Life(
        state=values["state"],
        want=values["want"],
        request=values["request"],
        owner=values["owner"],
        target=values["target"],
        home=values["home"],
        epoch=values["epoch"],
        restarts=values["restarts"],
        avoid=values["avoid"],
        phase=op["phase"] if op else Migration.none,
        kind=op["kind"] if op else Kind.none,
        handover=op["handover"] if op else handover_of(values["policy"]["handover"], values["locked"]),
        op_id=op["id"] if op else None,
        target_boot=op["target_boot"] if op else None,
    )
    if (life.state is Domain.migrate) != (op is not None):
        raise Bad("op", f"the state is {life.state} and there is {'an' if op else 'no'} operation")
    if (life.state in OWNED) != (life.owner is not None):
        raise Bad("owner", f"the state is {life.state} and the owner is {life.owner}")
    if op and op["target"] != life.target:
        raise Bad("op.target", f"it is {op['target']}, and the record's target is {life.target}")
    return life


def _operation(record: DomainRecord) -> Values | None:
    life = record.life
    if life.phase is Migration.none:
        return None
    return {
        "id": life.op_id,
        "kind": life.kind,
        "source": record.source,
        "target": life.target,
        "target_boot": life.target_boot,
        "phase": life.phase,
        "handover": life.handover,
    }


def _build_domain(uuid: str, values: Values) -> DomainRecord:
    return DomainRecord(
        uuid=uuid,
        name=values["name"],
        gen=values["gen"],
        life=_life(values),
        memory_mib=values["memory_mib"],
        vcpus=values["vcpus"],
        policy=Policy(**values["policy"]),
        locked=values["locked"],
        unheard=values["unheard"],
        source=values["op"] and values["op"]["source"],
        reason=values["reason"],
        since=values["since"],
        request=values["request_id"],
        foreign=values[FOREIGN],
    )


def _spread_domain(record: DomainRecord) -> Values:
    life = record.life
    kept = {name: getattr(life, name) for name in ("state", "want", "request", "owner", "target", "home", "epoch", "restarts", "avoid")}
    own = {name: getattr(record, name) for name in ("name", "gen", "memory_mib", "vcpus", "locked", "unheard", "reason", "since")}
    op = {"op": _operation(record), "policy": _spread(record.policy), "request_id": record.request, FOREIGN: record.foreign}
    return {**kept, **own, **op}


@lru_cache(KEPT)
def decode_domain(uuid: str, data: bytes) -> DomainRecord | DomainOutline | Unreadable:
    """The VM in this data."""
    found = DOMAIN.decode(znodes.domain(uuid), uuid, data)
    if isinstance(found, Unreadable) and (stable := outlined(DOMAIN, data)):
        return DomainOutline(uuid, stable["v"], **{name: stable[name] for name in stable if name != "v"})
    return found


def encode_domain(record: DomainRecord | DomainOutline) -> bytes:
    """The VM as it is written; raises `Unwritable`."""
    if not isinstance(record, DomainRecord):
        raise Unwritable(f"{znodes.domain(record.uuid)} is of version {record.version}: only a PVC that knows it may write it")
    data = DOMAIN.written(record)
    return readable(znodes.domain(record.uuid), data, decode_domain(record.uuid, data))


# ---- nodes


def _build_node(name: str, values: Values) -> NodeRecord:
    fence = values["fence"]
    return NodeRecord(
        name=name,
        life=NodeLife(values["daemon"], values["flush"], fence["phase"], fence["by"], fence["ordered"]),
        boot=values["boot"],
        machine=Machine(**values["machine"]),
        migration_address=values["migration_address"],
        fencing=Fencing(**values["fencing"]),
        fence=FenceDetail(fence["since"], fence["reason"], fence["tries"]),
        request=values["request_id"],
        foreign=values[FOREIGN],
    )


def _spread_node(record: NodeRecord) -> Values:
    life = record.life
    return {
        "daemon": life.daemon,
        "flush": life.flush,
        "fence": {"phase": life.fence, "by": life.by, "ordered": life.ordered, **_spread(record.fence)},
        "boot": record.boot,
        "machine": _spread(record.machine),
        "migration_address": record.migration_address,
        "fencing": _spread(record.fencing),
        "request_id": record.request,
        FOREIGN: record.foreign,
    }


@lru_cache(KEPT)
def decode_node(name: str, data: bytes) -> NodeRecord | NodeOutline | Unreadable:
    """The node in this data."""
    found = NODE.decode(znodes.node(name), name, data)
    if isinstance(found, Unreadable) and (stable := outlined(NODE, data)):
        life = NodeLife(stable["daemon"], stable["flush"], stable["fence"]["phase"], stable["fence"]["by"])
        return NodeOutline(name, stable["v"], life, stable["boot"])
    return found


def encode_node(record: NodeRecord | NodeOutline) -> bytes:
    """The node as it is written; raises `Unwritable`."""
    if not isinstance(record, NodeRecord):
        raise Unwritable(f"{znodes.node(record.name)} is of version {record.version}: only a PVC that knows it may write it")
    data = NODE.written(record)
    return readable(znodes.node(record.name), data, decode_node(record.name, data))


# ---- the rest

RENAMED = {"source": "from", "dest": "to", "request": "request_id", "foreign": FOREIGN}
"""Attributes that are called otherwise in JSON."""


def _made(kind: type[Plain], values: Values) -> Plain:
    """A record whose attributes are called as its fields are."""
    return kind(**{name: values[renamed] for name, renamed in _names(kind)})


def _spread(record: Any) -> Values:
    return {renamed: getattr(record, name) for name, renamed in _names(type(record))}


def _names(kind: Any) -> tuple[tuple[str, str], ...]:
    """The attributes of a record, and what they are called in JSON."""
    if kind not in _NAMES:
        _NAMES[kind] = tuple((field.name, RENAMED.get(field.name, field.name)) for field in fields(kind))
    return _NAMES[kind]


_NAMES: dict[Any, tuple[tuple[str, str], ...]] = {}


def _build_config(_: str, values: Values) -> ClusterConfig:
    return _made(ClusterConfig, {**values, "hold": Hold(**values["hold"]), "defaults": Policy(**values["defaults"])})


def _spread_config(record: ClusterConfig) -> Values:
    return {**_spread(record), "hold": _spread(record.hold), "defaults": _spread(record.defaults)}


def _build_history(_: str, values: Values) -> History:
    return History(tuple(_made(HistoryEntry, item) for item in values["entries"]), values[FOREIGN])


def _build_progress(_: str, values: Values) -> Progress:
    return Progress(tuple(Leaving(**item) for item in values["migrations"]), values[FOREIGN])


def _spread_progress(record: Progress) -> Values:
    return {"migrations": [_spread(one) for one in record.migrations], FOREIGN: record.foreign}


def _spread_history(record: History) -> Values:
    return {"entries": [_spread(entry) for entry in record.entries], FOREIGN: record.foreign}


DOMAIN = Format(schemas.DOMAIN, _build_domain, _spread_domain, MAX_RECORD_BYTES)
NODE = Format(schemas.NODE, _build_node, _spread_node, MAX_RECORD_BYTES)
CONFIG = Format(schemas.CONFIG, _build_config, _spread_config, MAX_RECORD_BYTES)
BOOT: Format[Boot] = Format(schemas.BOOT, lambda _, values: _made(Boot, values), _spread, MAX_RECORD_BYTES)
STATS: Format[NodeStats] = Format(schemas.STATS, lambda _, values: _made(NodeStats, values), _spread, MAX_RECORD_BYTES)
PROGRESS: Format[Progress] = Format(schemas.PROGRESS, _build_progress, _spread_progress, MAX_RECORD_BYTES)
HISTORY = Format(schemas.HISTORY, _build_history, _spread_history, MAX_HISTORY_BYTES)


@lru_cache(8)
def decode_config(data: bytes) -> ClusterConfig | Unreadable:
    """The cluster in this data."""
    return CONFIG.decode(znodes.CONFIG, "", data)


def encode_config(record: ClusterConfig) -> bytes:
    """The cluster as it is written; raises `Unwritable`."""
    return CONFIG.encode(znodes.CONFIG, "", record)


def decode_boot(name: str, data: bytes) -> Boot | Unreadable:
    """The boot record of this node, or what its proof of life holds."""
    return BOOT.decode(znodes.boot(name), name, data)


def encode_boot(name: str, record: Boot) -> bytes:
    """The boot record as it is written; raises `Unwritable`."""
    return BOOT.encode(znodes.boot(name), name, record)


@lru_cache(KEPT)
def decode_stats(name: str, data: bytes) -> NodeStats | Unreadable:
    """What this node's daemon measured."""
    return STATS.decode(znodes.stats(name), name, data)


def encode_stats(name: str, record: NodeStats) -> bytes:
    """The statistics as they are written; raises `Unwritable`."""
    return STATS.encode(znodes.stats(name), name, record)


def decode_progress(name: str, data: bytes) -> Progress | Unreadable:
    """How far the migrations away from this node are."""
    return PROGRESS.decode(znodes.progress(name), name, data)


def encode_progress(name: str, record: Progress) -> bytes:
    """The same as it is written; raises `Unwritable`."""
    return PROGRESS.encode(znodes.progress(name), name, record)


_HISTORIES = Histories(HISTORY)


def decode_history(path: str, data: bytes) -> History | Unreadable:
    """The transitions in this data, of a VM or of a node's daemon."""
    return _HISTORIES.decode(path, data)


def encode_history(path: str, record: History) -> bytes:
    """As many of the last transitions as fit; raises `Unwritable`."""
    return _HISTORIES.encode(path, record)
