"""`pvc sim explore`: schedules by chance, until something breaks; what broke becomes a scenario file."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import click

from pvc.cli.output import print_json
from pvc.cli.screen import say
from pvc.errors import PvcError, UsageProblem
from pvc.sim.explore import NEVER, Outcome, explored, file_name, row_names, shrink, uncovered
from pvc.sim.schedule import USUAL, Schedule, Sizes

AHEAD = 8
"""How many seeds each process has waiting."""


def _range(text: str | None, usual: Sequence[int], what: str) -> Sequence[int]:
    """3 or 3-5; raises UsageProblem."""
    if text is None:
        return usual
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 0 < first <= last:
        raise UsageProblem(f"{text} is no number of {what}", f"--{what} 3, or --{what} 3-5")
    return tuple(range(first, last + 1))


@click.command(short_help="Play schedules by chance until something breaks.")
@click.option("--seeds", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="How many schedules.")
@click.option("--from", "first", type=click.IntRange(0), metavar="SEED", help="The first seed; default: a fresh one, which is told.")
@click.option("--nodes", metavar="N|N-M", help="Nodes of each cluster; default: 2 to 5.")
@click.option("--vms", metavar="N|N-M", help="VMs of each cluster; default: 1 to 12.")
@click.option("--hours", type=click.FloatRange(0.001), metavar="H", help="Hours of bad weather in each; default: four minutes.")
@click.option("--time", "limit_s", type=click.FloatRange(0), metavar="SECONDS", help="Begin no further schedule after this time.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Processes.")
@click.option("--cover", is_flag=True, help="Fail also when a row of the tables never fired.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Directory for what broke.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explore(
    seeds: int,
    first: int | None,
    nodes: str | None,
    vms: str | None,
    hours: float | None,
    limit_s: float | None,
    jobs: int,
    cover: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Play schedules by chance until something breaks.

    Each seed is a cluster, faults, and commands of admins; what must hold is looked at with every event. In the end everything is mended,
    and has to come to rest. What broke is shrunk to the steps that it takes and written as a scenario file. Ends with 1 when anything did.

    \b
    pvc sim explore --seeds 1000
    pvc sim explore --from 1265 --seeds 1
    pvc sim explore --nodes 3-5 --vms 4-12 --seeds 20000 --jobs 2 --cover
    """
    sizes = Sizes(_range(nodes, USUAL.nodes, "nodes"), _range(vms, USUAL.vms, "vms"), USUAL.seconds if hours is None else 3600 * hours)
    first = int(time.time()) if first is None else first
    if not as_json:
        say(f"Seeds {first} to {first + seeds - 1}." if limit_s is None else f"Seeds from {first}, for {limit_s:g} s.")
    began, rows, broken, played = time.monotonic(), Counter[tuple[str, int]](), list[Outcome](), 0
    virtual_s = 0.0
    with _outcomes(range(first, first + seeds), sizes, jobs) as outcomes:
        for outcome in outcomes:
            played, rows, virtual_s = played + 1, rows + outcome.rows, virtual_s + outcome.at
            if outcome.broken:
                broken.append(outcome)
                _tell(outcome, sizes, out, _options(nodes, vms, hours), as_json)
            if limit_s is not None and time.monotonic() - began > limit_s:
                break
    missing, surprising = uncovered(rows)
    seconds = time.monotonic() - began
    if as_json:
        said = {"first": first, "played": played, "virtual_s": round(virtual_s), "seconds": round(seconds, 1)}
        never = {"never_fired": missing, "fired_against_reason": surprising}
        print_json({**said, "broken": [_json(one, out) for one in broken], **never})
    else:
        _sum_up(played, virtual_s, seconds, len(broken), missing, surprising)
    if broken or (cover and (missing or surprising)):
        click.get_current_context().exit(1)


@contextmanager
def _outcomes(seeds: range, sizes: Sizes, jobs: int) -> Iterator[Iterator[Outcome]]:
    """How each seed goes, in order."""
    work = partial(explored, sizes=sizes)
    if jobs == 1:
        yield map(work, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield (outcome for some in _batches(seeds, jobs * AHEAD) for outcome in pool.map(work, some))


def _batches(seeds: Iterable[int], size: int) -> Iterator[list[int]]:
    left = iter(seeds)
    while some := list(islice(left, size)):
        yield some


def _options(nodes: str | None, vms: str | None, hours: float | None) -> str:
    said = (("nodes", nodes), ("vms", vms), ("hours", hours))
    return "".join(f" --{name} {value}" for name, value in said if value is not None)


def _tell(outcome: Outcome, sizes: Sizes, out: Path, options: str, as_json: bool) -> None:
    """Shrink what broke, write it, and say how it is played again."""
    said, smaller = shrink(Schedule(outcome.seed, sizes).scenario(), outcome)
    path = out / file_name(outcome)
    try:
        path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise PvcError(f"{path} cannot be written: {error.strerror}", "name a directory with --out") from error
    if as_json:
        return
    say(f"{click.style('BROKEN', fg='red', bold=True)} seed {outcome.seed}: {smaller.broken}")
    say(f"  again: pvc sim explore --from {outcome.seed} --seeds 1{options}")
    say(f"  shrunk to {len(said['steps'])} steps: pvc sim run {path} --seed {outcome.seed} --log")


def _json(outcome: Outcome, out: Path) -> dict[str, Any]:
    what = outcome.broken.partition("\n")[0]
    return {"seed": outcome.seed, "at": round(outcome.at, 3), "broken": what, "file": str(out / file_name(outcome))}


def _sum_up(played: int, virtual_s: float, seconds: float, broken: int, missing: list[str], surprising: list[str]) -> None:
    speed = f"{played / max(seconds, 0.001):.1f} schedules and {virtual_s / max(seconds, 0.001):,.0f} virtual seconds per second"
    say(f"{played} schedules, {virtual_s / 3600:,.1f} virtual hours, in {seconds:.1f} s: {speed}.")
    fired = len(row_names()) - len(missing) - len(NEVER)
    say(f"{fired} of {len(row_names())} rows fired, {len(NEVER)} cannot in a simulation." if not missing else f"{fired} rows fired.")
    for name in missing:
        say(f"  never fired: {name}")
    for name in surprising:
        say(f"  fired, although it cannot: {name}")
    say(click.style(f"{broken} broke." if broken else "Nothing broke.", bold=True))
