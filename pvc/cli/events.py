"""`pvc events`: what happened in the whole cluster, and what happens."""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from pvc.cli.access import access
from pvc.cli.output import JSON_VERSION, answer, output, print_table
from pvc.cli.screen import say

if TYPE_CHECKING:
    from pvc.client.cluster import Cluster
    from pvc.cluster.records import HistoryEntry

LAST = 20


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on, and show each transition as it happens; Ctrl-C ends it.")
@click.option("-n", "--last", type=click.IntRange(min=0), default=LAST, show_default=True, metavar="N", help="So many of the last ones.")
@output()
def events(follow: bool, last: int, form: str) -> None:
    """Show the last transitions of all VMs and nodes: what, by whom, and why.

    With -f and -o json, each is one line of JSON.

    \b
    pvc events
    pvc events -f -n 0
    pvc events -f -o json | jq -r .of
    """
    from pvc.cli.words import HISTORY_HEADS, HISTORY_SPARE, entry_json, entry_row

    with access().cluster() as cluster:
        if not follow:
            entries = _last(cluster, last)
            rows = [(entry.of, *entry_row(entry)) for entry in entries]
            data = {"events": [entry_json(entry) for entry in entries]}
            heads = ("NAME", *HISTORY_HEADS)
            answer(form, data, _names(entries), lambda wide: print_table(heads, rows, "Nothing has happened yet.", HISTORY_SPARE))
            return
        from pvc.cli.watching import follow_events

        follow_events(cluster, lambda: _last(cluster, last), lambda entry: _tell(form, entry))


def _tell(form: str, entry: "HistoryEntry") -> None:
    from pvc.cli.words import entry_json, since
    from pvc.client.waiting import sentence

    if form in ("json", "yaml"):
        click.echo(json.dumps({"version": JSON_VERSION, **entry_json(entry)}, ensure_ascii=False))
    elif form == "name":
        click.echo(entry.of)
    else:
        why = f": {entry.why}" if entry.why and not sentence(entry).endswith(entry.why) else ""
        say(f"{since(entry.time)} {sentence(entry)}{why}")


def _names(entries: "Iterable[HistoryEntry]") -> Iterable[str]:
    return dict.fromkeys(entry.of for entry in entries)


def _last(cluster: "Cluster", number: int) -> "list[HistoryEntry]":
    return sorted(_past(cluster), key=lambda entry: _instant(entry.time))[-number:] if number else []


def _past(cluster: "Cluster") -> "Iterator[HistoryEntry]":
    """What the histories hold."""
    from pvc.cluster import znodes
    from pvc.cluster.formats import decode_history
    from pvc.cluster.names import is_name, is_uuid
    from pvc.cluster.records import History

    cluster.config()  # where there is no cluster, that is what has to be said
    nodes = filter(is_name, cluster.store.children(znodes.NODES) or ())
    uuids = filter(is_uuid, cluster.store.children(znodes.DOMAINS) or ())
    found = cluster.store.read_many([*map(znodes.events, nodes), *map(znodes.history, uuids)])
    for path, znode in found.items():
        history = None if znode is None else decode_history(path, znode.data)
        if isinstance(history, History):
            yield from history.entries


def _instant(text: str) -> tuple[float, str]:
    """When, on every clock alike; one that cannot be read comes first."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp(), text
    except ValueError:
        return 0.0, text
