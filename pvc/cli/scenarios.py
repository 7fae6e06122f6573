"""`pvc sim run`: scenario files, played and judged."""

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import click

from pvc.cli.output import print_json
from pvc.cli.screen import say
from pvc.errors import PvcError
from pvc.sim.scenario_file import BadScenario, read_scenario
from pvc.sim.trace import dumped
from pvc.sim.verdict import Verdict, run

Result = Verdict | PvcError
SHOWN = 5
"""How many failures of one scenario are told; the others are counted."""


@click.command("run", short_help="Play scenario files, and judge them.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--trace", type=click.Path(dir_okay=False, path_type=Path), metavar="OUT.jsonl", help="Write what happened as JSON Lines.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chance: how long things take, and who is faster.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("--log", is_flag=True, help="Tell everything that happens, while it happens.")
@click.pass_context
def run_files(ctx: click.Context, files: tuple[Path, ...], trace: Path | None, seed: int, as_json: bool, log: bool) -> None:
    """Play scenario files in virtual time, and judge what happens.

    Each file describes a cluster, what befalls it, and what must hold: docs/scenarios.md. Ends with 1 when something does not hold, and
    with 2 when a file cannot be played.

    \b
    pvc sim run web-loses-its-node.json
    pvc sim run tests/scenarios/*.json --seed 7
    pvc sim run web-loses-its-node.json --log --trace out.jsonl
    """
    results: list[tuple[Path, Result]] = []
    with ExitStack() as stack:
        out = None if trace is None else stack.enter_context(_opened(trace))
        for path in files:
            result = _result(path, seed, out, len(files) > 1, log, as_json)
            results.append((path, result))
            if not as_json:
                _tell(path, result)
    if as_json:
        print_json(_summary(results, seed))
    elif len(files) > 1:
        failed = sum(not _passed(result) for _, result in results)
        say(f"{len(files) - failed} of {len(files)} scenarios passed.")
    if any(isinstance(result, BadScenario) for _, result in results):
        ctx.exit(BadScenario.exit_code)
    ctx.exit(0 if all(_passed(result) for _, result in results) else 1)


def _opened(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise PvcError(f"{path} cannot be written: {error.strerror}", "name a file in a directory that is there") from error


def _result(path: Path, seed: int, out: TextIO | None, several: bool, log: bool, as_json: bool) -> Result:
    def write(line: dict[str, Any]) -> None:
        if out is not None:
            out.write(f"{dumped(line)}\n")

    def tell(words: str) -> None:
        click.echo(words, err=as_json)

    try:
        scenario = read_scenario(path)
        if several:
            write({"t": 0.0, "event": "scenario", "name": scenario.name, "file": str(path), "seed": seed})
        return run(scenario, seed, write if out is not None else None, tell if log else None)
    except PvcError as error:
        return error


def _passed(result: Result) -> bool:
    return isinstance(result, Verdict) and result.passed


# ---- for people


def _tell(path: Path, result: Result) -> None:
    if isinstance(result, PvcError):
        say(f"{click.style('BAD', fg='red', bold=True)}     {result}")
        if result.next_step:
            say(f"  Next: {result.next_step}")
        return
    if result.passed:
        better = "" if result.scenario.better is None else ", and better than it must" if not result.missed else ""
        say(f"{click.style('passed', fg='green')}  {path}{better}")
    else:
        say(f"{click.style('FAILED', fg='red', bold=True)}  {path}")
        _tell_failures(result)
    for miss in result.missed:
        say(f"  not better at {miss.at:g} s: {miss.what} ({miss.sentence})")


def _tell_failures(result: Verdict) -> None:
    first, *rest = result.failures
    say(f"  at {first.at:g} s: {first.what}")
    say(f"  so this does not hold: {first.sentence}")
    if result.before:
        say("  what happened before:")
    for line in result.before:
        say(f"    {line}")
    for failure in rest[:SHOWN]:
        say(f"  then, at {failure.at:g} s: {failure.what} ({failure.sentence})")
    if rest[SHOWN:]:
        say(f"  and {len(rest[SHOWN:])} more")
    for refused in result.refused:
        say(f"  refused at {refused}")
    say(f"  Next: pvc sim run {result.scenario.path} --seed {result.seed} --log")


# ---- for programs


def _summary(results: list[tuple[Path, Result]], seed: int) -> dict[str, Any]:
    passed = sum(_passed(result) for _, result in results)
    told = [{"file": str(path), "passed": _passed(result), **_told(result)} for path, result in results]
    return {"passed": passed, "failed": len(results) - passed, "seed": seed, "scenarios": told}


def _told(result: Result) -> dict[str, Any]:
    if isinstance(result, BadScenario):
        return {"problems": list(result.problems), "next": result.next_step}
    if isinstance(result, PvcError):
        return {"problems": [str(result)], "next": result.next_step}
    scenario = result.scenario
    told: dict[str, Any] = {"name": scenario.name, "area": scenario.area, "failures": [asdict(one) for one in result.failures]}
    told |= {"before": result.before, "refused": result.refused, "transitions": result.transitions}
    if scenario.better is not None:
        told["better"] = {"held": not result.missed, "missed": [asdict(one) for one in result.missed], "why": scenario.why_better}
    return json.loads(json.dumps(told))  # type: ignore[no-any-return]
