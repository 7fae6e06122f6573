"""A table that contradicts itself does not come into being, and a sound one answers questions."""

from dataclasses import FrozenInstanceError, replace

import pytest

from pvc.fsm.row import (
    Guard,
    Row,
    State,
    Table,
    TableError,
    by_name,
    enabled,
    explain,
    prove_fields,
    prove_joints,
    roles_in,
    words,
)
from pvc.fsm.states import By, Domain, Effect, Flush, Take
from pvc.fsm.views import NodeLife, SessionLife

READY, FLUSH, FLUSHED, UNFLUSH = Flush
OPEN = Guard("open", lambda view: view["open"], "it is {v[door]}")
LIT = Guard("lit", lambda view: view["lit"], "it is dark")

STATES = (
    State(READY, "It is ready.", needs_human="that is the admin's wish"),
    State(FLUSH, "It is being emptied."),
    State(FLUSHED, "It is empty.", needs_human="that is the admin's wish"),
    State(UNFLUSH, "It is being filled."),
)
EMPTY = Row("empty", (READY,), FLUSH, By.CLIENT, (OPEN,), {}, (), "The admin wants it empty.")
EMPTIED = Row("emptied", (FLUSH,), FLUSHED, By.OWNER, (), {}, (), "It is empty.")
FILL = Row("fill", (FLUSH, FLUSHED), UNFLUSH, By.CLIENT, (), {}, (), "The admin wants it filled.")
FILLED = Row("filled", (UNFLUSH,), READY, By.OWNER, (), {}, (), "It is full.")
ROWS = (EMPTY, EMPTIED, FILL, FILLED)
REFUSALS = {row.trigger: "it is {state}: no" for row in ROWS}


def table(rows=ROWS, states=STATES, refusals=REFUSALS, **more):
    return Table("tank", READY, states, rows, refusals, **more)


def with_row(old, **changes):
    """The rows, one of them changed."""
    return tuple(replace(row, **changes) if row is old else row for row in ROWS)


def with_state(name, **changes):
    """The states, one of them changed."""
    return tuple(replace(state, **changes) if state.name is name else state for state in STATES)


def without(name):
    return tuple(state for state in STATES if state.name is not name)


def extra(trigger, *sources, dest=READY, by=By.OWNER, guards=(), **more):
    """A further row of a trigger that is known."""
    return Row(trigger, sources, dest, by, guards, {}, (), "For the test.", **more)


def test_a_sound_table_comes_into_being():
    assert table().triggers == ("emptied", "empty", "fill", "filled")


THE_ROW = "row 'emptied: flush -> flushed by owner'"


@pytest.mark.parametrize(
    ("unsound", "problems"),
    [
        ({"rows": with_row(EMPTIED, source=(FLUSH, Domain.stop))}, ["row 'emptied: flush/stop -> flushed by owner' names 'stop'"]),
        ({"rows": (*ROWS, extra("fill", FLUSHED, dest=Domain.stop))}, ["row 'fill: flushed -> stop by owner' names 'stop'"]),
        ({"rows": (*ROWS, extra("fill", "flushed"))}, ["names 'flushed', which is no state of this table"]),
        ({"states": without(UNFLUSH)}, ["its states are not those of Flush: ['unflush']", "names 'unflush', which is no state"]),
        ({"states": (*STATES, State(FLUSH, "Again."))}, ["a state is declared twice"]),
        ({"rows": with_row(EMPTIED, effects=("destroy",))}, [f"{THE_ROW} orders 'destroy', which is no effect"]),
        ({"rows": with_row(EMPTIED, guards=("open",))}, [f"{THE_ROW} names 'open', which is no guard"]),
        ({"rows": with_row(EMPTIED, why=" ")}, [f"{THE_ROW} does not say why it exists"]),
        ({"rows": with_row(EMPTIED, by=By(0))}, ["may be fired by nobody", "only a human gets out of 'flush'"]),
        (
            {"rows": (*ROWS, extra("empty", READY, FLUSHED, dest=UNFLUSH, by=By.CLIENT | By.PEER, guards=(OPEN,)))},
            ["-> unflush by client or peer' can never fire in 'ready': 'empty: ready -> flush by client' has the same guards"],
        ),
        ({"rows": with_row(EMPTIED, dest=READY)}, ["state 'flushed' cannot be reached"]),
        ({"rows": with_row(EMPTY, dest=None)}, ["state 'flush' cannot be reached", "state 'unflush' cannot be reached"]),
        ({"rows": with_row(FILLED, dest=None)}, ["state 'unflush' has no way out"]),
        ({"rows": with_row(FILLED, dest=UNFLUSH)}, ["state 'unflush' has no way out"]),
        ({"states": with_state(FLUSHED, final=True)}, ["state 'flushed' is final and yet "]),
        ({"states": with_state(FLUSHED, needs_human="")}, ["only a human gets out of 'flushed', and it does not say why"]),
        ({"rows": with_row(FILLED, by=By.CLIENT)}, ["only a human gets out of 'unflush', and it does not say why"]),
        ({"refusals": {**REFUSALS, "fill": ""}}, ["trigger 'fill' has no reason for the states that do not take it"]),
        ({"rows": (*ROWS, extra("leak", READY, dest=FLUSH))}, ["trigger 'leak' has no reason for the states that do not take it"]),
        ({"refusals": {**REFUSALS, "burst": "it is {state}"}}, ["a refusal is declared for 'burst', which no row has"]),
    ],
)
def test_an_unsound_table_is_refused_with_its_name_the_row_and_the_reason(unsound, problems):
    with pytest.raises(TableError) as refused:
        table(**unsound)
    message = str(refused.value)
    assert message.startswith("table 'tank' is not sound: ")
    assert [problem for problem in problems if problem not in message] == []


