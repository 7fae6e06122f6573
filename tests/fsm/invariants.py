"""What is true of every record between any two writes, whatever happened: a sentence for each rule that a record breaks."""

from pvc.fsm.states import Daemon, Domain, Fence, Kind, Migration, Request
from pvc.fsm.views import Life, NodeLife

OFF = {Domain.stop, Domain.failed, Domain.disable}
OWNED = {Domain.boot, Domain.start, Domain.shutdown, Domain.restart, Domain.destroy, Domain.migrate}
UNOWNED = {*OFF, Domain.place, Domain.conflict, Domain.delete}
TARGETED = {Domain.place, Domain.migrate, Domain.conflict}  # it goes somewhere, or a guest of it was found there
MAY_BE_TARGETED = {*TARGETED, Domain.restart, Domain.destroy}  # a cold move fixes its target before the guest is off

TOGETHER = {
    Fence.none: {Daemon.stop, Daemon.init, Daemon.run},
    Fence.evidence: {Daemon.stop, Daemon.init, Daemon.run},
    Fence.throws: {Daemon.dead},
    Fence.shot: {Daemon.fencing},
    Fence.failed: {Daemon.unfenced},
    Fence.proven: {Daemon.fenced},
}


def broken(life) -> list[str]:
    """The rules that this record breaks; empty when there is none, and for what is no VM or node."""
    if isinstance(life, Life):
        return [*_ownership(life), *_migration(life)]
    return list(_node(life)) if isinstance(life, NodeLife) else []


def _ownership(life):
    if (life.owner is not None) != (life.state in OWNED):
        yield f"it is {life.state} and its owner is {life.owner}"
    if life.state in TARGETED and life.target is None:
        yield f"it is {life.state} and has no target"
    if life.state not in MAY_BE_TARGETED and life.target is not None:
        yield f"it is {life.state} and has the target {life.target}"
    if life.state in UNOWNED and life.request is not Request.none:
        yield f"it is {life.state} and a request is pending: {life.request}"
    if life.epoch < 0 or life.restarts < 0:
        yield "a counter is negative"


def _migration(life):
    if (life.phase is not Migration.none) != (life.state is Domain.migrate):
        yield f"it is {life.state} and its migration is {life.phase}"
    if (life.kind is not Kind.none) != (life.state is Domain.migrate):
        yield f"it is {life.state} and its migration is a '{life.kind}'"
    if life.state is not Domain.migrate and (life.op_id is not None or life.target_boot is not None):
        yield f"it is {life.state} and keeps an operation"
    if life.phase in (Migration.accepted, Migration.moving) and life.target_boot is None:
        yield f"its migration is {life.phase} and nobody knows under which boot the target accepted"
    before = life.phase in (Migration.asked, Migration.accepted, Migration.moving)
    if life.state is Domain.migrate and before and life.target == life.owner:
        yield "it moves to where it is"
    if life.phase is Migration.handover and life.target != life.owner:
        yield "it is handed over and its owner is another"


def _node(life):
    if life.daemon not in TOGETHER[life.fence]:
        yield f"the node is {life.daemon} and its fence is {life.fence}"
    if life.fence is Fence.none and life.by is not None:
        yield f"nobody suspects the node and {life.by} holds its fence"
