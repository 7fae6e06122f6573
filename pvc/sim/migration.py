"""A simulated live migration, peer to peer, with the outcomes measured with libvirt 9 when something breaks at each of its moments.

Three moments matter. While memory is copied the target's copy is worthless, and whatever breaks leaves the guest where it was. At the
switchover the source is stopped, and an error on one side says nothing about the other. Once the guest has arrived the target's copy is
complete: in the paused hand-over it waits (``held``) for the record's word, in libvirt's own it runs. A disk lock is assumed for libvirt's
own hand-over, so there the loser cannot run.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from pvc.fsm.states import Guest, Handover, Job
from pvc.fsm.views import Life
from pvc.sim.clock import Due

if TYPE_CHECKING:
    from pvc.sim.libvirtd import Libvirtd

SILENCE_S = 7.0
"""After how long one libvirtd gives up another that says nothing: keepalives of 2 s, three of them, and a little."""
SWITCH_S = (0.05, 0.3)
TEARDOWN_S = (0.05, 1.6)


class Moment(Enum):
    """How far a migration is."""

    copying = "copying"
    switching = "switching"
    arrived = "arrived"
    over = "over"


class Migration:
    """One guest on its way; it breaks or goes on by itself when `look` is told that something is another."""

    def __init__(self, source: Libvirtd, target: Libvirtd, uuid: str, life: Life, done: list[Callable[[], None]]) -> None:
        self.source = source
        self.target = target
        self.uuid = uuid
        self.job = Job.migrate
        self.done = done
        self.paused = life.handover is Handover.paused
        self.op_id = life.op_id
        self.world = source.world
        self.moment = Moment.copying
        self.progress_s = 0.0
        self._next: Due | None = None
        self._silence: Due | None = None
        self._stalled: Callable[[], None] | None = None
        self._doomed = False

    # ---- going well

    def begin(self) -> None:
        """Ask the target, and copy; a target that does not admit the guest refuses at once."""
        if not self.world.reach(self.source.machine.name, self.target.machine.name) or not self.target.answers:
            self._later(SILENCE_S, self._end)
        elif not self._admitted() or self.world.fails_to_migrate(self.uuid, self.source.machine.name):
            self._later(self.world.between(0.05, 0.5), self._end)
        else:
            self.progress_s = self.world.clock.now
            self.target.become(self.uuid, Guest.incoming, "a migration arrives")
            self._after(self.world.profile(self.uuid).copy_s, self._switch)

    def _admitted(self) -> bool:
        there, here = self.target.guest(self.uuid), self.source.guest(self.uuid)
        door = self.uuid in self.target.doors and self.target.doors[self.uuid] == self.op_id
        return door and there is Guest.absent and here is Guest.running

    def _switch(self) -> None:
        self._reach(Moment.switching)
        self.source.suspend_for_switchover(self.uuid)
        self._after(self.world.between(*SWITCH_S), self._arrive)

    def _reach(self, moment: Moment) -> None:
        self.moment = moment
        self.world.clock.after(0.0, f"{self.uuid} is {moment.value}", lambda: self.world.reached(self))

    def _arrive(self) -> None:
        self._reach(Moment.arrived)
        self.target.doors.pop(self.uuid, None)
        self.source.keep_suspended(self.uuid)
        self.target.become(self.uuid, Guest.held if self.paused else Guest.running, "it has arrived")
        self._after(self.world.between(*TEARDOWN_S), self._leave)

    def _leave(self) -> None:
        self.source.become(self.uuid, Guest.absent, "it has moved")
        self._end()

    def _after(self, seconds: float, then: Callable[[], None]) -> None:
        def happen() -> None:
            if self._is_silent():
                self._stalled = then  # it goes on when they hear each other again, unless they have given up by then
            else:
                then()

        self._later(seconds, happen)

    def _later(self, seconds: float, then: Callable[[], None]) -> None:
        self._next = self.world.clock.after(seconds, f"{self.uuid} {self.moment.value}", then)

    # ---- breaking

    def abort(self) -> None:
        """Called off: possible until the switchover."""
        if self.moment is Moment.copying:
            self._break()

    def look(self) -> None:
        """Something is another: go on, wait, or break."""
        if self.moment is Moment.over:
            return
        if not self.source.machine.on or self.source.guest(self.uuid) is Guest.absent:
            self._source_lost()
        elif not self.source.running:
            self._break_at(self._source_libvirtd_died)
        elif self._target_lost():
            self._target_gone()
        elif not self.target.running:
            self._break_at(self._half)
        elif self._is_silent():
            self._silence = self._silence or self.world.clock.after(SILENCE_S, f"{self.uuid} silence", self._given_up)
        elif self._doomed:
            self._break_at(self._half)
        else:
            self._go_on()

    def _go_on(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        if self._stalled is not None:
            then, self._stalled = self._stalled, None
            self._after(0.0, then)

    def _is_silent(self) -> bool:
        reach = self.world.reach(self.source.machine.name, self.target.machine.name)
        return self.moment is not Moment.over and (not reach or self.source.frozen or self.target.frozen)

    def _target_lost(self) -> bool:
        if not self.target.machine.on:
            return True
        return self.progress_s > 0.0 and self.target.guest(self.uuid) is Guest.absent

    def _given_up(self) -> None:
        self._silence = None
        if self.source.frozen:
            self._doomed = True  # its other side has hung up, which it will see when it goes on
        else:
            self._break_at(self._half)

    def _break_at(self, switched: Callable[[], None]) -> None:
        """While memory is copied all that breaks is alike; later it depends."""
        if self.moment is Moment.copying:
            self._break()
        else:
            switched()

    def _break(self) -> None:
        """The guest stays where it was, and the copy is worthless."""
        self._drop_copy()
        self._back()
        self._end()

    def _half(self) -> None:
        """Neither side knows what the other did."""
        if self.paused:
            self.target.become(self.uuid, Guest.held, "it has arrived, and its source does not know")
            self._back()
        elif self.moment is Moment.arrived or not self.target.frozen:
            self.source.keep_suspended(self.uuid)
            self.target.become(self.uuid, Guest.running, "it has arrived, and its source does not know")
        else:
            self._drop_copy()  # the lock of its disk is the source's
            self._back()
        self._end()

    def _source_lost(self) -> None:
        """Its host or its process is gone: a complete copy is all that is left."""
        if self.moment is not Moment.arrived:
            self._drop_copy()
        self._end()

    def _source_libvirtd_died(self) -> None:
        if self.moment is not Moment.arrived:
            self._drop_copy()  # and the source goes on when its libvirtd is back
        self._end()

    def _target_gone(self) -> None:
        """The copy is lost: the source goes on, unless it was about to end and did."""
        if self.moment is Moment.arrived and self.world.chance.random() < 0.5:
            self.source.become(self.uuid, Guest.absent, "it has moved")
        else:
            self._back()
        self._end()

    def _back(self) -> None:
        if self.source.guest(self.uuid) is Guest.paused:
            self.source.keep_suspended(self.uuid)
            self.source.become(self.uuid, Guest.running, "its migration failed")

    def _drop_copy(self) -> None:
        if self.target.guest(self.uuid) is Guest.incoming:
            self.target.become(self.uuid, Guest.absent, "its migration failed")

    def _end(self) -> None:
        self.moment = Moment.over
        for due in (self._next, self._silence):
            if due is not None:
                due.cancel()
        if self.uuid in self.source.work:
            self.source.over(self.uuid)
