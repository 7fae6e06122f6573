"""Whatever happens to a VM or node, in any order and on any evidence: machine and table agree, and the record keeps making sense."""

import random
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvc.errors import Refused
from pvc.fsm.domain import DOMAIN
from pvc.fsm.fence import FENCE
from pvc.fsm.fire import state_of
from pvc.fsm.flush import FLUSH
from pvc.fsm.guards import LIBVIRT_HANDOVER, PAUSED_HANDOVER
from pvc.fsm.machine import Tracker, fire
from pvc.fsm.migration import MIGRATION
from pvc.fsm.node import NODE
from pvc.fsm.row import explain, roles_in
from pvc.fsm.states import By, Daemon, Domain, Handover
from pvc.fsm.views import DomainView, Life, NodeLife, NodeView
from tests.fsm.invariants import broken
from tests.fsm.recorder import Recorder
from tests.fsm.situations import EVERYBODY, NODES, fields_read, values_of

LENGTH = 60
OTHER_HANDOVER = {Handover.paused: LIBVIRT_HANDOVER, Handover.libvirt: PAUSED_HANDOVER}
SUBJECT = "b"  # the node that a node record is about


# ---- who can be an actor, and what they can see


def actors(life, by):
    """The nodes that may act in this role on this record: a daemon never mistakes itself for the owner or the target."""
    if isinstance(life, NodeLife):
        return {By.OWNER: (SUBJECT,), By.FENCER: tuple(filter(None, [life.by])), By.PEER: ("a", "c")}.get(by, (None,))
    one = {By.OWNER: life.owner, By.TARGET: life.target, By.HOME: life.home}
    if by in one:
        return tuple(filter(None, [one[by]]))
    return tuple(node for node in NODES if node != life.owner) if by in (By.HOST, By.FENCER, By.PEER) else (None,)


def facts_of(life):
    """The view's own fields, without those of the record and without the actor."""
    fixed = {"me", "node"} | ({"holder_alive"} if isinstance(life, NodeLife) and life.by is None else set())
    values = values_of(NODE if isinstance(life, NodeLife) else DOMAIN)
    free = {name: choices for name, choices in values.items() if not name.startswith("life.") and name not in fixed}
    # Budgets few enough for a walk to use them up, and most failures such as count.
    return free | ({"budget": (1, 2), "unanswered": (False, False, False, True)} if "budget" in free else {})


def view_of(life, me, facts):
    """What this actor sees."""
    return NodeView(life=life, node=SUBJECT, me=me, **facts) if isinstance(life, NodeLife) else DomainView(life=life, me=me, **facts)


@lru_cache(maxsize=50000)
def favourable(table, row, life, me):
    """Facts in which all guards of a row hold for this record: chance alone finds them once in a thousand times."""
    facts = facts_of(life)
    asked = [(guard, sorted(fields_read(table, guard.test) & set(facts))) for guard in row.guards]
    names = sorted({name for _, read in asked for name in read})

    def holds(guard, found):
        return guard.test(view_of(life, me, defaults(life) | found))

    # A guard that looks at one fact thins out its values before they are combined.
    values = {name: facts[name] for name in names}
    for guard, read in asked:
        if len(read) == 1:
            values[read[0]] = [value for value in values[read[0]] if holds(guard, {read[0]: value})]
    combined = (dict(zip(names, choice, strict=True)) for choice in product(*values.values()))
    return tuple(found for found in combined if all(holds(guard, found) for guard, _ in asked))


def defaults(life):
    """The first value of each fact."""
    return {name: choices[0] for name, choices in facts_of(life).items()}


# ---- a walk


@dataclass(frozen=True)
class Tables:
    """The machines of one object; the interpreter's tables and those the machines are made of differ only where a test breaks one."""

    table: tuple
    machine: tuple

    def at(self, life):
        """The pairs that may be asked now: a migration's phases move only while one is in flight."""
        asleep = isinstance(life, Life) and life.state is not Domain.migrate
        return [pair for pair in zip(self.table, self.machine, strict=True) if not (asleep and pair[0].name == "migration")]


VM = Tables((DOMAIN, MIGRATION), (DOMAIN, MIGRATION))
HOST = Tables((NODE, FLUSH, FENCE), (NODE, FLUSH, FENCE))


def walk(tables, life, steps, fired=None):
    """Fire one thing after another, mostly such as may happen, check every step, and count what fired."""
    tracker, fired = Tracker("it", life), Counter() if fired is None else fired
    for number in steps:
        fired[step(tables, tracker, random.Random(number), fired)] += 1
    return fired


