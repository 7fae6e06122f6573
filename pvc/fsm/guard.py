"""What a row asks before it fires."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Guard:
    """A positive predicate over a frozen view; ``refusal`` is the sentence an admin reads when it does not hold.

    ``checks`` names the node records whose version the commit must check, because the predicate read them: ``me``, ``choice``, ``owner``,
    ``target``, ``home``.
    """

    name: str
    test: Callable[[Any], bool]
    refusal: str
    checks: tuple[str, ...] = ()

    def refuse(self, view: Any) -> str | None:
        """Return nothing when the guard holds, else the reason."""
        return None if self.test(view) else self.refusal.format(v=view)
