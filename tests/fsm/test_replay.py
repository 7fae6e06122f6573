"""What was written is explained by the row that wrote it, and by no row when it was written past the tables."""

from dataclasses import fields, replace
from itertools import islice

import pytest

from pvc.fsm.fire import after
from pvc.fsm.replay import Writer, explanations, unexplained
from pvc.fsm.states import By, Daemon, Domain, Want
from pvc.fsm.tables import TABLES
from pvc.fsm.views import Life, NodeLife
from tests.fsm.situations import views_for

FIRING = [
    (table, row)
    for name, table in TABLES.items()
    if name != "connection"
    for row in table.rows
    if row.writes and row.trigger not in table.partner_triggers
]
PAST = {"epoch": 77, "restarts": 99, "home": "nobody", "op_id": 4711}
"""Values that no row writes."""


FROM_OUTSIDE = ("op_id", "choice", "choice_or_me", "home_after")
"""What a row takes from the situation: any value will do."""


def firings(table, row):
    """Views in which this row may fire, and what it makes of their records."""
    state = row.source[0]
    field = {"domain": "state", "migration": "phase", "node": "daemon"}.get(table.name, table.name)
    for view in views_for(table, row.trigger):
        seen = replace(view, life=replace(view.life, **{field: state}))
        if row.refuse(seen) is not None:
            continue
        try:
            yield seen, after(table, row, seen)
        except LookupError:
            continue  # the partner does not take it in this view


def explained(before, now, **known):
    return [(one.table, one.row) for one in explanations(before, now, Writer(**known))]


@pytest.mark.parametrize(("table", "row"), FIRING, ids=[f"{table.name} {row}" for table, row in FIRING])
def test_what_a_row_writes_is_explained_by_it(table, row):
    found = list(islice(firings(table, row), 200))
    assert found
    for view, life in found:
        gone = isinstance(life, Life) and life.state is Domain.delete
        assert (table, row) in explained(view.life, life, by=row.by, trigger=row.trigger)
        for field in () if gone else fields(life):
            strange = replace(life, **{field.name: PAST[field.name]}) if field.name in PAST else life
            if strange != life and getattr(row.sets.get(field.name), "name", "") not in FROM_OUTSIDE:
                assert (table, row) not in explained(view.life, strange, trigger=row.trigger)


UP = Life(state=Domain.start, want=Want.start, owner="hv1", home="hv1", epoch=3)
AWAY = replace(UP, state=Domain.place, owner=None, target="hv2")


def test_a_recovery_by_nobody_with_a_fence_is_explained_by_nothing():
    assert [row.trigger for _, row in explained(UP, AWAY, by=By.FENCER)] == ["recover"]
    assert not explained(UP, AWAY, by=By.CLIENT)


def test_a_role_that_the_record_gives_to_another_is_not_taken():
    claimed = replace(AWAY, state=Domain.boot, owner="hv2", target=None, epoch=4)
    assert [row.trigger for _, row in explained(AWAY, claimed, me="hv2")] == ["claim"]
    assert not explained(AWAY, claimed, me="hv3")


def test_a_guard_that_the_record_alone_answers_is_asked():
    asked_off = replace(UP, state=Domain.shutdown, request=UP.request)
    assert not explained(UP, asked_off)  # it is wanted up
    assert explained(replace(UP, want=Want.shutdown), replace(asked_off, want=Want.shutdown))


def test_what_nothing_explains_is_said_with_every_field():
    sentence = unexplained("web1", UP, replace(UP, epoch=9, want=Want.stop), Writer("hv2", By.OWNER, "started"))
    assert sentence == "no row explains what hv2 wrote as 'started' by owner: web1: want start -> stop, epoch 3 -> 9"


def test_a_node_that_is_given_for_dead_without_a_fence_is_explained_by_nothing():
    assert not explained(NodeLife(daemon=Daemon.run), NodeLife(daemon=Daemon.fenced))
