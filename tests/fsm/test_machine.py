"""The machines: what happens to a tracker when a write is lost, an order is not taken, or a trigger is not allowed."""

import logging
import threading
from dataclasses import replace
from itertools import repeat

import pytest

from pvc.errors import Refused
from pvc.fsm.domain import DOMAIN
from pvc.fsm.fence import FENCE
from pvc.fsm.fire import after
from pvc.fsm.machine import NotOrdered, Tracker, fire, machine_of
from pvc.fsm.migration import MIGRATION
from pvc.fsm.row import Guard, enabled
from pvc.fsm.states import By, Daemon, Domain, Effect, Fence, Flush, Guest, Job, Kind, Migration, Want
from pvc.fsm.tables import FIELDS, TABLES
from pvc.fsm.views import DomainView, Life, NodeLife, NodeView, SessionLife, SessionView
from tests.fsm.recorder import Recorder
from tests.fsm.situations import EVERYBODY, cases, in_state, partner_takes

HERE, THERE = "hv1", "hv2"
DAEMONS = EVERYBODY & ~By.CLIENT


class LostRace(Exception):
    """Somebody else wrote first."""


def placed(**facts):
    """A VM that waits for this node to claim it."""
    life = Life(state=Domain.place, want=Want.start, target=HERE, home=HERE, epoch=4)
    return DomainView(life, me=HERE, guest=Guest.absent, fits=frozenset({HERE}), **facts)


def running(**facts):
    """A VM that runs on this node, seen by an admin who would move it."""
    life = Life(state=Domain.start, want=Want.start, owner=HERE, home=HERE, epoch=4)
    both = frozenset({HERE, THERE})
    return DomainView(life, guest=Guest.running, choice=THERE, fits=both, alive=both, op_id="op7", **facts)


def claim(view, port):
    tracker = Tracker("web", view.life)
    return tracker, lambda: fire(DOMAIN, "claim", tracker, By.TARGET, view, port)


# ---- a row that fires


def test_a_row_that_fires_is_written_then_ordered_and_returned():
    view, port = placed(), Recorder()
    tracker, go = claim(view, port)
    row = go()
    assert row.trigger == "claim"
    assert port.kinds == ["commit", "order"]
    assert port.log[0] == ("commit", tracker, row, None, view, after(DOMAIN, row, view))
    assert port.log[1] == ("order", tracker, Effect.create, view)
    assert (tracker.life.owner, tracker.life.epoch, tracker.domain_state) == (HERE, 5, Domain.boot)


def test_the_port_writes_while_the_tracker_still_has_its_old_record_and_takes_orders_when_it_has_the_new_one():
    seen = []

    class Looks(Recorder):
        def commit(self, tracker, row, partner, view, record):
            seen.append(("commit", tracker.domain_state))

        def order(self, tracker, effect, view):
            seen.append(("order", tracker.domain_state))

    claim(placed(), Looks())[1]()
    assert seen == [("commit", Domain.place), ("order", Domain.boot)]


def test_a_row_that_stays_but_sets_a_field_is_written():
    life = Life(state=Domain.start, want=Want.start, owner=HERE)
    tracker, port = Tracker("web", life), Recorder()
    fire(DOMAIN, "stop", tracker, By.CLIENT, DomainView(life), port)
    assert port.kinds == ["commit"]
    assert (tracker.domain_state, tracker.life.want) == (Domain.start, Want.stop)


def test_a_row_that_changes_nothing_is_not_written_and_gives_its_order():
    life = Life(state=Domain.shutdown, want=Want.shutdown, owner=HERE)
    tracker, port = Tracker("web", life), Recorder()
    row = fire(DOMAIN, "ask_again", tracker, By.OWNER, DomainView(life, me=HERE, guest=Guest.running), port)
    assert not row.writes
    assert (port.kinds, port.orders) == (["order"], [Effect.shutdown])
    assert tracker.life is life


def test_the_rows_of_one_trigger_are_tried_in_the_order_of_the_table():
    life = Life(state=Domain.start, want=Want.start, owner=HERE, restarts=9)
    view = DomainView(life, me=HERE, guest=Guest.absent, stays_off=True)
    dests = {fire(DOMAIN, "ended", Tracker("web", life), By.OWNER, view, Recorder()).dest for _ in range(3)}
    assert dests == {Domain.stop}


def test_an_actor_in_several_roles_fires_what_one_of_them_may():
    tracker, port = Tracker("web", placed().life), Recorder()
    assert fire(DOMAIN, "claim", tracker, By.TARGET | By.HOME | By.PEER, placed(), port).by is By.TARGET


# ---- a row with a partner


def test_a_row_and_its_partner_are_one_write():
    view, port = running(), Recorder()
    tracker = Tracker("web", view.life)
    row = fire(DOMAIN, "migrate", tracker, By.CLIENT, view, port)
    assert port.kinds == ["commit"]
    assert port.log[0][2:4] == (row, MIGRATION.rows_for("ask")[0])
    assert (tracker.domain_state, tracker.migration_state) == (Domain.migrate, Migration.asked)
    assert (tracker.life.target, tracker.life.kind) == (THERE, Kind.migrate)


