"""The judges of the sentences that scenario files may say, and what they know: the lines of a trace, and nothing else.

So whoever has the file can judge again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Line = Mapping[str, Any]
"""A line of the trace."""
FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Window:
    """The time that a sentence is about; its first instant is not part of it, unless that is the beginning."""

    first: float = -1.0
    last: float = FOREVER

    def __contains__(self, at: float) -> bool:
        return self.first < at <= self.last

    def meets(self, first: float, last: float) -> bool:
        """Whether any of the time between these instants is part of it."""
        return self.first < last and first < self.last


class Truth:
    """What the trace has told so far."""

    def __init__(self) -> None:
        self.runs: dict[str, set[str]] = defaultdict(set)
        self.lost: dict[str, float] = {}
        self.confirmed: dict[str, float] = {}
        self.ended: dict[str, tuple[str, float]] = {}
        self.nodes: dict[str, Line] = {}
        self.owners: dict[str, str | None] = {}
        self.taken: dict[str, str | None] = {}

    def take(self, line: Line) -> None:
        """Learn one line."""
        match line["event"]:
            case "guest_start":
                self.runs[line["vm"]].add(line["node"])
            case "guest_handover":
                self.runs[line["vm"]].discard(line["from"])
                self.runs[line["vm"]].add(line["to"])
            case "guest_end":
                self.runs[line["vm"]].discard(line["node"])
                self.ended[line["vm"]] = (line["node"], line["t"])
            case "power" if not line["on"]:
                self.lost.setdefault(line["node"], line["t"])
            case "session":
                self._heard(line["node"], line["state"] == "connected", line["t"])
            case "fence" if line["result"] == "confirmed":
                self.confirmed[line["node"]] = line["t"]
            case "record":
                self._written(line)

    def _heard(self, node: str, connected: bool, at: float) -> None:
        if not connected:
            self.lost.setdefault(node, at)
        else:
            self.lost.pop(node, None)
            self.confirmed.pop(node, None)

    def _written(self, line: Line) -> None:
        fields = line["fields"] or {}
        if line["kind"] == "node":
            self.nodes[line["name"]] = fields
            return
        vm, owner = line["name"], fields.get("owner")
        before = self.owners.get(vm)
        if before is not None and owner != before:
            self.taken[vm] = before if line["by"] != before else None
        self.owners[vm] = owner

    def takes_vms(self, node: str) -> bool:
        """Whether a node is run and ready by its record."""
        fields = self.nodes.get(node, {})
        return (fields.get("daemon"), fields.get("flush")) == ("run", "ready")


class Judge:
    """Watches over one sentence; ``look`` is called with each line, after the truth has learned it, and returns what is wrong with it."""

    window = Window()

    def __init__(self, truth: Truth) -> None:
        self.truth = truth

    def look(self, line: Line) -> str | None:
        """What this line breaks; None when it breaks nothing."""
        raise NotImplementedError

    def pass_by(self, first: float, last: float) -> str | None:
        """What is broken because nothing happens between these instants."""
        return None

    def over(self) -> str | None:
        """What is broken because it has not happened by the end."""
        return None


# ---- the sentences about the cluster


class OneCopy(Judge):
    """No VM runs on two nodes."""

    def look(self, line: Line) -> str | None:
        nodes = sorted(self.truth.runs[line["vm"]]) if "vm" in line else []
        return f"{line['vm']} runs on {' and '.join(nodes)}" if len(nodes) > 1 else None


class OffFirst(Judge):
    """A VM of an unreachable node starts elsewhere only after that node is confirmed off."""

    def look(self, line: Line) -> str | None:
        if line["event"] != "guest_start":
            return None
        vm, node, truth = line["vm"], line["node"], self.truth
        left, ended = truth.ended.get(vm, (node, line["t"]))
        behind = {left} if left in truth.lost and ended >= truth.lost[left] else set()
        taken = truth.taken.get(vm)
        behind |= {taken} if taken is not None and taken in truth.lost else set()
        for lost in sorted(behind - {node}):
            if lost not in truth.confirmed:
                return f"{vm} starts on {node}, and {lost}, which it was on, is not confirmed off"
        return None


class TakesVms(Judge):
    """The system places no VM on a node that is not run+ready."""

    def look(self, line: Line) -> str | None:
        if line["event"] != "record" or line["kind"] != "vm" or not line["fields"]:
            return None
        fields = line["fields"]
        node = {"claim": fields["owner"], "accept": fields["target"]}.get(line["trigger"])
        if node is None and fields["state"] == "migrate" and line["from"] == "start":
            node = fields["target"]
        return None if node is None or self.truth.takes_vms(node) else f"{line['name']} is placed on {node}, which takes no VMs"


class Fenced(Judge):
    """A node is fenced so many times; an order to cut its power counts, a reading does not."""

    def __init__(self, truth: Truth, node: str | None, most: int, window: Window) -> None:
        super().__init__(truth)
        self.node, self.most, self.window = node, most, window
        self.count = 0

    def look(self, line: Line) -> str | None:
        if line["event"] == "fence" and line["result"] == "begun" and self.node in (None, line["node"]) and line["t"] in self.window:
            self.count += 1
            if self.count > self.most:
                return f"{line['by']} fences {line['node']}" + (f", for the {self.count}. time" if self.most else "")
        return None


class KeepsSessions(Judge):
    """No session is lost; one may be closed."""

    def __init__(self, truth: Truth, window: Window) -> None:
        super().__init__(truth)
        self.window = window

    def look(self, line: Line) -> str | None:
        over = line["event"] == "session" and line["state"] in ("lost", "expired") and line["t"] in self.window
        return f"the session of {line['node']} is {line['state']}" if over else None


class InSync(Judge):
    """Every daemon knows everything again soon after each connection, and without many requests."""

    def __init__(self, truth: Truth, within_s: float, requests: int | None, window: Window) -> None:
        super().__init__(truth)
        self.within_s, self.requests, self.window = within_s, requests, window
        self.since: dict[str, float] = {}

    def look(self, line: Line) -> str | None:
        match line["event"]:
            case "session" if line["state"] == "connected" and line["t"] in self.window and not line.get("initial"):
                self.since[line["node"]] = line["t"]
            case "session" | "power":
                self.since.pop(line["node"], None)
            case "synced" if self.since.pop(line["node"], None) is not None:
                if self.requests is not None and line["requests"] > self.requests:
                    return f"{line['node']} made {line['requests']} requests"
        return None

    def pass_by(self, first: float, last: float) -> str | None:
        late = [node for node, at in self.since.items() if last > at + self.within_s]
        return f"{late[0]} has been connected since {self.since[late[0]]:g} s, and has not read everything" if late else None


class Says(Judge):
    """A daemon logs a sentence with these words in it."""

    def __init__(self, truth: Truth, node: str, words: str, window: Window) -> None:
        super().__init__(truth)
        self.node, self.words, self.window = node, words, window
        self.said = False

    def look(self, line: Line) -> str | None:
        if line["event"] == "say" and line["node"] == self.node and self.words in line["sentence"] and line["t"] in self.window:
            self.said = True
        return None

    def over(self) -> str | None:
        return None if self.said else f"{self.node} did not say that"


# ---- the sentences about a VM


class Continuous(Judge):
    """A VM runs without a break."""

    def __init__(self, truth: Truth, vm: str, window: Window) -> None:
        super().__init__(truth)
        self.vm, self.window = vm, window

    def look(self, line: Line) -> str | None:
        if line["event"] == "guest_end" and line["vm"] == self.vm and line["t"] in self.window and not self.truth.runs[self.vm]:
            return f"{self.vm} has ended on {line['node']}: {line['why']}"
        return None

    def pass_by(self, first: float, last: float) -> str | None:
        return f"{self.vm} does not run" if self.window.meets(first, last) and not self.truth.runs[self.vm] else None


class Never(Judge):
    """A VM never runs, or never on one node."""

    def __init__(self, truth: Truth, vm: str, node: str | None, window: Window) -> None:
        super().__init__(truth)
        self.vm, self.node, self.window = vm, node, window

    def _runs(self) -> str | None:
        nodes = sorted(self.truth.runs[self.vm])
        wrong = nodes if self.node is None else [node for node in nodes if node == self.node]
        return f"{self.vm} runs on {', '.join(wrong)}" if wrong else None

    def look(self, line: Line) -> str | None:
        return self._runs() if line.get("vm") == self.vm and line["t"] in self.window else None

    def pass_by(self, first: float, last: float) -> str | None:
        return self._runs() if self.window.meets(first, last) else None


class Counted(Judge):
    """A VM starts, or is attempted, so many times."""

    def __init__(self, truth: Truth, event: str, vm: str, most: int, window: Window) -> None:
        super().__init__(truth)
        self.event, self.vm, self.most, self.window = event, vm, most, window
        self.count = 0

    def look(self, line: Line) -> str | None:
        counts = line["event"] == self.event and line["vm"] == self.vm and not line.get("initial") and line["t"] in self.window
        if not counts:
            return None
        self.count += 1
        if self.count <= self.most:
            return None
        what = "starts" if self.event == "guest_start" else "is attempted"
        return f"{self.vm} {what} on {line['node']}" + (f", for the {self.count}. time" if self.most else "")
