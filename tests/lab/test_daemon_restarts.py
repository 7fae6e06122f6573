"""pvcd ended and started again in the middle of everything: it ends as if nothing had been, no guest ever runs twice, none is lost."""

import pytest

from lab import wait_until
from pvc.fsm.states import Domain, Flush, Migration
from tests.lab.moments import asked_off, asked_to_restart, claimed, created, creating, destroying, end_daemons, overdue, placed
from tests.lab.stage import END_S, KILL, TERM

pytestmark = pytest.mark.lab
NOW, LATER = True, False

# Whose pvcd is ended how, the command given while it is away, whether it is started again while things still hang, and how it ends.
# fmt: off
CASES = {
    "placed, killed":                             (placed,           ("source",), KILL, None, NOW, Domain.start),
    "placed, stopped":                            (placed,           ("source",), TERM, None, NOW, Domain.start),
    "placed, killed, wanted off":                 (placed,           ("source",), KILL, "stop", NOW, Domain.stop),
    "claimed, killed":                            (claimed,          ("source",), KILL, None, LATER, Domain.start),
    "creating, killed":                           (creating,         ("source",), KILL, None, NOW, Domain.start),
    "creating, stopped":                          (creating,         ("source",), TERM, None, NOW, Domain.start),
    "creating, killed, back when it runs":        (creating,         ("source",), KILL, None, LATER, Domain.start),
    "creating, killed, wanted off":               (creating,         ("source",), KILL, "stop", NOW, Domain.stop),
    "created, killed":                            (created,          ("source",), KILL, None, NOW, Domain.start),
    "created, stopped":                           (created,          ("source",), TERM, None, LATER, Domain.start),
    "created, killed, wanted off":                (created,          ("source",), KILL, "stop", LATER, Domain.stop),
    "asked off, killed":                          (asked_off,        ("source",), KILL, None, LATER, Domain.stop),
    "asked off, stopped":                         (asked_off,        ("source",), TERM, None, NOW, Domain.stop),
    "asked off, killed, wanted off at once":      (asked_off,        ("source",), KILL, "stop", NOW, Domain.stop),
    "asked off, killed, wanted up":               (asked_off,        ("source",), KILL, "start", LATER, Domain.start),
    "asked to restart, killed":                   (asked_to_restart, ("source",), KILL, None, LATER, Domain.start),
    "asked to restart, stopped":                  (asked_to_restart, ("source",), TERM, None, NOW, Domain.start),
    "destroying, killed":                         (destroying,       ("source",), KILL, None, NOW, Domain.stop),
    "destroying, stopped":                        (destroying,       ("source",), TERM, None, LATER, Domain.stop),
    "destroying, killed, wanted up":              (destroying,       ("source",), KILL, "start", NOW, Domain.start),
    "overdue, killed":                            (overdue,          ("source",), KILL, None, NOW, Domain.stop),
    "overdue, wanted off at once":                (overdue,          (),         None, "stop", NOW, Domain.stop),
    "overdue, wanted up":                         (overdue,          (),         None, "start", NOW, Domain.start),
}
# fmt: on


@pytest.mark.parametrize(("moment", "whose", "number", "command", "while_held", "end"), CASES.values(), ids=CASES)
def test_an_ended_daemon_changes_nothing(stage_for, moment, whose, number, command, while_held, end):
    stage = stage_for("web")
    with moment(stage):
        end_daemons(stage, whose, number, command, while_held)
    stage.rests(end)


# -- Whole nodes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [KILL, TERM], ids=["killed", "stopped"])
def test_a_flush_goes_on_when_its_daemon_is_back(stage_for, number):
    """And so does the way home, when the node is given back."""
    stage = stage_for("web")
    stage.up()
    stage.ask("move", stage.target)
    stage.reach(Domain.start, Migration.none)
    stage.up()
    with stage.copying(ask=lambda: stage.flush("source")):
        stage.end("source", number)
        stage.begin_and_wait("source")
    wait_until(lambda: stage.node("source").flush is Flush.flushed, END_S, "the node is flushed")
    stage.rests()
    assert stage.life.owner != stage.source

    stage.ready("source")
    stage.reach(Domain.migrate)
    stage.end("source", number)
    stage.begin_and_wait("source")
    wait_until(lambda: stage.node("source").flush is Flush.ready, END_S, "the node is ready")
    wait_until(lambda: stage.life.owner == stage.source, END_S, "it is at home")
    stage.rests()
