"""What it costs to fire a row through its machine, against looking it up in its table; and what 10,000 trackers weigh.

Run it as ``python bench/machine.py``. Times depend on the computer, so the ratio is what to compare: decide by look-up, fire by machine.
"""

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from pvc.fsm.fire import state_of
from pvc.fsm.machine import Tracker, fire, machine_of
from pvc.fsm.row import enabled, explain
from pvc.fsm.tables import TABLES
from pvc.fsm.views import Life
from tests.fsm.situations import Case, cases, partner_takes

ROUNDS = 300
TRACKERS = 10_000


class Nowhere:
    """A port that does nothing, so that the machine alone is measured."""

    def commit(self, tracker, row, partner, view, record):
        """Write nothing."""

    def order(self, tracker, effect, view):
        """Order nothing."""


def main() -> None:
    """Print one line per table, and what the trackers weigh."""
    print(f"{'table':<12}{'rows':>5}{'triggers':>10}{'look-up':>11}{'all rows':>11}{'machine':>11}{'ratio':>8}{'builds in':>12}")
    for table in TABLES.values():
        print(line(table))
    weight, registered = weigh()
    each = weight / TRACKERS
    print(f"{TRACKERS:,} trackers: {weight / 1e6:.1f} MB, {each:.0f} bytes each without the record; registered in a machine: {registered}")


def line(table) -> str:
    """The median over the triggers of a table, in microseconds: one trigger looked up, all rows of a state looked up, one trigger fired."""
    started = perf_counter()
    machine_of.__wrapped__(table)
    built = perf_counter() - started
    found = [case for trigger in table.triggers if (case := fires(table, trigger)) is not None]
    one = [timed(look_up(table, case)) for case in found]
    every = [timed(look_up_all(table, case)) for case in found]
    fired = [timed(firing(table, case)) for case in found]
    ratio = median(slow / fast for slow, fast in zip(fired, one, strict=True))
    columns = "".join(f"{median(times) * 1e6:>8.1f} us" for times in (one, every, fired))
    return f"{table.name:<12}{len(table.rows):>5}{len(found):>10}{columns}{ratio:>8.1f}{built * 1e3:>9.2f} ms"


def fires(table, trigger: str) -> Case | None:
    """A case in which this trigger fires; none for a transition that happens only along with another."""
    if trigger in table.partner_triggers:
        return None
    answers = ((case, explain(table, state_of(table, case.view.life), trigger, case.by, case.view).row) for case in cases(table, trigger))
    return next((case for case, row in answers if row is not None and partner_takes(row, case.view)), None)


def look_up(table, case: Case) -> Callable[[], object]:
    """The question whether one trigger may fire."""
    state = state_of(table, case.view.life)
    return lambda: explain(table, state, case.trigger, case.by, case.view)


def look_up_all(table, case: Case) -> Callable[[], object]:
    """The question what may fire at all."""
    state = state_of(table, case.view.life)
    return lambda: enabled(table, state, case.by, case.view)


def firing(table, case: Case) -> Callable[[], object]:
    """The firing of one trigger, each time from the same record."""
    tracker, port, life = Tracker("vm", case.view.life), Nowhere(), case.view.life

    def once() -> object:
        tracker.life = life
        return fire(table, case.trigger, tracker, case.by, case.view, port)

    return once


def timed(action: Callable[[], object]) -> float:
    """Seconds for one run: the best of five series, which others on this computer disturbed least."""
    series = []
    for _ in range(5):
        started = perf_counter()
        for _ in range(ROUNDS):
            action()
        series.append((perf_counter() - started) / ROUNDS)
    return min(series)


def weigh() -> tuple[int, int]:
    """Bytes of many trackers, and how many of them a machine keeps."""
    life = Life()
    names = [f"vm{number}" for number in range(TRACKERS)]
    tracemalloc.start()
    trackers = [Tracker(name, life) for name in names]
    weight, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(trackers) == TRACKERS
    return weight, sum(len(machine_of(table).models) for table in TABLES.values())


if __name__ == "__main__":
    main()
