"""Small situations for each trigger, derived from what its guards look at; rows may change, this follows.

Guards tell two views apart only by the fields they read. So: find these fields by watching the guards read, put together those which
one guard reads together, try all their small values, and sort them by what the guards answer (and by the values a row takes). Each
combination of answers is a situation; several views stand for it, picked by chance from a fixed seed, as are the fields that nobody is
supposed to read.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import combinations, product

from pvc.fsm.fire import state_of
from pvc.fsm.row import Row, Table
from pvc.fsm.states import By, Connection, Daemon, Domain, Fence, Flush, Guest, Handover, Job, Kind, Migration, Power, Request, Take, Want
from pvc.fsm.tables import FIELDS, TABLES
from pvc.fsm.views import DomainView, Life, NodeLife, NodeView, SessionLife, SessionView, taken

ROLES = tuple(By)
EVERYBODY = By(sum(ROLES))
NODES = ("a", "b")
NOBODY_OR_ONE = (None, *NODES)
SOME = tuple(frozenset(some) for size in range(3) for some in combinations(NODES, size))
BOOL = (False, True)

Assignment = Mapping[str, object]


# The small values of each field; "life." is the record. Constants are chosen so that no two of them are equal by chance.
DOMAIN_VALUES: Mapping[str, tuple[object, ...]] = {
    "life.state": tuple(Domain),
    "life.want": tuple(Want),
    "life.request": tuple(Request),
    "life.owner": NOBODY_OR_ONE,
    "life.target": NOBODY_OR_ONE,
    "life.home": NODES,
    "life.epoch": (3,),
    "life.restarts": (0, 1, 5),
    "life.avoid": ((), ("a",), ("b",)),
    "life.phase": tuple(Migration),
    "life.kind": tuple(Kind),
    "life.handover": tuple(Handover),
    "life.op_id": ("old op",),
    "life.target_boot": ("boot of target",),
    "me": ("a",),
    "guest": tuple(Guest),
    "job": tuple(Job),
    "choice": NOBODY_OR_ONE,
    "fits": SOME,
    "alive": SOME,
    "gone": SOME,
    "my_boot": ("my boot",),
    "target_rebooted": BOOL,
    "leaving": BOOL,
    "calling": BOOL,
    "due": BOOL,
    "budget": (5,),
    "stays_off": BOOL,
    "unanswered": BOOL,
    "live": BOOL,
    "cold": BOOL,
    "op_id": ("new op",),
    "unfit": ((("b", "it is full"),),),
}
NODE_VALUES: Mapping[str, tuple[object, ...]] = {
    "life.daemon": tuple(Daemon),
    "life.flush": tuple(Flush),
    "life.fence": tuple(Fence),
    "life.by": NOBODY_OR_ONE,
    "life.ordered": BOOL,
    "node": ("b",),
    "me": ("a",),
    "alive": BOOL,
    "holder_alive": BOOL,
    "concerns": BOOL,
    "reading": tuple(Power),
    "stale": BOOL,
    "busy": BOOL,
    "due": BOOL,
    "brake": ("", "the cluster is on hold"),
    "joined": BOOL,
    "stopping": BOOL,
    "inventory": BOOL,
    "holds": ((), ("web",)),
    "uncalled": ((), ("db",)),
    "power_back": BOOL,
    "counting": BOOL,
}
SESSION_VALUES: Mapping[str, tuple[object, ...]] = {"life.state": tuple(Connection)}

KINDS = {
    **dict.fromkeys(("domain", "migration"), (DomainView, Life, DOMAIN_VALUES)),
    **dict.fromkeys(("node", "flush", "fence"), (NodeView, NodeLife, NODE_VALUES)),
    "connection": (SessionView, SessionLife, SESSION_VALUES),
}


def values_of(table: Table) -> Mapping[str, tuple[object, ...]]:
    """The small values of every field that this table's guards could read."""
    return KINDS[table.name][2]


def view_of(table: Table, assignment: Assignment):
    """The view with these fields; those not named have the first of their values."""
    view_type, life_type, values = KINDS[table.name]
    full = {**{name: choices[0] for name, choices in values.items()}, **assignment}
    life = life_type(**{name.removeprefix("life."): value for name, value in full.items() if name.startswith("life.")})
    return view_type(life=life, **{name: value for name, value in full.items() if not name.startswith("life.")})


def in_state(table: Table, view, state):
    """The same view of a record whose state, in this table, is another."""
    return replace(view, life=replace(view.life, **{FIELDS[table.name]: state}))


# ---- what guards read


class Spy:
    """Stands in for a view and notes which of its fields are read."""

    def __init__(self, thing, read: set[str], prefix: str = "") -> None:
        self._thing, self._read, self._prefix = thing, read, prefix

    def __getattr__(self, name):
        value = getattr(self._thing, name)
        if name == "life":
            return Spy(value, self._read, "life.")
        self._read.add(self._prefix + name)
        return value


Probe = Callable[[object], object]


def partner_rows(row: Row) -> tuple[Row, ...]:
    """The rows, one of which commits together with this one."""
    return TABLES[row.joint[0]].rows_for(row.joint[1]) if row.joint is not None else ()


