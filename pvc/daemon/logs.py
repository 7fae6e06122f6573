"""The daemon's log: one line per happening, to the journal with fields to search by, else to standard error, with colour on a terminal."""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import TextIO

from pvc.agent.ports import Moved
from pvc.daemon.journal import Journal, is_journal

log = logging.getLogger("pvcd")

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
COLOURS = {logging.DEBUG: "2", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "1;31"}
"""As terminals number them."""
OF_A_VM = ("domain", "migration")
"""The machines of a VM; the others are those of a node."""


def open_log(environment: Mapping[str, str] = os.environ, stream: TextIO | None = None) -> None:
    """Send everything to the journal, or to this stream, standard error by default, and silence what is said better by us."""
    stream = sys.stderr if stream is None else stream
    aside = logging.StreamHandler(stream)
    aside.setFormatter(Lines(coloured=_coloured(environment, stream)))
    handler: logging.Handler = aside
    if is_journal(environment.get("JOURNAL_STREAM", ""), stream):
        aside.setFormatter(Lines(times=False))
        handler = Journal(aside)
        handler.setFormatter(Lines(times=False))
    level = LEVELS.get(environment.get("PVCD_LOG", "info"), logging.INFO)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # For one lost connection kazoo warns many times; each change of it is one line of ours.
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)


def _coloured(environment: Mapping[str, str], stream: TextIO) -> bool:
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


class Lines(logging.Formatter):
    """What is not said of every line: the level where it is not the usual one, the time where nobody else keeps it."""

    def __init__(self, *, times: bool = True, coloured: bool = False) -> None:
        super().__init__("%(message)s")
        self._times, self._coloured = times, coloured

    def format(self, record: logging.LogRecord) -> str:
        """One line, but for a traceback."""
        text = super().format(record)
        if record.levelno != logging.INFO:
            text = f"{record.levelname.lower()}: {text}"
        at = f"{self.formatTime(record, '%Y-%m-%d %H:%M:%S')} " if self._times else ""
        if not self._coloured:
            return at + text
        colour = COLOURS.get(record.levelno) or ("1" if hasattr(record, "fields") else "")
        return f"\x1b[2m{at}\x1b[0m" + (f"\x1b[{colour}m{text}\x1b[0m" if colour else text)


class AgentLog:
    """Where the agent's sentences and transitions go. A sentence that is repeated is said once, until another one comes.

    The ``hearers`` hear of transitions too; they must not wait.
    """

    def __init__(self) -> None:
        self._last = ""
        self.hearers: list[Callable[[Moved], None]] = []

    def moved(self, transition: Moved) -> None:
        self._last = ""
        for hear in self.hearers:
            hear(transition)
        log.info("%s", transition, extra={"fields": fields(transition)})

    def say(self, sentence: str) -> None:
        if sentence != self._last:
            self._last = sentence
            log.warning("%s", sentence)


def fields(transition: Moved) -> dict[str, str]:
    """By what a transition is found in the journal: `journalctl PVC_VM=web1 PVC_TO=start`."""
    return {
        "PVC_VM" if transition.machine in OF_A_VM else "PVC_NODE": transition.of,
        "PVC_MACHINE": transition.machine,
        "PVC_FROM": transition.source,
        "PVC_TO": transition.dest,
        "PVC_TRIGGER": transition.trigger,
    }
