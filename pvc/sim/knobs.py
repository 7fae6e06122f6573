"""The keys of ``pvcd.conf`` that a scenario file may set for all its nodes.

A simulated daemon reads no file: what is about times and limits becomes its settings; addresses and files mean nothing here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pvc.cluster import login
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
    "ipmi_guid", "fence_method", "fence_agent", "fence_agent_options", "fence_timeout", "fence_settle", "libvirt_uri", "migration_address",
    "migration_uri", "memory_reserve_mib", "state_file", "claims_directory", "metrics_listen", "watchdog_device", "watchdog_timeout",
    "take_home",
)  # fmt: skip
"""Keys that a simulated daemon has no use for."""
KNOWN = (*SECONDS, *COUNTS, *FLAGS, *MEANINGLESS)


def settings_of(said: Mapping[str, Any]) -> Settings:
    """The settings of all daemons; ``said`` has no problems."""
    fields: dict[str, Any] = {field: float(said[key]) for key, (field, _, _) in SECONDS.items() if key in said}
    fields |= {field: int(said[key]) for key, (field, _, _) in COUNTS.items() if key in said}
    fields |= {field: said[key] in (True, "yes") for key, field in FLAGS.items() if key in said}
    settings = replace(Settings(), **fields)
    if "session_timeout" in said:
        return settings
    return replace(settings, session_timeout_s=min(LONGEST_SESSION_S, settings.dead_ticks * settings.keepalive_interval_s / 2))


def knob_problems(said: Any) -> Iterator[str]:
    """Everything that is wrong with these keys."""
    if not isinstance(said, dict):
        yield "config is no object"
        return
    for key, value in said.items():
        if key not in KNOWN:
            yield f"config: {unknown('key of pvcd.conf', key, KNOWN)}"
        elif key in FLAGS and value not in (True, False, "yes", "no"):
            yield f"config: {key} is {value!r}, and neither true nor false"
        elif key in SECONDS or key in COUNTS:
            yield from _number_problems(key, value)


def _number_problems(key: str, value: Any) -> Iterator[str]:
    whole = key in COUNTS
    _, least, most = COUNTS[key] if whole else SECONDS[key]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not least <= number <= most or (whole and number != int(number)):
        yield f"config: {key} is {value!r}, and no {'whole number' if whole else 'number'} from {least:g} to {most:g}"
