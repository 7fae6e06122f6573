"""What the dashboard's readers are told: everything once, then whatever is different, and what happens.

Each part of the cluster has a key, and the number of the change that made it what it is: so a reader that knows everything up to one number
is sent what came after it, however long it was away.
"""

import json
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pvc.client.mirror import Mirror
    from pvc.client.snapshot import Snapshot

KEPT = 200
"""So many of the last happenings a reader that comes is told."""


class Feed:
    """Written by one thread, read by many."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._parts: dict[str, tuple[int, Any]] = {}
        self._happened: deque[tuple[int, Any]] = deque(maxlen=KEPT)
        self._number = 0
        self._closed = False

    def update(self, parts: dict[str, Any], happened: list[Any]) -> None:
        """The cluster as it is now, and what has happened since."""
        gone = {key: None for key, (_, value) in self._parts.items() if key not in parts and value is not None}
        changed = {key: value for key, value in parts.items() if key not in self._parts or self._parts[key][1] != value}
        if not changed and not gone and not happened:
            return
        with self._moved:
            self._number += 1
            self._parts |= {key: (self._number, value) for key, value in {**changed, **gone}.items()}
            self._happened.extend((self._number, one) for one in happened)
            self._moved.notify_all()

    def after(self, number: int, timeout_s: float) -> tuple[int, dict[str, Any]] | None:
        """What is different since that number, and the number it leads to; None when nothing is within this time."""
        with self._moved:
            self._moved.wait_for(lambda: self._number > number or self._closed, timeout_s)
            if self._number <= number:
                return None
            parts = {key: value for key, (made, value) in self._parts.items() if made > number}
            return self._number, {"parts": parts, "happened": [one for made, one in self._happened if made > number]}

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._moved:
            self._closed = True
            self._moved.notify_all()

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self._closed


def parts_of(snapshot: "Snapshot", mirror: "Mirror") -> dict[str, Any]:
    """The cluster in parts, by key, as JSON has it."""
    from pvc.cli.status import status_json
    from pvc.cli.words import node_json, node_note, vm_json, vm_note
    from pvc.client.attention import counts
    from pvc.cluster.records import DomainRecord

    facts, status = snapshot.facts(), status_json(snapshot)[0]
    machines = {machine: counts(machine, snapshot) for machine in ("node", "flush", "fence", "domain", "migration")}
    parts: dict[str, Any] = {"cluster": {**status, "counts": machines, "connected": mirror.connected}}
    for name, node in snapshot.nodes.items():
        parts[f"node/{name}"] = {**node_json(node), "note": node_note(node), "last": mirror.last.get(name, {})}
    for uuid, seen in snapshot.domains.items():
        vm = seen.value
        told = vm_json(uuid, vm, snapshot.leaving(vm) if isinstance(vm, DomainRecord) else None)
        note = vm_note(vm, facts, snapshot.leaving(vm)) if isinstance(vm, DomainRecord) else told["unreadable"]
        parts[f"vm/{uuid}"] = {**told, "note": note, "last": mirror.last.get(uuid, {})}
    plain: dict[str, Any] = json.loads(json.dumps(parts))
    return plain
