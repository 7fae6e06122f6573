"""What a scenario file says, once it was read: a cluster, what befalls it and when, and what must hold.

`scenario_file` reads one, `stage` plays it, `sentences` and `expectations` judge it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pvc.core.settings import Settings
from pvc.sim.knobs import Fences
from pvc.sim.sentences import Sentence

Expectation = Mapping[str, Any]
"""What must be so at one instant, as the file has it; `expectations` knows how it is meant."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A node at the beginning; ``memory_mib`` is what guests may take, ``bmc`` the mood of its fence device.

    ``watchdog`` says whether it has one, where the configuration wants one.
    """

    name: str
    on: bool = True
    memory_mib: int = 16384
    boot_s: float = 25.0
    flushed: bool = False
    bmc: str = "works"
    watchdog: bool = True


@dataclass(frozen=True, slots=True)
class VmPlan:
    """A VM at the beginning, and how its guest behaves; ``on`` is the node where it runs when that is not its home."""

    name: str
    home: str
    desired: str = "start"
    memory_mib: int = 512
    migrate_s: float = 4.0
    shutdown_s: float = 3.0
    policy: Mapping[str, Any] = field(default_factory=dict)
    on: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do at an instant; ``said`` is the step as the file has it, ``do`` and ``at`` included."""

    at: float
    do: str
    said: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What must be so at this instant."""

    at: float
    expected: Expectation


@dataclass(frozen=True, slots=True)
class Timing:
    """How soon after a fault a VM must run again."""

    vm: str
    fault_at: float
    within_s: float


@dataclass(frozen=True, slots=True)
class Wishes:
    """What must hold: sentences at every instant, and states at some."""

    always: tuple[Sentence, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    final: Expectation = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One file. Times are in seconds since the beginning; ``voters`` are the nodes that ZooKeeper is on, none when it is elsewhere."""

    path: Path
    name: str
    nodes: tuple[NodePlan, ...]
    vms: tuple[VmPlan, ...]
    steps: tuple[Step, ...]
    end: float
    wishes: Wishes
    better: Wishes | None = None
    why_better: str = ""
    timing: Timing | None = None
    voters: frozenset[str] = frozenset()
    settings: Settings = field(default_factory=Settings)
    fences: Fences = field(default_factory=Fences)
    area: str = ""
    notes: str = ""
