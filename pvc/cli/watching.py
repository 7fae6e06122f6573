"""Screens that stay up, driven by watches: drawn again on a terminal when something is different, a line for each change elsewhere."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pvc.cli.output import JSON_VERSION, narrates, table_lines
from pvc.cli.screen import colour, say, width
from pvc.client.mirror import Mirror

if TYPE_CHECKING:
    from pvc.client.cluster import Cluster
    from pvc.client.snapshot import Snapshot, Vm
    from pvc.cluster.records import HistoryEntry

FRAME_S = 0.25
"""A terminal is drawn again no more often than this."""
IDLE_S = 3600.0
STALE = "ZooKeeper does not answer: this is how it was."

Draw = Callable[["Snapshot"], list[str]]
Facts = Callable[["Snapshot"], dict[str, Any]]


def watch_vms(cluster: "Cluster", form: str, choose: "Callable[[Snapshot], list[tuple[str, Vm]]]") -> None:
    """Follow these VMs until Ctrl-C."""
    from pvc.cli.vm_list import nothing, vm_table
    from pvc.cli.words import VM_SPARE, vm_json

    def draw(snapshot: "Snapshot") -> list[str]:
        return table_lines(*vm_table(snapshot, choose(snapshot), wide=form == "wide"), width(), VM_SPARE) or [nothing(snapshot)]

    def facts(snapshot: "Snapshot") -> dict[str, Any]:
        return {uuid: vm_json(uuid, vm) for uuid, vm in choose(snapshot)}

    follow_cluster(cluster, form, draw, facts)


def watch_nodes(cluster: "Cluster", form: str) -> None:
    """Follow all nodes until Ctrl-C."""
    from pvc.cli.node_show import NOTHING, hold_words, node_table
    from pvc.cli.words import NODE_SPARE, node_json

    def draw(snapshot: "Snapshot") -> list[str]:
        hold = snapshot.config.value.hold
        nodes = [node for _, node in sorted(snapshot.nodes.items())]
        lines = table_lines(*node_table(nodes, wide=form == "wide"), width(), NODE_SPARE) or [NOTHING]
        return [click.style(hold_words(hold), fg="yellow"), *lines] if hold.on else lines

    def facts(snapshot: "Snapshot") -> dict[str, Any]:
        # What is measured anew with every keepalive is no change of the node.
        return {name: {**node_json(node), "stats": None} for name, node in snapshot.nodes.items()}

    follow_cluster(cluster, form, draw, facts)


def follow_cluster(cluster: "Cluster", form: str, draw: Draw, facts: Facts) -> None:
    """Show the cluster as it is, and then as it changes, until Ctrl-C."""
    screen = Screen(draw) if narrates() and form in ("table", "wide") else Lines(form, draw, facts)
    with _mirrored(cluster) as mirror:
        while True:
            snapshot = mirror.snapshot()
            if mirror.complete and snapshot is not None:
                screen.show(snapshot, mirror.connected)
            mirror.wait(IDLE_S)
            screen.rest()


@contextmanager
def _mirrored(cluster: "Cluster", *, events: bool = False) -> Iterator[Mirror]:
    mirror = Mirror(cluster.store, cluster.ear, state=not events, events=events)
    mirror.begin()
    try:
        yield mirror
    except KeyboardInterrupt:
        click.get_current_context().exit(0)
    finally:
        mirror.close()


class Screen:
    """A terminal, drawn from the top whenever something is different; what does not fit below is said to be there."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.shown: list[str] = []

    def show(self, snapshot: "Snapshot", connected: bool) -> None:
        """Draw it, where it differs from what is there."""
        stale = [] if connected else [click.style(STALE, fg="red")]
        lines = [*stale, *self.draw(snapshot)]
        height = max(3, shutil.get_terminal_size().lines - 1)
        if len(lines) > height:
            lines = [*lines[: height - 1], f"... and {len(lines) - height + 1} more"]
        if lines != self.shown:
            plain = lines if colour() is not False else [click.unstyle(line) for line in lines]
            # Not by click: without colour it takes every escape away, also those that move the cursor.
            sys.stdout.write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in plain) + "\x1b[J")
            sys.stdout.flush()
        self.shown = lines

    def rest(self) -> None:
        """Let a moment pass: nobody reads faster."""
        time.sleep(FRAME_S)


class Lines:
    """A log: everything once, then a line for whatever is different."""

    def __init__(self, form: str, draw: Draw, facts: Facts) -> None:
        self.form = form
        self.draw = draw
        self.facts = facts
        self.known: dict[str, Any] | None = None

    def show(self, snapshot: "Snapshot", connected: bool) -> None:
        """Tell what is different."""
        facts = self.facts(snapshot)
        if self.known is None and self.form in ("table", "wide"):
            say("\n".join(self.draw(snapshot)))
        else:
            for key in sorted(facts.keys() | (self.known or {}).keys()):
                if facts.get(key) != (self.known or {}).get(key):
                    self._tell(facts.get(key), (self.known or {}).get(key))
        self.known = facts
        sys.stdout.flush()

    def rest(self) -> None:
        """Nothing: each change is a line, so none waits."""

    def _tell(self, now: Any, before: Any) -> None:
        one = now or before
        name = one.get("name") or one.get("uuid")
        if self.form in ("json", "yaml"):
            import json

            click.echo(json.dumps({"version": JSON_VERSION, "name": name, "now": now}, ensure_ascii=False))
        elif self.form == "name":
            click.echo(name)
        else:
            say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {name}: {_differences(now, before)}")


def _differences(now: Any, before: Any) -> str:
    if now is None:
        return "gone"
    if before is None:
        return "new: " + ", ".join(f"{key} {now[key]}" for key in ("state", "want", "owner", "home") if now.get(key))
    changed = [key for key in now if now[key] != before.get(key)]
    return ", ".join(f"{key} {_short(before.get(key))} -> {_short(now[key])}" for key in changed)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(str(value[key]) for key in ("phase", "target", "by") if value.get(key)) or "..."
    return "-" if value in (None, "", []) else ", ".join(value) if isinstance(value, list) else str(value)


def follow_events(cluster: "Cluster", past: "Callable[[], list[HistoryEntry]]", tell: "Callable[[HistoryEntry], None]") -> None:
    """Tell what was, and then each transition of the cluster as it happens, until Ctrl-C.

    The past is read once everything is watched: so nothing falls between the two, and what is in both is told once.
    """
    with _mirrored(cluster, events=True) as mirror:
        while not mirror.complete:
            mirror.wait(IDLE_S)
        mirror.finish()
        told = past()
        for entry in told:
            tell(entry)
        while True:
            for entry in mirror.happened:
                if entry not in told:
                    tell(entry)
            mirror.happened.clear()
            sys.stdout.flush()
            mirror.wait(IDLE_S)
