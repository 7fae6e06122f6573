"""What hypervisors do with a VM, whatever daemons decide: start it, fail, hang, succeed late, lose it.

A job may stay in flight for ever, so every outcome is one move among others; and what it does may show before it returns.
"""

from collections.abc import Iterator
from typing import NamedTuple

from pvc.check.block import FRESH, Block, Slot, View, changed, with_slot
from pvc.fsm.states import Guest, Handover, Job, Migration


class Step(NamedTuple):
    """A move of one VM: label, class, and the block after it."""

    label: tuple[object, ...]
    kind: str
    block: Block


OUTCOMES: dict[Job, tuple[dict[Guest, Guest], bool]] = {
    Job.create: ({Guest.absent: Guest.running}, True),
    Job.shutdown: (dict.fromkeys(Guest, Guest.absent), False),  # a guest that ignores it keeps the job in flight until its deadline
    Job.destroy: (dict.fromkeys(Guest, Guest.absent), True),
    Job.resume: ({Guest.held: Guest.running, Guest.paused: Guest.running}, True),
    Job.suspend: ({Guest.running: Guest.paused}, True),
}
"""What each job makes of the guest, and whether it may fail with the guest as it was."""


class Hypervisor:
    """The hypervisors of all nodes.

    Live migrations to a ``stubborn`` node always fail, whatever else is well. With ``endless`` ones, no migration ends by itself, and no
    guest heeds a request to power itself off. With ``by_hand`` somebody may start a guest past PVC. ``open_door`` plants hypervisors that
    take a migration which nobody accepted.
    """

    def __init__(
        self,
        handover: Handover = Handover.paused,
        open_door: bool = False,
        stubborn: frozenset[int] = frozenset(),
        endless: bool = False,
        by_hand: bool = False,
    ) -> None:
        self.handover = handover
        self.endless = endless
        self.by_hand = by_hand
        self.open_door = open_door
        self.stubborn = stubborn

    def steps(self, view: View, block: Block, i: int) -> Iterator[Step]:
        """Everything that may happen to this VM on node ``i``."""
        slot = block.slots[i]
        if slot.guest is not Guest.absent:
            job = Job.none if slot.job is Job.shutdown else slot.job
            yield Step(("guest dies", i), "F", with_slot(block, i, changed(slot, Guest.absent, job)))
        elif self.by_hand and slot.job is Job.none:
            yield Step(("guest is started by hand", i), "C", with_slot(block, i, changed(slot, Guest.running)))
        if self.endless and slot.job in (Job.shutdown, Job.migrate):
            return
        if slot.job in (Job.migrate, Job.abort):
            yield from self._migration(view, block, i)
        elif slot.job is not Job.none:
            done, failed = OUTCOMES[slot.job]
            then = done.get(slot.guest, slot.guest)
            yield Step((f"{slot.job} done", i), "S", with_slot(block, i, changed(slot, then)))
            if then is not slot.guest and slot.job is not Job.shutdown:
                yield Step((f"{slot.job} shows", i), "S", with_slot(block, i, changed(slot, then, slot.job)))
            if failed:
                yield Step((f"{slot.job} fails", i), "L", with_slot(block, i, changed(slot, slot.guest)))

    def _migration(self, view: View, block: Block, i: int) -> Iterator[Step]:
        slot, target = block.slots[i], block.life.target
        possible = self._may_arrive(view, block, i)
        yield Step(("migrate fails", i, target), self.failing(possible, slot.job), with_slot(block, i, changed(slot, slot.guest)))
        if not possible:
            return
        assert target is not None
        arrived = changed(block.slots[target], Guest.running if self.handover is Handover.libvirt else Guest.held)
        there = with_slot(block, target, arrived)
        yield Step(("migrate done", i, target), "S", with_slot(there, i, changed(slot, Guest.absent)))
        yield Step(("migrate shows", i, target), "S", with_slot(there, i, changed(slot, Guest.absent, slot.job)))
        yield Step(("migrate leaves the source paused", i, target), "L", with_slot(there, i, changed(slot, Guest.paused)))
        if self.handover is Handover.paused:  # with libvirt's own hand-over a disk lock stops the second copy, a condition of its use
            yield Step(("migrate fails at the switchover", i, target), "L", with_slot(there, i, changed(slot, slot.guest)))

    def failing(self, possible: bool, job: Job) -> str:
        """What it costs when a migration fails: nothing when it was aborted, or cannot succeed."""
        return "L" if possible and job is Job.migrate else "S"

    def _may_arrive(self, view: View, block: Block, i: int) -> bool:
        life, target = block.life, block.life.target
        if (
            target is None
            or target == i
            or target in self.stubborn
            or block.slots[i].guest is not Guest.running
            or not view[target].powered
        ):
            return False
        door = life.target_boot == FRESH and life.phase is Migration.moving
        return (door or self.open_door) and block.slots[target][:2] == Slot()[:2]
