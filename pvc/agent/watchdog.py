"""Self-fencing: a watchdog resets this machine unless it is fed, and it is fed only while this node may run guests.

Why its peers may count on it. Let W be the timeout of the watchdog. It is fed only after ZooKeeper has taken a write that was *sent after
the last feeding*, and that checked that this node's proof of life is there. So when a peer sees the proof of life gone, at E, the last such
write was sent before E. The feeding after it came in time, or the machine was reset by then: within W of the feeding before, which was
earlier than that write; so it came before E + W, however long this process stood still. Should the process die, the kernel feeds once more
as it closes the device, before E + 2 W. So the machine is reset before E + 3 W, and peers wait for that and for a margin, on their own
clocks. No session timeout takes part in this, and no clock is compared with another.

Nobody counts on a watchdog that is not announced. It is announced after it was armed; whoever joins anew withdraws the announcement in that
very write; and it is disarmed only after the record says that this node was stopped, which peers never take for dead as time passes.

A machine must not be suspended to RAM under this method: its watchdog sleeps as well.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from pvc.cluster import znodes
from pvc.cluster.formats import decode_node, encode_node
from pvc.cluster.records import NodeRecord
from pvc.cluster.store import ANY_VERSION, Check, Set, Store, StoreError
from pvc.errors import PvcError

MARGIN_S = 10.0
"""For clocks that do not run alike, and for what a machine does between its watchdog's bite and its end."""
LIVES = 3
"""Timeouts that may pass, see above."""
FEEDINGS = 4
"""Within one timeout."""


def reset_after_s(timeout_s: float) -> int:
    """How long after the proof of life is gone a machine with this watchdog is certainly reset."""
    return math.ceil(LIVES * timeout_s + MARGIN_S)


class Device(Protocol):
    """A watchdog that is armed."""

    @property
    def timeout_s(self) -> float:
        """What it has really taken."""

    def feed(self) -> None:
        """Begin its time anew."""

    def disarm(self) -> None:
        """Let it bite no more."""


class Feeder:
    """Arms the watchdog as soon as the node has joined, announces and feeds it: one `turn` after the other, never two at once.

    ``token`` is the boot token, None before the node has joined; ``complain`` is told what is wrong, once for each sentence.
    """

    def __init__(
        self,
        node: str,
        store: Store,
        arm: Callable[[], Device],
        token: Callable[[], int | None],
        *,
        say: Callable[[str], None],
        complain: Callable[[str], None],
    ) -> None:
        self.device: Device | None = None
        self._node, self._store, self._arm, self._token = node, store, arm, token
        self._say, self._complain_of = say, complain
        self._announced: int | None = None  # the token under which it is
        self._requests = 0
        self._complaint = ""

    def turn(self) -> bool:
        """Prove that this node lives, then feed; returns whether it was fed. The first times it is armed, then announced."""
        token = self._token()
        if token is None:
            return False
        try:
            self._prove(token)
            if self.device is None:
                self.device = self._arm()
                self._say(f"the watchdog is armed: {self.device.timeout_s:g} s")
                return False
            self.device.feed()  # in this order, never two at once: each proof is sent after the last feeding
            if self._announced != token:
                self._announce(token, self.device.timeout_s)
        except StoreError as error:
            self._complain(f"the watchdog is not fed: {error}")
            return False
        except (PvcError, OSError) as error:
            self._complain(f"no watchdog guards this node, so nothing that runs here is recovered by it: {error}")
            return False
        self._complaint = ""
        return True

    def _prove(self, token: int) -> None:
        """A write that changes nothing, and that ZooKeeper takes only while this node's proof of life is there."""
        self._store.multi(self._guards(token))

    def _guards(self, token: int) -> list[Check]:
        return [Check(znodes.boot(self._node), token), Check(znodes.alive(self._node), ANY_VERSION)]

    def _announce(self, token: int, timeout_s: float) -> None:
        path = znodes.node(self._node)
        znode = self._store.read(path, sync=True)
        record = None if znode is None else decode_node(self._node, znode.data)
        if znode is None or not isinstance(record, NodeRecord):
            raise PvcError(f"{path} cannot be read, so the watchdog is not announced: {record}", "repair it")
        self._requests += 1
        fencing = replace(record.fencing, reset_s=reset_after_s(timeout_s))
        told = replace(record, fencing=fencing, request=f"{self._node}-{token}-watchdog-{self._requests}")
        self._store.multi([*self._guards(token), Set(path, encode_node(told), znode.version)])
        self._announced = token
        self._say(f"the watchdog is announced: peers take this node for off {fencing.reset_s} s after its proof of life is gone")

    def _complain(self, sentence: str) -> None:
        if sentence != self._complaint:
            self._complain_of(sentence)
        self._complaint = sentence
