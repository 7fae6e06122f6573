"""The journal of systemd, in its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a datagram for each line, with fields beside it."""

import logging
import os
import socket
from typing import TextIO

SOCKET = "/run/systemd/journal/socket"
PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def is_journal(named: str, stream: TextIO) -> bool:
    """Whether the stream goes to the journal: what systemd has named, by device and inode, is still what this stream is."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{found.st_dev}:{found.st_ino}"


class Journal(logging.Handler):
    """Writes to the journal, and to another handler what the journal does not take. Never waits: a log must not hold a daemon up."""

    def __init__(self, aside: logging.Handler, path: str = SOCKET) -> None:
        super().__init__()
        self._aside, self._path = aside, path
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line; `fields` of the record go beside it."""
        try:
            self._line.sendto(self._datagram(record), self._path)
        except OSError:  # nobody there, nobody who reads, or too long for a datagram
            self._aside.handle(record)

    def close(self) -> None:
        """Let the socket go."""
        self._line.close()
        super().close()

    def _datagram(self, record: logging.LogRecord) -> bytes:
        said = {
            "MESSAGE": self.format(record),
            "PRIORITY": str(PRIORITIES.get(record.levelno, 6)),
            "SYSLOG_IDENTIFIER": "pvcd",
            **getattr(record, "fields", {}),
        }
        return b"".join(_field(name, text.encode("utf-8", "replace")) for name, text in said.items())


def _field(name: str, value: bytes) -> bytes:
    """A field; one of several lines carries its length, so that no line of it is taken for another field."""
    if b"\n" not in value:
        return b"%s=%s\n" % (name.encode(), value)
    return b"%s\n%s%s\n" % (name.encode(), len(value).to_bytes(8, "little"), value)
