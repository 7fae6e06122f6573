"""The fence port of one simulated daemon: it reads and switches the power of other nodes by their management boards."""

from collections.abc import Callable
from typing import Protocol

from pvc.core import events as e
from pvc.fsm.states import Effect, Power
from pvc.sim.machine import Machine
from pvc.sim.world import World

BETWEEN_READINGS_S = 1.0


class Observer(Protocol):
    """Who writes fences down."""

    def fence(self, node: str, by: str, result: str) -> None:
        """An order to cut this node's power was begun, or failed."""


class SimPowerSwitch:
    """Reads a node's power twice, a second apart, after the order where there is one: only what it read both times counts."""

    def __init__(self, world: World, me: Machine, report: Callable[[e.Event], None], observer: Observer) -> None:
        self.world = world
        self.me = me
        self.report = report
        self.observer = observer

    def order(self, node: str, effect: Effect, ticket: int) -> None:
        bmc = self.world.machines[node].bmc
        if effect is Effect.power_off:
            self.observer.fence(node, self.me.name, "begun")
        if effect is Effect.read_power:
            self._after(bmc.answer_s(), lambda: self._first(node, effect, ticket))
        else:
            self._after(bmc.answer_s(), lambda: self._switch(node, effect, ticket))

    def _after(self, seconds: float, then: Callable[[], None]) -> None:
        self.world.clock.after(seconds, f"{self.me.name} fence device", then)

    def _switch(self, node: str, effect: Effect, ticket: int) -> None:
        bmc = self.world.machines[node].bmc
        bmc.switch(effect is Effect.power_on)
        self._after(bmc.answer_s(), lambda: self._first(node, effect, ticket))

    def _first(self, node: str, effect: Effect, ticket: int) -> None:
        first = self.world.machines[node].bmc.reads_on()
        self._after(BETWEEN_READINGS_S, lambda: self._second(node, effect, ticket, first))

    def _second(self, node: str, effect: Effect, ticket: int, first: bool | None) -> None:
        second = self.world.machines[node].bmc.reads_on()
        reading = Power.silent if None in (first, second) else Power.on if first or second else Power.off
        if effect is Effect.power_off and reading is not Power.off:
            self.observer.fence(node, self.me.name, "failed")
        self.report(e.PowerRead(node, ticket, reading))
