"""The keys of ``pvcd.conf`` that a scenario file may set for all its nodes.

A simulated daemon reads no file: what is about times and limits becomes its settings; addresses and files mean nothing here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pvc.cluster import login
from pvc.cluster.records import FenceMethod
from pvc.core.settings import Settings
from pvc.errors import unknown

LONGEST_SESSION_S = 6.0
"""Unless the file says something else; the daemon has the same."""

SECONDS = {
    "keepalive_interval": ("keepalive_interval_s", 0.2, 60.0),
    "session_timeout": ("session_timeout_s", 0.4, 120.0),
    "boot_grace": ("boot_grace_s", 1.0, 3600.0),
    "migration_timeout": ("migration_timeout_s", 10.0, 86400.0),
}
COUNTS = {
    "dead_ticks": ("dead_ticks", 4, 100),
    "throws_ticks": ("throws_ticks", 1, 100),
    "parallel_migrations": ("parallel_migrations", 1, 16),
    "parallel_shots": ("parallel_shots", 1, 16),
}
FLAGS = {"power_back": "power_back"}
MEANINGLESS = (
    *login.KEYS, "zookeeper", "chroot", "ipmi_hostname", "ipmi_username", "ipmi_password", "ipmi_password_file", "ipmi_cipher_suite",
    "ipmi_guid", "fence_agent", "fence_agent_options", "fence_timeout", "fence_settle", "libvirt_uri", "migration_address",
    "migration_uri", "memory_reserve_mib", "state_file", "claims_directory", "metrics_listen", "take_home",
)  # fmt: skip
"""Keys that a simulated daemon has no use for."""
WATCHDOG_DEVICE, WATCHDOG_TIMEOUT, WATCHDOG_S = "watchdog_device", "watchdog_timeout", 15.0
LIMITS = {key: (least, most) for key, (_, least, most) in {**SECONDS, **COUNTS}.items()} | {WATCHDOG_TIMEOUT: (2.0, 300.0)}
FENCE_METHOD, METHODS = "fence_method", tuple(map(str, FenceMethod))
KNOWN = (*SECONDS, *COUNTS, *FLAGS, WATCHDOG_DEVICE, WATCHDOG_TIMEOUT, FENCE_METHOD, *MEANINGLESS)


def settings_of(said: Mapping[str, Any]) -> Settings:
    """The settings of all daemons; ``said`` has no problems."""
    fields: dict[str, Any] = {field: float(said[key]) for key, (field, _, _) in SECONDS.items() if key in said}
    fields |= {field: int(said[key]) for key, (field, _, _) in COUNTS.items() if key in said}
    fields |= {field: said[key] in (True, "yes") for key, field in FLAGS.items() if key in said}
    settings = replace(Settings(), **fields)
    if "session_timeout" in said:
        return settings
    return replace(settings, session_timeout_s=min(LONGEST_SESSION_S, settings.dead_ticks * settings.keepalive_interval_s / 2))


@dataclass(frozen=True, slots=True)
class Fences:
    """How all nodes are fenced: by which method, and the timeout of their watchdogs in seconds, None where they are not used."""

    method: FenceMethod = FenceMethod.ipmi
    watchdog_s: float | None = None


def fences_of(said: Mapping[str, Any]) -> Fences:
    """How all nodes are fenced; ``said`` has no problems."""
    method = FenceMethod(said.get(FENCE_METHOD, FenceMethod.ipmi))
    guarded = WATCHDOG_DEVICE in said or method is FenceMethod.watchdog
    return Fences(method, float(said.get(WATCHDOG_TIMEOUT, WATCHDOG_S)) if guarded else None)


def knob_problems(said: Any) -> list[str]:
    """Everything that is wrong with these keys."""
    if not isinstance(said, dict):
        return ["config is no object"]
    return list(_each(said)) or list(_hasty(settings_of(said), fences_of(said).watchdog_s))


def _each(said: Mapping[str, Any]) -> Iterator[str]:
    for key, value in said.items():
        if key not in KNOWN:
            yield f"config: {unknown('key of pvcd.conf', key, KNOWN)}"
        elif key in FLAGS and value not in (True, False, "yes", "no"):
            yield f"config: {key} is {value!r}, and neither true nor false"
        elif key == FENCE_METHOD and value not in METHODS:
            yield f"config: {FENCE_METHOD}: {unknown('word', str(value), METHODS)}"
        elif key in LIMITS:
            yield from _number_problems(key, value)


def _hasty(settings: Settings, watchdog_s: float | None) -> Iterator[str]:
    """A watchdog that bites where a session lives on; a daemon refuses it too."""
    if watchdog_s is not None and watchdog_s < 2 * settings.session_timeout_s:
        session_s = settings.session_timeout_s
        yield f"config: watchdog_timeout {watchdog_s:g} s must not be less than two session timeouts of {session_s:g} s"


def _number_problems(key: str, value: Any) -> Iterator[str]:
    whole, (least, most) = key in COUNTS, LIMITS[key]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not least <= number <= most or (whole and number != int(number)):
        yield f"config: {key} is {value!r}, and no {'whole number' if whole else 'number'} from {least:g} to {most:g}"
