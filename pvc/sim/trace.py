"""The trace of a simulated cluster as JSON Lines, so that somebody else can judge: the ground truth from the scenario's beginning on.

Ids that a client makes by chance are numbered instead: two runs of one seed are the same to the byte.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pvc.fsm.states import Word
from pvc.fsm.views import Life, NodeLife
from pvc.sim.witness import Happening, Witness

DIGITS = 6
"""Digits after the point of a time, which is a microsecond."""


class Trace:
    """Turns what a witness notes into lines, from this moment on, which is 0 s; begins with how things are."""

    def __init__(self, witness: Witness) -> None:
        self.witness = witness
        self.began = witness.world.clock.now
        self.ids: dict[str, str] = {}

    def beginning(self) -> list[dict[str, Any]]:
        """How things are at the beginning, as if each had just happened; marked as ``initial``."""
        witness, machines = self.witness, self.witness.world.machines
        lines: list[dict[str, Any]] = [{"event": "power", "node": name, "on": machine.on} for name, machine in machines.items()]
        lines += [{"event": "session", "node": name, "state": witness.sessions.get(name, "none")} for name in machines]
        lines += [self._record("node", name, str(node.life.daemon), node.life) for name, node in witness.nodes.items()]
        lines += [self._record("vm", vm.name, str(vm.life.state), vm.life) for vm in witness.domains.values()]
        for uuid, node in witness.ran.items():
            lines.append({"event": "guest_start", "vm": witness.name(uuid), "node": node, "why": "it runs already"})
        return [{"t": 0.0, **line, "initial": True} for line in lines]

    def _record(self, kind: str, name: str, state: str, life: Life | NodeLife) -> dict[str, Any]:
        said = {"kind": kind, "name": name, "from": "", "to": state, "trigger": "", "by": ""}
        return {"event": "record", **said, "fields": self._life(life)}

    def line(self, happening: Happening) -> dict[str, Any]:
        """One line."""
        said = {key: self._life(value) if isinstance(value, Life | NodeLife) else value for key, value in happening.fields.items()}
        return {"t": round(happening.at - self.began, DIGITS), "event": happening.event, **said}

    def _life(self, life: Life | NodeLife) -> dict[str, Any]:
        said = {field.name: _plain(getattr(life, field.name)) for field in fields(life)}
        if isinstance(life, NodeLife):
            return {**said, "domain": said["flush"]}
        if said["op_id"] is not None:
            said["op_id"] = self.ids.setdefault(said["op_id"], f"op-{len(self.ids) + 1}")
        return {**said, "node": recorded_node(life)}


def recorded_node(life: Life) -> str | None:
    """The node that a VM's record names first: where it is, where it goes, or where it belongs."""
    return life.owner or life.target or life.home


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Word) else value


def dumped(line: Mapping[str, Any]) -> str:
    """The line as it stands in a file."""
    return json.dumps(line, ensure_ascii=False)


def words_of(line: Mapping[str, Any]) -> str:
    """The line for people: when, what, and its particulars on one line."""
    left_out = ("t", "event", "fields", "step")
    said = line["step"] if line["event"] == "step" else {key: value for key, value in line.items() if key not in left_out}
    return f"{line['t']:10.3f} s  {line['event']}: " + ", ".join(f"{key} {value}" for key, value in said.items() if value != "")
