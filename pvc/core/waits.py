"""Which wait a record is in, and how long it takes: every wait is a declared state, never a stack frame.

A wait has a name that changes whenever the record moves on, so a timer of an earlier state is recognised and ignored.
"""

from pvc.cluster.records import DomainRecord
from pvc.core.settings import Settings
from pvc.fsm.states import Domain, Fence, Migration
from pvc.fsm.views import NodeLife

Spell = tuple[str, float]


def domain_wait(record: DomainRecord, settings: Settings) -> Spell | None:
    """The name of the wait that this VM is in, and its seconds; none where nothing is waited for."""
    life = record.life
    seconds = _domain_seconds(record, settings)
    name = f"{record.uuid} {life.state} {life.phase} {life.want} {life.op_id} {life.epoch} {life.restarts} {','.join(map(str, life.avoid))}"
    return None if seconds is None else (name, seconds)


def _domain_seconds(record: DomainRecord, settings: Settings) -> float | None:
    life = record.life
    match life.state:
        case Domain.place:
            return settings.backoff_s(life.restarts) or None  # the first start waits for nothing
        case Domain.shutdown | Domain.restart:
            return float(record.policy.shutdown_timeout_s)
        case Domain.destroy:
            return settings.destroy_retry_s
        case Domain.migrate:
            return _migration_seconds(life.phase, settings)
        case Domain.start if life.avoid:
            return settings.avoid_s
        case Domain.start if life.restarts:
            return settings.steady_s
        case _:
            return None


def _migration_seconds(phase: Migration, settings: Settings) -> float:
    if phase is Migration.moving:
        return settings.migration_timeout_s
    return settings.handover_timeout_s if phase is Migration.handover else settings.accept_timeout_s


def fence_wait(node: str, life: NodeLife, tries: int, settings: Settings) -> Spell | None:
    """The name of the wait that this node's fence is in, and its seconds; whoever holds it, evidence waits for `absence_waits`."""
    seconds = {
        Fence.throws: settings.throws_s,
        Fence.failed: settings.shot_backoff_s(tries),
        Fence.proven: settings.power_on_delay_s,
    }.get(life.fence)
    return None if seconds is None else (f"{node} {life.fence} {life.by} {tries}", seconds)


def absence_waits(node: str, absence: int, settings: Settings) -> tuple[Spell, Spell]:
    """How long a node may be without proof of life until it is dead, and how long one that was stopped cleanly may take to come back.

    Each daemon counts from when it saw the proof of life go: if it counted from when it got the fence, a device that is silent for
    everybody would pass from hand to hand and nobody would ever declare the node.
    """
    dead, long = f"{node} absent {absence} dead", f"{node} absent {absence} long"
    return (dead, settings.dead_s), (long, settings.dead_s + settings.throws_s)


def passed_wait(node: str, passed: int, settings: Settings) -> Spell:
    """How long a daemon that got no answer from a device leaves the fence to others: ever longer, or a device that is silent for everybody
    would make its fence pass from hand to hand without end.
    """
    seconds = min(settings.keepalive_interval_s * 2 ** min(passed - 1, 10), settings.power_poll_max_s)
    return f"{node} passed {passed}", seconds


def reading_wait(node: str, ticket: int, readings: int, settings: Settings) -> Spell:
    """How long a reading of a node's power counts: ever longer, up to a limit."""
    seconds = min(settings.power_poll_s * 2 ** min(readings, 10), settings.power_poll_max_s)
    return f"{node} reading {ticket} {readings}", seconds
