"""Histories in JSON, of which every transition writes one: a line is written and read back once, however long its history gets.

What was just written is known as it was meant, so who reads it next, as a simulator does for every daemon, need not take it apart again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pvc.cluster.fields import Format
from pvc.cluster.records import MAX_HISTORY_BYTES, MAX_HISTORY_ENTRIES, History, HistoryEntry, Unreadable

KEPT_LINES, KEPT = 4096, 256


@dataclass(slots=True)
class _Known:
    """What some bytes say, once anybody has asked or written them."""

    history: History | Unreadable | None = None


class Histories:
    """Reads and writes what ``form`` describes, an object whose only list is that of its lines."""

    def __init__(self, form: Format[History]) -> None:
        self._form = form
        self._line = lru_cache(KEPT_LINES)(self._written)
        self._around = lru_cache(KEPT)(self._split)
        self._known = lru_cache(KEPT)(lambda path, data: _Known())

    def decode(self, path: str, data: bytes) -> History | Unreadable:
        """The transitions in this data, of a VM or of a node's daemon."""
        known = self._known(path, data)
        if known.history is None:
            known.history = self._form.decode(path, "", data)
        return known.history

    def encode(self, path: str, history: History) -> bytes:
        """As many of the last transitions as fit; raises `Unwritable`."""
        before, after = self._around(path, replace(history, entries=()))
        entries = history.entries[-MAX_HISTORY_ENTRIES:]
        lines = [self._line(path, entry) for entry in entries]
        skipped = _too_many(lines, MAX_HISTORY_BYTES - len(before) - len(after))
        data = before + b",".join(lines[skipped:]) + after
        self._known(path, data).history = replace(history, entries=entries[skipped:])
        return data

    def _written(self, path: str, entry: HistoryEntry) -> bytes:
        """A line as it stands in a history, in which it could be read again."""
        before, after = self._around(path, History())
        return self._form.encode(path, "", History((entry,)))[len(before) : -len(after)]

    def _split(self, path: str, empty: History) -> tuple[bytes, bytes]:
        """What stands before and after the lines."""
        before, after = self._form.encode(path, "", empty).split(b"[]", 1)
        return before + b"[", b"]" + after


def _too_many(lines: Sequence[bytes], room: int) -> int:
    """How many of the first lines have to go for the others, with a comma between each two, to fit into so many bytes."""
    room, number = room + 1, len(lines)
    while number and (room := room - len(lines[number - 1]) - 1) >= 0:
        number -= 1
    return number
