"""What must hold for the tables as they are: who may do what to whom, and on what evidence."""

import string
from dataclasses import replace
from types import GenericAlias, NoneType, UnionType
from typing import Any, get_args, get_type_hints

import pytest

from pvc.fsm import guards as declared_guards
from pvc.fsm.domain import DOMAIN
from pvc.fsm.fence import FENCE
from pvc.fsm.fire import state_of
from pvc.fsm.migration import MIGRATION
from pvc.fsm.node import NODE
from pvc.fsm.row import Guard, explain, prove_joints
from pvc.fsm.states import By, Daemon, Domain, Effect, Fence, Guest, Migration, Power, Take, Want
from pvc.fsm.tables import FIELDS, TABLES
from pvc.fsm.views import taken
from tests.fsm.invariants import OWNED, UNOWNED
from tests.fsm.situations import KINDS, ROLES, cases, fields_read, partner_rows, view_of, views_for

ALL = list(TABLES.values())
ROWS = [(table, row) for table in ALL for row in table.rows]
DOMAIN_ROWS = [(table, row) for table, row in ROWS if table in (DOMAIN, MIGRATION)]


def lets_go(row):
    """Whether the row takes the VM from its owner."""
    return "owner" in row.sets and row.sets["owner"] is not Take.me


def from_owned(table, row):
    """Whether somebody owns the VM when the row fires: a migration is in flight only while somebody does."""
    return table is MIGRATION or bool(OWNED & set(row.source))


def situations_of(table, row):
    """The small situations in which all guards of a row hold."""
    return [view for view in views_for(table, row.trigger) if row.refuse(view) is None]


def named(rows):
    return [f"{table.name}.{row}" for table, row in rows]


# ---- form


def test_every_machine_has_a_field_of_its_own_in_the_record():
    assert set(FIELDS) == set(TABLES)
    for table in ALL:
        life_type = KINDS[table.name][1]
        assert get_type_hints(life_type)[FIELDS[table.name]] is type(table.initial)
        assert getattr(life_type(), FIELDS[table.name]) is table.initial


def test_every_row_does_something():
    assert named((table, row) for table, row in ROWS if not row.source or len(set(row.source)) < len(row.source)) == []
    assert named((table, row) for table, row in ROWS if not row.writes and not row.effects) == []


def test_every_row_sets_real_fields_to_values_of_their_type():
    wrong = []
    for table, row in ROWS:
        types = get_type_hints(KINDS[table.name][1])
        for field, value in row.sets.items():
            if field not in types:
                wrong.append(f"{row}: there is no field '{field}'")
            elif not all(fits(taken(value, view), types[field]) for view in situations_of(table, row)):
                wrong.append(f"{row}: '{field}' is not {value}")
    assert wrong == []


def fits(value, annotation):
    """Whether a value is of an annotated type; a node's name may be anything."""
    if annotation is Any:
        return True
    if isinstance(annotation, UnionType):
        return any(fits(value, part) for part in get_args(annotation))
    if isinstance(annotation, GenericAlias):
        return isinstance(value, annotation.__origin__)
    return type(value) is (NoneType if annotation is None else annotation)


NONE_OR_STR = str | None


@pytest.mark.parametrize(
    ("value", "annotation", "right"),
    [(Want.stop, Want, True), ("stop", Want, False), (True, int, False), (None, NONE_OR_STR, True), ((), NONE_OR_STR, False)],
)
def test_a_value_of_another_type_is_noticed(value, annotation, right):
    assert fits(value, annotation) is right


def test_a_row_moves_its_own_machine_by_its_destination_alone():
    fields = set(FIELDS.values())
    assert named((table, row) for table, row in ROWS if fields & set(row.sets)) == []


def test_a_row_that_takes_a_node_refuses_to_take_none():
    """Owner, target, home and fencer are taken from a view that has them, or set to nobody on purpose."""
    wrong = []
    for table, row in ROWS:
        for field in ("owner", "target", "home", "by"):
            value = row.sets.get(field)
            if isinstance(value, Take) and any(taken(value, view) is None for view in situations_of(table, row) if settled(table, view)):
                wrong.append(f"{row}: {field}")
    assert wrong == []


def settled(table, view):
    """A migration in flight has a target: `ask` commits only together with a row that sets it."""
    return table is not MIGRATION or view.life.target is not None


def test_every_guard_is_used():
    used = {guard for _, row in ROWS for guard in row.guards}
    assert [name for name, guard in vars(declared_guards).items() if isinstance(guard, Guard) and guard not in used] == []


def test_every_word_that_a_row_may_order_or_take_is_used():
    assert set(Effect) - {effect for _, row in ROWS for effect in row.effects} == set()
    assert set(Take) - {value for _, row in ROWS for value in row.sets.values() if isinstance(value, Take)} == set()