def _take(field: str, value: Take) -> Probe:
    """What a row takes from the view, and whether that is news: a row that forgot it could not be told otherwise."""
    return lambda view: (taken(value, view), taken(value, view) != getattr(view.life, field))


def _partner_state(row: Row) -> Probe:
    return lambda view: getattr(view.life, FIELDS[row.joint[0]])


@cache
def probes_of(table: Table, trigger: str) -> tuple[Probe, ...]:
    """Everything in the rows of a trigger, and in their partners' rows, that depends on the view."""
    rows = table.rows_for(trigger)
    both = [*rows, *(partner for row in rows for partner in partner_rows(row))]
    guards = {guard.test: None for row in both for guard in row.guards}
    takes = {(field, value): _take(field, value) for row in both for field, value in row.sets.items() if isinstance(value, Take)}
    return (*guards, *takes.values(), *(_partner_state(row) for row in rows if row.joint is not None))


@cache
def _sample(table: Table) -> tuple:
    chance = random.Random(0)
    return tuple(view_of(table, {name: chance.choice(choices) for name, choices in values_of(table).items()}) for _ in range(400))


@cache
def fields_read(table: Table, probe: Probe) -> frozenset[str]:
    """The fields that a probe reads in any of many views; one that is read only after another was found true needs many."""
    read: set[str] = set()
    for view in _sample(table):
        _ask(probe, Spy(view, read))
    return frozenset(read)


def _ask(probe: Probe, view) -> object:
    """A probe's answer; some values cannot be taken from a record that lacks them, which no row meets."""
    try:
        return probe(view)
    except TypeError:
        return TypeError


# ---- the situations of one trigger


def _together(table: Table, trigger: str) -> list[tuple[frozenset[str], list[Probe]]]:
    """The probes of a trigger in groups that share no field."""
    groups: list[tuple[frozenset[str], list[Probe]]] = []
    for probe in probes_of(table, trigger):
        names, members = fields_read(table, probe), [probe]
        for group in [group for group in groups if group[0] & names]:
            groups.remove(group)
            names, members = names | group[0], [*group[1], *members]
        groups.append((names, members))
    return groups


def _options(table: Table, names: frozenset[str], probes: list[Probe]) -> list[list[Assignment]]:
    """All assignments of these fields, sorted by the answers to them."""
    found: dict[tuple[object, ...], list[Assignment]] = {}
    values = values_of(table)
    ordered = sorted(names)
    for choice in product(*(values[name] for name in ordered)):
        assignment = dict(zip(ordered, choice, strict=True))
        view = view_of(table, assignment)
        answers = tuple(_ask(probe, view) for probe in probes)
        if TypeError not in answers:
            found.setdefault(answers, []).append(assignment)
    return list(found.values())


# More than one, because a field that has its new value already does not show whether a row sets it.
VARIANTS = 2


@cache
def views_for(table: Table, trigger: str) -> tuple:
    """Some views for every situation in which the rows of this trigger might differ."""
    own = "life." + FIELDS[table.name]
    options = (_options(table, names - {own}, probes) for names, probes in _together(table, trigger))
    chance = random.Random(f"{table.name} {trigger}")
    return tuple(view for situation in product(*options) for view in _variants(table, situation, chance))


def _variants(table: Table, situation: tuple[list[Assignment], ...], chance: random.Random) -> Iterator:
    values = values_of(table)
    first = {name: chance.randrange(len(choices)) for name, choices in values.items()}
    for number in range(VARIANTS):
        assignment = {name: choices[(first[name] + number) % len(choices)] for name, choices in values.items()}
        for alike in situation:
            assignment.update(chance.choice(alike))
        yield view_of(table, assignment)


@dataclass(frozen=True, slots=True)
class Case:
    """One question: may this actor fire this trigger in this situation?"""

    trigger: str
    by: By
    view: object


# Where no row leaves from a state, or none is the actor's, nothing depends on the view.
ELSEWHERE = 12


@cache
def cases(table: Table, trigger: str) -> tuple[Case, ...]:
    """Every question about one trigger: each state, each actor, each small situation."""
    return tuple(_cases(table, trigger))


def _cases(table: Table, trigger: str) -> Iterator[Case]:
    views = views_for(table, trigger)
    few = views[:: max(1, len(views) // ELSEWHERE)][:ELSEWHERE]
    rows = table.rows_for(trigger)
    for state in (declared.name for declared in table.states):
        here = [in_state(table, view, state) for view in views]
        there = [in_state(table, view, state) for view in few]
        for by in (*ROLES, EVERYBODY):
            matters = any(row.by & by and state in row.source for row in rows)
            yield from (Case(trigger, by, view) for view in (here if matters else there))


def partner_takes(row: Row, view) -> bool:
    """Whether the partner's state takes its part of a joint row; written apart from the code under test."""
    if row.joint is None:
        return True
    state = state_of(TABLES[row.joint[0]], view.life)
    return any(state in partner.source and all(guard.test(view) for guard in partner.guards) for partner in partner_rows(row))


def every_field(table: Table) -> set[str]:
    """The fields of this table's views, those of the record with "life." before them."""
    view_type, life_type, _ = KINDS[table.name]
    return {field.name for field in fields(view_type)} - {"life"} | {f"life.{field.name}" for field in fields(life_type)}
