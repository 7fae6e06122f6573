"""A simulated host: its power, its kernel and what boots with it, its libvirtd, and the board that switches its power from outside."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from pvc.sim.libvirtd import Libvirtd
from pvc.sim.watchdog import Watchdog

if TYPE_CHECKING:
    from pvc.sim.world import World


class Mood(Enum):
    """How a machine's management board (BMC) behaves."""

    works = "works"
    slow = "slow"
    """It answers, but takes its time."""
    silent = "silent"
    """It answers nobody: no reading, no order."""
    deaf = "deaf"
    """It reads the power truly and takes orders, and does nothing."""
    stuck = "stuck"
    """It says on, whatever is."""
    stranger = "stranger"
    """Another device answers at its address: a daemon compares its GUID, and asks and orders nothing of it."""
    lies = "lies"
    """It says off, whatever is. Nothing can be proven by such a device, and PVC assumes that there is none."""


ANSWER_S = {Mood.works: (0.05, 0.3), Mood.slow: (3.0, 8.0), Mood.deaf: (0.05, 0.3), Mood.stuck: (0.05, 0.3)}
ANSWER_S |= {Mood.stranger: (0.05, 0.3), Mood.lies: (0.05, 0.3)}
SILENCE_S = 10.0
"""After how long a fence device that does not answer is given up."""


class Bmc:
    """The board that reads and switches a machine's power; it has a supply of its own and outlives the machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.mood = Mood.works

    def answer_s(self) -> float:
        """How long it takes to answer, or to be given up."""
        low, high = ANSWER_S.get(self.mood, (SILENCE_S, SILENCE_S))
        return self.machine.world.between(low, high)

    def reads_on(self) -> bool | None:
        """What it says of the power; None when it says nothing."""
        if self.mood in (Mood.silent, Mood.stranger):
            return None
        if self.mood is Mood.lies:
            self.machine.world.liars.add(self.machine.name)
        return self.mood is Mood.stuck or (self.mood is not Mood.lies and self.machine.on)

    def switch(self, on: bool) -> None:
        """Take an order; whether it was heeded shows in the next reading."""
        if self.mood in (Mood.works, Mood.slow):
            (self.machine.power_on if on else self.machine.power_off)()


class Machine:
    """One host. ``boots`` counts its kernel boots, each of which has an id of its own; ``booted`` and ``went_off`` are told of its life."""

    def __init__(self, world: World, name: str, memory_mib: float = 16384, cpus: float = 8, boot_s: float = 25.0) -> None:
        self.world = world
        self.name = name
        self.memory_mib = int(memory_mib)
        self.cpus = int(cpus)
        self.boot_s = boot_s
        self.on = False
        self.up = False
        self.boots = 0
        self.claims: set[str] = set()
        self.libvirtd = Libvirtd(self)
        self.bmc = Bmc(self)
        self.watchdog = Watchdog(self)
        self.booted: Callable[[], None] = lambda: None
        self.went_off: Callable[[], None] = lambda: None

    @property
    def boot(self) -> str:
        """The id of the present kernel boot."""
        return f"{self.name}-boot-{self.boots}"

    @property
    def memory_used_mib(self) -> int:
        """What the guests on it take."""
        return sum(self.world.profile(uuid).memory_mib for uuid in self.libvirtd.guests)

    def power_on(self, boot_s: float | None = None) -> None:
        """Switch it on: after its boot libvirtd runs, and whatever else starts with it."""
        if self.on:
            return
        self.on = True
        self.boots += 1
        boots = self.boots
        self.world.power_changed(self.name, True)

        def up() -> None:
            if self.on and self.boots == boots:
                self.up = True
                self.libvirtd.start()
                self.booted()

        self.world.clock.after(self.boot_s if boot_s is None else boot_s, f"{self.name} boots", up)

    def power_off(self) -> None:
        """Cut its power: everything on it is gone at once."""
        if not self.on:
            return
        self.on = self.up = False
        self.watchdog.disarm()
        self.went_off()  # its processes die first: none of them sees the others go
        self.claims.clear()
        self.libvirtd.vanish()
        self.world.power_changed(self.name, False)
        self.world.changed()