def test_every_actor_may_do_something():
    for by in ROLES:
        assert {row.trigger for _, row in ROWS if row.by & by}, f"{by.name} may do nothing"


# ---- answers


@pytest.mark.parametrize("name", list(TABLES))
def test_every_state_and_trigger_has_a_row_or_a_sentence(name):
    table = TABLES[name]
    for trigger in table.triggers:
        for case in cases(table, trigger):
            answer = explain(table, state_of(table, case.view.life), trigger, case.by, peopled(case.view))
            assert (answer.row is None) != (answer.reason is None)
            assert answer.row is not None or is_sentence(answer.reason), case


def is_sentence(text):
    """Words for an admin: no placeholder left, no representation of an object."""
    return bool(text) and not set("{}<>") & set(text) and "None" not in text


def peopled(view):
    """The same view of a record that names a node wherever it may: which states go without one is a matter of the invariants."""
    named_nodes = {field: "b" for field in ("owner", "target", "by") if getattr(view.life, field, "") is None}
    return replace(view, life=replace(view.life, **named_nodes))


def test_every_refusal_names_the_state_at_most():
    for table in ALL:
        for trigger, text in table.refusals.items():
            assert {field for _, field, _, _ in string.Formatter().parse(text) if field is not None} <= {"state"}, trigger


def test_a_guard_that_looks_at_the_choice_says_so_in_its_name():
    """A look-up asks all other guards first, once, and these once for each node."""
    guards = {(table, guard) for table, row in ROWS for guard in row.guards}
    assert [guard.name for table, guard in guards if ("choice" in fields_read(table, guard.test)) != ("choice" in guard.name)] == []


def test_a_row_that_looks_at_the_choice_takes_it():
    assert named((table, row) for table, row in ROWS if any("choice" in guard.name for guard in row.guards) and not row.chooses) == []


# ---- partners


def test_the_partners_are_proven_against_each_other():
    prove_joints(TABLES)


def test_who_fires_a_joint_row_may_fire_its_partner():
    wrong = []
    for table, row in ROWS:
        together = By(0)
        for partner in partner_rows(row):
            together |= partner.by
        if row.joint is not None and row.by & ~together:
            wrong.append((table, row))
    assert named(wrong) == []


def test_every_partners_transition_is_some_rows_partner():
    joints = {row.joint for _, row in ROWS if row.joint}
    assert {(table.name, trigger) for table in ALL for trigger in table.partner_triggers} == joints


def test_a_row_and_its_partner_do_not_set_the_same_field():
    """One of the two would be lost."""
    clashes = [(table, row) for table, row in ROWS for partner in partner_rows(row) if set(row.sets) & set(partner.sets)]
    assert named(clashes) == []


# ---- who owns a VM


def test_every_state_says_whether_somebody_owns_the_vm():
    assert set(Domain) == OWNED | UNOWNED
    assert OWNED.isdisjoint(UNOWNED)


def test_a_client_never_moves_a_vm_that_somebody_owns_but_to_ask_for_a_migration():
    moving = {row.dest for _, row in DOMAIN_ROWS if row.by & By.CLIENT and OWNED & set(row.source)}
    assert moving == {None, Domain.migrate}
    assert [row for row in MIGRATION.rows if row.by & By.CLIENT and row.dest is not Migration.asked] == []


def test_a_client_gives_no_order():
    assert named((table, row) for table, row in ROWS if row.by & By.CLIENT and row.effects) == []


def test_a_client_never_names_an_owner_except_to_resolve_a_conflict():
    naming = [row for _, row in DOMAIN_ROWS if row.by & By.CLIENT and row.sets.get("owner") is not None]
    assert {source for row in naming for source in row.source} == {Domain.conflict}
    assert {row.trigger for row in naming} == {"resolve_keep", "resolve_stop"}


def test_only_clients_write_what_is_wanted():
    assert named((table, row) for table, row in DOMAIN_ROWS if "want" in row.sets and row.by is not By.CLIENT) == []


def test_only_the_claim_creates_a_guest_and_it_makes_this_node_the_owner():
    creating = [row for _, row in DOMAIN_ROWS if Effect.create in row.effects]
    assert [(row.trigger, row.by, row.source, row.dest) for row in creating] == [("claim", By.TARGET, (Domain.place,), Domain.boot)]
    assert [(row.sets["owner"], row.sets["epoch"]) for row in creating] == [(Take.me, Take.next_epoch)]


def test_a_guest_is_created_only_where_it_is_absent_and_nothing_is_in_flight():
    claim = DOMAIN.rows_for("claim")[0]
    views = situations_of(DOMAIN, claim)
    assert {(view.guest, view.job) for view in views} == {(Guest.absent, view.job.none) for view in views}


def test_only_the_claim_takes_ownership_from_nobody_without_a_conflict():
    taking = [row for _, row in DOMAIN_ROWS if row.sets.get("owner") is not None and not set(row.source) & {*OWNED, *Migration}]
    assert {row.trigger for row in taking} == {"claim", "resolve_keep", "resolve_stop"}


