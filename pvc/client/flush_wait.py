"""Waiting for a node to be empty, or ready again: which VMs are left is told whenever it changes, and what holds each of them."""

from pvc.client.node_commands import Left, Told, is_over, left_on
from pvc.client.snapshot import NodeNow, Reader
from pvc.client.waiting import Show, Waiting
from pvc.cluster import znodes
from pvc.cluster.records import NodeRecord
from pvc.cluster.store import NotConnected
from pvc.errors import Refused, TimedOut

LOOK_S = 10.0
"""How often it is looked what holds the VMs while nothing happens: room on other nodes comes without an event."""


class FlushWait:
    """One wait for a node; what was told last is not told again."""

    def __init__(self, reader: Reader, waiting: Waiting, told: Told, trigger: str, show: Show | None) -> None:
        self.reader = reader
        self.waiting = waiting
        self.name = told.name
        self.trigger = trigger
        self.show = show or (lambda sentence: None)
        self.left: tuple[Left, ...] = ()

    def run(self, timeout_s: float | None) -> str:
        """Wait; returns how it ended, raises Refused when somebody decided otherwise, and TimedOut."""
        deadline = self.waiting.ear.clock() + (float("inf") if timeout_s is None else timeout_s)
        with self.waiting.watching(znodes.node(self.name), children=(znodes.index(self.name),)):
            for _ in self.waiting.events(timeout_s, self.show, LOOK_S):
                node = self._look()
                if node is not None and isinstance(node.record, NodeRecord):
                    over = is_over(self.trigger, node.record.life.flush)
                    if over is not None:
                        return self._end(over, node.record)
                if self.waiting.ear.clock() >= deadline:
                    raise TimedOut(f"{self.name} is not {self._aim()} yet: it goes on{self._rest()}", f"pvc node info {self.name}")
        raise AssertionError("unreachable")

    def _look(self) -> NodeNow | None:
        """The node, and a word about what is left; nothing without a connection, which the store brings back."""
        try:
            node = self.reader.node(self.name)
            left = tuple(left_on(self.name, self.reader.snapshot(stats=True, domains=True))) if self.trigger == "flush" else ()
        except NotConnected:
            return None
        if left and left != self.left:
            self.show(self._told(left))
        self.left = left
        return node

    def _told(self, left: tuple[Left, ...]) -> str:
        going = ", ".join(f"{one.name} ({one.doing})" for one in left if not one.blocked)
        blocked = "".join(f"\n  {one.name} cannot leave: {one.blocked}" for one in left if one.blocked)
        return f"{self.name}: {len(left)} VM{'s' if len(left) != 1 else ''} left" + (f": {going}" if going else "") + blocked

    def _aim(self) -> str:
        return "flushed" if self.trigger == "flush" else "ready"

    def _rest(self) -> str:
        return f"; left: {', '.join(one.name for one in self.left)}" if self.left else ""

    def _end(self, over: bool, record: NodeRecord) -> str:
        if not over:
            raise Refused(f"somebody else decided otherwise: {self.name} is {record.life.flush} now", f"pvc node info {self.name}")
        return f"{self.name} is {record.life.flush}"
