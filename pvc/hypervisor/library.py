"""libvirt, tamed: the only file that knows it.

libvirt-python is imported when the first connection is opened. Its event loop runs in one thread for the whole process, and must do so
before any connection is made, or keepalives cannot work. Its complaints on standard error are silenced: every error becomes a `CallFailed`.
Works with libvirt-python 9.0 (Debian 12) and later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

from pvc.errors import PvcError
from pvc.hypervisor.constants import Names
from pvc.hypervisor.guests import Shown
from pvc.hypervisor.options import HypervisorFacts, HypervisorOptions, MigrationProgress
from pvc.hypervisor.troubles import CallFailed, Trouble

MIB = 1 << 20
MARK_NAMESPACE = "https://pvc/domain/1"
"""Of the element in a domain's metadata by which the hook of any node knows that the guest is ours, even where no claim of it is left."""

_loaded: list[Names] = []
_loading = threading.Lock()


class Size(NamedTuple):
    """What a domain may use at most."""

    vcpus: int
    memory_mib: int


def names() -> Names:
    """libvirt-python with its event loop running; raises PvcError where it is not installed."""
    with _loading:
        if not _loaded:
            try:
                import libvirt
            except ImportError as error:
                raise PvcError("libvirt's package for Python is not installed", "on Debian: apt install python3-libvirt") from error
            libvirt.virEventRegisterDefaultImpl()
            libvirt.registerErrorHandler(lambda context, error: None, None)
            threading.Thread(target=_run_events, args=(libvirt,), name="libvirt-events", daemon=True).start()
            _loaded.append(Names(libvirt))
        return _loaded[0]


def _run_events(library: Any) -> None:
    while True:
        library.virEventRunDefaultImpl()


