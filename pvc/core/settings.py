"""The times and limits that a daemon decides by, as the configuration gives them; all of them durations, none of them a date."""

from dataclasses import dataclass, replace

from pvc.cluster.records import Machine

PUBLISHED = ("keepalive_interval_s", "session_timeout_s", "dead_ticks", "throws_ticks", "migration_timeout_s")
"""What a node's record says of them."""
OWN_LEASE_TICKS = 3
"""A daemon that has done nothing for so many ticks ends itself."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds and counts; the defaults are those of ``pvcd.conf``."""

    keepalive_interval_s: float = 5.0
    dead_ticks: int = 6
    throws_ticks: int = 3
    session_timeout_s: float = 6.0
    power_poll_s: float = 5.0
    power_poll_max_s: float = 60.0
    fence_retry_s: float = 30.0
    fence_retry_max_s: float = 600.0
    parallel_shots: int = 1
    power_on_delay_s: float = 10.0
    boot_grace_s: float = 180.0
    accept_timeout_s: float = 30.0
    migration_timeout_s: float = 600.0
    handover_timeout_s: float = 60.0
    destroy_retry_s: float = 5.0
    ask_again_s: float = 10.0
    avoid_s: float = 60.0
    retry_s: float = 1.0
    steady_s: float = 600.0
    power_back: bool = False
    parallel_migrations: int = 2

    @property
    def dead_s(self) -> float:
        """From the end of a node's session to its death: the dead time, of which the session has taken its part."""
        return max(0.0, self.dead_ticks * self.keepalive_interval_s - self.session_timeout_s)

    @property
    def throws_s(self) -> float:
        """From a node's death to the shot."""
        return self.throws_ticks * self.keepalive_interval_s

    @property
    def own_lease_s(self) -> float:
        """How long nothing may move in a daemon before it ends itself.

        Never less than two waits for ZooKeeper's answer, which a healthy daemon may have to make in one turn.
        """
        return max(OWN_LEASE_TICKS * self.keepalive_interval_s, 2 * self.session_timeout_s)

    @property
    def lost_words(self) -> str:
        """What becomes of a lost node, and when."""
        dead_s = self.session_timeout_s + self.dead_s
        suspected = f"a lost node is suspected after {self.session_timeout_s:g} s"
        return f"{suspected}, dead after {dead_s:g} s, shot after {dead_s + self.throws_s:g} s"

    def shot_backoff_s(self, tries: int) -> float:
        """The wait before a node is shot again, after so many shots that proved nothing."""
        return min(self.fence_retry_s * float(2 ** min(max(0, tries - 1), 10)), self.fence_retry_max_s)

    def backoff_s(self, restarts: int) -> float:
        """The wait before the next start of a VM that failed this many times in a row: 0.5, 1, 2, 4, 8, then always 16 s."""
        return 0.0 if restarts == 0 else 0.5 * 2 ** min(restarts - 1, 5)


def published(machine: Machine, settings: Settings) -> Machine:
    """What a node says of itself, with the times that its daemon counts by."""
    return replace(machine, **{name: getattr(settings, name) for name in PUBLISHED})


def settings_of(machine: Machine) -> Settings | None:
    """The times that a node says its daemon counts by, the others by default; None where it does not say."""
    return Settings(**{name: getattr(machine, name) for name in PUBLISHED}) if machine.dead_ticks else None
