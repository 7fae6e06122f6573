"""What an admin alone writes, beside the rows of the tables: a VM's policy and XML, and the end of a node that is gone for good."""

from collections.abc import Iterable
from dataclasses import replace

from pvc.cluster import znodes
from pvc.cluster.changes import HistorySeen, history_ops
from pvc.cluster.commit import Change
from pvc.cluster.evidence import Seen
from pvc.cluster.fields import Unwritable
from pvc.cluster.formats import encode_domain
from pvc.cluster.names import checked_token
from pvc.cluster.records import MAX_XML_BYTES, DomainRecord, HistoryEntry, NodeRecord
from pvc.cluster.store import ANY_VERSION, Absent, Check, Delete, Op, Set
from pvc.errors import Refused
from pvc.fsm.states import Daemon

GONE = (Daemon.stop, Daemon.fenced)
"""States of a node whose daemon runs no more, by its own word or by proof."""


def amend_change(
    seen: Seen[DomainRecord],
    record: DomainRecord,
    entry: HistoryEntry,
    config: int,
    *,
    xml: tuple[bytes, int] | None = None,
    history: HistorySeen = None,
) -> Change:
    """What an admin decides about a VM without moving it: its policy, or another XML with the version of the one it replaces.

    Raises `Unwritable` when more than that differs: whatever moves a VM is a row of its table.
    """
    old = seen.value
    free = {name: getattr(record, name) for name in ("policy", "memory_mib", "vcpus", "locked", "request")}
    same = replace(old, **free)
    if record != same:
        raise Unwritable(f"{old.name} cannot be amended: its life is a matter of its table, its name and UUID stay")
    if xml is not None and not 0 < len(xml[0]) <= MAX_XML_BYTES:
        raise Unwritable(f"the XML of {record.name} has {len(xml[0])} bytes, it may have 1 to {MAX_XML_BYTES}")
    ops = (
        Set(znodes.domain(old.uuid), encode_domain(record), seen.version),
        *(() if xml is None else (Set(znodes.xml(old.uuid), xml[0], xml[1]),)),
        *history_ops(znodes.history(old.uuid), history, entry),
    )
    guards = (Check(znodes.CONFIG, config), Check(znodes.generation(old.uuid, old.gen), ANY_VERSION))
    return Change(znodes.domain(old.uuid), checked_token(record.request), ops, guards)


def remove_change(seen: Seen[NodeRecord], children: Iterable[str], boot: Seen[bytes], config: int, request: str) -> Change:
    """The end of a node that is gone for good; `children` are the names below its record, as just read.

    Refused while it holds a session, and while any VM names it, because its index is deleted along with it. Its boot record stays, written
    anew: should the name come back, no token of its former daemon is good. Raises Refused for a node that is not known to be off.
    """
    old, path = seen.value, znodes.node(seen.value.name)
    if old.life.daemon not in GONE:
        raise Refused(
            f"{old.name} cannot be removed: it is {old.life.daemon}, and only a node that was stopped or is proven off is gone",
            f"stop its daemon, or prove it off: pvc node fence {old.name} --confirm-off",
        )
    ops: tuple[Op, ...] = (
        *(Delete(f"{path}/{child}", ANY_VERSION) for child in sorted(children)),
        Delete(path, seen.version),
        Set(znodes.boot(old.name), boot.value, boot.version),
    )
    return Change(path, checked_token(request), ops, (Check(znodes.CONFIG, config), Absent(znodes.alive(old.name))))
