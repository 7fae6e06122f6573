"""The daemon's log: standard error, one line per happening. Times are the journal's; on a terminal we add them."""

import logging
import os
import sys
from collections.abc import Mapping

from pvc.agent.ports import Moved

log = logging.getLogger("pvcd")

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


def open_log(environment: Mapping[str, str] = os.environ) -> None:
    """Send everything to standard error, and silence what is said better by us."""
    in_journal = "JOURNAL_STREAM" in environment
    words = "%(levelname)s: %(message)s" if in_journal else "%(asctime)s %(levelname)-8s %(message)s"
    logging.basicConfig(stream=sys.stderr, level=LEVELS.get(environment.get("PVCD_LOG", "info"), logging.INFO), format=words, force=True)
    # For one lost connection kazoo warns many times; each change of it is one line of ours.
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)


class AgentLog:
    """Where the agent's sentences and transitions go. A sentence that is repeated is said once, until another one comes."""

    def __init__(self) -> None:
        self._last = ""

    def moved(self, transition: Moved) -> None:
        self._last = ""
        log.info("%s", transition)

    def say(self, sentence: str) -> None:
        if sentence != self._last:
            self._last = sentence
            log.warning("%s", sentence)
