"""kazoo, tamed: the only file that knows it. `live.ZooKeeperStore` is the store built upon this client.

kazoo, left to itself, blocks writes while it is disconnected and lets them land later, waits up to an hour before it
connects again, hides the granted timeout, looks for another server for as long as the session lasts, and dies of an
error code it does not know. Each of these is undone here. Works with kazoo 2.8 (Debian 12) to 2.11.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kazoo import exceptions as kz
from kazoo.client import KazooClient
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.serialization import Connect, Sync, Transaction
from kazoo.protocol.states import EventType, KazooState, KeeperState, WatchedEvent
from kazoo.retry import ForceRetryError, KazooRetry
from kazoo.security import CREATOR_ALL_ACL, make_acl

from pvc.cluster.options import Options, parse_acl
from pvc.cluster.replies import NotSent, Reply, fill, raise_refused
from pvc.cluster.session import Session
from pvc.cluster.store import Op, Znode
from pvc.cluster.watches import CHILDREN, DATA, Key
from pvc.errors import UsageProblem

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 2.0


class UnknownErrorCode(kz.ZookeeperError):  # type: ignore[misc]
    """ZooKeeper answered with an error that kazoo has no name for."""

    code = -1  # ZooKeeper's "system error"


class QuotaExceeded(kz.ZookeeperError):  # type: ignore[misc]
    """kazoo 2.8 has no name for this one."""

    code = -125


# For an unknown code kazoo raises RuntimeError, which ends its connection thread and leaves the caller waiting.
kz.EXCEPTIONS.default_factory = lambda: UnknownErrorCode
kz.EXCEPTIONS.setdefault(QuotaExceeded.code, QuotaExceeded)

FIRED = {
    EventType.CREATED: (DATA, CHILDREN),
    EventType.DELETED: (DATA, CHILDREN),
    EventType.CHANGED: (DATA,),
    EventType.CHILD: (CHILDREN,),
}


class _Handler(SequentialThreadingHandler):  # type: ignore[misc]
    """kazoo's threads, with a bound on how long one dead server holds up the search for another."""

    def __init__(self, connect_timeout_s: float) -> None:
        super().__init__()
        self._connect_timeout_s = connect_timeout_s

    def create_connection(self, *args: Any, **kwargs: Any) -> Any:
        return super().create_connection(*args, **(kwargs | {"timeout": self._connect_timeout_s}))

    def spawn(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        thread = super().spawn(func, *args, **kwargs)
        thread.name = f"kazoo-{func.__name__.strip('_')}"
        return thread


class Client(KazooClient):  # type: ignore[misc]
    """A kazoo client that sends now or never.

    It reports to `session`, calls `up` and `down` as connections come and go, and `fired` for each watch that went
    off: all of them on kazoo's threads.
    """

    def __init__(
        self, options: Options, session: Session, up: Callable[[], None], down: Callable[[], None], fired: Callable[[Key], None]
    ) -> None:
        self.requests = 0
        self._session, self._up, self._down, self._fired = session, up, down, fired
        handler = _Handler(options.session_timeout_s / 2 / len(options.hosts))
        super().__init__(handler=handler, **_arguments(options))
        connection = self._connection
        connection._invoke = partial(self._invoke_and_note, connection._invoke)
        connection._expand_client_hosts = partial(self._resolve, connection._expand_client_hosts)
        self.add_listener(self._on_state)

    # -- Requests: each returns at once ------------------------------------------------------------------------------

    def ask_znode(self, path: str, *, watch: bool = False) -> Reply[Znode]:
        """Read a znode, armed when it exists."""
        return Reply(path, self.get_async(path, watch=self._on_fired if watch else None), _znode)

    def ask_exists(self, path: str) -> Reply[bool]:
        """Look for a znode, armed in any case."""
        return Reply(path, self.exists_async(path, watch=self._on_fired), lambda stat: stat is not None)

    def ask_children(self, path: str, *, watch: bool = False) -> Reply[tuple[str, ...]]:
        """Read the names of the children, armed when the znode exists."""
        return Reply(path, self.get_children_async(path, watch=self._on_fired if watch else None), lambda names: tuple(sorted(names)))

    def ask_sync(self) -> Reply[None]:
        """Bring our server up to what the leader has."""
        return Reply("/", self.sync_async("/"), lambda _: None)

    def ask_multi(self, ops: Sequence[Op]) -> Reply[None]:
        """Send one transaction; the answer is `Refused` when any part of it failed (H1)."""
        transaction = self.transaction()
        parts = fill(transaction, ops)
        return Reply("", transaction.commit_async(), partial(raise_refused, parts), write=True)

    # -- What the heartbeat needs --------------------------------------------------------------------------------------

    def heartbeat(self) -> None:
        """A sync: unlike a ping it is answered by the leader."""
        self.sync_async("/")

    def drop(self) -> None:
        """End the TCP connection; kazoo then goes on to the next host."""
        with contextlib.suppress(OSError, AttributeError):  # AttributeError: there is none
            self._connection._socket.shutdown(socket.SHUT_RDWR)

    def ended(self) -> str | None:
        """Why kazoo's connection thread is no more, None while it runs."""
        thread = self._connection._connection_routine
        if thread is None or thread.is_alive():
            return None
        return "ZooKeeper refused our credentials" if self._state == KeeperState.AUTH_FAILED else "kazoo's connection thread has died"

    def hang_up(self) -> None:
        """End session and threads, within `CLOSE_TIMEOUT_S` or a little more whatever the servers do."""
        guard = threading.Timer(CLOSE_TIMEOUT_S, self.drop)
        guard.start()
        try:
            self.stop()
            self.close()
        except Exception:
            log.exception("kazoo would not close")
        finally:
            guard.cancel()
            guard.join()

    # -- kazoo's own, overridden ---------------------------------------------------------------------------------------

    def _call(self, request: Any, result: Any) -> Any:
        # kazoo queues a request while it connects: it would land when the reason for it has long gone.
        with self._session.lock:
            if self._state != KeeperState.CONNECTED:
                result.set_exception(NotSent())
                return False
            self.requests += 1
            if isinstance(request, Sync | Transaction):  # the leader answers these, our server alone the others
                result.rawlink(partial(self._acked, self._session.lease.clock()))
            return super()._call(request, result)

    def _acked(self, sent_at: float, result: Any) -> None:
        if result.successful():
            with self._session.lock:
                self._session.lease.acked(sent_at)

    def _session_callback(self, state: Any) -> None:
        # Under the lock of _call: no request slips into the queue after kazoo has cleared it.
        with self._session.lock:
            super()._session_callback(state)
            if state != KeeperState.CONNECTED:
                self._drain_pipe()

    def _drain_pipe(self) -> None:
        """Take out the wake-ups of requests that were cleared: left over, they would fill kazoo's pipe in the end."""
        with contextlib.suppress(OSError, AttributeError):  # AttributeError: closed already
            while self._connection._read_sock.recv(4096, socket.MSG_DONTWAIT):
                pass

    def _invoke_and_note(self, invoke: Callable[..., Any], timeout: float, request: Any, xid: int | None = None) -> Any:
        sent_at = self._session.lease.clock()
        answer = invoke(timeout, request, xid)
        if isinstance(request, Connect) and answer[0].time_out > 0:
            with self._session.lock:
                self._session.lease.granted(answer[0].time_out / 1000, sent_at)
        return answer

    def _resolve(self, expand: Callable[[], Any]) -> Any:
        """kazoo 2.8 ends its thread when, for a moment, no name resolves."""
        found = expand()
        if not found:
            raise ForceRetryError("no ZooKeeper host resolves")
        return found

    def _on_state(self, state: Any) -> None:
        """On kazoo's connection thread: no request may be waited for here."""
        with self._session.callback():
            if state == KazooState.CONNECTED:
                self._session.connected(self._session_id)
                self._up()
            else:
                self._down()
                self._session.suspended()
                if state == KazooState.LOST:
                    self._session.lost()

    def _on_fired(self, event: WatchedEvent) -> None:
        for kind in FIRED.get(event.type, ()):  # nothing for a lost connection: the next one reads everything again
            self._fired((kind, event.path))


def _znode(answer: Any) -> Znode:
    data, stat = answer
    return Znode(data or b"", stat.version, stat.ephemeralOwner, stat.czxid, stat.mzxid)


def _arguments(options: Options) -> dict[str, Any]:
    retry = KazooRetry(max_tries=-1, delay=0.1, backoff=1.5, max_delay=1.0, ignore_expire=False)
    arguments: dict[str, Any] = {
        "hosts": ",".join(options.hosts) + options.chroot,
        "timeout": options.session_timeout_s,
        "randomize_hosts": False,
        "connection_retry": retry,
        "command_retry": retry.copy(),
        "auth_data": list(options.auth),
        "sasl_options": dict(options.sasl) if options.sasl else None,
        "default_acl": _acl(options),
    }
    if options.tls is not None:
        tls = options.tls
        arguments |= {"use_ssl": True, "ca": tls.ca, "certfile": tls.cert, "keyfile": tls.key}
        arguments |= {"keyfile_password": tls.key_password, "verify_certs": tls.verify}
        if tls.check_hostname:
            arguments["check_hostname"] = True
            if "check_hostname" not in inspect.signature(KazooClient).parameters:
                raise UsageProblem("this kazoo cannot check host names in certificates", "install a later one, or turn the check off")
    return arguments


def _acl(options: Options) -> list[Any] | None:
    if options.acl:
        return [make_acl(scheme, identity, **dict.fromkeys(names, True)) for scheme, identity, names in map(parse_acl, options.acl)]
    authenticated = options.auth or options.sasl or (options.tls and options.tls.cert)
    return list(CREATOR_ALL_ACL) if authenticated else None
