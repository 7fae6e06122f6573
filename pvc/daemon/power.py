"""The power of other nodes: read and switched by their devices, on a small pool of workers.

Only what a device reads is reported. Proof is "off", read twice a second apart; anything else needs no second look, because nothing is
recovered upon it.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pvc.core.events import PowerRead
from pvc.daemon.config import FenceAccess
from pvc.daemon.fencers import Fencer, fencer_of
from pvc.fsm.states import Effect, Power

log = logging.getLogger("pvcd")

WORKERS = 4
APART_S = 1.0
"""Between the two readings that make a proof."""


class PowerPool:
    """The agent's power switch. ``access_of`` says how each node is reached; ``report`` may only enqueue.

    ``entitled`` is asked at the last moment before an order to switch off: whoever was frozen since it was given may not be any more.
    ``distrusted`` tells why a node's device is not to be believed, empty when it is.
    """

    def __init__(
        self,
        access_of: Callable[[str], FenceAccess],
        report: Callable[[PowerRead], None],
        *,
        entitled: Callable[[], bool] = lambda: True,
        distrusted: Callable[[str], str] = lambda node: "",
        apart_s: float = APART_S,
    ) -> None:
        self._access_of, self._report = access_of, report
        self._entitled, self._distrusted, self._apart_s = entitled, distrusted, apart_s
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
        if effect is Effect.read_power:
            return self._reading(fencer)
        return self._switched(node, fencer, effect is Effect.power_on, access.settle_s)

    def _switched(self, node: str, fencer: Fencer, on: bool, settle_s: float) -> Power:
        if not on and not self._entitled():
            log.warning("%s is not shot: this daemon has not heard from ZooKeeper since it was decided", node)
            return self._reading(fencer)
        accepted = fencer.switch(on)
        wanted, deadline = Power.on if on else Power.off, time.monotonic() + settle_s
        while (reading := self._reading(fencer)) is not wanted and time.monotonic() < deadline:
            if (reading is Power.silent and not accepted) or self._closing.wait(self._apart_s):
                break
        return reading

    def _reading(self, fencer: Fencer) -> Power:
        """A reading; off only when it is read twice."""
        reading = fencer.read()
        if reading is not Power.off:
            return reading
        return Power.silent if self._closing.wait(self._apart_s) else fencer.read()
