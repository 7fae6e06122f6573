"""Many schedules by chance, each played and judged: what breaks is shrunk to what it takes, and what never happened is counted.

A schedule is a scenario, so a failure is one too: `pvc sim run FILE --seed N` plays it again.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from re import sub
from traceback import format_tb

from pvc.fsm.tables import TABLES
from pvc.sim.kinds import Said
from pvc.sim.mending import ATTEND_S, restless
from pvc.sim.scenario_file import scenario_of
from pvc.sim.schedule import USUAL, Schedule, Sizes
from pvc.sim.stage import Stage
from pvc.sim.witness import Broken

AFTER_S = 10.0
"""How long a scenario file of a failure goes on after it."""
TRIES = 120
"""How many schedules are played to find a smaller one."""
SLACK_S = 60.0
"""How much later than it was found a failure may come in a smaller schedule."""
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


def play(said: Said, seed: int, until: float | None = None) -> Outcome:
    """Play a schedule until something breaks, all is at rest, or it is this time."""
    outcome, stage = Outcome(seed), None
    try:
        stage = Stage(scenario_of(said, Path(str(said["name"]))), seed)
        _play(stage, until)
    except (Broken, AssertionError) as error:
        outcome.broken = str(error) or repr(error)
    except Exception as error:  # whatever the product raises is told with its seed, and is no end of the sweep
        outcome.broken = "\n".join([f"{type(error).__name__}: {error}", *format_tb(error.__traceback__)[-3:]])
    if stage is not None:
        outcome.at, outcome.rows = stage.now, stage.cluster.laws.rows
    return outcome


def _play(stage: Stage, until: float | None) -> None:
    mended, began = False, stage.trace.began
    for step in stage.scenario.steps:
        while mended and stage.now + ATTEND_S < step.at:
            stage.cluster.run(ATTEND_S)
            if not restless(stage.cluster):
                return
        if until is not None and step.at > until:
            stage.cluster.run(began + until - stage.cluster.now)
            return
        stage.cluster.run(began + step.at - stage.cluster.now)
        stage.do(step)
        stage.cluster.run(0.0)
        mended = mended or step.do == LAST_STEPS[0]


def explored(seed: int, sizes: Sizes = USUAL) -> Outcome:
    """How the schedule of this seed goes."""
    return play(Schedule(seed, sizes).scenario(), seed)


# ---- shrinking


def shrink(said: Said, outcome: Outcome, tries: int = TRIES) -> tuple[Said, Outcome]:
    """The same failure with as few steps as are found by leaving some out (delta debugging); returns it and how it then goes."""
    last = [step for step in said["steps"] if step["do"] in LAST_STEPS]
    steps = [step for step in said["steps"] if step["do"] not in LAST_STEPS and step["at"] <= outcome.at]
    size = (len(steps) + 1) // 2
    while size and tries > 0:
        for begin in range(0, len(steps), size):
            tries -= 1
            rest = steps[:begin] + steps[begin + size :]
            found = play({**said, "steps": [*rest, *last]}, outcome.seed, until=outcome.at + SLACK_S)
            if found.broken and found.kind == outcome.kind:
                steps, outcome = rest, found
                break
            if tries <= 0:
                break
        else:
            size //= 2
        size = min(size, len(steps))
    return _cut_short({**said, "steps": [*steps, *last]}, outcome), outcome


def _cut_short(said: Said, outcome: Outcome) -> Said:
    """The same scenario without what comes after its failure, and with what it is good for."""
    end = min(said["end"], round(outcome.at + AFTER_S, 3))
    steps = [step for step in said["steps"] if step["at"] <= end]
    notes = f"Broken under seed {outcome.seed}, at {outcome.at:.3f} s: {outcome.broken.partition(chr(10))[0]}"
    return {**said, "steps": steps, "end": end, "notes": notes}


# ---- coverage


NEVER: dict[str, str] = {
    "connection close": "A daemon's process ends without it: whoever is gone decides nothing.",
}
"""Rows that cannot fire in a simulated cluster, and why; who fires nevertheless is wrong here."""


def row_names() -> dict[tuple[str, int], str]:
    """Every row of every table by its place, with the name by which the checker calls it too."""
    rows = ((table, number, row) for table in TABLES.values() for number, row in enumerate(table.rows))
    return {(table.name, number): f"{table.name} {table.name_of(row)}" for table, number, row in rows}


def uncovered(rows: Counter[tuple[str, int]]) -> tuple[list[str], list[str]]:
    """The rows that never fired and have no reason for it, and those that fired although a reason says that they cannot."""
    names = row_names()
    fired = {name for place, name in names.items() if rows[place]}
    return [name for name in names.values() if name not in fired and name not in NEVER], sorted(fired & NEVER.keys())


def file_name(outcome: Outcome) -> str:
    """What the file of a failure is called."""
    return f"seed-{outcome.seed}.json"
