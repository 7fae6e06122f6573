"""What is wrong with a move, judged by what is really there and by what the admin wants, not by what the mover knew: safety, in words.

Each function returns what is wrong, and nothing when nothing is.
"""

from pvc.check.block import OFF, Block
from pvc.core.decide import Move
from pvc.fsm.states import By, Domain, Effect, Guest, Job, Migration, Request, Want
from pvc.fsm.views import DomainView, Life

TAKES_OVER = {(Job.shutdown, Job.destroy), (Job.migrate, Job.abort)}
"""A job that may be ordered while another is in flight: it makes an end of it."""

ENDS = {Domain.stop: (Want.stop, Want.shutdown), Domain.disable: (Want.disable,), Domain.place: (Want.start,)}
"""What has to be wanted for a VM to come to a state by itself."""


def blame(block: Block, move: Move, life: Life) -> str:
    """Who runs what, against what is written: every model asks this."""
    old = move.view.life
    assert isinstance(old, Life)
    running = [slot.guest is Guest.running for slot in block.slots]
    if move.by & By.FENCER and move.row.by & By.FENCER and old.owner is not None and running[old.owner]:
        return "a VM was recovered while its guest runs"
    if life.state in (*OFF, Domain.place) and any(running):
        return f"a VM is called {life.state} while its guest runs"
    return ""


def blame_wish(move: Move, life: Life) -> str:
    """What the admin wants, against what is written."""
    old = move.view.life
    assert isinstance(old, Life)
    if move.row.writes and life == old:
        return "a write changes nothing: whoever has a reason for it has it again at once"
    if old.request is Request.restart and life.request is not Request.restart and life.state in (Domain.start, Domain.migrate):
        return "a restart that was asked for is forgotten"
    if move.by & By.CLIENT:
        return ""
    if life.want is not old.want:
        return "an observer changed what is wanted"
    if life.state is old.state:
        return ""
    if life.state is Domain.delete and old.want is not Want.delete:
        return "a VM was removed that nobody wanted removed"
    assert isinstance(move.view, DomainView)
    by_itself = move.view.stays_off and move.row.trigger == "ended"
    if old.want not in ENDS.get(life.state, (old.want,)) and not by_itself:
        return f"a VM that is wanted {old.want} was brought to {life.state}"
    return ""


def blame_record(block: Block, move: Move, life: Life) -> str:
    """What the record says of the guest, against what its owner has."""
    old, view = move.view.life, move.view
    assert isinstance(old, Life)
    assert isinstance(view, DomainView)
    if life.state is Domain.migrate and life.target is None:
        return "a VM is sent nowhere"
    if life.target is not None and life.target != old.target and life.state in (Domain.migrate, Domain.restart):
        if life.target == life.owner:
            return "a VM is sent to where it is"
        if life.target not in view.fits:
            return "a VM is sent to a node that may not take it"
    if move.by & By.CLIENT or old.owner is None:
        claimed = old.owner is None and life.owner is not None and old.state is not Domain.conflict
        return "a node took a VM that it may not take" if claimed and life.owner not in view.fits else ""
    guest, job = block.slots[old.owner][:2]
    if life.state is Domain.start and old.state is not Domain.start and guest is not Guest.running:
        return "a VM is called started while its guest does not run"
    if job is not Job.none and (life.owner != old.owner or (old.phase is Migration.moving and life.phase is not Migration.moving)):
        return f"a VM was let go of while a {job} job is in flight"
    if life.phase is Migration.accepted and old.phase is not Migration.accepted:
        assert life.target is not None
        if life.target not in view.fits:
            return "a node took a VM that it may not take"
        if block.slots[life.target].job is not Job.none:
            return "a VM was accepted while a job about it is in flight"
    return ""


def blame_policy(move: Move, life: Life) -> str:
    """What a daemon does of its own accord with a guest that is wanted up: against its policy, or against the purpose."""
    old, view = move.view.life, move.view
    assert isinstance(old, Life)
    assert isinstance(view, DomainView)
    if move.by & By.CLIENT or old.want is not Want.start:
        return ""
    failed = old.phase in (Migration.asked, Migration.accepted) and life.state is Domain.start
    if failed or Effect.abort_job in move.row.effects:
        hopeless = old.request is Request.cancel or view.due or (failed and (view.target_rebooted or old.target not in view.fits))
        return "" if hopeless else "a migration is given up that may succeed"
    if old.state is not Domain.start:
        return ""
    if life.state is Domain.migrate and not view.live:
        return "a guest is moved live, against its policy"
    told = life.state in (Domain.shutdown, Domain.restart, Domain.destroy) and old.request is not Request.restart
    if told and not (view.cold and life.target is not None):
        return "a guest that is wanted up is told to go off" + (", and no node can take it" if view.cold else "")
    return ""


def blame_order(block: Block, i: int, move: Move, job: Job) -> str:
    """What is ordered on node ``i``, against what is there: one job at a time (I7), and no copy is dropped that is still needed."""
    guest, busy = block.slots[i][:2]
    life = move.view.life
    assert isinstance(life, Life)
    if busy is not Job.none and (busy, job) not in TAKES_OVER:
        return f"a {job} job was ordered while a {busy} job is in flight"
    awaited = life.target == i and life.phase in (Migration.moving, Migration.handover)
    if job is Job.destroy and guest is Guest.held and awaited:
        return "a copy was dropped that the migration may need"
    return ""


def blame_loss(move: Move, life: Life) -> str:
    """A guest that was lost, where nothing ever fails."""
    old = move.view.life
    assert isinstance(old, Life)
    lost = old.state in (Domain.boot, Domain.start, Domain.migrate) and old.want is Want.start
    return "a guest was lost without a fault" if lost and not move.by & By.CLIENT and life.state in (Domain.place, *OFF) else ""
