"""The devices that read and switch a node's power, behind one port: IPMI by `ipmitool`, and any agent of Debian's `fence-agents`.

Each call is a process of its own with a hard deadline, after which it is killed: an order must not be carried out late. Passwords go by the
environment, by a file or by standard input, never by an argument (H88). What a device accepts proves nothing; only what it reads afterwards
counts (H63).
"""

import logging
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from pvc.cluster.records import FenceMethod
from pvc.daemon.config import FenceAccess
from pvc.daemon.keys import split_port
from pvc.fsm.states import Power

log = logging.getLogger("pvcd")

IPMI_PORT = 623
AGENT_OFF = 2
"""What an agent ends with when it has read off; also when it did not understand what it was told, so its word counts as well."""

# It prints "Chassis Power is off", whatever its manual says (H64).
_READING = re.compile(r"^\s*chassis power is (on|off)\s*$", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(r"^status: (on|off)\s*$", re.IGNORECASE | re.MULTILINE)
_GUID = re.compile(r"^system guid\s*:\s*([0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12})\b", re.IGNORECASE | re.MULTILINE)


class Fencer(Protocol):
    """One node's device."""

    def read(self) -> Power:
        """One reading."""

    def switch(self, on: bool) -> bool:
        """Tell it to switch the node on or off; returns whether it accepted that, which proves nothing."""

    def guid(self) -> str | None:
        """Which machine it says it is part of, as 32 digits; None when it does not say."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended; ``code`` is None when it could not be started or had to be killed."""

    code: int | None = None
    printed: str = ""


def call(
    command: Sequence[str],
    closing: threading.Event,
    timeout_s: float,
    told: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run a command with this standard input to its end, or kill it with all that it began when its time is over or ``closing`` is set."""
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    stdin = nothing if told is None else pipe
    try:
        with subprocess.Popen(
            command, env=environment, stdin=stdin, stdout=pipe, stderr=nothing, text=True, errors="replace", start_new_session=True
        ) as process:
            try:
                printed = _printed(process, closing, timeout_s, told)
            finally:
                _kill(process)
    except OSError as error:
        log.warning("%s cannot be started: %s", command[0], error)
        return Ended()
    return Ended() if printed is None else Ended(process.returncode, printed)


def _kill(process: "subprocess.Popen[str]") -> None:
    """An agent has tools of its own carry out its orders: none of them may outlive it."""
    if process.returncode is None:  # else its number may be another's by now
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _printed(process: "subprocess.Popen[str]", closing: threading.Event, timeout_s: float, told: str | None) -> str | None:
    deadline = time.monotonic() + timeout_s
    while not closing.is_set() and time.monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(told, timeout=min(0.5, timeout_s))[0]
        told = None  # what it is told goes on being written; to say it again is an error
    return None


class IpmiTool:
    """A BMC, over the network."""

    def __init__(self, access: FenceAccess, closing: threading.Event) -> None:
        self._closing, self._timeout_s = closing, access.timeout_s
        host, port = split_port(str(access.address), IPMI_PORT)
        user = ["-U", access.username] if access.username else []
        password = ["-f", str(access.password_file)] if access.password_file else ["-E"]
        self._command = ["ipmitool", "-I", "lanplus", "-C", str(access.cipher_suite), "-H", host, "-p", str(port), *user, *password]
        secret = {} if access.password is None or access.password_file else {"IPMI_PASSWORD": access.password}
        self._environment = {**os.environ, **secret}

    def _call(self, *words: str) -> str:
        ended = call([*self._command, *words], self._closing, self._timeout_s, environment=self._environment)
        return ended.printed if ended.code == 0 else ""

    def read(self) -> Power:
        found = _READING.findall(self._call("chassis", "power", "status"))
        return Power(found[0].lower()) if len(found) == 1 else Power.silent

    def switch(self, on: bool) -> bool:
        return self._call("chassis", "power", "on" if on else "off") != ""

    def guid(self) -> str | None:
        found = _GUID.search(self._call("mc", "guid"))
        digits = found[1].replace("-", "").lower() if found else ""
        return digits if digits.strip("0") and digits.strip("f") else None


class FenceAgent:
    """An agent of `fence-agents`: it is told what to do on standard input, a line for each option."""

    def __init__(self, access: FenceAccess, closing: threading.Event) -> None:
        self._access, self._closing = access, closing

    def _call(self, action: str, timeout_s: float) -> Ended:
        told = "".join(f"{name}={value}\n" for name, value in (*self._access.options, ("action", action)))
        return call([str(self._access.agent)], self._closing, timeout_s, told)

    def read(self) -> Power:
        ended = self._call("status", self._access.timeout_s)
        match ended.code, _STATUS.findall(ended.printed.lower()):
            case 0, ["on"]:
                return Power.on
            case code, ["off"] if code == AGENT_OFF:
                return Power.off
        return Power.silent

    def switch(self, on: bool) -> bool:
        # An agent itself waits until the power is as it was told.
        return self._call("on" if on else "off", self._access.settle_s).code == 0

    def guid(self) -> str | None:
        return None


def fencer_of(access: FenceAccess, closing: threading.Event) -> Fencer | None:
    """The device of a node; None where there is none to be asked."""
    match access.method:
        case FenceMethod.ipmi:
            return IpmiTool(access, closing)
        case FenceMethod.agent:
            return FenceAgent(access, closing)
    return None


def same_machine(guid: str, uuid: str) -> bool:
    """Whether a BMC's GUID is this UUID of a machine; firmwares differ in the order of its bytes."""
    raw, wanted = bytes.fromhex(guid.replace("-", "")), bytes.fromhex(uuid.replace("-", "").lower())
    return wanted in {order(turned) for turned in (raw, raw[::-1]) for order in (bytes, _mixed)}


def _mixed(raw: bytes) -> bytes:
    """The same with the first three fields in the other byte order, as SMBIOS writes them."""
    return raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:]
