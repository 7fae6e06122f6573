"""The keepalives of one simulated daemon."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pvc.agent.keepalive import StatsWriter
from pvc.agent.remembered import objection
from pvc.cluster.records import NodeStats
from pvc.cluster.store import StoreError
from pvc.core import events as e
from pvc.sim.figures import stats_of
from pvc.sim.unit import STATE_FILE

if TYPE_CHECKING:
    from pvc.sim.daemon import SimDaemon


class Keepalive:
    """Writes what the machine has and uses, every interval."""

    def __init__(self, daemon: SimDaemon) -> None:
        self.daemon = daemon
        self.tick = 0
        self.writer = StatsWriter(daemon.name, daemon.store)

    def begin(self) -> None:
        """The next one is due in an interval."""
        daemon = self.daemon
        daemon.clock.after(daemon.cluster.settings.keepalive_interval_s, f"{daemon.name} keepalive", self._due)

    def stats(self, libvirt: bool) -> NodeStats:
        """What the machine has and uses."""
        return stats_of(self.daemon.machine, self.daemon.hypervisor.figures(), self.tick + 1, libvirt)

    def _due(self) -> None:
        daemon = self.daemon
        if not daemon.alive:
            return
        self.begin()
        token = daemon.agent.executor.token
        if not (daemon.frozen or daemon.hung) and token is not None and daemon.store.connected:
            self._write(token)

    def _write(self, token: int) -> None:
        daemon, unit, stats = self.daemon, self.daemon.unit, self.stats(self.daemon.hypervisor.opened)
        try:
            found = self.writer.write(stats, token)
        except StoreError:
            return  # not joined, or fenced: the agent learns of both from the store itself
        if found is not None:
            known = unit.known(daemon)
            daemon.fail(str(objection(known, replace(known, stats_born=found[0], stats_version=found[1]), STATE_FILE)))
            return
        self.tick, unit.why = stats.tick, ""
        unit.remember_sometimes(daemon)
        daemon.agent.put(e.StatsSeen(stats))
        if daemon.store.missed:
            daemon.store.refresh()  # always done; where no watch was lost it finds nothing
