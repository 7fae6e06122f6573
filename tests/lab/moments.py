"""Moments in the life of a VM, each held as long as a `with` lasts, and what it is to end daemons in one of them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from lab import wait_until
from pvc.fsm.states import Domain, Migration
from tests.lab.record import REACH_S
from tests.lab.stage import Stage

# -- Moments of a start ------------------------------------------------------------------------------------------------


@contextmanager
def placed(stage: Stage) -> Iterator[None]:
    """It is to start on a node that has not claimed it."""
    stage.off()
    with stage.frozen("source", "pvcd"):
        stage.ask("start", stage.source)
        stage.reach(Domain.place)
        yield


@contextmanager
def claimed(stage: Stage) -> Iterator[None]:
    """Its owner has claimed it, and libvirt there does not answer."""
    stage.off()
    with stage.frozen("source", "libvirtd"):
        stage.ask("start", stage.source)
        stage.reach(Domain.boot)
        yield


@contextmanager
def creating(stage: Stage) -> Iterator[None]:
    """libvirt is about to start its QEMU."""
    stage.off()
    with stage.gate("source", "prepare") as reached:
        stage.ask("start", stage.source)
        reached()
        yield


@contextmanager
def created(stage: Stage) -> Iterator[None]:
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
def asked_off(stage: Stage) -> Iterator[None]:
    """It was asked to power itself off; a guest that is frozen hears it when it goes on."""
    stage.up()
    with stage.frozen_guest("source"):
        stage.ask("shutdown")
        stage.reach(Domain.shutdown)
        yield


@contextmanager
def asked_to_restart(stage: Stage) -> Iterator[None]:
    """It was asked to power itself off, to be started again."""
    stage.up()
    with stage.frozen_guest("source"):
        stage.ask("restart")
        stage.reach(Domain.restart)
        yield


@contextmanager
def destroying(stage: Stage) -> Iterator[None]:
    """Its power is being cut: its QEMU is dead, and libvirt is not done with it."""
    stage.up()
    with stage.gate("source", "stopped") as reached:
        stage.ask("stop")
        reached()
        assert stage.life.state is Domain.destroy
        yield


@contextmanager
def overdue(stage: Stage) -> Iterator[None]:
    """It did not go off in its time, so its power is being cut: its QEMU is dead, and libvirt is not done with it."""
    stage.up()
    stage.give_up_soon()
    with stage.gate("source", "stopped") as reached:
        with stage.frozen_guest("source"):
            stage.ask("shutdown")
            stage.reach(Domain.destroy)
        reached()
        assert stage.life.state is Domain.destroy
        yield


# -- Moments of a migration --------------------------------------------------------------------------------------------


@contextmanager
def asked(stage: Stage) -> Iterator[None]:
    """The target has not yet said whether it takes it."""
    stage.up()
    with stage.frozen("target", "pvcd"):
        stage.migrate()
        stage.reach(Domain.migrate, Migration.asked)
        yield


@contextmanager
def accepted(stage: Stage) -> Iterator[None]:
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
def copying(stage: Stage) -> Iterator[None]:
    """libvirt copies it."""
    stage.up()
    with stage.copying():
        yield


@contextmanager
def arrived(stage: Stage) -> Iterator[None]:
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
def given(stage: Stage) -> Iterator[None]:
    """The record gives it to the target, where nobody lets it run yet."""
    stage.up()
    with ExitStack() as held:
        with stage.copying():
            held.enter_context(stage.frozen("target", "pvcd"))
        stage.reach(Domain.migrate, Migration.handover)
        yield


@contextmanager
def resumed(stage: Stage) -> Iterator[None]:
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


# -- Daemons end in one of them ----------------------------------------------------------------------------------------


def end_daemons(stage: Stage, whose: tuple[str, ...], number: int, command: str | None, again_now: bool) -> set[str]:
    """End the daemons of these roles, give the command while they are away, maybe start them again; returns the guest's boots before."""
    boots = stage.boots()
    for role in whose:
        stage.end(role, number)
    if command:
        stage.ask(command)
    if again_now:
        for role in whose:
            stage.begin_and_wait(role)
    return boots
