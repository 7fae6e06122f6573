"""A migration as who waits for it sees it: how far it is, and in the end for how long its guest stood still.

The standstill is put together from two durations, each of one clock, because the clocks of hosts differ: the node that the guest leaves
tells how long it stood there before the record gave it away, and this client counts from when it learns that until the record says that the
guest runs. Both ends of the second part are told by a watch, and the last by a write besides, so the sum is what it was at most.

On a quick host the target has written that the guest runs before this client has read that it was given away. The versions of the record
tell so, and the watch that went off was then that of the first write.
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

UNSEEN = 2
"""By how many versions a record in which the guest runs elsewhere is ahead of one in which it is copied: it was given away in between."""


class Crossing:
    """What is told of the migrations of one VM."""

    def __init__(self, record: DomainRecord, show: ShowProgress | None, clock: Callable[[], float]) -> None:
        self._uuid, self._op, self._show, self._clock = record.uuid, record.life.op_id, show, clock
        self._source = record.life.owner
        self.paths = () if show is None or self._source is None else (znodes.progress(self._source),)
        self._moving: int | None = None
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

    def seen(self, record: DomainRecord, version: int, noticed_at: float | None) -> None:
        """The record says this now, in this version; what was read was noticed then, where that is known."""
        life = record.life
        if life.op_id is not None:
            self._op = life.op_id
        if life.phase is Migration.moving:
            self._moving = version
        elif life.phase is Migration.handover:
            self._gave(self._clock() if noticed_at is None else noticed_at)
        elif life.state is Domain.start:
            if self._moving == version - UNSEEN and life.owner != self._source:
                self._gave(noticed_at)
            self._ran = None if self._given is None else self._clock()

    def _gave(self, at: float | None) -> None:
        self._given = at if self._given is None else self._given

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
