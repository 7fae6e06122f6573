"""Decisions and writes taken apart: between them anything may happen, as in a real cluster.

The models elsewhere decide and write in one step. This one shows, on small cases, that the step may be split: a write that finds another
version of its record is refused, and so is one whose row relied on a node record that says otherwise by now. ``careless`` plants the defect
of writing all the same.
"""

from collections.abc import Iterator
from typing import Any

from pvc.check.block import Block, View, Write, with_slot
from pvc.check.guests import GuestModel, chosen, facts
from pvc.check.hypervisor import Step
from pvc.core.decide import Move
from pvc.core.facts import Local, Nodes, Options, domain_view, eligible
from pvc.fsm.views import Life, with_choice


class SlowGuestModel(GuestModel):
    """All moves of one VM, where a node's write lands some time after it was decided, or never."""

    def __init__(self, *args: Any, careless: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.careless = careless

    def steps(self, view: View, block: Block) -> Iterator[Step]:
        """Every move of this VM, writes on their way included."""
        yield from super().steps(view, block)
        nodes = facts(view)
        for i, slot in enumerate(block.slots):
            if slot.write is not None:
                gone = with_slot(block, i, slot._replace(write=None))
                yield Step(("write is lost", i), "S", gone)
                if view[i].alive and (self.careless or self._still_holds(nodes, block, i, slot.write)):
                    yield Step(("write lands", i, slot.write.row.trigger), "S", self._landed(gone, i, slot.write))

    def _decide(self, nodes: Nodes, block: Block, i: int) -> Iterator[Step]:
        if block.slots[i].write is None:  # one write at a time per VM
            yield from super()._decide(nodes, block, i)

    def _fire(self, block: Block, i: int, move: Move, kind: str) -> Iterator[Step]:
        if not move.row.writes:
            yield from super()._fire(block, i, move, kind)
            return
        life = self.rules.after(move)
        assert isinstance(life, Life)
        write = Write(move.row, move.by, chosen(move), self.bounded(life))
        yield Step((move.row.trigger, i, "is decided"), kind, with_slot(block, i, block.slots[i]._replace(write=write)))

    def _written(self, block: Block, move: Move) -> Block:
        """A write by anybody changes the version, so writes on their way are refused; only a careless store lets them land."""
        written = super()._written(block, move)
        return written if self.careless else self._alone(written)

    def _alone(self, block: Block) -> Block:
        return block._replace(slots=tuple(slot._replace(write=None) for slot in block.slots))

    def _still_holds(self, nodes: Nodes, block: Block, i: int, write: Write) -> bool:
        view = domain_view(i, block.life, Local(*block.slots[i][:2]), nodes, eligible(nodes), Options(due=True))
        seen = with_choice(view, write.choice)
        return all(guard.test(seen) for guard in write.row.guards if guard.checks)

    def _landed(self, block: Block, i: int, write: Write) -> Block:
        landed = block._replace(life=write.life)
        return self._ordered(landed if self.careless else self._alone(landed), i, write.row)
