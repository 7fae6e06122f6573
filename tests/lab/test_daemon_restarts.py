"""pvcd ended and started again in the middle of everything: it ends as if nothing had been, no guest ever runs twice, none is lost."""

from contextlib import ExitStack, contextmanager

import pytest

from lab import wait_until
from pvc.fsm.states import Domain, Flush, Migration
from tests.lab.record import REACH_S
from tests.lab.stage import END_S, KILL, TERM

pytestmark = pytest.mark.lab
NOW, LATER = True, False


# -- Moments of a start ------------------------------------------------------------------------------------------------


@contextmanager
def placed(stage):
    """It is to start on a node that has not claimed it."""
    stage.off()
    with stage.frozen("source", "pvcd"):
        stage.ask("start", stage.source)
        stage.reach(Domain.place)
        yield


@contextmanager
def claimed(stage):
    """Its owner has claimed it, and libvirt there does not answer."""
    stage.off()
    with stage.frozen("source", "libvirtd"):
        stage.ask("start", stage.source)
        stage.reach(Domain.boot)
        yield


@contextmanager
def creating(stage):
    """libvirt is about to start its QEMU."""
    stage.off()
    with stage.gate("source", "prepare") as reached:
        stage.ask("start", stage.source)
        reached()
        yield


@contextmanager
def created(stage):
    """It runs, and nobody has written that it does."""
    stage.off()
    with stage.gate("source", "started") as reached:
        stage.ask("start", stage.source)
        reached()
        wait_until(lambda: stage.runs_on() == {stage.source}, REACH_S, "it runs")
        assert stage.life.state is Domain.boot
        yield


# -- Moments of a shutdown ---------------------------------------------------------------------------------------------


@contextmanager
def asked_off(stage):
    """It was asked to power itself off; a guest that is frozen hears it when it goes on."""
    stage.up()
    with stage.frozen_guest("source"):
        stage.ask("shutdown")
        stage.reach(Domain.shutdown)
        yield


@contextmanager
def asked_to_restart(stage):
    """It was asked to power itself off, to be started again."""
    stage.up()
    with stage.frozen_guest("source"):
        stage.ask("restart")
        stage.reach(Domain.restart)
        yield


@contextmanager
def destroying(stage):
    """Its power is being cut: its QEMU is dead, and libvirt is not done with it."""
    stage.up()
    with stage.gate("source", "stopped") as reached:
        stage.ask("stop")
        reached()
        assert stage.life.state is Domain.destroy
        yield


# -- Moments of a migration --------------------------------------------------------------------------------------------


@contextmanager
def asked(stage):
    """The target has not yet said whether it takes it."""
    stage.up()
    with stage.frozen("target", "pvcd"):
        stage.migrate()
        stage.reach(Domain.migrate, Migration.asked)
        yield


@contextmanager
def accepted(stage):
    """The target takes it, and the source has not begun."""
    stage.up()
    with ExitStack() as frozen:
        with stage.frozen("target", "pvcd"):
            stage.migrate()
            stage.reach(Domain.migrate, Migration.asked)
            frozen.enter_context(stage.frozen("source", "pvcd"))
        stage.reach(Domain.migrate, Migration.accepted)
        yield


@contextmanager
def copying(stage):
    """libvirt copies it."""
    stage.up()
    with stage.copying():
        yield


@contextmanager
def arrived(stage):
    """Its copy is complete, its QEMU at the source is dead, libvirt is not done with it, and the record does not say so."""
    stage.up()
    with ExitStack() as held:
        reached = held.enter_context(stage.gate("source", "stopped"))
        with stage.copying():
            held.enter_context(stage.frozen("source", "pvcd"))
        reached()
        assert stage.life.phase is Migration.moving
        yield


@contextmanager
def given(stage):
    """The record gives it to the target, where nobody lets it run yet."""
    stage.up()
    with ExitStack() as held:
        with stage.copying():
            held.enter_context(stage.frozen("target", "pvcd"))
        stage.reach(Domain.migrate, Migration.handover)
        yield


