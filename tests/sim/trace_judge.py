"""An independent judge of traces: it reads the lines alone, knows nothing of the simulator, and re-derives what must hold.

It is written apart from `pvc/sim/sentences.py` on purpose: two readings of one rule seldom have the same mistake.
"""

import json
from pathlib import Path


def judged(path: Path) -> list[str]:
    """Everything that is wrong with a trace of one scenario."""
    return list(Judgement([json.loads(text) for text in path.read_text().splitlines()]).wrong())


class Judgement:
    """Walks over the lines once."""

    def __init__(self, lines):
        self.lines = lines
        self.power, self.guests, self.node, self.vm = {}, {}, {}, {}
        self.proven, self.went_off = set(), set()
        self.attempt = None

    def wrong(self):
        """Every contradiction and every broken promise, with its time."""
        last = 0.0
        for line in self.lines:
            if line["t"] < last:
                yield f"{line['t']}: time runs backwards"
            last = line["t"]
            for sentence in getattr(self, f"_{line['event']}", lambda line: None)(line) or ():
                yield f"{line['t']}: {sentence}"

    def _power(self, line):
        node = line["node"]
        if self.power.get(node) is line["on"]:
            yield f"{node} is switched to what it is"
        self.power[node] = line["on"]
        if not line["on"]:
            self.went_off.add(node)
        if not line["on"] and (left := [vm for vm, where in self.guests.items() if node in where]):
            yield f"{', '.join(left)} run on {node}, which is off"

    def _session(self, line):
        if line["state"] == "connected":
            self.went_off.discard(line["node"])

    def _start_attempt(self, line):
        fields = self.vm.get(line["vm"]) or {}
        if fields.get("owner") != line["node"]:
            yield f"{line['vm']} is tried on {line['node']}, and owned by {fields.get('owner')}"
        self.attempt = (line["vm"], line["node"], line["t"]) if line["ok"] else None

    def _guest_start(self, line):
        vm, node = line["vm"], line["node"]
        where = self.guests.setdefault(vm, set())
        if where:
            yield f"{vm} starts on {node} and runs on {sorted(where)}"
        where.add(node)
        if not self.power.get(node):
            yield f"{vm} starts on {node}, which is off"
        if not line.get("initial") and self.attempt != (vm, node, line["t"]):
            yield f"{vm} starts on {node} without having been tried"

    def _guest_handover(self, line):
        vm, where = line["vm"], self.guests.setdefault(line["vm"], set())
        if where != {line["from"]}:
            yield f"{vm} is handed over by {line['from']} and runs on {sorted(where)}"
        self.guests[vm] = {line["to"]}

    def _guest_end(self, line):
        where = self.guests.setdefault(line["vm"], set())
        if line["node"] not in where:
            yield f"{line['vm']} ends on {line['node']}, where it does not run"
        where.discard(line["node"])

    def _fence(self, line):
        node, result = line["node"], line["result"]
        if result == "begun":
            if self.node[node]["fence"] != "shot":
                yield f"{node} is shot, and its fence is {self.node[node]['fence']}"
        elif result == "confirmed":
            if self.power.get(node) and node not in self.went_off:  # else it was reset, and has no guest any more
                yield f"{node} is confirmed off, and on"
            if node in self.proven:
                yield f"{node} is confirmed off twice"
            self.proven.add(node)

    def _record(self, line):
        kind, name, fields = line["kind"], line["name"], line["fields"]
        if kind == "node":
            yield from self._node_record(name, line, fields)
            self.node[name] = fields
            return
        before = self.vm.get(name)
        self.vm[name] = fields
        if not line.get("initial"):  # nobody wrote it: so it is
            yield from self._vm_record(name, line, before or {}, fields or {})

    def _node_record(self, name, line, fields):
        machine = {"node": "daemon"}.get(line.get("machine"), line.get("machine"))
        known = self.node.get(name)
        if known is not None and machine is not None and known[machine] != line["from"] and known[machine] != line["to"]:
            yield f"{name}: {machine} goes from {line['from']}, and was {known[machine]}"
        if fields["daemon"] == "fenced" and name not in self.proven:
            yield f"{name} is fenced, and nobody has confirmed that it is off"
        if fields["daemon"] == "init":
            self.proven.discard(name)

    def _vm_record(self, name, line, before, fields):
        owner, was = fields.get("owner"), before.get("owner")
        if fields.get("epoch", 0) < before.get("epoch", 0) and fields:
            yield f"{name}: its epoch falls"
        if was is not None and owner != was and line["by"] != was and was not in self.proven:
            yield f"{name} is taken from {was} by {line['by']}, and {was} is not confirmed off"
        if line["trigger"] == "claim" and not self._takes(owner):
            yield f"{name} is claimed by {owner}, which is {self.node.get(owner)}"
        if line["trigger"] == "accept" and not self._takes(fields["target"]):
            yield f"{name} is admitted to {fields['target']}, which is {self.node.get(fields['target'])}"
        if fields.get("state") in ("stop", "disable", "failed", "place") and self.guests.get(name):
            yield f"{name} is {fields['state']}, and runs on {sorted(self.guests[name])}"

    def _takes(self, node):
        fields = self.node.get(node, {})
        return (fields.get("daemon"), fields.get("flush")) == ("run", "ready")
