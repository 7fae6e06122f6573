"""The watchdog of a simulated machine: once armed, it resets the machine unless it is fed in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pvc.errors import PvcError
from pvc.sim.clock import Due

if TYPE_CHECKING:
    from pvc.sim.machine import Machine


class Watchdog:
    """The device; ``there`` is false where the machine has none."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.there = True
        self.timeout_s = 0.0
        self._bites: Due | None = None

    def arm(self, timeout_s: float) -> Watchdog:
        """Open it, as the daemon does; raises PvcError where there is none."""
        if not self.there:
            raise PvcError("/dev/watchdog cannot be opened: No such file or directory", "load its driver, or softdog")
        self.timeout_s = timeout_s
        self.feed()
        return self

    def feed(self) -> None:
        """Begin its time anew."""
        self.disarm()
        self._bites = self.machine.world.clock.after(self.timeout_s, f"the watchdog of {self.machine.name}", self._bite)

    def left(self) -> None:
        """The process that had it open is gone: the kernel feeds it once more."""
        if self._bites is not None:
            self.feed()

    def disarm(self) -> None:
        """Let it bite no more."""
        if self._bites is not None:
            self._bites.cancel()
            self._bites = None

    def _bite(self) -> None:
        self.machine.power_off()
        self.machine.power_on()
