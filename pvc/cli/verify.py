"""`pvc fsm verify-trace`: what was recorded, against the tables."""

import sys
from pathlib import Path

import click

from pvc.check.trace import Entry, Verdict, entries_of, verify
from pvc.cli.access import access
from pvc.cli.output import answer, output
from pvc.cli.screen import say
from pvc.errors import UsageProblem

SHOWN = 20
"""How many transitions that nothing explains are told; the others are counted."""


@click.command("verify-trace", short_help="Check recorded transitions against the tables.")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@output()
def verify_trace(files: tuple[Path, ...], form: str) -> None:
    """Check recorded transitions against the tables: a write that no row explains was made past them.

    A FILE is a trace of "pvc sim run --trace", whose records are checked field by field, or what "pvc vm history -o json" printed; - is the
    standard input. Without any, the histories of all VMs and nodes of the cluster are read. Ends with 1 when something is not explained.

    \b
    pvc fsm verify-trace out.jsonl
    pvc vm history web1 -o json | pvc fsm verify-trace -
    pvc fsm verify-trace
    """
    verdict = Verdict()
    for where, entries in [(path, entries_of(_text(path))) for path in files] if files else [(None, _live())]:
        found = verify(entries)
        verdict.looked, verdict.fully = verdict.looked + found.looked, verdict.fully + found.fully
        verdict.wrong += [f"{where}: {one}" if len(files) > 1 else one for one in found.wrong]
    said = {"looked": verdict.looked, "every_field": verdict.fully, "unexplained": verdict.wrong}
    answer(form, said, verdict.wrong, lambda wide: _tell(verdict, wide))
    if not verdict:
        click.get_current_context().exit(1)


def _text(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageProblem(f"{path} cannot be read: {why}", "name a trace, or histories as JSON") from error


def _live() -> list[Entry]:
    """The histories of everything in the cluster."""
    from pvc.cli.words import entry_json
    from pvc.cluster import znodes
    from pvc.cluster.formats import decode_history
    from pvc.cluster.records import History

    with access().cluster() as cluster:
        snapshot = cluster.snapshot()
        kinds = {znodes.history(uuid): "vm" for uuid in snapshot.domains} | {znodes.events(name): "node" for name in snapshot.nodes}
        read = cluster.store.read_many(list(kinds))
    found: list[Entry] = []
    for path, kind in kinds.items():
        znode = read[path]
        history = None if znode is None else decode_history(path, znode.data)
        if isinstance(history, History):
            found += [{**entry_json(entry), "kind": kind, "of": entry.of} for entry in history.entries]
    return found


def _tell(verdict: Verdict, wide: bool) -> None:
    shown = verdict.wrong if wide else verdict.wrong[:SHOWN]
    for sentence in shown:
        say(f"{click.style('UNEXPLAINED', fg='red', bold=True)} {sentence}")
    if verdict.wrong[len(shown) :]:
        say(f"and {len(verdict.wrong) - len(shown)} more: -o wide")
    if not verdict.looked:
        say("There are no transitions in it.")
    elif verdict:
        say(f"{verdict.looked} transitions, each explained by a row; of {verdict.fully} every field was known.")
    else:
        say(f"{len(verdict.wrong)} of {verdict.looked} transitions are explained by no row.")
