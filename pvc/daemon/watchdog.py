"""The kernel's watchdog, and the thread that feeds it as `pvc.agent.watchdog` decides."""

import array
import fcntl
import logging
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path

from pvc.agent.watchdog import FEEDINGS, Device, Feeder
from pvc.cluster.store import Store
from pvc.errors import PvcError

log = logging.getLogger("pvcd")

# linux/watchdog.h
GETSUPPORT, SETTIMEOUT, GETTIMEOUT = 0x80285700, 0xC0045706, 0x80045707
MAGIC_CLOSE = 0x0100


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
    """Lets the watchdog be fed on a thread of its own; nothing of that where there is none to ``arm``."""

    def __init__(
        self,
        node: str,
        store: Store,
        arm: Callable[[], Device] | None,
        timeout_s: float,
        token: Callable[[], int | None],
    ) -> None:
        self._feeder = None if arm is None else Feeder(node, store, arm, token, say=log.info, complain=log.error)
        self._period_s = timeout_s / FEEDINGS
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin."""
        if self._feeder is not None:
            self._thread.start()

    def close(self, stopped: bool) -> None:
        """Feed no more. Disarmed only where the record says that the node was ``stopped``: otherwise peers count on the bite."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(self._period_s)
        device = None if self._feeder is None else self._feeder.device
        if device is None:
            return
        if stopped:
            device.disarm()
        else:
            log.critical("the watchdog stays armed: this machine is reset within %g s unless this node joins again", device.timeout_s)

    def turn(self) -> bool:
        """One turn of the thread; returns whether the watchdog was fed."""
        return self._feeder is not None and self._feeder.turn()

    def _run(self) -> None:
        while not self._closing.wait(self._period_s):
            try:
                self.turn()
            except Exception:
                log.exception("the watchdog is not fed")
