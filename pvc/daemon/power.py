"""The power of other nodes, by `ipmitool`: read and switched on a small pool of workers, each call with a hard deadline.

What a device accepts proves nothing (H63); only what it reads afterwards is reported. Proof is "off", read twice a second apart; anything
else needs no second look, because nothing is recovered upon it.
"""

import logging
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from pvc.cluster.records import FenceMethod
from pvc.core.events import PowerRead
from pvc.daemon.config import FenceAccess
from pvc.daemon.keys import split_port
from pvc.fsm.states import Effect, Power

log = logging.getLogger("pvcd")

IPMI_PORT = 623
WORKERS = 4
CALL_TIMEOUT_S = 10.0
APART_S = 1.0
"""Between the two readings that make a proof."""
SETTLE_S = 30.0
"""How long a machine may take to go off, or on, after it was told to."""

# It prints "Chassis Power is off", whatever its manual says (H64).
_READING = re.compile(r"^\s*chassis power is (on|off)\s*$", re.IGNORECASE | re.MULTILINE)
_WORDS = {Effect.read_power: "status", Effect.power_off: "off", Effect.power_on: "on"}


class IpmiTool:
    """One node's device. The password goes by the environment or by a file, never by an argument (H88)."""

    def __init__(self, access: FenceAccess, closing: threading.Event, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._closing = closing
        self._timeout_s = timeout_s
        host, port = split_port(str(access.address), IPMI_PORT)
        user = ["-U", access.username] if access.username else []
        password = ["-f", str(access.password_file)] if access.password_file else ["-E"]
        self._command = ["ipmitool", "-I", "lanplus", "-C", "3", "-H", host, "-p", str(port), *user, *password, "chassis", "power"]
        secret = {} if access.password is None or access.password_file else {"IPMI_PASSWORD": access.password}
        self._environment: Mapping[str, str] = {**os.environ, **secret}

    def call(self, word: str) -> str:
        """What it printed; empty when it failed or took too long."""
        command, nothing = [*self._command, word], subprocess.DEVNULL
        try:
            with subprocess.Popen(
                command, env=self._environment, stdin=nothing, stdout=subprocess.PIPE, stderr=nothing, text=True, errors="replace"
            ) as process:
                try:
                    printed = self._printed(process)
                finally:
                    process.kill()
        except OSError as error:
            log.warning("ipmitool cannot be started: %s", error)
            return ""
        return printed if process.returncode == 0 else ""

    def _printed(self, process: "subprocess.Popen[str]") -> str:
        deadline = time.monotonic() + self._timeout_s
        while not self._closing.is_set() and time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=min(0.5, self._timeout_s))[0]
        return ""

    def read(self) -> Power:
        """One reading."""
        found = _READING.findall(self.call("status"))
        return Power(found[0].lower()) if len(found) == 1 else Power.silent


class PowerPool:
    """The agent's power switch. ``access_of`` says how each node is reached; ``report`` may only enqueue."""

    def __init__(
        self,
        access_of: Callable[[str], FenceAccess],
        report: Callable[[PowerRead], None],
        *,
        call_timeout_s: float = CALL_TIMEOUT_S,
        settle_s: float = SETTLE_S,
        apart_s: float = APART_S,
    ) -> None:
        self._access_of, self._report = access_of, report
        self._call_timeout_s, self._settle_s, self._apart_s = call_timeout_s, settle_s, apart_s
        self._closing = threading.Event()
        self._pool = ThreadPoolExecutor(WORKERS, "power")

    def order(self, node: str, effect: Effect, ticket: int) -> None:
        self._pool.submit(self._answer, node, effect, ticket)

    def close(self) -> None:
        """Answer no more; what is being asked is given up."""
        self._closing.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _answer(self, node: str, effect: Effect, ticket: int) -> None:
        reading = Power.silent
        try:
            reading = self._carry_out(node, effect)
        except Exception:  # an order without its answer would stop this fence for ever
            log.exception("the power of %s could not be asked for", node)
        log.info("%s: power %s: it reads %s", node, _WORDS[effect], reading)
        self._report(PowerRead(node, ticket, reading))

    def _carry_out(self, node: str, effect: Effect) -> Power:
        access = self._access_of(node)
        if access.method is not FenceMethod.ipmi:
            return Power.silent
        tool = IpmiTool(access, self._closing, self._call_timeout_s)
        if effect is Effect.read_power:
            return self._reading(tool)
        accepted = tool.call(_WORDS[effect]) != ""
        wanted, deadline = Power.off if effect is Effect.power_off else Power.on, time.monotonic() + self._settle_s
        while (reading := self._reading(tool)) is not wanted and time.monotonic() < deadline:
            if (reading is Power.silent and not accepted) or self._closing.wait(self._apart_s):
                break
        return reading

    def _reading(self, tool: IpmiTool) -> Power:
        """A reading; off only when it is read twice."""
        reading = tool.read()
        if reading is not Power.off:
            return reading
        return Power.silent if self._closing.wait(self._apart_s) else tool.read()
