"""A migration as who waits for it sees it: how far it is, and in the end for how long its guest stood still.

The standstill is put together from two durations, each of one clock, because the clocks of hosts differ: the node that the guest leaves
tells how long it stood there before the record gave it away, and this client counts from when it learns that until the record says that the
guest runs. Both ends of the second part are told by a watch, and the last by a write besides, so the sum is what it was at most.
"""

from collections.abc import Callable
from dataclasses import replace

from pvc.cluster import znodes
from pvc.cluster.formats import decode_progress
from pvc.cluster.progress import Leaving, Progress
from pvc.cluster.records import DomainRecord
from pvc.cluster.store import Changed
from pvc.fsm.states import Domain, Migration

ShowProgress = Callable[[Leaving], None]
"""Takes how far a migration is; what has `stood_ms` is the last, with the whole standstill."""


class Crossing:
    """What is told of the migrations of one VM."""

    def __init__(self, record: DomainRecord, show: ShowProgress | None, clock: Callable[[], float]) -> None:
        self._uuid, self._op, self._show, self._clock = record.uuid, record.life.op_id, show, clock
        owner = record.life.owner
        self.paths = () if show is None or owner is None else (znodes.progress(owner),)
        self._given: float | None = None
        self._ran: float | None = None
        self._left: Leaving | None = None

    def published(self, event: Changed) -> None:
        """Tell what a node publishes of the operation that is waited for; what it says of an earlier one is nothing."""
        told = None if event.znode is None else decode_progress(event.path.split("/")[2], event.znode.data)
        for one in told.migrations if isinstance(told, Progress) else ():
            if (one.of, one.op) != (self._uuid, self._op):
                continue
            if one.stood_ms is not None:
                self._left = one
            elif self._show is not None:
                self._show(one)

    def seen(self, record: DomainRecord) -> None:
        """The record says this now."""
        life = record.life
        if life.op_id is not None:
            self._op = life.op_id
        if life.phase is Migration.handover:
            self._given = self._clock() if self._given is None else self._given
        elif self._given is not None and life.state is Domain.start:
            self._ran = self._clock()

    @property
    def lacks(self) -> bool:
        """Whether the guest was seen to arrive, and its old node has yet to tell for how long it stood still there."""
        return bool(self.paths) and self._ran is not None and self._left is None

    def end(self) -> None:
        """Tell for how long it stood still, where all of that is known."""
        if self._show is None or self._given is None or self._ran is None or self._left is None or self._left.stood_ms is None:
            return
        there_ms = round(1000 * (self._ran - self._given))
        self._show(replace(self._left, stood_ms=self._left.stood_ms + there_ms))
