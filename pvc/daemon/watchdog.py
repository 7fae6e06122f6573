"""Self-fencing: a watchdog resets this machine unless it is fed, and it is fed only while this node may run guests.

Why its peers may count on it. Let W be the timeout of the watchdog. It is fed only after ZooKeeper has taken a write that was *sent after
the last feeding*, and that checked that this node's proof of life is there. So when a peer sees the proof of life gone, at E, the last such
write was sent before E. The feeding after it came in time, or the machine was reset by then: within W of the feeding before, which was
earlier than that write; so it came before E + W, however long this process stood still. Should the process die, the kernel feeds once more
as it closes the device, before E + 2 W. So the machine is reset before E + 3 W, and peers wait for that and for a margin, on their own
clocks. No session timeout takes part in this, and no clock is compared with another.

Nobody counts on a watchdog that is not announced. It is announced after it was armed; whoever joins anew withdraws the announcement in that
very write; and it is disarmed only after the record says that this node was stopped, which peers never take for dead as time passes.

A machine must not be suspended to RAM under this method: its watchdog sleeps as well.
"""

import array
import fcntl
import logging
import math
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pvc.cluster import znodes
from pvc.cluster.formats import decode_node, encode_node
from pvc.cluster.records import NodeRecord
from pvc.cluster.store import ANY_VERSION, Check, Set, Store, StoreError
from pvc.errors import PvcError

log = logging.getLogger("pvcd")

MARGIN_S = 10.0
"""For clocks that do not run alike, and for what a machine does between its watchdog's bite and its end."""
LIVES = 3
"""Timeouts that may pass, see above."""
FEEDINGS = 4
"""Within one timeout."""

# linux/watchdog.h
GETSUPPORT, SETTIMEOUT, GETTIMEOUT = 0x80285700, 0xC0045706, 0x80045707
MAGIC_CLOSE = 0x0100


def reset_after_s(timeout_s: float) -> int:
    """How long after the proof of life is gone a machine with this watchdog is certainly reset."""
    return math.ceil(LIVES * timeout_s + MARGIN_S)


class Device(Protocol):
    """A watchdog that is armed."""

    @property
    def timeout_s(self) -> float:
        """What it has really taken."""

    def feed(self) -> None:
        """Begin its time anew."""

    def disarm(self) -> None:
        """Let it bite no more."""


class LinuxWatchdog:
    """A device of the kernel, armed by being opened. Raises PvcError when it cannot be relied upon; then it is not left armed."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            busy = "somebody else has it, such as systemd (RuntimeWatchdogSec)"
            raise PvcError(f"{path} cannot be opened: {error.strerror}", f"load its driver, or softdog; or {busy}") from error
        try:
            # Without it a daemon that dies disarms the watchdog, and nobody would ever reset the machine.
            support = array.array("I", [0] * 10)
            fcntl.ioctl(self._file, GETSUPPORT, support, True)
            if not support[0] & MAGIC_CLOSE:
                raise PvcError(f"{path} is disarmed by whoever closes it, so it cannot be relied upon", "use another, such as softdog")
            asked = array.array("i", [math.ceil(timeout_s)])
            fcntl.ioctl(self._file, SETTIMEOUT, asked, True)
            taken = array.array("i", [0])
            fcntl.ioctl(self._file, GETTIMEOUT, taken, True)
            self.timeout_s = float(taken[0])
        except (OSError, PvcError) as error:
            self.disarm()
            if isinstance(error, PvcError):
                raise
            raise PvcError(f"{path} is no watchdog that can be set: {error.strerror}", "use another, such as softdog") from error

    def feed(self) -> None:
        os.write(self._file, b"\0")

    def disarm(self) -> None:
        os.write(self._file, b"V")
        os.close(self._file)


class WatchdogKeeper:
    """Arms, announces and feeds on a thread of its own, as soon as the node has joined; nothing of that where there is none to ``arm``.

    ``token`` is the boot token, None before the node has joined.
    """

    def __init__(
        self,
        node: str,
        store: Store,
        arm: Callable[[], Device] | None,
        timeout_s: float,
        token: Callable[[], int | None],
    ) -> None:
        self._node, self._store, self._arm, self._token = node, store, arm, token
        self._period_s = timeout_s / FEEDINGS
        self._device: Device | None = None
        self._announced: int | None = None  # the token under which it is
        self._requests = 0
        self._complaint = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin."""
        if self._arm is not None:
            self._thread.start()

    def close(self, stopped: bool) -> None:
        """Feed no more. Disarmed only where the record says that the node was ``stopped``: otherwise peers count on the bite."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(self._period_s)
        if self._device is None:
            return
        if stopped:
            self._device.disarm()
        else:
            log.critical("the watchdog stays armed: this machine is reset within %g s unless this node joins again", self._device.timeout_s)

    def turn(self) -> bool:
        """Prove that this node lives, then feed; returns whether it was fed. The first times it is armed, then announced."""
        token = self._token()
        if token is None or self._arm is None:
            return False
        try:
            self._prove(token)
            if self._device is None:
                self._device = self._arm()
                log.info("the watchdog is armed: %g s", self._device.timeout_s)
                return False
            self._device.feed()  # in this order, on one thread: each proof is sent after the last feeding
            if self._announced != token:
                self._announce(token, self._device.timeout_s)
        except StoreError as error:
            self._complain(f"the watchdog is not fed: {error}")
            return False
        except (PvcError, OSError) as error:
            self._complain(f"no watchdog guards this node, so nothing that runs here is recovered by it: {error}")
            return False
        self._complaint = ""
        return True

    def _prove(self, token: int) -> None:
        """A write that changes nothing, and that ZooKeeper takes only while this node's proof of life is there."""
        self._store.multi(self._guards(token))

    def _guards(self, token: int) -> list[Check]:
        return [Check(znodes.boot(self._node), token), Check(znodes.alive(self._node), ANY_VERSION)]

    def _announce(self, token: int, timeout_s: float) -> None:
        path = znodes.node(self._node)
        znode = self._store.read(path, sync=True)
        record = None if znode is None else decode_node(self._node, znode.data)
        if znode is None or not isinstance(record, NodeRecord):
            raise PvcError(f"{path} cannot be read, so the watchdog is not announced: {record}", "repair it")
        self._requests += 1
        fencing = replace(record.fencing, reset_s=reset_after_s(timeout_s))
        told = replace(record, fencing=fencing, request=f"{self._node}-{token}-watchdog-{self._requests}")
        self._store.multi([*self._guards(token), Set(path, encode_node(told), znode.version)])
        self._announced = token
        log.info("the watchdog is announced: peers take this node for off %d s after its proof of life is gone", fencing.reset_s)

    def _complain(self, sentence: str) -> None:
        if sentence != self._complaint:
            log.error("%s", sentence)
        self._complaint = sentence

    def _run(self) -> None:
        while not self._closing.wait(self._period_s):
            try:
                self.turn()
            except Exception:
                log.exception("the watchdog is not fed")