def step(tables, tracker, chance, fired):
    """Fire one trigger, nine times out of ten on evidence that allows it."""
    life = tracker.life
    known = [(table, machine, row) for table, machine in tables.at(life) for row in possible(table, life)]
    chance.shuffle(known)
    if chance.random() < 0.7:
        known.sort(key=lambda item: fired[item[2]])  # what has not happened yet, or the same few rows would fill the walk
    known.sort(key=lambda item: ends(item) and chance.random() < 0.95)
    willing = chance.random() < 0.9
    for table, machine, row in known:
        by, me = chance.choice([(by, me) for by in roles_in(row.by) for me in actors(life, by)] or [(By.SESSION, None)])
        good = favourable(table, row, life, me) if by & row.by else ()
        if good or not willing:
            facts = {name: chance.choice(choices) for name, choices in facts_of(life).items()} | (chance.choice(good) if willing else {})
            return checked(table, machine, row.trigger, tracker, by, view_of(life, me, defaults(life) | facts))
    return None


def checked(table, machine, trigger, tracker, by, view):
    """Fire it, and check all that must hold afterwards."""
    row = agree(table, machine, trigger, tracker, by, view)
    assert broken(tracker.life) == []
    epochs_grow(view.life, tracker.life)
    return row


def ends(item):
    """Whether nothing can follow: such rows are kept for late."""
    table, _, row = item
    return row.dest is not None and table.state(row.dest).final


def possible(table, life):
    """The rows that leave from this state, whoever may fire them."""
    return [row for row in table.rows_from(state_of(table, life), EVERYBODY) if row.trigger not in table.partner_triggers]


def agree(table, machine, trigger, tracker, by, view):
    """The machine fires exactly what the table explains, the partner's part always included; returns the table's row."""
    answer = explain(table, state_of(table, view.life), trigger, by, view)
    port, fired, reason = Recorder(), None, None
    try:
        fired = fire(machine, trigger, tracker, by, view, port)
    except Refused as refused:
        reason = refused.message
    assert reason == answer.reason
    assert (fired is None and answer.row is None) or machine.rows.index(fired) == table.rows.index(answer.row)
    assert port.writes == ([tracker.life] if fired is not None and fired.writes else [])
    assert port.orders == list(fired.effects if fired is not None else ())
    assert fired is not None or tracker.life is view.life
    return answer.row


def epochs_grow(before, now):
    """A new owner has a new epoch, and none is ever used again."""
    if isinstance(now, Life):
        assert now.epoch >= before.epoch
        assert now.epoch > before.epoch or now.owner in (before.owner, None)


LIVES = st.builds(Life, home=st.sampled_from(NODES), handover=st.sampled_from(Handover))
# A step is a number from which everything in it follows; a long list of small draws would leave hypothesis no room for long walks.
WALKS = st.lists(st.integers(0, 2**32), min_size=LENGTH, max_size=LENGTH)


@given(LIVES, WALKS)
def test_whatever_happens_to_a_vm(life, steps):
    walk(VM, life, steps)


@given(WALKS)
def test_whatever_happens_to_a_node(steps):
    walk(HOST, NodeLife(), steps)


# ---- that such walks mean something


def chances(number):
    """The numbers of one walk, the same each time."""
    chance = random.Random(number)
    return [chance.getrandbits(32) for _ in range(LENGTH)]


@pytest.mark.parametrize(("tables", "life"), [(VM, Life(home="a")), (VM, Life(home="b", handover=Handover.libvirt)), (HOST, NodeLife())])
def test_every_row_fires_in_some_walk(tables, life):
    fired = Counter()
    for number in range(1000):
        walk(tables, life, chances(number), fired)
    missing = {row for table in tables.table for row in table.rows if row.trigger not in table.partner_triggers} - set(fired)
    assert {str(row) for row in missing if life.__class__ is NodeLife or OTHER_HANDOVER[life.handover] not in row.guards} == set()


def changed(table, trigger, source, **changes):
    """The table with every row of a trigger that leaves from a state changed."""
    rows = (replace(row, **changes) if row.trigger == trigger and source in row.source else row for row in table.rows)
    return replace(table, rows=tuple(rows))


def fails(tables, life):
    """Whether some walk fails."""
    with pytest.raises(AssertionError):
        list(map(walk, repeat(tables), repeat(life), map(chances, range(100))))


def test_a_machine_without_a_guard_is_noticed():
    fails(Tables(VM.table, (changed(DOMAIN, "claim", Domain.place, guards=()), MIGRATION)), Life(home="a"))


def test_a_table_without_a_guard_that_keeps_records_sound_is_noticed():
    start = changed(DOMAIN, "start", Domain.stop, guards=())
    fails(Tables((start, MIGRATION), (start, MIGRATION)), Life(home="a"))


def test_a_row_that_forgets_its_partner_is_noticed():
    declare = changed(FENCE, "declare", FENCE.rows_for("declare")[0].source[0], joint=None)
    fails(Tables((NODE, FLUSH, declare), (NODE, FLUSH, declare)), NodeLife(daemon=Daemon.run))


def test_an_owner_without_a_new_epoch_is_noticed():
    claim = changed(DOMAIN, "claim", Domain.place, sets={"owner": DOMAIN.rows_for("claim")[0].sets["owner"], "target": None})
    fails(Tables((claim, MIGRATION), (claim, MIGRATION)), Life(home="a"))
