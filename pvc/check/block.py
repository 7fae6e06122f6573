"""One VM of the checked cluster as plain values: the protocol's part of its record, and what each node really has of it."""

from dataclasses import replace
from typing import NamedTuple

from pvc.fsm.row import Row
from pvc.fsm.states import By, Domain, Flush, Guest, Job, Migration, Request, Want
from pvc.fsm.views import Life

FRESH, HIDDEN, STALE = "same boot", "rebooted, record does not show it yet", "rebooted"
"""What a migration's record of the target's boot is worth; the name of a boot itself does not matter."""

OFF = (Domain.stop, Domain.disable, Domain.failed, Domain.delete)
"""The states in which nobody owns a VM and nothing of it should run."""

OWNED = (Domain.boot, Domain.start, Domain.shutdown, Domain.restart, Domain.destroy, Domain.migrate)
"""The states in which a daemon owns a VM."""


class Write(NamedTuple):
    """A write on its way: the row that was decided, and the record that it makes."""

    row: Row
    by: By
    choice: int | None
    life: Life


class Slot(NamedTuple):
    """What one node really has of the VM, and its write on the way if writes are slow."""

    guest: Guest = Guest.absent
    job: Job = Job.none
    write: Write | None = None


class Block(NamedTuple):
    """One VM: its record, what each node has of it, and a defect that a step has shown."""

    life: Life
    slots: tuple[Slot, ...]
    broken: str = ""


class Seen(NamedTuple):
    """All that a VM's moves read of one node: a projection of :class:`pvc.check.nodes.Host`."""

    powered: bool
    alive: bool
    works: bool  # as the others see it: alive, and ``run`` in its record
    acts: bool  # and connected, so that it can write
    flush: Flush | None
    fenced: bool
    by: int | None
    stopped: bool = False  # kept by the exact model alone, which asks whether everything settles


View = tuple[Seen, ...]


def changed(slot: Slot, guest: Guest, job: Job = Job.none) -> Slot:
    """The same slot after its guest changed, or its job ended."""
    return Slot(guest, job, slot.write)


def with_slot(block: Block, i: int, slot: Slot) -> Block:
    """The same VM with another guest or job on one node."""
    return block._replace(slots=(*block.slots[:i], slot, *block.slots[i + 1 :]))


def bounded(life: Life) -> Life:
    """The same record without what no guard reads in this state.

    The epoch only ever grows, and names of operations do not matter. Whether restarts are left is asked both ways at every decision, so
    they need no counting. Once a VM is off it does not matter any more in whose time; and ``started`` empties the list of avoided targets.
    """
    life = replace(life, epoch=0, op_id=None, restarts=0)
    if life.state in OFF:
        life = replace(life, want=Want.stop if life.want is Want.shutdown else life.want, request=Request.none)
    if life.state not in (Domain.start, Domain.migrate):
        life = replace(life, avoid=())
    if life.phase not in (Migration.accepted, Migration.moving):
        life = replace(life, target_boot=None)
    return life


def powerless(block: Block, i: int) -> Block:
    """The same VM after node ``i`` lost its power."""
    life = block.life
    if life.target == i and life.target_boot == FRESH:
        life = replace(life, target_boot=HIDDEN)
    return Block(life, (*block.slots[:i], Slot(), *block.slots[i + 1 :]), block.broken)


def joined(block: Block, i: int) -> Block:
    """The same VM after the record of node ``i`` shows its present kernel boot."""
    life = block.life
    if life.target == i and life.target_boot == HIDDEN:
        return block._replace(life=replace(life, target_boot=STALE))
    return block


def _renamed(life: Life, perm: tuple[int, ...]) -> Life:
    def name(i: int | None) -> int | None:
        return None if i is None else perm[i]

    avoid = tuple(sorted(perm[i] for i in life.avoid))
    return replace(life, owner=name(life.owner), target=name(life.target), home=name(life.home), avoid=avoid)


def permuted(block: Block, perm: tuple[int, ...]) -> Block:
    """The same VM under other node names: node ``i`` becomes ``perm[i]``."""
    slots = [Slot()] * len(block.slots)
    for i, slot in enumerate(block.slots):
        write = slot.write and slot.write._replace(
            choice=None if slot.write.choice is None else perm[slot.write.choice], life=_renamed(slot.write.life, perm)
        )
        slots[perm[i]] = slot._replace(write=write)
    return Block(_renamed(block.life, perm), tuple(slots), block.broken)


def copies(block: Block) -> int:
    """How many guests of this VM run."""
    return sum(slot.guest is Guest.running for slot in block.slots)


def held(block: Block) -> int:
    """Bit i: the VM is on, or bound for, node i. Bit nodes + i: it belongs to node i, runs elsewhere, and was not called home."""
    life, bits = block.life, 0
    for i, slot in enumerate(block.slots):
        if life.owner == i or (life.target == i and life.state is not Domain.restart) or slot.guest is not Guest.absent:
            bits |= 1 << i
        if life.home == i and life.owner not in (None, i) and life.state is Domain.start and life.request is Request.none:
            bits |= 1 << (len(block.slots) + i)
    return bits
