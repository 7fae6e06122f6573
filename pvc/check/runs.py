"""One run of the checker: what is to be explored, and what was found, for people and for programs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pvc.check.coverage import recording, silent
from pvc.check.explore import Exploration, explore, trace
from pvc.check.liveness import Verdicts, settle
from pvc.check.space import Size, Space
from pvc.check.words import situation, story
from pvc.fsm.states import Handover

Progress = Callable[[Exploration], None]


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be explored: size and model, the bound on faults (none: any number), and whether it must settle."""

    size: Size
    faults: int | None = None
    settles: bool = False

    @property
    def command(self) -> str:
        """The command line that runs this task alone."""
        words = ["pvc fsm check", f"--nodes {self.size.nodes}", f"--domains {self.size.vms}", f"--handover {self.size.handover}"]
        words += [] if self.faults is None else [f"--faults {self.faults}"]
        return " ".join([*words, "--settle" if self.settles else "--exact" if self.size.exact else "--coarse"])

    def __str__(self) -> str:
        size, faults = self.size, "any number of faults" if self.faults is None else f"at most {counted(self.faults, 'fault')}"
        model = "exact" if size.exact else "coarse"
        cluster = f"{counted(size.nodes, 'node')}, {counted(size.vms, 'VM')}"
        return f"{cluster}, {size.handover} hand-over, {faults}, {model} model"


@dataclass(frozen=True, slots=True)
class Result:
    """What a run has found."""

    task: Task
    found: Exploration
    verdicts: Verdicts | None
    silent: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.found.violation is None and (self.verdicts is None or bool(self.verdicts))

    @property
    def goal(self) -> int | None:
        """The state that shows what is wrong."""
        if self.found.violation is not None:
            return self.found.violation
        bad = self.verdicts.bad if self.verdicts is not None else []
        return bad[0] if bad else None

    def lines(self) -> Iterator[str]:
        """The result in words."""
        found = self.found
        rate = found.transitions / found.seconds / 1e6 if found.seconds else 0.0
        yield f"{self.task}"
        yield (
            f"  {found.states:,} states, {found.transitions:,} transitions, {len(found.levels)} levels, {found.seconds:.1f} s, "
            f"{rate:.1f} M transitions/s, peak {found.peak_mib} MiB"
        )
        yield f"  safe: {'yes' if found.violation is None else 'NO: ' + self.wrong}"
        if self.verdicts is not None and found.violation is None:
            yield f"  settles: {'yes' if self.verdicts else 'NO: ' + self.wrong}; {self._settled()}"
        if self.goal is not None:
            yield from (f"  {line}" for line in self._trace(self.goal))

    @property
    def wrong(self) -> str:
        """What is wrong, in words."""
        if self.found.violation is not None:
            return " and ".join(sorted({said for said in self.found.space.verdicts(self.found.violation) if said}))
        verdicts = self.verdicts or Verdicts()
        if verdicts.stuck:
            return f"from {counted(len(verdicts.stuck), 'state')} nothing that may happen leads to rest"
        if verdicts.unsettled:
            return f"from {counted(len(verdicts.unsettled), 'state')} the system alone, faults over, does not come to rest"
        return f"in {counted(len(verdicts.cycles), 'ring')} of states the system may go round for ever" if verdicts.cycles else ""

    def _settled(self) -> str:
        assert self.verdicts is not None
        return f"{self.verdicts.settled:,} states at rest, {self.verdicts.excused:,} with no node left that could take a VM"

    def _trace(self, goal: int) -> Iterator[str]:
        moves = trace(self.found, goal)
        bounded = self.found.faults is not None
        yield f"The shortest way there, {counted(len(moves), 'move')}" + (", of those with the fewest faults:" if bounded else ":")
        yield from story(moves)
        yield "Then:"
        if moves:
            yield from (f"  {line}" for line in situation(moves[-1][1]))
        yield f"Again: {self.task.command}"

    def as_dict(self) -> dict[str, Any]:
        """The result for a program."""
        size, found = self.task.size, self.found
        return {
            "nodes": size.nodes,
            "domains": size.vms,
            "handover": str(size.handover),
            "model": "exact" if size.exact else "coarse",
            "faults": self.task.faults,
            "states": found.states,
            "transitions": found.transitions,
            "levels": len(found.levels),
            "seconds": round(found.seconds, 2),
            "peak_mib": found.peak_mib,
            "safe": found.violation is None,
            "settles": None if self.verdicts is None else bool(self.verdicts),
            "wrong": self.wrong or None,
            "trace": None if self.goal is None else [line.strip() for line in story(trace(found, self.goal))],
            "rows_that_did_not_fire": list(self.silent),
            "command": self.task.command,
        }


def run(task: Task, progress: Progress | None = None) -> Result:
    """Explore, and judge what settles when that is asked and nothing worse was found."""
    rules = recording()
    found = explore(Space(task.size, rules, calm=task.faults == 0), task.faults, progress=progress)
    settled = settle(found) if task.settles and found.violation is None else None
    return Result(task, found, settled, silent(rules.fired))


def counted(number: int, thing: str) -> str:
    """A number of things, in words that agree with it."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def plan(size: Size, handovers: tuple[Handover, ...], faults: int | None, model: str | None) -> tuple[Task, ...]:
    """What to run: one model as asked, or by default the coarse one for safety and, where it takes seconds, the exact one for rest."""
    tasks = []
    for handover in handovers:
        coarse, exact = (Size(size.nodes, size.vms, handover, exact=choice) for choice in (False, True))
        if model in (None, "coarse"):
            tasks.append(Task(coarse, faults))
        if model == "exact":
            tasks.append(Task(exact, faults))
        if model == "settle" or (model is None and small(size)):
            tasks.append(Task(exact, faults or 0, settles=True))
    return tuple(tasks)


def small(size: Size) -> bool:
    """Whether the exact model of this size takes seconds, faults left out."""
    return size.nodes <= 2 and size.vms <= 1


def unchecked(tasks: tuple[Task, ...]) -> Iterator[str]:
    """What these runs leave open, in plain words."""
    settling = [task for task in tasks if task.settles]
    if not settling:
        yield "whether everything comes to rest: --settle asks that, of the exact model, which grows fast beyond 2 nodes and 1 VM"
    elif all(task.faults == 0 for task in settling):
        yield "whether everything comes to rest after a fault: --settle --faults 1 asks that, and takes minutes"
    if any(task.faults is not None for task in tasks if not task.settles):
        yield "safety under more faults than that"
    yield "larger clusters; time, which is absent here: a wait may end at any moment; guests that somebody starts by hand"
