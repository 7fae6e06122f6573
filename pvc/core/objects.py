"""What one daemon knows of a VM and of a node: the record as last read, and its own observations."""

from dataclasses import dataclass, replace

from pvc.cluster.records import DomainOutline, DomainRecord, NodeOutline, NodeRecord, NodeStats, Unreadable
from pvc.core.facts import LOCALS, Local, NodeFacts
from pvc.fsm.states import Guest, Job, Power

NEVER_WRITTEN = -1
"""In place of a version: there is no such record yet."""


@dataclass(slots=True)
class KnownDomain:
    """One VM: its record as last read, and what this daemon observes of it."""

    record: DomainRecord | DomainOutline | Unreadable | None = None
    version: int = NEVER_WRITTEN
    guest: Guest = Guest.unknown
    job: Job = Job.none
    by_itself: bool = False
    answered: bool = False  # this daemon has heard how the last start of the guest ended
    trouble: str = ""  # what the hypervisor said when the last job failed
    read: bool = False  # the record was read, and when it is None, there is none
    ours: bool = False  # it has or had a record, or this node claimed it: no guest of somebody else's
    ticket: int | None = None  # a transition is on its way, or its record has to be read again
    refused: int | None = None  # the version against which the last transition was refused, until the record is read again
    due: bool = False
    wait: str = ""
    choice: str | None = None  # the node that the transition on its way has chosen for it

    def bound(self) -> DomainRecord | None:
        """The VM as one that is on its way to a node, also when that is not written yet; None when it is not."""
        record = self.record
        if not isinstance(record, DomainRecord):
            return None
        if self.choice is not None and self.ticket is not None:
            return replace(record, life=replace(record.life, target=self.choice))
        return record if record.life.target is not None else None

    @property
    def local(self) -> Local:
        """The observations, in the form that decisions are made from."""
        return LOCALS[self.guest, self.job]


@dataclass(slots=True)
class KnownNode:
    """One node: its record as last read, and what this daemon knows of its power."""

    record: NodeRecord | NodeOutline | Unreadable | None = None
    version: int = NEVER_WRITTEN
    stats: NodeStats | None = None
    seen_alive: bool = False
    away: bool = False  # without a proof of life since this daemon has watched
    absences: int = 0  # how often it was; so that a wait of an earlier absence is recognised
    dead: bool = False  # away for the dead time
    long_dead: bool = False  # and for the saving throws, or a planned reboot, as well
    reading: Power = Power.unread
    readings: int = 0
    asked: int | None = None  # the ticket of the transition that ordered a power job in flight
    stale: bool = False
    claims: int = 0  # how often its fence was another's; so that a wait under an earlier claim is recognised
    resetting: bool = False  # the time of its watchdog is being counted
    reset: bool = False  # and is over
    graced: bool = False  # its grace for booting has begun
    passed: int = 0  # how often this daemon has passed its fence on, and whether it still leaves it to others
    resting: bool = False
    switched: int = 0  # how often this daemon has switched it on again
    braked: str = ""  # why it was last said not to be shot
    facts: NodeFacts | None = None  # as it was last shown
    ticket: int | None = None
    refused: int | None = None
    due: bool = False
    wait: str = ""

    def shown(self, record: NodeRecord | NodeOutline, alive: bool) -> NodeFacts:
        """The node in the form that decisions are made from; the same object as long as it is so."""
        facts = self.facts
        if facts is None or facts.life is not record.life or facts.alive is not alive or facts.boot != record.boot:
            facts = self.facts = NodeFacts(record.life, alive, record.boot)
        return facts

    def begin_anew(self) -> None:
        """Nobody suspects it any more: what was done about it concerns no later fence."""
        self.passed, self.resting, self.switched, self.braked = 0, False, 0, ""