def test_every_problem_is_named_at_once():
    with pytest.raises(TableError) as refused:
        table(rows=with_row(EMPTIED, why="", effects=("destroy",)), refusals={})
    assert str(refused.value).count("; ") == 5


def test_a_final_state_needs_no_way_out():
    states = with_state(FLUSHED, final=True, needs_human="")
    assert table(rows=with_row(FILL, source=(FLUSH,)), states=states).state(FLUSHED).final


def test_a_final_state_may_still_give_an_order():
    order = Row("wash", (FLUSHED,), None, By.OWNER, (), {}, (Effect.destroy,), "For the test.")
    states = with_state(FLUSHED, final=True, needs_human="")
    table(rows=(*with_row(FILL, source=(FLUSH,)), order), states=states, refusals={**REFUSALS, "wash": "it is {state}"})


def test_the_same_guards_are_no_duplicate_for_another_actor_state_or_trigger():
    another_actor = extra("empty", READY, by=By.OWNER, dest=UNFLUSH, guards=(OPEN,))
    another_state = extra("empty", FLUSHED, by=By.CLIENT, guards=(OPEN,))
    another_trigger = extra("fill", READY, by=By.CLIENT, dest=UNFLUSH, guards=(OPEN,))
    table(rows=(*ROWS, another_actor, another_state, another_trigger))


@pytest.mark.parametrize(
    ("joint", "partner_triggers", "problem"),
    [
        (("pump", "fill"), frozenset(), "its partner 'pump.fill' does not exist"),
        (("basin", "burst"), frozenset(), "its partner 'basin.burst' does not exist"),
        (("basin", "fill"), frozenset({"empty"}), "'basin' does not know 'fill' as a partner's transition"),
    ],
)
def test_a_joint_with_nothing_is_refused_with_the_row_and_the_reason(joint, partner_triggers, problem):
    tables = {"tank": table(with_row(FILL, joint=joint)), "basin": replace(table(partner_triggers=partner_triggers), name="basin")}
    with pytest.raises(TableError) as refused:
        prove_joints(tables)
    assert str(refused.value) == f"table 'tank', row 'fill: flush/flushed -> unflush by client': {problem}"


def joined(row=FILL, partner="fill", partner_triggers=("fill",), **changes):
    """Two tables, a row of the first with a partner in the second."""
    basin = replace(table(partner_triggers=frozenset(partner_triggers)), name="basin")
    return {"tank": table(with_row(row, joint=("basin", partner), **changes)), "basin": basin}


def test_a_joint_with_a_partners_transition_is_sound():
    prove_joints(joined())


def test_a_partner_whom_the_actor_may_not_fire_is_refused():
    with pytest.raises(TableError, match=r"owner may not fire its partner 'basin\.fill'"):
        prove_joints(joined(EMPTIED))


def test_a_partners_transition_that_nobody_takes_along_is_refused():
    with pytest.raises(TableError, match="'empty' is a partner's transition, and no row of another table fires it"):
        prove_joints(joined(partner_triggers=("fill", "empty")))


def test_a_field_that_the_record_has_not_is_refused():
    sound = table(with_row(FILL, sets={"by": None}))
    prove_fields(sound, NodeLife)
    with pytest.raises(TableError, match="it sets 'by', which is no field of SessionLife"):
        prove_fields(sound, SessionLife)


def test_a_row_that_starts_nowhere_or_does_nothing_is_refused():
    with pytest.raises(TableError, match="starts nowhere"):
        table((*ROWS, extra("fill")))
    with pytest.raises(TableError, match="neither writes nor orders anything"):
        table((*ROWS, extra("fill", READY, dest=None)))


