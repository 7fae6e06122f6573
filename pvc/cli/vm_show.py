"""`pvc vm info`, `history` and `wait`: looking at one VM."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from pvc.cli.access import access
from pvc.cli.following import ended, follow
from pvc.cli.names import complete_vms
from pvc.cli.output import answer, is_data, output, print_pairs, print_table
from pvc.errors import UsageProblem, unknown
from pvc.fsm.states import Domain, Want

if TYPE_CHECKING:
    from pvc.client.goals import Verdict
    from pvc.cluster.records import DomainRecord, HistoryEntry

CONDITIONS = "state=STATE, want=WANT, owner=NODE, or gone; all of them."
STATES = [str(state) for state in Domain if state is not Domain.delete]


@click.command()
@click.argument("name", shell_complete=complete_vms)
@output()
def info(name: str, form: str) -> None:
    """Show everything about a VM.

    \b
    pvc vm info web1
    pvc vm info web1 -o json
    """
    from pvc.cli.words import vm_json, vm_pairs

    with access().cluster() as cluster:
        record, snapshot = cluster.domain(name), cluster.reader.snapshot(stats=True)
    leaving = snapshot.leaving(record)
    data = {"vm": vm_json(record.uuid, record, leaving)}
    answer(form, data, [record.name], lambda wide: print_pairs(vm_pairs(record, snapshot.facts(), leaving)))


@click.command()
@click.argument("name", shell_complete=complete_vms)
@output()
def history(name: str, form: str) -> None:
    """Show the last transitions of a VM, the newest last.

    \b
    pvc vm history web1
    """
    with access().cluster() as cluster:
        record_name, entries = cluster.domain(name).name, cluster.history(name)
    show_history(form, record_name, entries)


def show_history(form: str, name: str, entries: "Iterable[HistoryEntry]") -> None:
    """Print the past of a VM or a node."""
    from pvc.cli.words import HISTORY_HEADS, HISTORY_SPARE, entry_json, entry_row

    kept = list(entries)
    rows = [entry_row(entry) for entry in kept]
    data = {"history": [entry_json(entry) for entry in kept]}
    answer(form, data, [name], lambda wide: print_table(HISTORY_HEADS, rows, "Nothing is kept of its past.", HISTORY_SPARE))


@click.command()
@click.argument("name", shell_complete=complete_vms)
@click.option("--for", "conditions", multiple=True, required=True, metavar="WHAT", help=CONDITIONS)
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait no longer, and end with 4.")
@output()
def wait(name: str, conditions: tuple[str, ...], timeout: float | None, form: str) -> None:
    """Wait until a VM is as you say.

    \b
    pvc vm wait web1 --for state=start --timeout 60
    pvc vm wait web1 --for state=start --for owner=hv2
    """
    goal, what, awaited = _goal(name, conditions), f"what happens to {name}", ", ".join(conditions)
    with access().cluster() as cluster:
        for node in _owners(conditions):
            cluster.node(node)  # one that there is not would be waited for until the end of days
        tell = not is_data(form)
        sentence = follow(lambda show: cluster.wait_until(name, goal, show, timeout, awaited), what, f"pvc vm info {name}", tell=tell)
    answer(form, {"result": sentence}, [name], lambda wide: ended(sentence))


def _goal(name: str, conditions: tuple[str, ...]) -> "Callable[[DomainRecord | None], Verdict | None]":
    from pvc.client.goals import Verdict

    wanted: dict[str, str] = {}
    for key, value in map(_condition, conditions):
        if wanted.setdefault(key, value) != value or ("gone" in wanted and len(wanted) > 1):
            raise UsageProblem(f"{' and '.join(conditions)} cannot hold at once", "pvc vm wait -h")

    def goal(record: "DomainRecord | None") -> "Verdict | None":
        if record is None:
            return Verdict("gone" in wanted, f"{name} is gone")
        values = {"state": str(record.life.state), "want": str(record.life.want), "owner": record.life.owner or "", "gone": None}
        there = all(values[key] == value for key, value in wanted.items())
        return Verdict(True, f"{name} is as awaited: {', '.join(conditions)}") if there else None

    return goal


def _owners(conditions: tuple[str, ...]) -> list[str]:
    return [value for key, value in map(_condition, conditions) if key == "owner" and value]


def _condition(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    known = {"state": STATES, "want": [str(want) for want in Want], "owner": None, "gone": [""]}
    if key not in known:
        raise UsageProblem(unknown("condition", key, known), "pvc vm wait -h")
    words = known[key]
    if words is not None and value not in words:
        raise UsageProblem(unknown(key, value, words), "pvc vm wait -h")
    return key, value
