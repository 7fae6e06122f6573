"""The sentences of `expect_always`: their grammar, and the bench of judges that takes a trace line by line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from pvc.cluster.names import shown
from pvc.errors import nearest
from pvc.sim.judges import (
    FOREVER,
    Continuous,
    Counted,
    Fenced,
    InSync,
    Judge,
    KeepsSessions,
    Line,
    Never,
    OffFirst,
    OneCopy,
    Says,
    TakesVms,
    Truth,
    Window,
)

NUMBER = r"\d+(?:\.\d+)?"
WINDOW = rf"(?: after (?P<after>{NUMBER})| between (?P<first>{NUMBER}) and (?P<last>{NUMBER}))?"
TIMES = r"at most (?P<most>once|twice|\d+)(?: times?)?"
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that was understood: its words, and what makes a judge of it."""

    words: str
    judge: Callable[[Truth], Judge]
    vm: str | None = None
    node: str | None = None
    backwards: bool = False
    """Whether its time ends before it begins."""


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
    _form("no session is lost", rf"no session is lost{WINDOW}", lambda said: partial(KeepsSessions, window=_window(said))),
    _form(
        "every daemon knows everything again within S s",
        rf"every daemon knows everything again within (?P<within>{NUMBER}) s{WINDOW}",
        lambda said: partial(InSync, within_s=float(said["within"] or 0), requests=None, window=_window(said)),
    ),
    _form(
        "every daemon knows everything again with at most K requests",
        rf"every daemon knows everything again with at most (?P<most>\d+) requests{WINDOW}",
        lambda said: partial(InSync, within_s=FOREVER, requests=_most(said), window=_window(said)),
    ),
    _form(
        "node N says WORDS",
        rf"node (?P<node>{NAME}) says (?P<words>.+?){WINDOW}",
        lambda said: partial(Says, node=str(said["node"]), words=str(said["words"]), window=_window(said)),
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
            window = _window(said)
            return Sentence(words, form.reading(said), said.get("vm"), said.get("node"), window.last < window.first)
    return None


def no_sentence(words: object) -> str:
    """Why this is none, and what may have been meant."""
    shapes = [form.shown for form in FORMS]
    guesses = nearest(str(words), shapes)
    hint = " or ".join(f'"{guess}"' for guess in guesses) or "; ".join(f'"{shape}"' for shape in shapes)
    return f"{shown(words)} is no sentence of the grammar; did you mean {hint}?"


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

    def end(self, at: float) -> None:
        """The story is over."""
        self.pass_to(at)
        self._ask(at, lambda judge: judge.over())

    def _ask(self, at: float, question: Callable[[Judge], str | None]) -> None:
        kept = []
        for sentence, judge in self._judges:
            what = question(judge)
            if what is None:
                kept.append((sentence, judge))
            else:
                self.breaches.append(Breach(max(at, judge.window.first), sentence.words, what))
        self._judges = kept
