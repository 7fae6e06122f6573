"""What is being done while a command computes: one line of a terminal, written again and again on stderr, and gone in the end."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY_S = 1.0


@contextmanager
def meanwhile(wanted: bool = True, clock: Callable[[], float] = time.monotonic) -> Iterator[Callable[[str], None]]:
    """What takes a sentence, and shows it when the last one has stood for a second; nothing where nobody watches."""
    watched, next_at = wanted and sys.stderr.isatty() and os.environ.get("TERM") != "dumb", clock()

    def show(sentence: str) -> None:
        nonlocal next_at
        if watched and clock() >= next_at:
            next_at = clock() + EVERY_S
            _write(sentence[: shutil.get_terminal_size().columns - 1])

    try:
        yield show
    finally:
        if watched:
            _write("")


def _write(sentence: str) -> None:
    """Not by click: without colour it takes the escapes away."""
    sys.stderr.write(f"\r\x1b[K{sentence}")
    sys.stderr.flush()