def test_every_new_owner_has_a_new_epoch_and_no_epoch_is_new_without_an_owner():
    naming = [(table, row) for table, row in DOMAIN_ROWS if row.sets.get("owner") is not None]
    assert named(naming)
    assert named(item for item in naming if item[1].sets.get("epoch") is not Take.next_epoch) == []
    assert named((table, row) for table, row in DOMAIN_ROWS if "epoch" in row.sets and row.sets.get("owner") is None) == []


def test_an_owner_lets_go_only_when_its_hypervisor_shows_no_guest_and_a_fencer_only_on_proof():
    letting = [(table, row) for table, row in DOMAIN_ROWS if from_owned(table, row) and lets_go(row)]
    assert {row.by for _, row in letting} == {By.OWNER, By.FENCER}
    for table, row in letting:
        views = situations_of(table, row)
        assert views
        if row.by is By.OWNER:
            assert {view.guest for view in views} == {Guest.absent}, row
            assert {view.job for view in views} == {views[0].job.none}, row
        else:
            assert all(view.life.owner in view.gone for view in views), row


def test_a_vm_leaves_the_states_in_which_it_is_owned_only_when_its_owner_is_taken_from_it():
    leaving = [(table, row) for table, row in ROWS if table is DOMAIN and OWNED & set(row.source) and row.dest in UNOWNED]
    assert named(leaving)
    assert named((table, row) for table, row in leaving if row.sets.get("owner", Take.me) is not None) == []


def test_a_vm_enters_the_states_in_which_it_is_owned_only_with_an_owner():
    entering = [(table, row) for table, row in ROWS if table is DOMAIN and UNOWNED & set(row.source) and row.dest in OWNED]
    assert named(entering)
    assert named((table, row) for table, row in entering if row.sets.get("owner") is None) == []


@pytest.mark.parametrize("state", sorted(OWNED))
def test_stop_is_legal_wherever_a_guest_can_run(state):
    for want in set(Want) - {Want.stop}:
        view = view_of(DOMAIN, {"life.state": state, "life.want": want, "life.owner": "a"})
        answer = explain(DOMAIN, state, "stop", By.CLIENT, view)
        assert answer.row is not None
        assert (answer.row.dest, answer.row.sets) == (None, {"want": Want.stop})


def test_a_vm_that_is_being_moved_is_never_released_while_a_copy_may_be_complete_elsewhere():
    for row in DOMAIN.rows:
        if Domain.migrate in row.source and row.by & By.OWNER and row.dest in UNOWNED:
            assert Migration.moving not in {view.life.phase for view in situations_of(DOMAIN, row)}, row


# ---- evidence about nodes


def test_a_node_is_proven_off_by_its_power_or_by_an_operators_word_and_never_while_it_holds_a_session():
    proving = [row for row in FENCE.rows if row.dest is Fence.proven]
    assert {row.by for row in proving} == {By.FENCER, By.CLIENT}
    for row in proving:
        assert row.joint == ("node", "prove")
        for view in situations_of(FENCE, row):
            assert not view.alive
            assert row.by is By.CLIENT or view.reading is Power.off


def test_power_is_cut_only_after_a_write_of_the_fencer_never_under_a_brake_nor_while_the_node_lives():
    cutting = [(table, row) for table, row in ROWS if Effect.power_off in row.effects]
    assert [(table.name, row.trigger, row.by, row.dest) for table, row in cutting] == [("fence", "shoot", By.FENCER, Fence.shot)]
    for view in situations_of(*cutting[0]):
        assert (view.alive, view.brake, view.due, view.busy) == (False, "", True, False)


def test_a_node_that_was_stopped_cleanly_is_never_declared_dead():
    views = [view for row in FENCE.rows_for("declare") for view in situations_of(FENCE, row)]
    assert views
    assert Daemon.stop not in {view.life.daemon for view in views}


def test_a_node_whose_power_is_being_cut_cannot_join_while_its_fencer_lives():
    views = [view for row in NODE.rows_for("join") if Daemon.fencing in row.source for view in situations_of(NODE, row)]
    assert views
    assert not any(view.holder_alive for view in views)


def test_who_may_give_which_order():
    """A hypervisor takes orders from its own daemon, a fence device from the fencer."""
    at = {effect: By(0) for effect in Effect}
    for _, row in ROWS:
        for effect in row.effects:
            at[effect] |= row.by
    power = {Effect.read_power: By.FENCER | By.PEER, Effect.power_off: By.FENCER, Effect.power_on: By.FENCER}
    stray = {Effect.suspend: By.HOST, Effect.discard: By.HOST}
    assert at == {**dict.fromkeys(Effect, By.OWNER), Effect.create: By.TARGET, Effect.admit: By.TARGET, **stray, **power}
