"""Names for completion: those of VMs and nodes come from ZooKeeper within a moment or not at all, because somebody holds the Tab key."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from pvc.cluster.store import Store

LIMIT_S = 0.3
"""Longer than this, nobody waits for names."""


def complete_vms(context: click.Context, parameter: click.Parameter, begun: str) -> "list[CompletionItem]":
    """The VMs whose names begin so."""
    return _complete(context, "/names", begun)


def complete_nodes(context: click.Context, parameter: click.Parameter, begun: str) -> "list[CompletionItem]":
    """The nodes whose names begin so."""
    return _complete(context, "/nodes", begun)


def _complete(context: click.Context, parent: str, begun: str) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in _within(LIMIT_S, lambda: children(context, parent)) if name.startswith(begun)]


def _within(limit_s: float, ask: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """The answer, or nothing when it does not come in time; whatever goes wrong is for another moment to be told."""
    answer: list[tuple[str, ...]] = []
    thread = threading.Thread(target=_answered, args=(ask, answer), daemon=True)
    thread.start()
    thread.join(limit_s)
    return answer[0] if answer else ()


def _answered(ask: Callable[[], tuple[str, ...]], answer: list[tuple[str, ...]]) -> None:
    try:
        answer.append(ask())
    except Exception:  # not even a traceback: the line that is being typed is on this terminal
        return


def children(context: click.Context, parent: str) -> tuple[str, ...]:
    """The names below this znode, asked for on a connection of its own; a command line that is being typed has parsed only its options."""
    from pvc.cli.access import Access

    root = context.find_root()
    access = root.obj if isinstance(root.obj, Access) else Access()
    access.zookeeper = root.params.get("zookeeper") or access.zookeeper
    store = access.open(LIMIT_S)
    try:
        return _names(store, parent)
    finally:
        store.close()


def _names(store: "Store", parent: str) -> tuple[str, ...]:
    return store.children(parent) or ()
