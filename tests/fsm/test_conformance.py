"""The machines do what the tables say: every trigger, state and actor, in every situation that the guards can tell apart."""

from dataclasses import replace
from functools import cache

import pytest

from pvc.errors import Refused
from pvc.fsm.fire import state_of
from pvc.fsm.machine import Tracker, fire
from pvc.fsm.row import Guard, TableError, enabled, explain, roles_in
from pvc.fsm.states import By, Effect
from pvc.fsm.tables import FIELDS, TABLES
from pvc.fsm.views import taken
from tests.fsm.recorder import Recorder
from tests.fsm.situations import cases, every_field, fields_read, partner_rows, partner_takes, values_of

ALL = TABLES.values()
TABLE_NAMES = list(TABLES)
ROWS = [(table, row) for table in ALL for row in table.rows]


# ---- what the table says, from the interpreter that everything else shares


def should_fire(table, case):
    """The row that the table allows, if any."""
    if case.trigger in table.partner_triggers:
        return None
    rows = enabled(table, state_of(table, case.view.life), case.by, case.view)
    return next((row for row in rows if row.trigger == case.trigger and partner_takes(row, case.view)), None)


@cache
def asked(table, trigger):
    """Every case of a trigger, and the row that the table allows in it."""
    return [(case, should_fire(table, case)) for case in cases(table, trigger)]


def should_write(table, row, view):
    """The record after a row, built here once more, because the machine uses `after` itself."""
    life = view.life
    for name, machine in ((row.joint[0], partner_in(row, view)), (table.name, row)) if row.joint else ((table.name, row),):
        changes = {field: taken(value, view) for field, value in machine.sets.items()}
        life = replace(life, **changes, **({FIELDS[name]: machine.dest} if machine.dest is not None else {}))
    return life


def partner_in(row, view):
    """The partner's row that commits together with this one in this view."""
    state = getattr(view.life, FIELDS[row.joint[0]])
    return next(partner for partner in partner_rows(row) if state in partner.source)


# ---- what the machine does


def play(table, case):
    """Fire one case: the row that fired or the reason, the tracker, and the port's log."""
    tracker, port = Tracker("vm", case.view.life), Recorder()
    try:
        return fire(table, case.trigger, tracker, case.by, case.view, port), tracker, port
    except Refused as refused:
        return refused.message, tracker, port


def complaints(table, case, wanted, machine_table=None):
    """What the machine, made from this or from a broken table, does otherwise than the table says."""
    got, tracker, port = play(machine_table or table, case)
    if wanted is None:
        return [f"fires {got}"] if not isinstance(got, str) else [*refused_wrongly(table, case, got), *left_alone(case, tracker, port)]
    if isinstance(got, str):
        return [f"refuses {wanted}: {got}"]
    position = (machine_table or table).rows.index(got)
    if table.rows[position] is not wanted:
        return [f"fires {got} instead of {wanted}"]
    return fired_wrongly(table, wanted, got, case.view, tracker, port)


def refused_wrongly(table, case, reason):
    """Whether the reason is another than the table's own."""
    answer = explain(table, state_of(table, case.view.life), case.trigger, case.by, case.view)
    if answer.row is None:
        return [] if case.trigger in table.partner_triggers or reason == answer.reason else [f"says '{reason}', not '{answer.reason}'"]
    return [] if answer.row.joint is not None or case.trigger in table.partner_triggers else [f"refuses {answer.row}: {reason}"]


def left_alone(case, tracker, port):
    """Whether a refusal touched anything."""
    return [] if tracker.life is case.view.life and not port.log else [f"refused, and yet did {port.log}"]


def fired_wrongly(table, wanted, got, view, tracker, port):
    """Whether record, order of events or orders differ from the row."""
    record = should_write(table, wanted, view)
    found = []
    if tracker.life != record or getattr(tracker, f"{table.name}_state") is not (wanted.dest or state_of(table, view.life)):
        found.append(f"{wanted} leaves {tracker.life}, not {record}")
    if port.kinds != ["commit"] * wanted.writes + ["order"] * len(wanted.effects):
        found.append(f"{wanted} does {port.kinds}")
    if port.orders != list(wanted.effects):
        found.append(f"{wanted} orders {port.orders}")
    if wanted.writes:
        partner = partner_in(wanted, view) if wanted.joint else None
        if port.log[:1] != [("commit", tracker, got, partner, view, record)]:
            found.append(f"{wanted} commits {port.log[:1]}")
    return found


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_the_machine_fires_what_the_table_allows_and_nothing_else(name):
    table = TABLES[name]
    every = [item for trigger in table.triggers for item in asked(table, trigger)]
    assert [(complaint, case) for case, wanted in every for complaint in complaints(table, case, wanted)][:3] == []


# ---- that the comparison means something


