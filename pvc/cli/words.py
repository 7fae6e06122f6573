"""VMs and nodes for people and for programs: what a line of a list says, what is yellow in it, and how it stands in JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pvc.cli.output import Cell
from pvc.client.lost import waits_for_word, word_for
from pvc.client.moving import words as moving_words
from pvc.client.snapshot import NodeNow, Vm
from pvc.cluster.progress import Leaving
from pvc.cluster.records import DomainOutline, DomainRecord, HistoryEntry, NodeOutline, NodeRecord, NodeStats, Unreadable
from pvc.core.facts import NodeFacts
from pvc.core.settings import settings_of
from pvc.fsm.states import Daemon, Domain, Fence, Flush, Migration, Request, Want

DONE = {Want.start: Domain.start, Want.stop: Domain.stop, Want.shutdown: Domain.stop, Want.disable: Domain.disable}
"""The state in which a wish is fulfilled."""

VM_HEADS = ("NAME", "STATE", "WANTED", "OWNER", "HOME", "MEMORY", "VCPUS", "SINCE", "NOTE")
VM_WIDE = ("UUID", "EPOCH", "FAILED", "SELECTOR", "LEAVES", "HAND-OVER", "MAY RUN ON")
VM_SPARE = ("VCPUS", "MEMORY", "SINCE", "HOME", "EPOCH", "FAILED", "UUID", "SELECTOR", "LEAVES", "HAND-OVER", "MAY RUN ON")
"""Left out in this order where a terminal is too narrow."""
NODE_HEADS = ("NODE", "STATE", "TAKES VMS", "VMS", "VCPUS", "USED", "FREE", "TOTAL", "LOAD", "FENCE", "NOTE")
NODE_WIDE = ("ANSWERS", "PROMISED", "CPUS", "PVC", "LIBVIRT", "QEMU", "KERNEL", "FENCING", "MIGRATION ADDRESS")
NODE_SPARE = ("VCPUS", "LOAD", "USED", "TOTAL", "KERNEL", "CPUS", "PROMISED", "MIGRATION ADDRESS", "FENCING", "QEMU", "LIBVIRT", "FREE")
HISTORY_HEADS = ("TIME", "MACHINE", "FROM -> TO", "TRIGGER", "AS", "WHO", "WHY")
HISTORY_SPARE = ("AS", "MACHINE", "TIME")
RED, YELLOW, GREEN = "red", "yellow", "green"


def vm_row(uuid: str, vm: Vm, facts: Mapping[str, NodeFacts], leaving: Leaving | None = None) -> list[Cell | str]:
    """A VM as a line of a list; `leaving` is how far its migration is."""
    if isinstance(vm, DomainOutline):
        size = (f"{vm.memory_mib} MiB", str(vm.vcpus))
        return [vm.name, Cell("?", RED), "", vm.owner or "-", vm.home, *size, "", Cell(_unreadable(vm), RED)]
    if isinstance(vm, Unreadable):
        return [uuid, Cell("?", RED), *[""] * 6, Cell(_unreadable(vm), RED)]
    life = vm.life
    away = life.owner is not None and life.owner != life.home
    return [
        vm.name,
        Cell(str(life.state), _state_colour(vm)),
        Cell(str(life.want), None if DONE.get(life.want) is life.state else YELLOW),
        Cell(life.owner or "-", YELLOW if away else None),
        Cell(life.home or "-", YELLOW if away else None),
        f"{vm.memory_mib} MiB",
        str(vm.vcpus),
        since(vm.since),
        vm_note(vm, facts, leaving),
    ]


def vm_wide(uuid: str, vm: Vm) -> list[str]:
    """What a wide list says beyond that."""
    if not isinstance(vm, DomainRecord):
        return [uuid, *[""] * (len(VM_WIDE) - 1)]
    policy = vm.policy
    told = (str(vm.life.epoch), str(vm.life.restarts), str(policy.selector), str(policy.migration), str(vm.life.handover))
    return [uuid, *told, ",".join(policy.nodes) or "all"]


def is_settled(vm: DomainRecord) -> bool:
    """Whether it is as it is wanted, and at home."""
    return DONE.get(vm.life.want) is vm.life.state and vm.life.owner in (None, vm.life.home)


def _state_colour(vm: DomainRecord) -> str | None:
    if vm.life.state in (Domain.failed, Domain.conflict):
        return RED
    return GREEN if vm.life.state is Domain.start else None if vm.life.state in (Domain.stop, Domain.disable) else YELLOW


def vm_note(vm: DomainRecord, facts: Mapping[str, NodeFacts], leaving: Leaving | None = None) -> str:
    """What is special about a VM now."""
    return "; ".join(_vm_notes(vm, facts, leaving))


def _vm_notes(vm: DomainRecord, facts: Mapping[str, NodeFacts], leaving: Leaving | None) -> Iterator[str]:
    life = vm.life
    if life.owner is not None and (life.owner not in facts or not facts[life.owner].alive):
        off = life.owner in facts and facts[life.owner].life.daemon is Daemon.fenced
        yield f"{life.owner} is off, another node has yet to take it" if off else f"{life.owner} does not answer"
    if life.phase is not Migration.none:
        yield f"{life.phase}, to {life.target}" + (f": {moving_words(leaving)}" if leaving else "")
    elif life.state is Domain.conflict:
        yield f"a guest of it runs on {life.target} unowned: pvc vm resolve {vm.name}"
    elif life.target is not None:
        yield f"to {life.target}"
    if life.state is Domain.failed:
        yield vm.reason
    elif life.restarts:
        yield f"failed {life.restarts} time{'s' if life.restarts > 1 else ''} in a row"
    if life.request is not Request.none:
        yield f"asked: {life.request}"


def vm_pairs(vm: DomainRecord, facts: Mapping[str, NodeFacts], leaving: Leaving | None = None) -> list[tuple[str, Cell | str]]:
    """A VM in lines."""
    life, policy = vm.life, vm.policy
    cells = vm_row(vm.uuid, vm, facts, leaving)
    return [
        ("name", vm.name),
        ("UUID", vm.uuid),
        ("state", cells[1]),
        ("wanted", cells[2]),
        ("owner", cells[3]),
        ("home", cells[4]),
        ("target", life.target or ""),
        ("migration", f"{life.phase} ({life.kind}), {vm.source} to {life.target}" if life.phase is not Migration.none else ""),
        ("note", cells[-1]),
        ("since", since(vm.since)),
        ("reason", vm.reason),
        ("memory", f"{vm.memory_mib} MiB"),
        ("vcpus", str(vm.vcpus)),
        ("nodes", ", ".join(policy.nodes) or "all"),
        ("policy", f"node by {policy.selector}, leaves a node {policy.migration}, hand-over {policy.handover}"),
        ("", f"{policy.shutdown_timeout_s} s to shut down, {policy.restart_budget} restarts, own power-off: {policy.on_poweroff}"),
    ]


def node_row(node: NodeNow) -> list[Cell | str]:
    """A node as a line of a list."""
    record, stats = node.record, node.stats
    if isinstance(record, Unreadable):
        return [node.name, Cell("?", RED), *[""] * 8, Cell(_unreadable(record), RED)]
    life = record.life
    well = node.alive and life.daemon is Daemon.run
    return [
        node.name,
        Cell(str(life.daemon), GREEN if well else RED if life.daemon is not Daemon.stop else YELLOW),
        Cell(str(life.flush), None if life.flush is Flush.ready else YELLOW),
        *_figures(stats if node.alive else None),
        Cell(str(life.fence) if life.fence is not Fence.none else "-", None if life.fence is Fence.none else RED),
        node_note(node),
    ]


def node_wide(node: NodeNow) -> list[str]:
    """What a wide list says beyond that."""
    record, promised = node.record, "" if node.stats is None else f"{node.stats.memory_allocated_mib} MiB"
    alive = "yes" if node.alive else "no"
    if not isinstance(record, NodeRecord):
        return [alive, promised, *[""] * (len(NODE_WIDE) - 2)]
    machine, fencing = record.machine, record.fencing
    made = (str(machine.cpus), machine.pvc, machine.libvirt, machine.qemu, machine.kernel)
    return [alive, promised, *made, f"{fencing.method} {fencing.address or ''}".strip(), record.migration_address or ""]


def _figures(stats: NodeStats | None) -> list[str]:
    if stats is None:
        return ["-"] * 6
    used, free, total = stats.memory_used_mib, stats.memory_free_mib, stats.memory_total_mib
    return [str(stats.domains), str(stats.vcpus), f"{used} MiB", f"{free} MiB", f"{total} MiB", f"{stats.load:.2f}"]


def node_note(node: NodeNow) -> str:
    """What is special about a node now."""
    record, notes = node.record, []
    if isinstance(record, NodeOutline):
        notes.append(f"written in version {record.version}, which this pvc does not know")
    if not isinstance(record, Unreadable) and not node.alive and record.life.daemon is Daemon.run:
        notes.append("it does not answer")
    if isinstance(record, NodeRecord) and record.life.fence is not Fence.none:
        why, at = record.fence.reason.rstrip("."), since(record.fence.since)
        notes.append(f"{why} (since {at})" if why else f"held by {record.life.by}")
    if node.alive and node.stats is not None and not node.stats.libvirt:
        notes.append("its libvirt does not answer")
    if word := waits_for_word(node):
        notes.append(f"{word}: {word_for(node.name)}")
    elif isinstance(record, NodeRecord) and record.life.daemon is Daemon.unfenced:
        notes.append(f"the shot is repeated; or {word_for(node.name)}")
    elif isinstance(record, NodeRecord) and not record.fencing.works:
        device = f"its fence device is not believed: {record.fencing.fault}" if record.fencing.fault else "it has no fence device"
        notes.append(f"its watchdog resets it after {record.fencing.reset_s} s" if record.fencing.reset_s else device)
    elif node.unfenceable_from:
        notes.append(f"it could not be fenced from {', '.join(node.unfenceable_from)}")
    return "; ".join(notes)


def node_pairs(node: NodeNow) -> list[tuple[str, Cell | str]]:
    """A node in lines."""
    cells, record = node_row(node), node.record
    heads = (head.lower().replace("vms", "VMs") for head in NODE_HEADS)
    pairs: list[tuple[str, Cell | str]] = list(zip(heads, cells, strict=True))
    pairs.insert(2, ("answers", "yes" if node.alive else Cell("no", YELLOW)))
    if isinstance(record, NodeRecord):
        machine, fencing = record.machine, record.fencing
        pairs += [
            ("machine", f"{machine.cpus} CPUs, {machine.memory_mib} MiB, {machine.arch}" if machine.cpus else ""),
            ("system", ", ".join(filter(None, (machine.os, machine.kernel)))),
            ("versions", ", ".join(f"{name} {text}" for name in ("pvc", "libvirt", "qemu") if (text := getattr(machine, name)))),
            ("times", settings.lost_words if (settings := settings_of(machine)) else ""),
            ("migration address", record.migration_address or ""),
            ("fencing", f"{fencing.method} {fencing.address or ''}".strip()),
            ("fenced by", _fence_words(record)),
            ("kernel boot", record.boot or ""),
        ]
    return pairs


def _fence_words(record: NodeRecord) -> str:
    """Who holds its fence, since when, and what was done; each step is in its history."""
    life, fence = record.life, record.fence
    if life.fence is Fence.none:
        return ""
    shots = f"{fence.tries} shot{'s' if fence.tries != 1 else ''}"
    return f"{life.by or 'nobody now'}, {life.fence} since {since(fence.since)}, {shots}; each step: pvc node history {record.name}"


def vm_json(uuid: str, vm: Vm, leaving: Leaving | None = None) -> dict[str, Any]:
    """A VM for programs."""
    if isinstance(vm, Unreadable):
        return {"uuid": uuid, "unreadable": vm.why}
    if isinstance(vm, DomainOutline):
        return {**asdict(vm), "unreadable": f"version {vm.version}"}
    life = vm.life
    names = ("state", "want", "request", "owner", "target", "home", "epoch", "restarts")
    moving = life.phase is not Migration.none
    told = None if leaving is None else {name: value for name, value in asdict(leaving).items() if name not in ("of", "op")}
    operation = {"phase": life.phase, "kind": life.kind, "source": vm.source, "target": life.target, "id": life.op_id, "progress": told}
    migration = operation if moving else None
    return {
        "name": vm.name,
        "uuid": vm.uuid,
        **{name: getattr(life, name) for name in names},
        "avoid": list(life.avoid),
        "migration": migration,
        "memory_mib": vm.memory_mib,
        "vcpus": vm.vcpus,
        "since": vm.since,
        "reason": vm.reason,
        "policy": asdict(vm.policy),
    }


def node_json(node: NodeNow) -> dict[str, Any]:
    """A node for programs."""
    record = node.record
    if isinstance(record, Unreadable):
        return {"name": node.name, "alive": node.alive, "unreadable": record.why}
    life = record.life
    fence = {"phase": life.fence, "by": life.by}
    known = {"name": node.name, "state": life.daemon, "alive": node.alive, "flush": life.flush}
    stats = None if node.stats is None else {name: value for name, value in asdict(node.stats).items() if name != "foreign"}
    if isinstance(record, NodeOutline):
        return {**known, "fence": fence, "boot": record.boot, "stats": stats}
    machine = {"machine": asdict(record.machine), "fencing": asdict(record.fencing), "migration_address": record.migration_address}
    return {**known, "fence": {**fence, **asdict(record.fence)}, "boot": record.boot, **machine, "stats": stats}


def entry_json(entry: HistoryEntry) -> dict[str, Any]:
    """One transition for programs."""
    same = {name: getattr(entry, name) for name in ("time", "of", "machine", "trigger", "by", "who", "why")}
    return {**same, "from": entry.source, "to": entry.dest}


def entry_row(entry: HistoryEntry) -> tuple[str, ...]:
    """One transition as a line of a history."""
    way = f"{entry.source or '-'} -> {entry.dest}"
    return since(entry.time), entry.machine, way, entry.trigger, entry.by, entry.who, entry.why


def since(text: str) -> str:
    """A time as it is shown: to the second, as whoever wrote it had it."""
    return text[:19]


def untold(nodes: Sequence[str]) -> str:
    """That these nodes have measured nothing yet."""
    return f"{', '.join(nodes)} {'has' if len(nodes) == 1 else 'have'} not told yet"


def _unreadable(record: object) -> str:
    return f"written in version {record.version}" if isinstance(record, DomainOutline) else str(record)
