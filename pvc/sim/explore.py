"""Many schedules by chance, each played and judged: what breaks is shrunk to what it takes, and what never happened is counted.

A schedule is a scenario, so a failure is one too: `pvc sim run FILE --seed N` plays it again.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from re import sub
from typing import Any

from pvc.check.mutants import row_name
from pvc.fsm.tables import TABLES
from pvc.sim.mending import ATTEND_S, restless
from pvc.sim.scenario import Scenario
from pvc.sim.scenario_file import scenario_of
from pvc.sim.schedule import USUAL, Said, Schedule, Sizes
from pvc.sim.stage import Stage
from pvc.sim.witness import Broken

FIRST_SECONDS = 10.0
LAST_STEPS = ("mend", "rest")


@dataclass(slots=True)
class Outcome:
    """How one schedule went: what broke, empty where nothing did, and the rows that fired."""

    seed: int
    broken: str = ""
    at: float = 0.0
    rows: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def kind(self) -> str:
        """What broke, whoever it happened to."""
        return sub(r"\b(?:hv|vm)?\d[\w.-]*", "#", self.broken.partition("\n")[0])


def play(said: Said, seed: int) -> Outcome:
    """Play a schedule until something breaks, or all is at rest."""
    outcome, stage = Outcome(seed), None
    try:
        stage = Stage(scenario_of(said, Path(str(said["name"]))), seed, tell=lambda line: None)
        _play(stage)
    except (Broken, AssertionError) as error:
        outcome.broken = str(error) or repr(error)
    if stage is not None:
        outcome.at, outcome.rows = stage.now, stage.cluster.laws.rows
    return outcome


def _play(stage: Stage) -> None:
    mended, began = False, stage.trace.began
    for step in stage.scenario.steps:
        while mended and stage.now + ATTEND_S < step.at:
            stage.cluster.run(ATTEND_S)
            if not restless(stage.cluster):
                return
        stage.cluster.run(began + step.at - stage.cluster.now)
        stage.do(step)
        stage.cluster.run(0.0)
        mended = mended or step.do == LAST_STEPS[0]


def sweep(seeds: Iterable[int], sizes: Sizes = USUAL) -> Iterator[Outcome]:
    """Play one schedule after the other."""
    for seed in seeds:
        yield play(Schedule(seed, sizes).scenario(), seed)


# ---- shrinking


def shrink(said: Said, outcome: Outcome, tries: int = 400, show: Callable[[int], None] = lambda left: None) -> tuple[Said, Outcome]:
    """The same failure with as few steps as are found by leaving some out (delta debugging); returns it and how it then goes."""
    steps = [step for step in said["steps"] if step["do"] not in LAST_STEPS]
    last = [step for step in said["steps"] if step["do"] in LAST_STEPS]
    steps = [step for step in steps if step["at"] <= outcome.at]
    size = max(1, len(steps) // 2)
    while size and tries > 0:
        smaller = False
        for begin in range(0, len(steps), size):
            rest = steps[:begin] + steps[begin + size :]
            tries -= 1
            found = play({**said, "steps": [*rest, *last]}, outcome.seed)
            if found.broken and found.kind == outcome.kind:
                steps, outcome, smaller = rest, found, True
                show(len(steps))
                break
            if tries <= 0:
                break
        size = size if smaller and size <= len(steps) else size // 2
    return _cut_short({**said, "steps": [*steps, *last]}, outcome), outcome


def _cut_short(said: Said, outcome: Outcome) -> Said:
    """The same scenario without what comes after its failure, and with what it is good for."""
    end = min(said["end"], round(outcome.at + FIRST_SECONDS, 3))
    steps = [step for step in said["steps"] if step["at"] <= end]
    notes = f"Broken under seed {outcome.seed}, at {outcome.at:.3f} s: {outcome.broken.partition(chr(10))[0]}"
    return {**said, "steps": steps, "end": end, "notes": notes}


# ---- coverage


NEVER: dict[str, str] = {}
"""Rows that cannot fire in a simulated cluster, and why; who fires nevertheless is wrong here."""


def row_names() -> dict[tuple[str, int], str]:
    """Every row of every table by its place, with the name by which the checker calls it too."""
    rows = ((table, number, row) for table in TABLES.values() for number, row in enumerate(table.rows))
    return {(table.name, number): f"{table.name} {row_name(table, row)}" for table, number, row in rows}


def uncovered(rows: Counter[tuple[str, int]]) -> tuple[list[str], list[str]]:
    """The rows that never fired and have no reason for it, and those that fired although a reason says that they cannot."""
    names = row_names()
    fired = {name for place, name in names.items() if rows[place]}
    return [name for name in names.values() if name not in fired and name not in NEVER], sorted(fired & NEVER.keys())


def read(said: Said) -> Scenario:
    """The schedule, read as a file would be."""
    return scenario_of(said, Path(str(said["name"])))


def file_name(outcome: Outcome) -> str:
    """What the file of a failure is called."""
    return f"seed-{outcome.seed}.json"


def replay(outcome: Outcome, options: Any) -> str:
    """The command that plays this seed again."""
    return f"pvc sim explore --from {outcome.seed} --seeds 1{options}"