def test_every_field_that_a_guard_may_read_has_small_values():
    for table in ALL:
        assert set(values_of(table)) == every_field(table)


def test_no_guard_reads_the_state_of_its_own_machine():
    """A guard that did would be a second list of sources; the small situations count on it."""
    own = {table.name: "life." + FIELDS[table.name] for table in ALL}
    assert [row for table, row in ROWS for guard in row.guards if own[table.name] in fields_read(table, guard.test)] == []


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_every_row_fires_from_every_source_for_every_actor(name):
    table = TABLES[name]
    every = [item for trigger in table.triggers for item in asked(table, trigger)]
    seen = {(row, state_of(table, case.view.life), case.by) for case, row in every}
    possible = [(row, state, by) for row in table.rows for state in row.source for by in roles_in(row.by)]
    firable = [item for item in possible if item[0].trigger not in table.partner_triggers]
    assert [(str(row), str(state), by.name) for row, state, by in firable if (row, state, by) not in seen] == []


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_every_guard_of_every_row_alone_makes_a_difference(name):
    """For each guard there is a situation in which it alone forbids its row; one without is superfluous, or never asked."""
    table = TABLES[name]
    never = []
    for row in table.rows:
        alone = {guard for case in cases(table, row.trigger) for guard in forbidding(table, row, case)}
        never += [f"{row}: {guard.name}" for guard in row.guards if guard not in alone]
    assert never == []


def forbidding(table, row, case):
    """The one guard that forbids this row in this case, where there is just one.

    The partner is not asked: look-ups that do not fire, a client's for example, ask the guards alone.
    """
    if not row.by & case.by or state_of(table, case.view.life) not in row.source:
        return []
    failed = [guard for guard in row.guards if not guard.test(case.view)]
    return failed if len(failed) == 1 else []


def broken(table, row, **changes):
    """The same table with one row changed."""
    return replace(table, rows=tuple(replace(row, **changes) if other is row else other for other in table.rows))


def noticed(table, row, **changes):
    """Whether a machine with this one row changed is told from the table."""
    try:
        other = broken(table, row, **changes)
    except TableError:
        return True  # noticed even sooner
    here = (item for item in asked(table, row.trigger) if state_of(table, item[0].view.life) in row.source)
    return any(complaints(table, case, wanted, other) for case, wanted in here)


def matters(table, row, guard):
    """Whether this guard, where it alone forbids the row, is not forestalled by an earlier row of the trigger anyway."""
    earlier = table.rows[: table.rows.index(row)]
    alone = (item for item in asked(table, row.trigger) if forbidding(table, row, item[0]) == [guard] and partner_takes(row, item[0].view))
    return any(fires not in earlier for _, fires in alone)


ANYTHING = Guard("anything goes", lambda view: True, "")
FIRABLE = [(table, row) for table, row in ROWS if row.trigger not in table.partner_triggers]
GUARDED = [(table, row, guard) for table, row in FIRABLE for guard in row.guards]


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_a_machine_that_forgets_a_guard_is_noticed(name):
    missed = []
    for table, row, guard in (item for item in GUARDED if item[0].name == name):
        others = tuple(ANYTHING if other is guard else other for other in row.guards)
        if matters(table, row, guard) and not noticed(table, row, guards=others):
            missed.append(f"{row}: {guard.name}")
    assert missed == []


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_a_machine_that_forgets_who_may_is_noticed(name):
    of_table = [(table, row) for table, row in FIRABLE if table.name == name]
    strangers = {row: next(by for by in By if not by & everybody(table, row.trigger)) for table, row in of_table}
    assert [str(row) for table, row in of_table if not noticed(table, row, by=row.by | strangers[row])] == []


def everybody(table, trigger):
    """All who may fire any row of a trigger."""
    together = By(0)
    for row in table.rows_for(trigger):
        together |= row.by
    return together


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_a_machine_that_forgets_an_order_or_gives_one_is_noticed(name):
    of_table = [(table, row) for table, row in FIRABLE if table.name == name]
    assert [str(row) for table, row in of_table if row.effects and not noticed(table, row, effects=())] == []
    assert [str(row) for table, row in of_table if not noticed(table, row, effects=(*row.effects, Effect.power_off))] == []


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_a_machine_that_forgets_to_set_a_field_is_noticed(name):
    missed = []
    for table, row in ((table, row) for table, row in FIRABLE if table.name == name):
        for field in row.sets:
            rest = {other: value for other, value in row.sets.items() if other != field}
            if not noticed(table, row, sets=rest):
                missed.append(f"{row}: {field}")
    assert missed == []


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_a_machine_that_forgets_the_partner_is_noticed(name):
    joint = [(table, row) for table, row in FIRABLE if table.name == name and row.joint]
    assert [str(row) for table, row in joint if not noticed(table, row, joint=None)] == []