class Session:
    """Connections to one libvirtd that stand and fall together; once one is broken, `closed` is set. What asks raises `CallFailed`.

    Over the first come events, and nothing is asked. Each call has a connection of its own meanwhile: up to libvirt 10.2 the process may
    crash when a connection breaks on which two threads wait, because one leaves its poll source behind for the other (CVE-2024-4418).

    `on_event(uuid, by_itself)`: something happened to this domain; `by_itself` when the guest began to power itself off. `on_closed(why)`:
    the session broke. Neither may wait. `halted` says since when a guest stands still because it migrates, on the monotonic clock.
    """

    def __init__(self, options: HypervisorOptions, on_event: Callable[[str, bool], None], on_closed: Callable[[str], None]) -> None:
        self._names = names()
        self._library = self._names.library
        self._options, self._on_event, self._on_closed = options, on_event, on_closed
        self.closed = threading.Event()
        self.halted: dict[str, float] = {}
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self._callbacks: list[Callable[[], object]] = []
        try:
            self._events = self._open()
            self._attend()
        except self._library.libvirtError as error:
            raise self._names.failure(error) from None

    def _open(self) -> Any:
        connection = self._library.open(self._options.uri)
        connection.setKeepAlive(self._options.keepalive_interval_s, self._options.keepalive_count)
        return connection

    def _attend(self) -> None:
        library, connection = self._library, self._events
        connection.registerCloseCallback(self._has_closed, None)
        self._callbacks.append(connection.unregisterCloseCallback)
        for event, callback in (
            (library.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle),
            (library.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, self._job_completed),
        ):
            number = connection.domainEventRegisterAny(None, event, callback, None)
            self._callbacks.append(partial(connection.domainEventDeregisterAny, number))

    # ---- what libvirt's event thread calls

    def _has_closed(self, connection: Any, reason: int, opaque: Any) -> None:
        library = self._library
        words = {
            library.VIR_CONNECT_CLOSE_REASON_EOF: "it closed the connection",
            library.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "it does not answer keepalives",
            library.VIR_CONNECT_CLOSE_REASON_ERROR: "the connection broke",
        }
        self._break(words.get(reason, f"the connection ended, reason {reason}"))

    def _lifecycle(self, connection: Any, domain: Any, event: int, detail: int, opaque: Any) -> None:
        library = self._library
        if event == library.VIR_DOMAIN_EVENT_SUSPENDED and detail == library.VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED:
            self.halted[domain.UUIDString()] = time.monotonic()
        by_itself = event == library.VIR_DOMAIN_EVENT_SHUTDOWN and detail == library.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST
        if not self.closed.is_set():
            self._on_event(domain.UUIDString(), by_itself)

    def _job_completed(self, connection: Any, domain: Any, statistics: Any, opaque: Any) -> None:
        if not self.closed.is_set():
            self._on_event(domain.UUIDString(), False)

    # ---- the connections

    def _break(self, why: str) -> None:
        if not self.closed.is_set():
            self.closed.set()
            self._on_closed(why)

    def _stands(self, connection: Any) -> bool:
        try:
            return bool(connection.isAlive())
        except self._library.libvirtError:
            return False

    def close(self) -> None:
        """Let go. What is under way on other threads keeps its connection until it ends: to close one under a call crashes, too."""
        self.closed.set()
        with self._lock:
            callbacks, self._callbacks, self._idle = self._callbacks, [], []
        for deregister in callbacks if self._stands(self._events) else ():
            with suppress(self._library.libvirtError):
                deregister()

    @contextmanager
    def _line(self) -> Iterator[Any]:
        """A connection for one call at a time; an error on one that does not stand any more says that the outcome is unknown."""
        connection = None
        try:
            connection = self._take_line()
            yield connection
        except self._library.libvirtError as error:
            if connection is None or not self._stands(connection):
                self._break(str(error))
                raise CallFailed(Trouble.connection, f"the connection broke, and what came of it is unknown: {error}") from None
            raise self._names.failure(error) from None
        finally:
            if connection is not None and not self.closed.is_set():
                with self._lock:
                    self._idle.append(connection)

    def _take_line(self) -> Any:
        with self._lock:
            found = self._idle.pop() if self._idle else None
        found = found or self._open()
        if self.closed.is_set():  # to open one may have taken as long as libvirtd was frozen
            raise CallFailed(Trouble.connection, "the connection had broken, so it was not asked for")
        return found

    # ---- looking

    def facts(self) -> HypervisorFacts:
        """Who this is."""
        with self._line() as connection:
            return HypervisorFacts(_version(connection.getLibVersion()), _version(connection.getVersion()), connection.getHostname())

    def count(self) -> dict[str, Shown]:
        """Every domain in any state, in one call that waits for no guest's QEMU."""
        with self._line() as connection:
            found = connection.getAllDomainStats(self._library.VIR_DOMAIN_STATS_STATE, 0)
            return {domain.UUIDString(): self._shown(domain, one["state.state"], one["state.reason"]) for domain, one in found}

    def look(self, uuid: str) -> Shown | None:
        """What it shows of this domain now; None when there is none."""
        try:
            with self._domain(uuid) as domain:
                return self._shown(domain, *domain.state())
        except CallFailed as failed:
            if failed.trouble is Trouble.gone:
                return None
            raise

    def _shown(self, domain: Any, state: int, reason: int) -> Shown:
        shown = self._names.shown(state, reason)
        if shown.state != "SHUTOFF":
            return shown
        try:
            return shown._replace(persistent=bool(domain.isPersistent()))
        except self._library.libvirtError:
            return shown  # it goes at this moment

    def size(self, uuid: str) -> Size:
        """What this domain may use at most."""
        with self._domain(uuid) as domain:
            _, memory_kib, _, vcpus, _ = domain.info()
            return Size(vcpus, memory_kib // 1024)

    # ---- acting

    @contextmanager
    def _domain(self, uuid: str) -> Iterator[Any]:
        with self._line() as connection:
            yield connection.lookupByUUIDString(uuid)

    def create(self, xml: str) -> None:
        """Start a transient domain."""
        with self._line() as connection:
            connection.createXML(xml, 0)

    def mark(self, uuid: str, node: str) -> None:
        """Write into the running domain's metadata that it is ours."""
        with self._domain(uuid) as domain:
            element, live = self._library.VIR_DOMAIN_METADATA_ELEMENT, self._library.VIR_DOMAIN_AFFECT_LIVE
            domain.setMetadata(element, f"<vm node='{node}'/>", "pvc", MARK_NAMESPACE, live)

    def shutdown(self, uuid: str) -> None:
        """Ask the guest to power itself off."""
        with self._domain(uuid) as domain:
            domain.shutdown()

    def destroy(self, uuid: str) -> None:
        """Cut its power; returns once QEMU is gone."""
        with self._domain(uuid) as domain:
            domain.destroy()

    def suspend(self, uuid: str) -> None:
        """Stop its vCPUs."""
        with self._domain(uuid) as domain:
            domain.suspend()

    def resume(self, uuid: str) -> None:
        """Let its vCPUs run."""
        with self._domain(uuid) as domain:
            domain.resume()

    def migrate(self, uuid: str, uri: str, data_uri: str, options: HypervisorOptions, *, paused: bool) -> None:
        """Move it live, from libvirtd to libvirtd, so that it goes on when we die; returns when it is over."""
        library = self._library
        flags = library.VIR_MIGRATE_LIVE | library.VIR_MIGRATE_PEER2PEER | library.VIR_MIGRATE_ABORT_ON_ERROR
        flags |= library.VIR_MIGRATE_AUTO_CONVERGE | (library.VIR_MIGRATE_PAUSED if paused else 0)
        parameters: dict[str, Any] = {library.VIR_MIGRATE_PARAM_URI: data_uri}
        if options.bandwidth_mib_s:
            parameters[library.VIR_MIGRATE_PARAM_BANDWIDTH] = options.bandwidth_mib_s
        if options.parallel_connections:
            flags |= library.VIR_MIGRATE_PARALLEL
            parameters[library.VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS] = options.parallel_connections
        self.halted.pop(uuid, None)
        with self._domain(uuid) as domain:
            domain.migrateToURI3(uri, parameters, flags)

    def abort(self, uuid: str) -> None:
        """Break off its migration."""
        with self._domain(uuid) as domain:
            domain.abortJob()

    def progress(self, uuid: str) -> MigrationProgress | None:
        """How far its migration from here is; None when none is under way."""
        with self._domain(uuid) as domain:
            found = domain.jobStats()
        if found.get("type", 0) == self._library.VIR_DOMAIN_JOB_NONE:
            return None
        if found.get("operation") != self._library.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT:
            return None
        return MigrationProgress(
            seconds=found.get("time_elapsed", 0) / 1000,
            total_mib=found.get("memory_total", 0) // MIB,
            remaining_mib=found.get("memory_remaining", 0) // MIB,
            rate_mib_s=found.get("memory_bps", 0) / MIB,
            iteration=found.get("memory_iteration", 0),
            throttle=found.get("auto_converge_throttle", 0),
            downtime_ms=found.get("downtime", 0),
        )


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
