"""The dashboard as a server: a page, the machines as pictures, and a stream of what is different.

It only reads. Whoever asks under a name that is not this host's is refused, so that a page of somebody else's in the same browser cannot
read the cluster through it.
"""

import json
import threading
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pvc.cli.dashboard_feed import Feed, parts_of
from pvc.cli.fsm_diagram import build
from pvc.client.mirror import Mirror
from pvc.errors import PvcError
from pvc.fsm.tables import TABLES

if TYPE_CHECKING:
    from pvc.client.cluster import Cluster

TURN_S = 0.5
"""Readers are told of changes no more often than this."""
HEARTBEAT_S = 15.0
POLL_S = 0.1
STREAMS = 32
PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/dashboard.js": ("dashboard.js", "text/javascript; charset=utf-8"),
    "/dashboard.css": ("dashboard.css", "text/css; charset=utf-8"),
}
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:"


class Dashboard:
    """The cluster, mirrored, and a server that shows it; `step` lets what was heard be told."""

    def __init__(self, cluster: "Cluster", address: str, port: int) -> None:
        self.feed = Feed()
        self.server = _Server((address, port), self.feed)
        self.mirror = Mirror(cluster.store, cluster.ear, events=True)
        self.mirror.begin()
        self._thread = threading.Thread(target=self.server.serve_forever, args=(POLL_S,), name="dashboard", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the page is."""
        host, port = self.server.server_address[:2]
        return f"http://{host!s}:{port}/"

    def run(self) -> None:
        """Show the cluster until somebody interrupts."""
        pause = threading.Event()
        while True:
            self.step(TURN_S)
            pause.wait(TURN_S)

    def step(self, timeout_s: float) -> None:
        """Take what is heard within this time, and tell it."""
        from pvc.cli.words import entry_json

        self.mirror.wait(timeout_s)
        snapshot = self.mirror.snapshot()
        if snapshot is None or not self.mirror.complete:
            return
        self.mirror.finish()
        happened, self.mirror.happened = self.mirror.happened, []
        self.feed.update(parts_of(snapshot, self.mirror), [entry_json(entry) for entry in happened])

    def close(self) -> None:
        """Serve nobody any more."""
        self.feed.close()
        self.server.shutdown()
        self.server.server_close()
        self.mirror.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], feed: Feed) -> None:
        super().__init__(address, _Handler)
        self.feed = feed
        self.streams = threading.BoundedSemaphore(STREAMS)

    def knows(self, host: str) -> bool:
        """Whether this is a name of ours."""
        name = urlsplit(f"//{host}").hostname
        return name in ("localhost", "127.0.0.1", "::1", str(self.server_address[0]))


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if not self.server.knows(self.headers.get("Host", "")):
            self.send_error(HTTPStatus.FORBIDDEN, "This is for a browser on this host")
            return
        path = urlsplit(self.path).path
        if path in PAGES:
            name, kind = PAGES[path]
            self._send(_page(name), kind)
        elif path == "/stream":
            self._stream()
        elif path.startswith("/diagram/") and path.removeprefix("/diagram/").removesuffix(".svg") in TABLES:
            self._diagram(path.removeprefix("/diagram/").removesuffix(".svg"))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self._head(kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _head(self, kind: str) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")

    def _diagram(self, machine: str) -> None:
        try:
            self._send(_picture(machine), "image/svg+xml")
        except PvcError as error:
            self._send(f"{error}: {error.next_step}".encode(), "text/plain; charset=utf-8", HTTPStatus.SERVICE_UNAVAILABLE)

    def _stream(self) -> None:
        if not self.server.streams.acquire(blocking=False):
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, "Too many pages are open")
            return
        try:
            self.send_response(HTTPStatus.OK)
            self._head("text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            self._tell()
        except OSError:
            return  # the page was closed
        finally:
            self.server.streams.release()

    def _tell(self) -> None:
        number = 0
        while not self.server.feed.closed:
            found = self.server.feed.after(number, HEARTBEAT_S)
            if found is None:
                self.wfile.write(b": nothing new\n\n")
                continue
            number, news = found
            self.wfile.write(f"id: {number}\ndata: {json.dumps(news, ensure_ascii=False)}\n\n".encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is somebody's."""


@cache
def _page(name: str) -> bytes:
    return files("pvc.cli").joinpath("page", name).read_bytes()


@cache
def _picture(machine: str) -> bytes:
    return build(machine, "svg")
