"""Waiting for the end of a shot that an operator ordered: each phase is told, and only proof is a good end."""

from pvc.client.node_commands import Told
from pvc.client.snapshot import Reader
from pvc.client.waiting import Show, Waiting
from pvc.cluster import znodes
from pvc.cluster.formats import decode_node
from pvc.cluster.records import NodeRecord
from pvc.cluster.store import Changed, Znode
from pvc.errors import Refused, TimedOut
from pvc.fsm.states import Fence


class ShotWait:
    """One wait for a node whose shot was ordered."""

    def __init__(self, reader: Reader, waiting: Waiting, told: Told, show: Show | None) -> None:
        self.reader, self.waiting, self.told = reader, waiting, told
        self.show = show or (lambda sentence: None)
        self.phase = ""

    def run(self, timeout_s: float | None) -> str:
        """Wait; returns how it ended, raises Refused when it proved nothing, and TimedOut."""
        name, path = self.told.name, znodes.node(self.told.name)
        with self.waiting.watching(path):
            for event in self.waiting.events(timeout_s, self.show):
                if event is None:
                    break
                if isinstance(event, Changed) and event.path == path and (end := self._look(event.znode)) is not None:
                    return end
        raise TimedOut(f"{name} is not proven off yet: it goes on", f"pvc node info {name}")

    def _look(self, znode: Znode | None) -> str | None:
        name = self.told.name
        record = None if znode is None else decode_node(name, znode.data)
        if znode is None or znode.version < self.told.version or not isinstance(record, NodeRecord):
            return None
        life, detail = record.life, record.fence
        phase = f"{name}: its fence is {life.fence}{f', by {life.by}' if life.by else ''}: {detail.reason}"
        if phase != self.phase:
            self.show(phase)
            self.phase = phase
        if life.fence is Fence.proven:
            return f"{name} is proven off: what it owned is being recovered"
        if life.fence is Fence.none and not life.ordered:
            raise Refused(f"{name} is not shot: it came back", f"pvc node info {name}")
        if life.fence is Fence.failed and not life.ordered:
            next_step = f"look, then: pvc node fence {name} --confirm-off --reason ..."
            raise Refused(f"the shot at {name} proved nothing: {detail.reason}", next_step)
        return None
