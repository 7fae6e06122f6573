"""What of a node's daemon outlives its process: systemd, which starts it again, and its state file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pvc.agent.remembered import Remembered, objection, seen_now
from pvc.cluster import znodes
from pvc.cluster.formats import decode_config
from pvc.cluster.memory import MemoryStore
from pvc.cluster.records import ClusterConfig
from pvc.cluster.store import NotConnected
from pvc.errors import PvcError

if TYPE_CHECKING:
    from pvc.sim.daemon import SimDaemon

STATE_FILE = Path("/var/lib/pvc/state.json")
RESTART_S = 8.0
"""After how long a daemon that has ended by itself works again: RestartSec of its unit, and what a start takes."""
REMEMBER_S = 60.0
"""How often what must be known before the next start is written down."""


class Unit:
    """One node's: what was remembered last, and why its daemon ended by itself, said once however often it is started again."""

    def __init__(self) -> None:
        self.remembered = Remembered()
        self.written_at = 0.0
        self.why = ""

    def forget(self) -> None:
        """Somebody removes the state file: what ZooKeeper says is right."""
        self.remembered = Remembered()

    def preflight(self, daemon: SimDaemon) -> PvcError | None:
        """Why this daemon must not work with what ZooKeeper says now; raises NotConnected when it says nothing."""
        store = MemoryStore(daemon.cluster.ensemble)
        if daemon.name in daemon.cluster.cut_off:
            raise NotConnected("it is cut off")
        store.start(lambda event: None)
        paths = (znodes.CONFIG, znodes.boot(daemon.name), znodes.stats(daemon.name))
        config, boot, stats = store.read_many(paths).values()
        cluster = decode_config(config.data) if config is not None else None
        assert isinstance(cluster, ClusterConfig), "nobody removes it here"
        found = seen_now(cluster.id, boot, stats, store.last_zxid)
        store.close()
        wrong = objection(self.remembered, found, STATE_FILE)
        if wrong is None:
            self.remembered = found
        return wrong

    def known(self, daemon: SimDaemon) -> Remembered:
        """What this daemon knows by now."""
        before, token, written = self.remembered, daemon.agent.executor.token, daemon.keepalive.writer.written
        stats = written if written[0] else (before.stats_born, before.stats_version)  # nothing was written yet
        return Remembered(before.cluster, before.boot_version if token is None else token, daemon.store.last_zxid, *stats)

    def remember(self, daemon: SimDaemon) -> None:
        """Write it down."""
        self.remembered, self.written_at = self.known(daemon), daemon.clock.now

    def remember_sometimes(self, daemon: SimDaemon) -> None:
        """Write it down when that was long ago."""
        if daemon.clock.now >= self.written_at + REMEMBER_S:
            self.remember(daemon)
