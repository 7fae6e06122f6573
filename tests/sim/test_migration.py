"""What a simulated live migration leaves behind when something breaks at one of its moments: as it was measured with libvirt 9."""

import pytest

from pvc.fsm.states import Guest, Handover
from pvc.fsm.views import Life
from pvc.sim.migration import Moment
from pvc.sim.world import World

VM = "vm"
NOTHING, RUNS, PAUSED, HELD = Guest.absent, Guest.running, Guest.paused, Guest.held
EVERY_MOMENT = (Moment.copying, Moment.switching, Moment.arrived)


class Journey:
    """One migration from `one` to `two`, stopped at a moment of its own."""

    def __init__(self, handover: Handover, seed: int = 0) -> None:
        self.world = World(seed)
        for name in ("one", "two"):
            self.world.add(name).power_on(0.0)
        self.run(0.0)
        self.source, self.target = (self.world.machines[name].libvirtd for name in ("one", "two"))
        self.ended = []
        self.source.become(VM, RUNS, "to begin with")
        self.target.doors[VM] = "op"
        self.source.migrate(VM, Life(target="two", op_id="op", handover=handover), lambda: self.ended.append(self.world.clock.now))
        self.migration = self.source.work[VM]

    def run(self, seconds):
        until = self.world.clock.now + seconds
        while (due := self.world.clock.take(until)) is not None:
            due.action()
            assert len(self.world.running(VM)) <= 1

    def to(self, moment):
        while self.migration.moment is not moment:
            self.world.clock.take(float("inf")).action()

    @property
    def left(self):
        return self.source.guest(VM), self.target.guest(VM)


def journey(handover, moment, seed=0):
    one = Journey(handover, seed)
    one.to(moment)
    return one


def kill_source_libvirtd(one):
    one.source.kill()
    one.run(1.0)
    one.source.start()


def kill_target_libvirtd(one):
    one.target.kill()
    one.run(1.0)
    one.target.start()


def cut(one):
    one.world.cut("one", "two")
    one.run(20.0)
    one.world.heal("one", "two")


def freeze_target(one):
    one.target.freeze()
    one.run(20.0)
    one.target.thaw()


def freeze_source(one):
    one.source.freeze()
    one.run(20.0)
    one.source.thaw()


def lose_source(one):
    one.source.machine.power_off()


def lose_target(one):
    one.target.machine.power_off()


BROKEN_WHILE_COPYING = {
    kill_source_libvirtd: (RUNS, NOTHING),
    kill_target_libvirtd: (RUNS, NOTHING),
    cut: (RUNS, NOTHING),
    freeze_target: (RUNS, NOTHING),
    freeze_source: (RUNS, NOTHING),
    lose_source: (NOTHING, NOTHING),
    lose_target: (RUNS, NOTHING),
}
PAUSED_AT_THE_SWITCHOVER = {
    kill_source_libvirtd: (RUNS, NOTHING),  # libvirtd lets it go on when it is back
    kill_target_libvirtd: (RUNS, HELD),
    cut: (RUNS, HELD),
    freeze_target: (RUNS, HELD),
    freeze_source: (RUNS, HELD),
    lose_source: (NOTHING, NOTHING),  # the copy was not complete: a cold start is needed
    lose_target: (RUNS, NOTHING),
}
LIBVIRT_AT_THE_SWITCHOVER = {
    cut: (PAUSED, RUNS),  # the lock of its disk is the target's
    freeze_target: (RUNS, NOTHING),  # the lock was the source's
    lose_source: (NOTHING, NOTHING),
    lose_target: (RUNS, NOTHING),
}


@pytest.mark.parametrize("handover", Handover)
def test_undisturbed_it_arrives_and_leaves_nothing_behind(handover):
    one = Journey(handover)
    one.run(30.0)
    assert one.left == (NOTHING, HELD if handover is Handover.paused else RUNS)
    assert len(one.ended) == 1


@pytest.mark.parametrize("handover", Handover)
@pytest.mark.parametrize(("fault", "left"), BROKEN_WHILE_COPYING.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_while_memory_is_copied_the_guest_stays_where_it_is(handover, fault, left):
    one = journey(handover, Moment.copying)
    fault(one)
    one.run(30.0)
    assert one.left == left
    assert not one.source.work


@pytest.mark.parametrize(("fault", "left"), PAUSED_AT_THE_SWITCHOVER.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_at_the_switchover_neither_side_knows_and_the_copy_stays_paused(fault, left):
    one = journey(Handover.paused, Moment.switching)
    fault(one)
    one.run(30.0)
    assert one.left == left


@pytest.mark.parametrize(("fault", "left"), LIBVIRT_AT_THE_SWITCHOVER.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_at_libvirts_own_switchover_the_lock_of_its_disk_decides(fault, left):
    one = journey(Handover.libvirt, Moment.switching)
    fault(one)
    one.run(30.0)
    assert one.left == left


def test_a_complete_copy_outlives_its_source():
    one = journey(Handover.paused, Moment.arrived)
    lose_source(one)
    one.run(30.0)
    assert one.left == (NOTHING, HELD)


def test_a_source_whose_libvirtd_dies_after_the_arrival_stays_stopped():
    one = journey(Handover.libvirt, Moment.arrived)
    kill_source_libvirtd(one)
    one.run(30.0)
    assert one.left == (PAUSED, RUNS)


@pytest.mark.parametrize("moment", EVERY_MOMENT)
def test_a_short_silence_breaks_nothing(moment):
    one = journey(Handover.paused, moment)
    one.world.cut("one", "two")
    one.run(5.0)
    one.world.heal("one", "two")
    one.run(30.0)
    assert one.left == (NOTHING, HELD)


@pytest.mark.parametrize(("moment", "left"), [(Moment.copying, (RUNS, NOTHING)), (Moment.switching, (NOTHING, HELD))])
def test_it_can_be_called_off_until_the_switchover(moment, left):
    one, answers = journey(Handover.paused, moment), []
    one.source.abort(VM, lambda: answers.append(one.left))
    one.run(30.0)
    assert one.left == left
    assert answers == [left]


def test_a_door_that_another_operation_opened_stays_shut():
    one = Journey(Handover.paused)
    one.run(30.0)
    one.target.become(VM, RUNS, "it was resumed")
    one.source.doors[VM] = "another"
    one.target.migrate(VM, Life(target="one", op_id="op"), lambda: None)
    one.run(30.0)
    assert one.left == (NOTHING, RUNS)
