"""The store port over a real ensemble.

Threads: kazoo's connection, completion and callback threads, and our heartbeat. No request and no watch adds one (H9).
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import accumulate, islice
from typing import TypeVar

from pvc.cluster.limits import check_ops, check_path
from pvc.cluster.options import Options
from pvc.cluster.replies import Reply
from pvc.cluster.session import Session
from pvc.cluster.store import (
    Changed,
    ChildrenChanged,
    Create,
    Listener,
    NotConnected,
    Op,
    Refused,
    State,
    Store,
    StoreError,
    Why,
    Znode,
    version_after,
)
from pvc.cluster.watches import CHILDREN, DATA, Key, Watches
from pvc.cluster.zookeeper import Client

log = logging.getLogger(__name__)

T = TypeVar("T")

# Together with watches.WINDOW this stays below what kazoo's wake-up pipe takes.
TURNS = 4
BATCH = 25


class ZooKeeperStore(Store):
    """One session with the ensemble that `options` name. Once closed it stays closed."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._session = Session(options.session_timeout_s)
        self._watches = Watches(self._look, self._session.emit)
        self._noticed: dict[Key, float] = {}
        self._turns = threading.BoundedSemaphore(TURNS)
        self._client: Client | None = None
        self._zxid = 0

    # -- The session ---------------------------------------------------------------------------------------------------

    def start(self, listener: Listener, timeout_s: float = 10.0) -> None:
        self._session.listen(listener)
        client = self._client = Client(self._options, self._session, self._up, self._down, self._fired)
        if not client.start_async().wait(timeout_s):
            self._client = None
            client.hang_up()
            by_tls = self._options.tls is not None
            raise NotConnected(
                f"no ZooKeeper server answered within {timeout_s:g} s: tried {', '.join(self._options.hosts)}{' by TLS' if by_tls else ''}",
                f"start the ensemble, or correct the list of hosts{' (their TLS ports) or the certificates' if by_tls else ''}",
            )
        self._session.keep(client)

    def close(self) -> None:
        self._session.close()
        client, self._client = self._client, None
        if client is not None:
            self._note_zxid(client)
            client.hang_up()

    @property
    def connected(self) -> bool:
        return self._session.state is State.CONNECTED

    @property
    def generation(self) -> int:
        return self._session.generation

    @property
    def session_id(self) -> int:
        return self._session.session_id

    @property
    def session_timeout_s(self) -> float:
        return self._session.lease.granted_s

    @property
    def last_zxid(self) -> int:
        if self._client is not None:
            self._note_zxid(self._client)
        return self._zxid

    @property
    def requests(self) -> int:
        """How many requests were sent, heartbeats included."""
        return self._client.requests if self._client is not None else 0

    def lease_age_s(self) -> float:
        return self._session.lease.age_s()

    def _note_zxid(self, client: Client) -> None:
        # kazoo forgets it with the session, and the server may then be one that is behind.
        self._zxid = max(self._zxid, client.last_zxid)

    # -- Requests ------------------------------------------------------------------------------------------------------

    def read(self, path: str, *, sync: bool = False) -> Znode | None:
        return self.read_many([path], sync=sync)[path]

    def read_many(self, paths: Iterable[str], *, sync: bool = False) -> Mapping[str, Znode | None]:
        wanted = list(dict.fromkeys(paths))
        for path in wanted:
            check_path(path)
        found: dict[str, Znode | None] = {}
        rest = iter(wanted)
        while batch := list(islice(rest, BATCH)):
            found |= self._read_batch(batch, sync)
        return found

    def _read_batch(self, paths: Sequence[str], sync: bool) -> dict[str, Znode | None]:
        with self._turn() as client:
            synced = [client.ask_sync()] if sync else []
            replies = {path: client.ask_znode(path) for path in paths}
            for reply in synced:
                self._wait(reply)
            return {path: self._wait(reply) for path, reply in replies.items()}

    def children(self, path: str, *, sync: bool = False) -> tuple[str, ...] | None:
        check_path(path)
        with self._turn() as client:
            synced = [client.ask_sync()] if sync else []
            reply = client.ask_children(path)
            for earlier in synced:
                self._wait(earlier)
            return self._wait(reply)

    def multi(self, ops: Sequence[Op]) -> tuple[int, ...]:
        check_ops(ops)
        with self._turn() as client:
            self._wait(client.ask_multi(ops))
        return tuple(version_after(op) for op in ops)

    def _wait(self, reply: Reply[T]) -> T | None:
        return reply.wait(self._session.lease.granted_s)

    @contextmanager
    def _turn(self) -> Iterator[Client]:
        if not self._turns.acquire(timeout=self._session.lease.granted_s):
            raise NotConnected(f"too many requests wait for ZooKeeper ({TURNS} at a time): nothing was sent")
        try:
            if self._client is None:
                raise NotConnected("the store is not started, or closed: nothing was sent")
            yield self._client
        finally:
            self._turns.release()

    # -- Watches -------------------------------------------------------------------------------------------------------

    def watch(self, path: str) -> None:
        self._watch((DATA, path))

    def unwatch(self, path: str) -> None:
        with self._session.lock:
            self._watches.remove((DATA, path))

    def watch_children(self, path: str) -> None:
        self._watch((CHILDREN, path))

    def unwatch_children(self, path: str) -> None:
        with self._session.lock:
            self._watches.remove((CHILDREN, path))

    def relist(self) -> None:
        with self._session.lock:
            self._watches.relist()

    def refresh(self) -> None:
        with self._session.lock:
            self._watches.refresh()

    def _watch(self, key: Key) -> None:
        check_path(key[1])
        with self._session.lock:
            self._watches.add(key)

    # -- On kazoo's threads: nothing here waits (H6) -------------------------------------------------------------------

    def _up(self) -> None:
        self._watches.begin(self._session.generation)

    def _down(self) -> None:
        self._noticed.clear()
        self._watches.end()

    def _fired(self, key: Key) -> None:
        with self._session.callback():
            self._noticed[key] = time.monotonic()
            self._watches.fired(key)

    def _look(self, key: Key, generation: int) -> None:
        if self._client is None:
            return
        kind, path = key
        ask = self._client.ask_znode if kind == DATA else self._client.ask_children
        ask(path, watch=True).then(partial(self._looked, key, generation))

    def _looked(self, key: Key, generation: int, reply: Reply[Znode] | Reply[tuple[str, ...]]) -> None:
        with self._session.callback(), self._refusals(key, generation):
            value = reply.wait(0)
            if value is None and self._client is not None:
                # A read of nothing arms nothing: only exists does, for both kinds.
                self._client.ask_exists(key[1]).then(partial(self._missed, key, generation))
            else:
                self._report(key, generation, value)

    def _missed(self, key: Key, generation: int, reply: Reply[bool]) -> None:
        with self._session.callback(), self._refusals(key, generation):
            if reply.wait(0):
                self._look(key, generation)  # created between the two requests
            else:
                self._report(key, generation, None)

    def _report(self, key: Key, generation: int, value: Znode | tuple[str, ...] | None) -> None:
        _, path = key
        noticed_at = self._noticed.pop(key, None)
        if isinstance(value, Znode) or (value is None and key[0] == DATA):
            self._watches.looked(key, generation, Changed(path, value, generation, noticed_at))
        else:
            self._watches.looked(key, generation, ChildrenChanged(path, value, generation))

    @contextmanager
    def _refusals(self, key: Key, generation: int) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            if isinstance(error, Refused):
                log.warning("cannot watch %s: %s", key[1], error)
            self._watches.failed(key, generation)


def create_root(options: Options, timeout_s: float = 10.0) -> None:
    """Create the chroot with the ACL of `options`, once, before any store uses it."""
    store = ZooKeeperStore(dataclasses.replace(options, chroot=""))
    store.start(lambda _: None, timeout_s)
    try:
        for path in accumulate(options.chroot.split("/")[1:], lambda above, name: f"{above}/{name}", initial=""):
            if path and store.read(path) is None:
                _create_unless_there(store, path)
    finally:
        store.close()


def _create_unless_there(store: Store, path: str) -> None:
    try:
        store.multi([Create(path)])
    except Refused as refused:
        if refused.why is not Why.EXISTS:
            raise
