"""Runs a scenario and says how it went: what does not hold, since when, and what happened before."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pvc.errors import PvcError
from pvc.sim import expectations
from pvc.sim.scenario import Checkpoint, Scenario, Timing, Wishes
from pvc.sim.sentences import Bench, Breach
from pvc.sim.stage import Line, Stage
from pvc.sim.trace import DIGITS, words_of
from pvc.sim.witness import Broken

LAST = 12
"""How many of the last events before a failure are told."""
TOLD = frozenset({"record", "guest_start", "guest_end", "guest_handover", "start_attempt", "power", "fence", "refused", "step", "session"})


@dataclass(slots=True)
class Verdict:
    """How a scenario went: what failed, in order of time, with the last events before the first; how the better outcome fared."""

    scenario: Scenario
    seed: int
    failures: list[Breach] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    missed: list[Breach] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    transitions: int = 0

    @property
    def passed(self) -> bool:
        """Whether everything held that must."""
        return not self.failures


class _Clerk:
    """Takes every line of the trace: judges it, and keeps the last ones."""

    def __init__(self, verdict: Verdict, write: Callable[[Line], None] | None) -> None:
        scenario = verdict.scenario
        self.verdict = verdict
        self.write = write
        self.bench = Bench(scenario.wishes.always)
        self.better = Bench(scenario.better.always if scenario.better is not None else ())
        self.last: deque[str] = deque(maxlen=LAST)
        self.gap = None if scenario.timing is None else _Gap(scenario.timing)

    def take(self, line: Line) -> None:
        if self.write is not None:
            self.write(line)
        if self.gap is not None:
            self.gap.take(line)
        known = len(self.bench.breaches)
        self.better.take(line)
        self.bench.take(line)
        if line["event"] in TOLD and not line.get("initial"):
            self.last.append(words_of(line))
        if line["event"] == "refused":
            self.verdict.refused.append(f"{line['t']:g} s: {line['command']}: {line['why']}")
        for breach in self.bench.breaches[known:]:
            self.failed(breach)

    def failed(self, breach: Breach) -> None:
        if not self.verdict.failures:
            self.verdict.before = list(self.last)
        self.verdict.failures.append(breach)


class _Gap:
    """How long a VM did not run after a fault."""

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.runs = False
        self.again: float | None = None

    def take(self, line: Line) -> None:
        if line.get("vm") != self.timing.vm:
            return
        if line["event"] == "guest_end":
            self.runs, self.again = False, None if self.again is None or line["t"] <= self.timing.fault_at else self.again
        elif line["event"] in ("guest_start", "guest_handover"):
            if not self.runs and self.again is None and line["t"] >= self.timing.fault_at:
                self.again = line["t"]
            self.runs = True

    def breach(self, wrong_at: float) -> Breach | None:
        """What is wrong at the end."""
        timing, limit = self.timing, self.timing.fault_at + self.timing.within_s
        words = f"timing: {timing.vm} must run again within {timing.within_s:g} s of {timing.fault_at:g} s"
        if self.again is None:
            return None if self.runs else Breach(min(limit, wrong_at), words, f"{timing.vm} did not run again")
        late = self.again > limit
        return Breach(limit, words, f"{timing.vm} ran again after {self.again - timing.fault_at:.1f} s") if late else None


def run(
    scenario: Scenario, seed: int = 0, write: Callable[[Line], None] | None = None, say: Callable[[str], None] | None = None
) -> Verdict:
    """Play a scenario and judge it; ``write`` is given each line of the trace, ``say`` each in words.

    Raises PvcError where the cluster cannot be what the file says at the beginning.
    """
    verdict = Verdict(scenario, seed)
    clerk = _Clerk(verdict, write)
    stage = _stage(scenario, seed, clerk.take, say)
    try:
        stage.play(lambda checkpoint: _checkpoint(stage, clerk, checkpoint))
    except AssertionError as broken:  # what must hold at every instant, or the simulator's own sense
        wrong = stage.cluster.witness.wrong or str(broken).splitlines()[:1]
        sentence = "; ".join(wrong) or "the simulator contradicts itself"
        clerk.failed(Breach(round(stage.now, DIGITS), "what must hold in every cluster", sentence))
    else:
        _finish(stage, clerk)
    verdict.transitions = stage.cluster.witness.transitions
    verdict.failures.sort(key=lambda breach: breach.at)
    return verdict


def _stage(scenario: Scenario, seed: int, take: Callable[[Line], None], say: Callable[[str], None] | None) -> Stage:
    try:
        return Stage(scenario, seed, take, say)
    except (PvcError, Broken) as error:
        next_step = "give its VMs other homes, or another policy" if isinstance(error, PvcError) else None
        why = str(error).splitlines()[0]
        raise PvcError(f"{scenario.path}: the cluster cannot be as the file says at the beginning: {why}", next_step) from error


def _checkpoint(stage: Stage, clerk: _Clerk, checkpoint: Checkpoint) -> None:
    better = checkpoint not in stage.scenario.wishes.checkpoints
    for what in expectations.wrong(checkpoint.expected, expectations.now(stage.cluster)):
        breach = Breach(checkpoint.at, f"checkpoint at {checkpoint.at:g} s", what)
        if better:
            clerk.verdict.missed.append(breach)
        else:
            clerk.failed(breach)


def _finish(stage: Stage, clerk: _Clerk) -> None:
    scenario, found = stage.scenario, expectations.now(stage.cluster)
    known = len(clerk.bench.breaches)
    clerk.bench.end(scenario.end)
    clerk.better.end(scenario.end)
    for breach in clerk.bench.breaches[known:]:
        clerk.failed(breach)
    for what in expectations.wrong(scenario.wishes.final, found):
        clerk.failed(Breach(scenario.end, "expect_final", what))
    late = None if clerk.gap is None else clerk.gap.breach(scenario.end)
    if late is not None:
        clerk.failed(late)
    clerk.verdict.missed += [*clerk.better.breaches, *_missed(scenario.better, found, scenario.end)]


def _missed(better: Wishes | None, found: Any, at: float) -> list[Breach]:
    return [] if better is None else [Breach(at, "expect_better", what) for what in expectations.wrong(better.final, found)]