def test_a_row_whose_partner_does_not_take_it_is_refused_in_the_partners_words():
    view = running()
    view = in_state(MIGRATION, view, Migration.moving)
    tracker, port = Tracker("web", view.life), Recorder()
    with pytest.raises(Refused, match="the migration is moving: one is in flight already"):
        fire(DOMAIN, "migrate", tracker, By.CLIENT, view, port)
    assert (tracker.life, port.log) == (view.life, [])


PARTNERS = [(table.name, trigger) for table in TABLES.values() for trigger in sorted(table.partner_triggers)]


@pytest.mark.parametrize(("name", "trigger"), PARTNERS)
def test_a_partners_transition_never_happens_alone(name, trigger):
    table = TABLES[name]
    for case in cases(table, trigger):
        tracker, port = Tracker("hv2", case.view.life), Recorder()
        with pytest.raises(Refused, match="only along with"):
            fire(table, trigger, tracker, case.by, case.view, port)
        assert (tracker.life, port.log) == (case.view.life, [])


def test_both_machines_of_a_node_move_in_one_record():
    life = NodeLife(daemon=Daemon.run, fence=Fence.evidence, by=HERE)
    tracker, port = Tracker(THERE, life), Recorder()
    fire(FENCE, "declare", tracker, By.FENCER, NodeView(life, node=THERE, me=HERE, due=True), port)
    assert (tracker.node_state, tracker.fence_state, tracker.flush_state) == (Daemon.dead, Fence.throws, Flush.ready)
    assert len(port.writes) == 1


# ---- a row that does not fire


