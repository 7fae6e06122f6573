"""The power of other nodes: read and switched by their devices, on a small pool of workers.

Only what a device reads is reported. Proof is "off", read twice a second apart, by a device that does not say that it is another machine's;
anything else needs no second look, because nothing is recovered upon it.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pvc.core.events import PowerRead
from pvc.daemon.config import FenceAccess
from pvc.daemon.devices import stranger, wanted_guid
from pvc.daemon.fencers import Fencer, fencer_of
from pvc.fsm.states import Effect, Power

log = logging.getLogger("pvcd")

WORKERS = 4
APART_S = 1.0
"""Between the two readings that make a proof."""
VOUCHED_S = 120.0
"""So long a device that was asked whose it is gets orders; power that matters is read at least twice as often."""


@dataclass(frozen=True, slots=True)
class Device:
    """The device of a node, and the GUID that it has to tell, if it tells one."""

    node: str
    fencer: Fencer
    wanted: str | None

    def is_another_machines(self) -> bool:
        """Whether it says so itself: the self-test may be to come, and an address may have changed hands since."""
        if fault := stranger(self.fencer, self.wanted):
            log.error("the fence device of %s is not believed: %s", self.node, fault)
        return bool(fault)


class PowerPool:
    """The agent's power switch. ``access_of`` says how each node is reached; ``report`` may only enqueue.

    ``entitled`` is asked at the last moment before an order to switch off: whoever was frozen since it was given may not be any more.
    ``distrusted`` tells why a node's device is not to be believed, empty when it is; ``guid_of`` what it has to tell, as its node says.
    """

    def __init__(
        self,
        access_of: Callable[[str], FenceAccess],
        report: Callable[[PowerRead], None],
        *,
        entitled: Callable[[], bool] = lambda: True,
        distrusted: Callable[[str], str] = lambda node: "",
        guid_of: Callable[[str], str | None] = lambda node: None,
        apart_s: float = APART_S,
    ) -> None:
        self._access_of, self._report = access_of, report
        self._entitled, self._distrusted, self._guid_of, self._apart_s = entitled, distrusted, guid_of, apart_s
        self._vouched: dict[str, float] = {}
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
        log.info("%s: %s: its power reads %s", node, str(effect).replace("_", " "), reading)
        self._report(PowerRead(node, ticket, reading))

    def _carry_out(self, node: str, effect: Effect) -> Power:
        access = self._access_of(node)
        fencer = fencer_of(access, self._closing)
        if fencer is None:
            return Power.silent
        if why := self._distrusted(node):
            log.warning("the fence device of %s is not asked: %s", node, why)
            return Power.silent
        device = Device(node, fencer, wanted_guid(access, self._guid_of(node)))
        if effect is Effect.read_power:
            return self._reading(device)
        return self._switched(device, effect is Effect.power_on, access.settle_s)

    def _switched(self, device: Device, on: bool, settle_s: float) -> Power:
        if not self._is_vouched_for(device) and not self._vouch(device):
            return Power.silent
        if not on and not self._entitled():
            log.warning("%s is not shot: this daemon has not heard from ZooKeeper since it was decided", device.node)
            return self._reading(device)
        accepted = device.fencer.switch(on)
        wanted, deadline = Power.on if on else Power.off, time.monotonic() + settle_s
        while (reading := self._reading(device)) is not wanted and time.monotonic() < deadline:
            if (reading is Power.silent and not accepted) or self._closing.wait(self._apart_s):
                break
        return reading

    def _reading(self, device: Device) -> Power:
        """A reading; off only when it is read twice. In between it is asked whose it is, which costs no time."""
        reading, since = device.fencer.read(), time.monotonic()
        if reading is Power.silent or (reading is Power.on and self._is_vouched_for(device)):
            return reading
        if not self._vouch(device):
            return Power.silent
        if reading is Power.on:
            return reading
        return Power.silent if self._closing.wait(max(0.0, since + self._apart_s - time.monotonic())) else device.fencer.read()

    def _is_vouched_for(self, device: Device) -> bool:
        """Whether it was asked a moment ago. A reading comes before each shot, so the order itself need not wait for an answer."""
        return time.monotonic() - self._vouched.get(device.node, -VOUCHED_S) < VOUCHED_S

    def _vouch(self, device: Device) -> bool:
        """Ask it whose it is; returns whether it may be believed."""
        if device.is_another_machines():
            self._vouched.pop(device.node, None)
            return False
        self._vouched[device.node] = time.monotonic()
        return True