# ---- questions


SHUT_AND_DARK = {"open": False, "door": "shut", "lit": False}


def test_a_guard_says_what_is_the_case_when_it_does_not_hold():
    assert OPEN.refuse({"open": True}) is None
    assert OPEN.refuse(SHUT_AND_DARK) == "it is shut"


def test_a_row_is_refused_by_its_first_guard_that_does_not_hold():
    row = replace(EMPTY, guards=(LIT, OPEN))
    assert row.refuse(SHUT_AND_DARK) == "it is dark"
    assert row.refuse({**SHUT_AND_DARK, "lit": True}) == "it is shut"
    assert row.refuse({"open": True, "lit": True}) is None


@pytest.mark.parametrize(
    ("state", "trigger", "by", "reason"),
    [
        (READY, "empty", By.OWNER, "'empty' is fired by client alone"),
        (FLUSH, "empty", By.CLIENT, "it is flush: no"),
        (READY, "empty", By.CLIENT, "it is shut"),
    ],
)
def test_the_reason_is_the_actor_or_the_state_or_the_situation(state, trigger, by, reason):
    answer = explain(table(), state, trigger, by, SHUT_AND_DARK)
    assert not answer
    assert (answer.row, answer.reason) == (None, reason)


def test_who_may_is_named_for_all_rows_of_a_trigger():
    rows = (*ROWS, extra("empty", FLUSHED, by=By.OWNER | By.FENCER))
    assert explain(table(rows), READY, "empty", By.PEER, {}).reason == "'empty' is fired by client or owner or fencer alone"


def test_the_first_row_that_may_is_the_answer():
    second = extra("empty", READY, by=By.CLIENT, dest=UNFLUSH, guards=(LIT,))
    tank = table((*ROWS, second))
    assert explain(tank, READY, "empty", By.CLIENT, {"open": True, "lit": True}).row is EMPTY
    assert explain(tank, READY, "empty", By.CLIENT, {**SHUT_AND_DARK, "lit": True}).row is second
    assert explain(tank, READY, "empty", By.CLIENT, SHUT_AND_DARK).reason == "it is dark"


def test_a_word_that_is_no_trigger_or_state_is_a_mistake_of_the_program():
    with pytest.raises(KeyError):
        explain(table(), READY, "burst", By.CLIENT, {})
    with pytest.raises(KeyError):
        table().state(Domain.stop)


def test_enabled_are_the_rows_of_these_actors_whose_guards_hold_in_table_order():
    tank = table()
    assert enabled(tank, FLUSH, By.CLIENT | By.OWNER, {}) == [EMPTIED, FILL]
    assert enabled(tank, FLUSH, By.OWNER, {}) == [EMPTIED]
    assert enabled(tank, FLUSH, By.FENCER, {}) == []
    assert enabled(tank, READY, By.CLIENT, SHUT_AND_DARK) == []


def test_a_row_reads_as_a_sentence_and_cannot_be_changed():
    assert str(FILL) == "fill: flush/flushed -> unflush by client"
    assert str(replace(FILL, dest=None, by=By.CLIENT | By.HOME)) == "fill: flush/flushed -> same by client or home"
    with pytest.raises(FrozenInstanceError):
        FILL.dest = READY


@pytest.mark.parametrize(
    ("changes", "writes"),
    [
        ({}, True),
        ({"dest": None}, False),
        ({"dest": None, "effects": (Effect.destroy,)}, False),
        ({"dest": None, "sets": {"by": None}}, True),
        ({"dest": None, "joint": ("basin", "fill")}, True),
    ],
)
def test_a_row_writes_when_it_moves_sets_or_takes_a_partner_along(changes, writes):
    assert replace(FILL, **changes).writes is writes


@pytest.mark.parametrize(("value", "chooses"), [(Take.choice, True), (Take.choice_or_me, True), (Take.home, False), (None, False)])
def test_a_row_chooses_when_it_sets_what_was_chosen(value, chooses):
    assert replace(FILL, sets={"target": value}).chooses is chooses


def test_a_row_checks_the_records_that_its_guards_read():
    row = replace(FILL, guards=(replace(OPEN, checks=("owner", "me")), replace(LIT, checks=("me",))))
    assert row.checks == ("me", "owner")


def test_actors_can_be_told_apart_and_named():
    assert roles_in(By.CLIENT | By.SESSION) == (By.CLIENT, By.SESSION)
    assert roles_in(By(0)) == ()
    assert by_name(By.OWNER | By.TARGET) == "owner or target"
    assert words(Flush) == ("ready", "flush", "flushed", "unflush")
