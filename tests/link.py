"""A TCP link to a ZooKeeper server that can be cut, go silent, swallow a reply or spoil one."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable

MULTI = 14


class Link:
    """Forwards whole frames, so that a fault happens between two of them."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.frames_sent = 0
        self._cut = False
        self._silent = False
        self._lose: bool | None = None
        self._awaited: int | None = None
        self._spoil: Callable[[bytes], bytes] | None = None
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    # -- Faults --------------------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Close every connection and refuse new ones until `mend`."""
        self._cut = True
        self._hang_up()

    def drop(self) -> None:
        """Close every connection, once."""
        self._hang_up()

    def silence(self) -> None:
        """Leave connections open and pass nothing on, until `mend`: what was sent meanwhile is lost."""
        self._silent = True

    def mend(self) -> None:
        if self._silent:
            self._hang_up()
        self._cut = self._silent = False

    def lose_next_reply(self, *, applied: bool) -> None:
        """Cut the link at the next multi, after the server has answered it or before it gets there."""
        self._lose = applied

    def spoil_next_reply(self, spoil: Callable[[bytes], bytes]) -> None:
        """Change the next reply to a request: xid (4 bytes), zxid (8), error (4) and the body."""
        self._spoil = spoil

    def close(self) -> None:
        self._cut = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self._hang_up()

    def _hang_up(self) -> None:
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for line in sockets:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    # -- Forwarding ----------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._cut:
                    client.close()
                    continue
                try:
                    server = socket.create_connection(self._target, timeout=2)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                with self._lock:
                    self._sockets += [client, server]
                threading.Thread(target=self._pump, args=(client, server, self._to_server), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, self._to_client), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, rule: Callable[[bytes], bytes | None]) -> None:
        with contextlib.suppress(OSError, EOFError):
            first = True
            while True:
                frame = _read_frame(source)
                passed = frame if first else rule(frame)
                first = False
                if passed is not None and not self._silent:
                    sink.sendall(struct.pack(">i", len(passed)) + passed)
        for line in (source, sink):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        source.close()

    def _to_server(self, frame: bytes) -> bytes | None:
        xid, kind = struct.unpack_from(">ii", frame)
        self.frames_sent += 1
        if kind == MULTI and self._lose is not None:
            applied, self._lose = self._lose, None
            if not applied:
                self.cut()
                return None
            self._awaited = xid
        return frame

    def _to_client(self, frame: bytes) -> bytes | None:
        (xid,) = struct.unpack_from(">i", frame)
        if self._awaited == xid:
            self._awaited = None
            self.cut()
            return None
        if xid > 0 and self._spoil is not None:
            spoil, self._spoil = self._spoil, None
            return spoil(frame)
        return frame


def _read_frame(source: socket.socket) -> bytes:
    (length,) = struct.unpack(">i", _read(source, 4))
    return _read(source, length)


def _read(source: socket.socket, length: int) -> bytes:
    parts = []
    while length:
        part = source.recv(length)
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