@contextmanager
def resumed(stage):
    """It runs on its target, which cannot write that it does."""
    with ExitStack() as held:
        with given(stage):
            guest = held.enter_context(ExitStack())
            guest.enter_context(stage.frozen_guest("target"))
        wait_until(lambda: stage.has_fired("target", "resume"), REACH_S, "the target lets it run")
        held.enter_context(stage.without_zookeeper("target"))
        guest.close()
        wait_until(lambda: stage.runs_on() == {stage.target}, REACH_S, "it runs")
        assert stage.life.phase is Migration.handover
        yield


# -- The cases ---------------------------------------------------------------------------------------------------------

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
    "asked to move, source killed":               (asked,            ("source",), KILL, None, NOW, Domain.start),
    "asked to move, target killed":               (asked,            ("target",), KILL, None, NOW, Domain.start),
    "asked to move, target stopped":              (asked,            ("target",), TERM, None, LATER, Domain.start),
    "accepted, source killed":                    (accepted,         ("source",), KILL, None, NOW, Domain.start),
    "accepted, source stopped":                   (accepted,         ("source",), TERM, None, LATER, Domain.start),
    "accepted, target killed":                    (accepted,         ("target",), KILL, None, NOW, Domain.start),
    "copying, source killed":                     (copying,          ("source",), KILL, None, NOW, Domain.start),
    "copying, source stopped, back when it moved": (copying,         ("source",), TERM, None, LATER, Domain.start),
    "copying, target killed":                     (copying,          ("target",), KILL, None, NOW, Domain.start),
    "copying, target stopped":                    (copying,          ("target",), TERM, None, LATER, Domain.start),
    "copying, both killed":                       (copying,          ("source", "target"), KILL, None, NOW, Domain.start),
    "copying, source killed, called off":         (copying,          ("source",), KILL, "cancel", NOW, Domain.start),
    "copying, source killed, wanted off":         (copying,          ("source",), KILL, "stop", NOW, Domain.stop),
    "arrived, source killed":                     (arrived,          ("source",), KILL, None, NOW, Domain.start),
    "arrived, source stopped":                    (arrived,          ("source",), TERM, None, LATER, Domain.start),
    "arrived, target killed":                     (arrived,          ("target",), KILL, None, LATER, Domain.start),
    "arrived, both killed":                       (arrived,          ("source", "target"), KILL, None, NOW, Domain.start),
    "arrived, source killed, wanted off":         (arrived,          ("source",), KILL, "stop", NOW, Domain.stop),
    "given, source killed":                       (given,            ("source",), KILL, None, NOW, Domain.start),
    "given, target killed":                       (given,            ("target",), KILL, None, NOW, Domain.start),
    "given, target stopped":                      (given,            ("target",), TERM, None, NOW, Domain.start),
    "given, target killed, wanted off":           (given,            ("target",), KILL, "shutdown", NOW, Domain.stop),
    "resumed, target killed":                     (resumed,          ("target",), KILL, None, LATER, Domain.start),
    "resumed, target killed, wanted off":         (resumed,          ("target",), KILL, "stop", LATER, Domain.stop),
}
# fmt: on
ONE_LIFE = (asked, accepted, copying, arrived, given, resumed)


@pytest.mark.parametrize(("moment", "whose", "number", "command", "while_held", "end"), CASES.values(), ids=CASES)
def test_an_ended_daemon_changes_nothing(stage_for, moment, whose, number, command, while_held, end):
    stage = stage_for("web")
    with moment(stage):
        boots = stage.boots()
        for role in whose:
            stage.end(role, number)
        if command:
            stage.ask(command)
        if while_held:
            for role in whose:
                stage.begin_and_wait(role)
    stage.rests(end)
    if moment in ONE_LIFE and end is Domain.start:
        stage.ticks_on()
        assert stage.boots() == boots, "it did not go on, it began anew"


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
