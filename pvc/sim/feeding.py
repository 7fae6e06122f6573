"""How a simulated daemon feeds its machine's watchdog: as `pvcd` does, but for the thread."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pvc.agent.watchdog import FEEDINGS, Feeder

if TYPE_CHECKING:
    from pvc.sim.daemon import SimDaemon


def guarded(daemon: SimDaemon) -> Feeder | None:
    """Let the watchdog be fed from now on, where the configuration names one."""
    timeout_s = daemon.cluster.fencing.watchdog_s
    if timeout_s is None:
        return None
    arm = partial(daemon.machine.watchdog.arm, timeout_s)
    feeder = Feeder(daemon.name, daemon.store, arm, lambda: daemon.agent.executor.token, say=daemon.say, complain=daemon.say)

    def turn() -> None:
        if daemon.alive:
            daemon.clock.after(timeout_s / FEEDINGS, f"{daemon.name} feeds its watchdog", turn)
            if not (daemon.frozen or daemon.hung):
                feeder.turn()

    daemon.clock.after(timeout_s / FEEDINGS, f"{daemon.name} feeds its watchdog", turn)
    return feeder
