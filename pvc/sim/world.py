"""The hardware of a simulated cluster: machines, the network between them, and who watches what their guests do.

A world knows nothing of PVC. All its chance comes from one seeded source, all its time from one clock: the same seed gives the same
history.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from random import Random
from typing import Protocol

from pvc.fsm.states import Guest
from pvc.sim.clock import Clock
from pvc.sim.machine import Machine
from pvc.sim.migration import Migration

ANYWHERE = "*"
Failures = dict[tuple[str, str], int]
"""How many tries are to fail, of which guest and on which machine, or anywhere; -1 is all of them."""

COPY_MIB_PER_S = 256.0
"""How fast memory is copied in a live migration where a guest's profile does not say how long it takes."""


@dataclass(slots=True)
class Profile:
    """How one guest behaves: its memory, how long it takes to start, to power itself off and to be copied, and whether it heeds a request
    to power itself off.
    """

    memory_mib: int = 512
    start_s: float = 1.5
    shutdown_s: float = 3.0
    migrate_s: float | None = None
    obeys: bool = True

    @property
    def copy_s(self) -> float:
        """Seconds until all memory is copied."""
        return self.memory_mib / COPY_MIB_PER_S if self.migrate_s is None else self.migrate_s


class Watcher(Protocol):
    """Who is told the ground truth, at once and always."""

    def guest_changed(self, node: str, uuid: str, before: Guest, after: Guest, why: str) -> None:
        """A guest is another on this machine, whoever knows of it."""

    def power_changed(self, node: str, on: bool) -> None:
        """A machine was switched on or off."""


class World:
    """Machines by name, what connects them, and how the guests on them behave; ``attempted`` is told how each start has ended."""

    def __init__(self, seed: int = 0) -> None:
        self.clock = Clock()
        self.chance = Random(seed)
        self.machines: dict[str, Machine] = {}
        self.profiles: dict[str, Profile] = {}
        self.watchers: list[Watcher] = []
        self.ambushes: list[Callable[[Migration], bool]] = []
        self.attempted: Callable[[str, str, bool], None] = lambda node, uuid, ok: None
        self.start_failures: Failures = {}
        self.migration_failures: Failures = {}
        self.by_hand: set[tuple[str, str]] = set()
        self.liars: set[str] = set()
        self._cuts: set[frozenset[str]] = set()

    def add(self, name: str, **options: float) -> Machine:
        """Another machine, off."""
        machine = self.machines[name] = Machine(self, name, **options)
        return machine

    def profile(self, uuid: str) -> Profile:
        """How this guest behaves; may be changed at any time."""
        return self.profiles.setdefault(uuid, Profile())

    def between(self, low: float, high: float) -> float:
        """A duration by chance, in seconds."""
        return self.chance.uniform(low, high)

    # ---- the network

    def reach(self, one: str, other: str) -> bool:
        """Whether these two machines hear each other."""
        return self.machines[one].on and self.machines[other].on and frozenset((one, other)) not in self._cuts

    def cut(self, one: str, other: str) -> None:
        """Nothing passes between these two any more."""
        self._cuts.add(frozenset((one, other)))
        self.changed()

    def heal(self, one: str, other: str) -> None:
        """These two hear each other again."""
        self._cuts.discard(frozenset((one, other)))
        self.changed()

    def cut_off(self, name: str, cut: bool) -> None:
        """Cut one machine off from all others, or connect it to all of them again."""
        for pair in combinations(self.machines, 2):
            if name in pair:
                (self.cut if cut else self.heal)(*pair)

    # ---- what happens

    def changed(self) -> None:
        """Power, network or a libvirtd is another: migrations in flight may break, or go on."""
        for machine in self.machines.values():
            for migration in machine.libvirtd.migrations():
                migration.look()

    def reached(self, migration: Migration) -> None:
        """A migration has come to another of its moments: let those strike who wait for that; each strikes once."""
        self.ambushes = [ambush for ambush in self.ambushes if not ambush(migration)]

    def guest_changed(self, node: str, uuid: str, before: Guest, after: Guest, why: str) -> None:
        """Tell the ground truth."""
        if after is Guest.absent:
            self.by_hand.discard((node, uuid))
        for watcher in self.watchers:
            watcher.guest_changed(node, uuid, before, after, why)

    def power_changed(self, node: str, on: bool) -> None:
        """Tell the ground truth."""
        for watcher in self.watchers:
            watcher.power_changed(node, on)

    def owned(self, uuid: str) -> list[str]:
        """The machines on which the vCPUs of this guest run by PVC's doing: a human who works past it may start another copy, and so does
        a fence device that lies.
        """
        running = self.running(uuid)
        if not (self.by_hand or self.liars):
            return running
        return [name for name in running if (name, uuid) not in self.by_hand and name not in self.liars]

    def running(self, uuid: str) -> list[str]:
        """The machines on which the vCPUs of this guest run."""
        return [name for name, machine in self.machines.items() if machine.libvirtd.guest(uuid) is Guest.running]

    def fails_to_start(self, uuid: str, node: str) -> bool:
        """Whether this start is one of those that were told to fail."""
        return _fails(self.start_failures, uuid, node)

    def fails_to_migrate(self, uuid: str, node: str) -> bool:
        """Whether this migration, from this machine, is one of those that were told to fail."""
        return _fails(self.migration_failures, uuid, node)

    def copies(self, uuid: str) -> list[str]:
        """The machines that hold any copy of this guest, running or not."""
        return [name for name, machine in self.machines.items() if machine.libvirtd.guest(uuid) is not Guest.absent]


def _fails(failures: Failures, uuid: str, node: str) -> bool:
    for key in ((uuid, node), (uuid, ANYWHERE)):
        if left := failures.get(key, 0):
            failures[key] = left if left < 0 else left - 1
            return True
    return False
