"""The keys of ``pvcd.conf``: what each may say, and what counts when it is not there.

Every key is declared once; the sample file and the error messages are held to this list by tests.
"""

import ipaddress
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pvc.cluster import login
from pvc.cluster.names import ADDRESS_RULE, is_address, is_line, shown
from pvc.cluster.options import is_server
from pvc.cluster.records import FenceMethod

ZOOKEEPER_PORT = 2181


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the file. ``read`` turns its text into a value or raises ValueError; ``default`` is text too, None where there is none."""

    name: str
    read: Callable[[str], Any]
    default: str | None = None


def seconds(least: float, most: float) -> Callable[[str], float]:
    """A duration in seconds within these bounds."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise ValueError(f"{shown(text)} is no number of seconds from {least:g} to {most:g}")
        return value

    return read


def count(least: int, most: int) -> Callable[[str], int]:
    """A whole number within these bounds."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
            raise ValueError(f"{shown(text)} is no whole number from {least} to {most}")
        return int(text)

    return read


def flag(text: str) -> bool:
    """Yes or no."""
    if text.lower() not in ("yes", "no"):
        raise ValueError(f"{shown(text)} is neither yes nor no")
    return text.lower() == "yes"


def line(text: str) -> str:
    """Some text."""
    if not text or not is_line(text):
        raise ValueError(f"{shown(text)} is not one line of text")
    return text


def secret(text: str) -> str:
    """Some text that no message repeats."""
    if not text or not is_line(text):
        raise ValueError("it is not one line of text")
    return text


def uri(text: str) -> str:
    """A libvirt connection URI."""
    if "://" not in text or not is_line(text):
        raise ValueError(f"{shown(text)} is no URI such as qemu+tcp://127.0.0.1:16509/system")
    return text


def peer_uri(text: str) -> str:
    """How the libvirt of another node is reached from here, with a place for its address."""
    if text.count("{address}") != 1 or "{" in text.replace("{address}", ""):
        raise ValueError(f"{shown(text)} does not say once where {{address}} belongs")
    return uri(text)


def absolute_path(text: str) -> Path:
    """A path that does not depend on where the daemon is started."""
    if not text.startswith("/") or not is_line(text):
        raise ValueError(f"{shown(text)} is no absolute path")
    return Path(text)


def chroot(text: str) -> str:
    """A path in ZooKeeper, or nothing."""
    if text and (not text.startswith("/") or text.endswith("/") or "//" in text):
        raise ValueError(f"{shown(text)} is no path such as /pvc")
    return text


def address(text: str) -> str:
    """A host name or an IP address, perhaps with a port."""
    if not is_address(text):
        raise ValueError(f"{shown(text)} is not {ADDRESS_RULE}")
    return text


def listener(text: str) -> tuple[str, int]:
    """Where to listen: an address of this host and a port."""
    host, port = split_port(address(text), 0)
    if not port:
        raise ValueError(f"{shown(text)} names no port, as 127.0.0.1:9177 does")
    return host, port


def fence_method(text: str) -> FenceMethod:
    """How the node is fenced."""
    if text not in tuple(FenceMethod):
        raise ValueError(f"{shown(text)} is none of {', '.join(FenceMethod)}")
    return FenceMethod(text)


def agent_name(text: str) -> str:
    """A program of Debian's `fence-agents`."""
    if not re.fullmatch(r"fence_[a-z0-9_]{1,60}", text):
        raise ValueError(f"{shown(text)} is no name such as fence_redfish")
    return text


def agent_options(text: str) -> tuple[tuple[str, str], ...]:
    """What an agent is told, a line for each option; no message repeats it, because a password is among them."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    pairs = [(name.strip(), value.strip()) for name, equals, value in (line.partition("=") for line in lines) if equals]
    if len(pairs) != len(lines) or not all(re.fullmatch(r"[a-zA-Z0-9_-]+", name) for name, _ in pairs):
        raise ValueError("each of its lines has to be an option of the agent, as in username=pvc")
    if any(name in ("action", "option") for name, _ in pairs):
        raise ValueError("the action is not for the file to say")
    return tuple(pairs)


def guid(text: str) -> str:
    """Which GUID a BMC has to have; `any` for one that tells nothing."""
    if text != "any" and not re.fullmatch(r"[0-9a-fA-F]{32}", text.replace("-", "")):
        raise ValueError(f"{shown(text)} is neither 'any' nor a GUID of 32 hexadecimal digits")
    return text.replace("-", "").lower()


def hosts(text: str) -> tuple[str, ...]:
    """A list of servers with their ports, in the order in which they are tried."""
    names = [name.strip() for name in text.replace("\n", ",").split(",")]
    found = tuple(with_port(address(name), ZOOKEEPER_PORT) for name in names if name)
    if not found:
        raise ValueError("it names no server")
    wrong = [name for name in found if not is_server(name)]
    if wrong:
        raise ValueError(f"{shown(wrong[0])} is no server such as zk1:2181 or [fd00::1]:2181")
    return found


def with_port(text: str, default: int) -> str:
    """The address with a port: its own, or this one."""
    host, port = split_port(text, default)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_port(text: str, default: int) -> tuple[str, int]:
    """Host and port of an address, which may be an IPv6 address with or without brackets."""
    if _is_ipv6(text):
        return text, default
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        return text.strip("[]"), default
    return host.strip("[]"), count(1, 65535)(port)


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


# fmt: off
KEYS = (
    # As specified.
    Key("zookeeper",            hosts),
    Key("keepalive_interval",   seconds(0.2, 60.0),     "5"),
    Key("ipmi_hostname",        address),
    Key("ipmi_username",        line),
    Key("ipmi_password",        secret),
    # ZooKeeper and time.
    Key("chroot",               chroot,                 ""),
    *(Key(name, read) for name, read in login.KEYS.items()),
    Key("session_timeout",      seconds(0.4, 120.0)),
    Key("dead_ticks",           count(4, 100),          "6"),
    Key("throws_ticks",         count(1, 100),          "3"),
    Key("boot_grace",           seconds(1.0, 3600.0),   "180"),
    # Fencing.
    Key("fence_method",         fence_method,           "ipmi"),
    Key("ipmi_password_file",   absolute_path),
    Key("ipmi_cipher_suite",    count(0, 17),           "3"),
    Key("ipmi_guid",            guid),
    Key("fence_agent",          agent_name),
    Key("fence_agent_options",  agent_options),
    Key("fence_timeout",        seconds(0.5, 120.0),    "10"),
    Key("fence_settle",         seconds(1.0, 600.0),    "30"),
    Key("parallel_shots",       count(1, 16),           "1"),
    Key("watchdog_device",      absolute_path),
    Key("watchdog_timeout",     seconds(2.0, 300.0),    "15"),
    Key("power_back",           flag,                   "no"),
    Key("take_home",            flag,                   "no"),
    # The hypervisor.
    Key("libvirt_uri",          uri,                    "qemu+tcp://127.0.0.1:16509/system"),
    Key("migration_address",    address),
    Key("migration_uri",        peer_uri,               "qemu+tcp://{address}/system"),
    Key("migration_timeout",    seconds(10.0, 86400.0), "600"),
    Key("parallel_migrations",  count(1, 16),           "2"),
    Key("memory_reserve_mib",   count(0, 1_000_000),    "512"),
    # Files.
    Key("state_file",           absolute_path,          "/var/lib/pvc/state.json"),
    Key("claims_directory",     absolute_path,          "/run/pvc/claims"),
    # What others may look at.
    Key("metrics_listen",       listener),
)
# fmt: on

BY_NAME = {key.name: key for key in KEYS}
