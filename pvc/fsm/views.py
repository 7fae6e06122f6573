"""What a guard may look at: frozen views without clock, randomness or I/O.
 A view holds the protocol's part of a record (:class:`Life`, :class:`NodeLife`), what the actor itself observes, and one chosen input. The
daemon builds it from the records it read, the checker from its abstract state; guards cannot tell the difference.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from pvc.fsm.states import Connection, Daemon, Domain, Fence, Flush, Guest, Handover, Job, Kind, Migration, Power, Request, Take, Want

Node = Any  # the name of a node: str in a cluster, an int in the checker


@dataclass(frozen=True, slots=True)
class Life:
    """The protocol's part of a VM record: what is wanted, what is, who owns it, and the operation in flight (I2)."""

    state: Domain = Domain.stop
    want: Want = Want.stop
    request: Request = Request.none
    owner: Node | None = None
    target: Node | None = None
    home: Node | None = None
    epoch: int = 0
    restarts: int = 0
    avoid: tuple[Node, ...] = ()
    phase: Migration = Migration.none
    kind: Kind = Kind.none
    handover: Handover = Handover.paused
    op_id: str | None = None
    target_boot: str | None = None


@dataclass(frozen=True, slots=True)
class NodeLife:
    """The protocol's part of a node record; ``ordered`` says that an operator wants it shot without any wait or brake."""

    daemon: Daemon = Daemon.stop
    flush: Flush = Flush.ready
    fence: Fence = Fence.none
    by: Node | None = None
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class DomainView:
    """One VM as one actor sees it.

    ``fits``, ``alive`` and ``gone`` are the nodes that may take this VM, that hold their session, and that are proven to run nothing of it.
    ``live`` and ``cold`` say how its policy lets it leave a node: by live migration, or shut down and started elsewhere; or else it
    stays. ``due`` says that the wait of this state and operation is over, counted by the actor on its own monotonic clock.
    ``unanswered`` says that nobody has heard how its start ended, so that a guest that is not there is no failure of its own.
    """

    life: Life
    me: Node | None = None
    guest: Guest = Guest.unknown
    job: Job = Job.none
    choice: Node | None = None
    fits: frozenset[Node] = frozenset()
    alive: frozenset[Node] = frozenset()
    gone: frozenset[Node] = frozenset()
    my_boot: str | None = None
    target_rebooted: bool = False
    leaving: bool = False
    calling: bool = False
    due: bool = False
    budget: int = 5
    stays_off: bool = False
    unanswered: bool = False
    live: bool = True
    cold: bool = False
    op_id: str | None = None
    unfit: tuple[tuple[Node, str], ...] = field(default=(), compare=False)

    @property
    def why_choice(self) -> str:
        """Why the chosen node cannot take this VM."""
        return self.why_unfit(self.choice)

    @property
    def why_me(self) -> str:
        """Why this node cannot take this VM."""
        return self.why_unfit(self.me)

    @property
    def why_home(self) -> str:
        """Why the VM's home cannot take it."""
        return self.why_unfit(self.life.home)

    def why_unfit(self, node: Node | None) -> str:
        """Why a node cannot take this VM, in words."""
        if node is None:
            return "no node can take it" + "".join(f"; {name}: {why}" for name, why in self.unfit)
        for name, why in self.unfit:
            if name == node:
                return f"{node} cannot take it: {why}"
        return f"{node} failed to take it a moment ago" if node in self.life.avoid else f"{node} cannot take it"


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node as one actor sees it; ``brake`` is the reason why nobody may be shot now, empty when there is none.

    ``stale`` says that the reading is old enough to be repeated, ``due`` that the wait of the fence's phase is over,
    ``counting`` that the time in which the node's watchdog resets it is running.
    """

    life: NodeLife
    node: Node | None = None
    me: Node | None = None
    alive: bool = False
    holder_alive: bool = False
    concerns: bool = False
    reading: Power = Power.unread
    stale: bool = False
    busy: bool = False
    due: bool = False
    brake: str = ""
    joined: bool = False
    stopping: bool = False
    inventory: bool = False
    holds: tuple[str, ...] = ()
    uncalled: tuple[str, ...] = ()
    power_back: bool = False
    counting: bool = False

    @property
    def held_words(self) -> str:
        """The VMs that are still here, for a sentence."""
        return ", ".join(self.holds)

    @property
    def uncalled_words(self) -> str:
        """The VMs that are not called home yet, for a sentence."""
        return ", ".join(self.uncalled)


@dataclass(frozen=True, slots=True)
class SessionLife:
    """The state of this daemon's ZooKeeper connection; kept in memory alone."""

    state: Connection = Connection.closed


@dataclass(frozen=True, slots=True)
class SessionView:
    """The ZooKeeper connection needs no facts: its triggers are the library's own words."""

    life: SessionLife


def taken(value: Any, view: DomainView | NodeView | SessionView) -> Any:
    """Resolve one value of a row's ``sets`` in this view."""
    if not isinstance(value, Take):
        return value
    return _TAKEN[value](view)


_TAKEN: dict[Take, Callable[[Any], Any]] = {
    Take.me: lambda v: v.me,
    Take.choice: lambda v: v.choice,
    Take.choice_or_me: lambda v: v.me if v.choice is None else v.choice,
    Take.owner: lambda v: v.life.owner,
    Take.home: lambda v: v.life.home,
    Take.target: lambda v: v.life.target,
    Take.my_boot: lambda v: v.my_boot,
    Take.next_epoch: lambda v: v.life.epoch + 1,
    Take.next_restart: lambda v: v.life.restarts + (not v.unanswered),
    Take.avoid_target: lambda v: tuple(sorted({*v.life.avoid, v.life.target} - {None})),
    Take.op_id: lambda v: v.op_id,
    Take.home_after: lambda v: v.me if v.life.kind is Kind.move else v.life.home,
    Take.request_again: lambda v: Request.home if v.life.kind is Kind.home else Request.none,
}


def with_choice(view: DomainView, choice: Node | None) -> DomainView:
    """The same situation with another node as input."""
    return replace(view, choice=choice)
