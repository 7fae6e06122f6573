"""What an agent needs of the world besides its store; daemon, simulator and tests each bring their own."""

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


class Log(Protocol):
    """Where sentences go."""

    def say(self, sentence: str) -> None:
        """Keep a sentence for whoever reads the log."""
