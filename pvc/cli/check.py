"""`pvc fsm check`: the exhaustive checker, and what it has found, in words."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pvc.cli.meanwhile import meanwhile
from pvc.cli.screen import say
from pvc.errors import Refused, UsageProblem
from pvc.fsm.states import Handover

if TYPE_CHECKING:
    from pvc.check.explore import Exploration

HANDOVERS = {str(choice): (choice,) for choice in Handover} | {"both": tuple(Handover)}
MODELS = ("coarse", "exact", "settle")


@click.command(short_help="Prove the state machines: every interleaving of a small cluster.")
@click.option("--nodes", type=click.IntRange(1, 4), default=2, show_default=True, metavar="N", help="Nodes of the cluster.")
@click.option("--domains", type=click.IntRange(0, 3), default=1, show_default=True, metavar="M", help="VMs in it.")
@click.option("--faults", type=click.IntRange(min=0), metavar="K", help="At most so many faults; default: any number.")
@click.option("--handover", type=click.Choice(list(HANDOVERS)), default="both", show_default=True, help="How migrations switch over.")
@click.option("--coarse", "model", flag_value="coarse", help="Safety alone, in a model with more behaviours than the real one.")
@click.option("--exact", "model", flag_value="exact", help="Safety alone, in the exact model.")
@click.option("--settle", "model", flag_value="settle", help="Safety and rest, in the exact model; without --faults: no fault.")
@click.option("--mutate", is_flag=True, help="Take out rows and guards one by one: is each missed? Takes minutes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(nodes: int, domains: int, faults: int | None, handover: str, model: str | None, mutate: bool, as_json: bool) -> None:
    """Prove the state machines: every interleaving of a small cluster.

    By default the coarse model is explored with any number of faults, for safety, and the exact one without faults, for whether everything
    comes to rest. Ends with 1 when something does not hold, and then tells the shortest way there.

    \b
    pvc fsm check
    pvc fsm check --nodes 3 --domains 2 --faults 2
    pvc fsm check --settle --faults 1
    """
    if mutate and (model or faults is not None):
        raise UsageProblem("--mutate chooses sizes and models itself", "pvc fsm check --mutate")
    with _numpy_needed():
        good = _mutate(as_json) if mutate else _explore(nodes, domains, faults, HANDOVERS[handover], model, as_json)
    if not good:
        click.get_current_context().exit(1)


@contextmanager
def _numpy_needed() -> Iterator[None]:
    """Say what to install when the one package is missing that nothing but the checker needs."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        raise Refused("the checker needs numpy, which is not installed", "apt install python3-numpy, or pip install 'pvc[check]'") from None


def _explore(nodes: int, domains: int, faults: int | None, handovers: tuple[Handover, ...], model: str | None, as_json: bool) -> bool:
    from pvc.check.runs import plan, run, unchecked
    from pvc.check.space import Size

    tasks = plan(Size(nodes, domains), handovers, faults, model)
    results = []
    for task in tasks:
        with _progress(str(task)) as show:
            results.append(run(task, show))
        if not as_json:
            say("\n".join(results[-1].lines()))
    never = sorted(set.intersection(*(set(result.silent) for result in results)))
    if as_json:
        say(json.dumps({"holds": all(results), "runs": [result.as_dict() for result in results]}, indent=2))
    else:
        say(f"Rows that never fired here: {', '.join(never) or 'none'}.")
        say("\n".join(["Not checked:", *(f"  {line}" for line in unchecked(tasks))]))
        say("Everything holds." if all(results) else "Something does not hold: see above.")
    return all(results)


def _mutate(as_json: bool) -> bool:
    from pvc.check.mutants import mutants
    from pvc.check.mutate import judge_all
    from pvc.check.survivors import reason_for, stale_reasons

    told: list[dict[str, Any]] = []
    survived: set[str] = set()
    for mutant, notice in judge_all(mutants()):
        why = reason_for(mutant.name) if notice is None else None
        if notice is None:
            survived.add(mutant.name)
        told.append({"missing": mutant.name, "noticed": None if notice is None else notice.as_dict(), "reason": why})
        if not as_json:
            say(f"{mutant.name}\n    " + (str(notice) if notice else f"survives: {why or 'NOBODY KNOWS WHY'}"))
    bad = sorted(name for name in survived if reason_for(name) is None) + stale_reasons(survived)
    if as_json:
        say(json.dumps({"holds": not bad, "mutants": told, "wrong": bad}, indent=2))
    else:
        say(f"{len(told)} mutants, {len(told) - len(survived)} noticed, {len(survived)} survive.")
        say("\n".join(bad) or "Each survivor has a reason.")
    return not bad


@contextmanager
def _progress(what: str) -> Iterator[Callable[["Exploration | None"], None]]:
    """Tells how far it is, where somebody watches."""
    with meanwhile() as show:

        def told(found: "Exploration | None") -> None:
            if found is not None:
                show(f"{what}: {found.states:,} states, level {len(found.levels)}")

        yield told
