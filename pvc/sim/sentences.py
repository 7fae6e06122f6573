"""The sentences of `expect_always`: what each means, judged line by line from a trace alone.

A judge knows nothing of the cluster but the lines of its trace, so whoever has the file can judge again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

Line = Mapping[str, Any]
"""A line of the trace."""
FOREVER = float("inf")

NUMBER = r"\d+(?:\.\d+)?"
WINDOW = rf"(?: after (?P<after>{NUMBER})| between (?P<first>{NUMBER}) and (?P<last>{NUMBER}))?"
TIMES = r"at most (?P<most>once|twice|\d+)(?: times?)?"
NAME = r"[a-z0-9][a-z0-9.-]*"


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


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that was understood: its words, and what makes a judge of it."""

    words: str
    judge: Callable[[Truth], Judge]
    vm: str | None = None
    node: str | None = None


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


# ---- the grammar


Reading = Callable[[dict[str, str | None]], Callable[[Truth], Judge]]


def _window(said: Mapping[str, str | None]) -> Window:
    if said.get("after"):
        return Window(float(said["after"] or 0))
    if said.get("first"):
        return Window(float(said["first"] or 0), float(said["last"] or 0))
    return Window()


def _most(said: Mapping[str, str | None]) -> int:
    most = said.get("most") or "0"
    return {"once": 1, "twice": 2}.get(most) or int(most)


@dataclass(frozen=True, slots=True)
class Form:
    """A form of sentence: how it is shown, its pattern, and the judge it makes of what was said."""

    shown: str
    pattern: re.Pattern[str]
    reading: Reading


def _form(shown: str, pattern: str, reading: Reading) -> Form:
    return Form(shown, re.compile(pattern), reading)


FORMS = (
    _form("no VM runs on two nodes", "no VM runs on two nodes", lambda said: OneCopy),
    _form(
        "a VM of an unreachable node starts elsewhere only after that node is confirmed off",
        "a VM of an unreachable node starts elsewhere only after that node is confirmed off",
        lambda said: OffFirst,
    ),
    _form(
        "the system places no VM on a node that is not run+ready",
        r"the system places no VM on a node that is not run\+ready",
        lambda said: TakesVms,
    ),
    _form("nobody is fenced", rf"nobody is fenced{WINDOW}", lambda said: partial(Fenced, node=None, most=0, window=_window(said))),
    _form(
        "node N is fenced at most K times",
        rf"node (?P<node>{NAME}) is fenced {TIMES}{WINDOW}",
        lambda said: partial(Fenced, node=said["node"], most=_most(said), window=_window(said)),
    ),
    _form(
        "vm V runs continuously",
        rf"vm (?P<vm>{NAME}) runs continuously{WINDOW}",
        lambda said: partial(Continuous, vm=str(said["vm"]), window=_window(said)),
    ),
    _form(
        "vm V never runs on N",
        rf"vm (?P<vm>{NAME}) never runs(?: on (?P<node>{NAME}))?{WINDOW}",
        lambda said: partial(Never, vm=str(said["vm"]), node=said["node"], window=_window(said)),
    ),
    _form(
        "vm V never starts after T",
        rf"vm (?P<vm>{NAME}) never starts{WINDOW}",
        lambda said: partial(Counted, event="guest_start", vm=str(said["vm"]), most=0, window=_window(said)),
    ),
    _form(
        "vm V starts at most K times after T",
        rf"vm (?P<vm>{NAME}) starts {TIMES}{WINDOW}",
        lambda said: partial(Counted, event="guest_start", vm=str(said["vm"]), most=_most(said), window=_window(said)),
    ),
    _form(
        "vm V is attempted at most K times",
        rf"vm (?P<vm>{NAME}) is attempted {TIMES}{WINDOW}",
        lambda said: partial(Counted, event="start_attempt", vm=str(said["vm"]), most=_most(said), window=_window(said)),
    ),
)
"""Every form that a sentence may have; all of those about a VM, and those about fences, may end in ``after T`` or ``between T1 and T2``."""


def understood(words: str) -> Sentence | None:
    """The sentence, None when it has none of the forms."""
    text = " ".join(words.split()).removesuffix(".")
    for form in FORMS:
        found = form.pattern.fullmatch(text)
        if found:
            said = found.groupdict()
            return Sentence(words, form.reading(said), said.get("vm"), said.get("node"))
    return None


@dataclass(slots=True)
class Breach:
    """A sentence that does not hold: since when, and what happened."""

    at: float
    sentence: str
    what: str


@dataclass(slots=True)
class Bench:
    """Judges over all these sentences; ``breaches`` holds the first breach of each, in order of time."""

    sentences: Iterable[Sentence]
    truth: Truth = field(default_factory=Truth)
    breaches: list[Breach] = field(default_factory=list)
    now: float = -0.5
    _judges: list[tuple[Sentence, Judge]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._judges = [(sentence, sentence.judge(self.truth)) for sentence in self.sentences]

    def take(self, line: Line) -> None:
        """Judge one line; lines come in order of time."""
        self.pass_to(line["t"])
        self.truth.take(line)
        self._ask(line["t"], lambda judge: judge.look(line))

    def pass_to(self, at: float) -> None:
        """Nothing more happens before this time."""
        if at > self.now >= 0:
            self._ask(self.now, lambda judge: judge.pass_by(self.now, at))
        self.now = max(self.now, at)

    def _ask(self, at: float, question: Callable[[Judge], str | None]) -> None:
        kept = []
        for sentence, judge in self._judges:
            what = question(judge)
            if what is None:
                kept.append((sentence, judge))
            else:
                self.breaches.append(Breach(max(at, judge.window.first), sentence.words, what))
        self._judges = kept