@pytest.mark.parametrize("error", [LostRace("version 7, not 6"), ConnectionError("no answer"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_record_gives_no_order_and_raises_its_own_error(error):
    view, port = placed(), Recorder(on_commit=error)
    tracker, go = claim(view, port)
    with pytest.raises(type(error)) as raised:
        go()
    assert raised.value is error
    assert tracker.life is view.life
    assert port.log == []


def test_no_write_of_any_row_changes_anything_when_it_fails():
    port = Recorder(on_commit=LostRace())
    lost = 0
    for table, case in every_case():
        tracker = Tracker("web", case.view.life)
        try:
            fire(table, case.trigger, tracker, case.by, case.view, port)
        except LostRace:
            lost += 1
            assert tracker.life is case.view.life
            assert getattr(tracker, f"{table.name}_state") is getattr(case.view.life, FIELDS[table.name])
            assert port.log == []
        except Refused:
            pass
        port.log.clear()
    assert lost > 1000


def every_case():
    """The cases of every trigger, thinned out: conformance asks them all."""
    return [(table, case) for table in TABLES.values() for trigger in table.triggers for case in cases(table, trigger)[::5]]


def test_a_machine_that_lost_a_race_fires_again():
    view = placed()
    tracker, go = claim(view, Recorder(on_commit=LostRace()))
    with pytest.raises(LostRace):
        go()
    assert fire(DOMAIN, "claim", tracker, By.TARGET, view, Recorder()).dest is Domain.boot


@pytest.mark.parametrize(
    ("trigger", "by", "facts", "reason"),
    [
        ("claim", By.CLIENT, {}, "'claim' is fired by target alone"),
        ("started", By.OWNER, {}, "it is place: it is not being started"),
        ("claim", By.TARGET, {"due": True, "unfit": ((HERE, "it is full"),)}, "hv1 cannot take it: it is full"),
    ],
)
def test_a_trigger_that_is_not_allowed_says_why_and_leaves_everything_alone(trigger, by, facts, reason):
    view = DomainView(placed().life, me=HERE, guest=Guest.absent, **facts)
    tracker, port = Tracker("web", view.life), Recorder()
    with pytest.raises(Refused) as refused:
        fire(DOMAIN, trigger, tracker, by, view, port)
    assert refused.value.message == reason
    assert tracker.life is view.life
    assert port.log == []


def test_a_word_that_is_no_trigger_is_a_mistake_of_the_program():
    with pytest.raises(KeyError):
        fire(DOMAIN, "explode", Tracker("web", placed().life), By.CLIENT, placed(), Recorder())


def test_what_was_decided_on_an_older_record_is_refused():
    view, port = placed(), Recorder()
    tracker = Tracker("web", Life(state=Domain.place, want=Want.stop, target=HERE))
    with pytest.raises(Refused, match="web has changed since 'claim' was decided"):
        fire(DOMAIN, "claim", tracker, By.TARGET, view, port)
    assert port.log == []


def test_an_equal_record_that_was_read_again_is_the_same():
    view = placed()
    tracker = Tracker("web", placed().life)
    assert tracker.life is not view.life
    fire(DOMAIN, "claim", tracker, By.TARGET, view, Recorder())


# ---- orders that nobody takes


def test_an_order_that_nobody_takes_is_reported_and_the_write_stands():
    view = placed()
    tracker, go = claim(view, Recorder(on_order=RuntimeError("the queue is full")))
    with pytest.raises(NotOrdered, match="nobody took its order 'create': the queue is full") as raised:
        go()
    assert (raised.value.row.trigger, raised.value.effect) == ("claim", Effect.create)
    assert tracker.domain_state is Domain.boot


@pytest.mark.parametrize("name", [table.name for table in TABLES.values() if any(row.effects for row in table.rows)])
def test_a_lost_order_is_repeated_or_given_up_by_a_later_row(name):
    """The state is written, the order is lost: from there some daemon still has a row to fire, at latest when its time is over."""
    table = TABLES[name]
    for row in (row for row in table.rows if row.effects):
        fired = [view for view in map(consistent, repeat(table), cases(table, row.trigger)) if fires(table, row, view)]
        assert fired
        assert [(str(row), view) for view in fired if not goes_on(table, after(table, row, view), view)][:1] == []


def consistent(table, case):
    """The view of a case, with a migration in flight where the state says so, and only there."""
    if table is MIGRATION:
        return in_state(DOMAIN, case.view, Domain.migrate)
    elsewhere = table is DOMAIN and case.view.life.state is not Domain.migrate
    return in_state(MIGRATION, case.view, Migration.none) if elsewhere else case.view


def fires(table, row, view):
    """Whether this row may fire here."""
    return getattr(view.life, FIELDS[table.name]) in row.source and row.refuse(view) is None and partner_takes(row, view)


def goes_on(table, life, view):
    """Whether any daemon may fire anything on the record as it now is; the job that was in flight may have ended or not."""
    field, ended = ("busy", False) if isinstance(view, NodeView) else ("job", Job.none)
    views = [replace(view, life=life, due=True, **{field: value}) for value in (getattr(view, field), ended)]
    return any(firable(machine, row) for seen in views for machine in machines(table, life) for row in daemons_rows(machine, seen))


def machines(table, life):
    """The tables that say what happens next: a migration's while one is in flight."""
    if table not in (DOMAIN, MIGRATION):
        return (table,)
    return (DOMAIN, MIGRATION) if table is MIGRATION or life.state is Domain.migrate else (DOMAIN,)


def daemons_rows(table, view):
    """What any daemon may fire."""
    return enabled(table, getattr(view.life, FIELDS[table.name]), DAEMONS, view)


def firable(table, row):
    """Whether a row fires by itself, not only as the partner of another."""
    return row.trigger not in table.partner_triggers


# ---- the library's pitfalls


def test_there_is_one_machine_per_table_and_no_tracker_is_registered_in_it():
    for table in TABLES.values():
        machine = machine_of(table)
        assert machine is machine_of(table)
        assert set(machine.events) == set(table.triggers)
    claim(placed(), Recorder())[1]()
    assert [machine_of(table).models for table in TABLES.values()] == [[]] * len(TABLES)


def test_no_machine_queues_ignores_or_swallows_anything():
    for machine in map(machine_of, TABLES.values()):
        assert not machine.has_queue
        assert not machine.ignore_invalid_triggers
        assert (machine.on_exception, machine.finalize_event, machine.prepare_event) == ([], [], [])
        assert all(not state.on_enter and not state.on_exit for state in machine.states.values())


def test_a_tracker_has_slots_and_shows_every_machine_s_state():
    tracker = Tracker("web", Life())
    assert not hasattr(tracker, "__dict__")
    with pytest.raises(AttributeError):
        tracker.other = 1
    assert [name for name in TABLES if not hasattr(Tracker, f"{name}_state")] == []


def test_a_tracker_follows_a_newer_record():
    tracker = Tracker("web", Life())
    tracker.life = placed().life
    assert tracker.domain_state is Domain.place


def test_a_state_that_was_not_written_cannot_be_set():
    tracker = Tracker("web", Life(state=Domain.stop))
    with pytest.raises(AssertionError, match="web: 'stop' was written where the row leads to 'start'"):
        tracker.domain_state = Domain.start


def test_the_library_logs_nothing_below_warning(caplog):
    with caplog.at_level(logging.DEBUG):
        claim(placed(), Recorder())[1]()
    assert caplog.records == []


def test_a_guard_holds_when_it_is_true_whatever_its_type():
    """The library itself compares with True, and a list of what is left would never equal that."""
    table = door(Guard("somebody knocks", lambda view: view.knocks, "nobody knocks"))

    class Seen(SessionView):
        knocks = ("twice",)

    view = Seen(SessionLife())
    assert fire(table, "open", Tracker("door", view.life), By.OWNER, view, Recorder()).trigger == "open"


def door(guard):
    """The connection's table, with a guard on its first row."""
    connection = TABLES["connection"]
    return replace(connection, rows=(replace(connection.rows[0], guards=(guard,)), *connection.rows[1:]))


def test_machines_are_shared_by_threads_that_fire_different_trackers():
    trackers = [Tracker(f"vm{number}", placed().life) for number in range(400)]
    errors = []

    def work(some):
        try:
            for tracker in some:
                fire(DOMAIN, "claim", tracker, By.TARGET, placed(), Recorder())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(trackers[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {tracker.domain_state for tracker in trackers} == {Domain.boot}
