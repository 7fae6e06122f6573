"""What an agent needs of the world besides its store; daemon, simulator and tests each bring their own."""

from dataclasses import dataclass
from typing import Protocol

from pvc.fsm.states import Effect
from pvc.fsm.views import Life


class Hypervisor(Protocol):
    """Carries out orders on guests, one job per VM at a time, and reports by events; it never blocks its caller."""

    def order(self, uuid: str, effect: Effect, life: Life) -> None:
        """Begin this order for a VM, whose record now says ``life``; it ends with a ``JobDone`` event."""


class PowerSwitch(Protocol):
    """Reads and switches the power of nodes, and reports by events; it never blocks its caller."""

    def order(self, node: str, effect: Effect, ticket: int) -> None:
        """Begin this order for a node; it ends with a ``PowerRead`` event that carries the ticket."""


class Timer(Protocol):
    """Counts durations on the own monotonic clock."""

    def wait(self, name: str, seconds: float) -> None:
        """Report ``Due(name)`` after so many seconds."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A transition that was fired: of which VM or node (by name), in which machine, from where to where, by which row and why.

    ``source`` and ``dest`` are the same where the row only set something or gave an order.
    """

    of: str
    machine: str
    source: str
    dest: str
    trigger: str
    why: str

    def __str__(self) -> str:
        way = f"{self.source} -> {self.dest}" if self.source != self.dest else self.source
        return f"{self.of}: {self.machine} {way} ({self.trigger}): {self.why}"


class Log(Protocol):
    """Where sentences and transitions go."""

    def moved(self, transition: Moved) -> None:
        """Keep a transition that was written or, where it only gives an order, fired."""

    def say(self, sentence: str) -> None:
        """Keep a sentence for whoever reads the log."""
