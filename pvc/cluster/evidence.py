"""What a decision relied on, and the guards of its write that follow: nothing is taken on trust that was only read.

A guard of a row says which node records it looks at; some guards look at more than a record, and those are named here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pvc.cluster import znodes
from pvc.cluster.store import Absent, Check
from pvc.fsm import guards as g
from pvc.fsm.row import Row
from pvc.fsm.states import By
from pvc.fsm.views import Life

T = TypeVar("T")

VICTIMS = {g.OWNER_GONE: "owner", g.TARGET_GONE: "target"}
"""Guards that hold by the proof that a node is off, and whom they mean: its boot token must still be the one that the proof left."""

HELD = frozenset({("fence", "shoot"), *(("domain", move) for move in ("recover", "evacuate", "relocate", "go_home", "call_home"))})
"""Shots, and moves that nobody asked for by name: `hold on` must not be overtaken by one that was decided before."""


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """What one read showed, and the version of its znode."""

    value: T
    version: int


@dataclass(frozen=True, slots=True)
class Transition:
    """A row that fires: which, by whom, why, under which id, and with which node as choice. `at` is wall clock and only shown."""

    table: str
    row: Row
    by: By
    who: str
    request: str
    at: str
    why: str = ""
    choice: str | None = None

    @property
    def reason(self) -> str:
        """Why it fires: the actor's own words, else the row's."""
        return self.why or self.row.why


@dataclass(frozen=True, slots=True)
class Relied:
    """What a decision read beyond the record it changes, as versions: of node records, boot records and the cluster's.

    A daemon says who it is: `me`, and with `token` the version of its boot record since it joined. A client is nobody's daemon.
    """

    me: str | None = None
    token: int | None = None
    nodes: Mapping[str, int] = field(default_factory=dict)
    boots: Mapping[str, int] = field(default_factory=dict)
    config: int | None = None
    alive: frozenset[str] = frozenset()


class NotRead(ValueError):
    """A row relies on something whose version was not kept: the caller has decided on more than it can prove."""


def domain_guards(life: Life, transition: Transition, relied: Relied) -> tuple[Check | Absent, ...]:
    """What must still be true for a transition of this VM."""
    return tuple(dict.fromkeys((*_actor(transition, relied), *_nodes(life, transition, relied))))


def node_guards(node: str, holder: str | None, transition: Transition, relied: Relied) -> tuple[Check | Absent, ...]:
    """What must still be true for a transition of this node, whose fence is held by `holder`."""
    lost = (Absent(znodes.alive(node)),) if g.LOST in transition.row.guards else ()
    return (*_actor(transition, relied), *lost, *holder_guards(holder, transition, relied), *_brakes(node, transition, relied))


def _brakes(node: str, transition: Transition, relied: Relied) -> tuple[Check, ...]:
    """That no other node has changed since the brakes were looked at: two fencers must not shoot at the same moment."""
    if g.UNBRAKED not in transition.row.guards:
        return ()
    return tuple(Check(znodes.node(name), version) for name, version in sorted(relied.nodes.items()) if name != node)


def holder_guards(holder: str | None, transition: Transition, relied: Relied) -> tuple[Check | Absent, ...]:
    """That nobody holds the fence, where the row relies on it: a fencer that is back may have its finger on the button."""
    if g.HOLDER_GONE not in transition.row.guards or holder is None:
        return ()
    if holder not in relied.alive:
        return (Absent(znodes.alive(holder)),)
    return (_checked(holder, "holder", transition, relied),)


def _actor(transition: Transition, relied: Relied) -> Iterator[Check]:
    """A daemon shows its boot token, a client the cluster record: there may be a hold, or another cluster behind the same address."""
    by_client = bool(transition.by & transition.row.by & By.CLIENT)
    if not by_client:
        if relied.me is None or relied.token is None:
            raise NotRead(f"'{transition.row}' is fired by a daemon, which has to name its boot token")
        yield Check(znodes.boot(relied.me), relied.token)
    if by_client or (transition.table, transition.row.trigger) in HELD:
        if relied.config is None:
            raise NotRead(f"'{transition.row}' relies on the cluster record, whose version is not known")
        yield Check(znodes.CONFIG, relied.config)


def _nodes(life: Life, transition: Transition, relied: Relied) -> Iterator[Check]:
    named = {"me": relied.me, "choice": transition.choice, "owner": life.owner, "target": life.target, "home": life.home}
    for role in transition.row.checks:
        yield _checked(named[role], role, transition, relied)
    for role in (VICTIMS[guard] for guard in transition.row.guards if guard in VICTIMS):
        name = named[role]
        if name is None or name not in relied.boots:
            raise NotRead(f"'{transition.row}' relies on the boot record of {role} {name}, whose version is not known")
        yield Check(znodes.boot(name), relied.boots[name])


def _checked(name: str | None, role: str, transition: Transition, relied: Relied) -> Check:
    if name is None or name not in relied.nodes:
        raise NotRead(f"'{transition.row}' relies on the record of {role} {name}, whose version is not known")
    return Check(znodes.node(name), relied.nodes[name])
