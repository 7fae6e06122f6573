"""The same in the middle of a live migration, on both sides and beside it: a guest goes on counting, it is never started anew."""

import pytest

from pvc.fsm.states import Domain
from tests.lab.moments import accepted, arrived, asked, copying, end_daemons, given, resumed
from tests.lab.stage import KILL, TERM

pytestmark = pytest.mark.lab
NOW, LATER = True, False

# Whose pvcd is ended how, the command given while it is away, whether it is started again while things still hang, and how it ends.
# fmt: off
CASES = {
    "asked to move, source killed":               (asked,            ("source",), KILL, None, NOW, Domain.start),
    "asked to move, target killed":               (asked,            ("target",), KILL, None, NOW, Domain.start),
    "asked to move, wanted off":                  (asked,            (),         None, "stop", NOW, Domain.stop),
    "asked to move, target stopped":              (asked,            ("target",), TERM, None, LATER, Domain.start),
    "accepted, source killed":                    (accepted,         ("source",), KILL, None, NOW, Domain.start),
    "accepted, source stopped":                   (accepted,         ("source",), TERM, None, LATER, Domain.start),
    "accepted, wanted off":                       (accepted,         (),         None, "stop", NOW, Domain.stop),
    "accepted, target killed":                    (accepted,         ("target",), KILL, None, NOW, Domain.start),
    "copying, source killed":                     (copying,          ("source",), KILL, None, NOW, Domain.start),
    "copying, source stopped, back when it moved": (copying,         ("source",), TERM, None, LATER, Domain.start),
    "copying, target killed":                     (copying,          ("target",), KILL, None, NOW, Domain.start),
    "copying, target stopped":                    (copying,          ("target",), TERM, None, LATER, Domain.start),
    "copying, both killed":                       (copying,          ("source", "target"), KILL, None, NOW, Domain.start),
    "copying, third killed":                      (copying,          ("third",), KILL, None, NOW, Domain.start),
    "copying, source killed, called off":         (copying,          ("source",), KILL, "cancel", NOW, Domain.start),
    "copying, source killed, wanted off":         (copying,          ("source",), KILL, "stop", NOW, Domain.stop),
    "arrived, source killed":                     (arrived,          ("source",), KILL, None, NOW, Domain.start),
    "arrived, third killed":                      (arrived,          ("third",), KILL, None, LATER, Domain.start),
    "arrived, source stopped":                    (arrived,          ("source",), TERM, None, LATER, Domain.start),
    "arrived, target killed":                     (arrived,          ("target",), KILL, None, LATER, Domain.start),
    "arrived, both killed":                       (arrived,          ("source", "target"), KILL, None, NOW, Domain.start),
    "arrived, source killed, wanted off":         (arrived,          ("source",), KILL, "stop", NOW, Domain.stop),
    "given, source killed":                       (given,            ("source",), KILL, None, NOW, Domain.start),
    "given, target killed":                       (given,            ("target",), KILL, None, NOW, Domain.start),
    "given, wanted off":                          (given,            (),         None, "stop", NOW, Domain.stop),
    "given, target stopped":                      (given,            ("target",), TERM, None, NOW, Domain.start),
    "given, target killed, wanted off":           (given,            ("target",), KILL, "shutdown", NOW, Domain.stop),
    "resumed, target killed":                     (resumed,          ("target",), KILL, None, LATER, Domain.start),
    "resumed, target killed, wanted off":         (resumed,          ("target",), KILL, "stop", LATER, Domain.stop),
}
# fmt: on


@pytest.mark.parametrize(("moment", "whose", "number", "command", "while_held", "end"), CASES.values(), ids=CASES)
def test_an_ended_daemon_changes_nothing(stage_for, moment, whose, number, command, while_held, end):
    stage = stage_for("web")
    with moment(stage):
        boots = end_daemons(stage, whose, number, command, while_held)
    stage.rests(end)
    if end is Domain.start:
        stage.ticks_on()
        assert stage.boots() == boots, "it did not go on, it began anew"


# With libvirt's own hand-over a guest runs on its target as soon as it has arrived, whatever the record says by then.
LIBVIRT_HANDOVER = {
    "accepted, source killed": (accepted, ("source",), KILL),
    "accepted, target stopped": (accepted, ("target",), TERM),
    "copying, source killed": (copying, ("source",), KILL),
    "copying, target killed": (copying, ("target",), KILL),
    "copying, both stopped": (copying, ("source", "target"), TERM),
    "arrived, source killed": (arrived, ("source",), KILL),
    "arrived, both killed": (arrived, ("source", "target"), KILL),
    "given, source killed": (given, ("source",), KILL),
    "given, target killed": (given, ("target",), KILL),
}


@pytest.mark.parametrize(("moment", "whose", "number"), LIBVIRT_HANDOVER.values(), ids=LIBVIRT_HANDOVER)
def test_nor_does_it_where_libvirt_hands_over(stage_for, moment, whose, number):
    stage = stage_for("db", disk=True)
    stage.handover = "libvirt"
    with moment(stage):
        boots = end_daemons(stage, whose, number, None, NOW)
    stage.rests()
    stage.ticks_on()
    assert stage.boots() == boots, "it did not go on, it began anew"
