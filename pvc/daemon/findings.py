"""What a preflight finds: sentences, each with what it means for the start and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What a finding means for the start."""

    ok = "ok"
    warning = "warning"
    problem = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    sentence: str
    next_step: str | None = None

    def lines(self) -> Iterator[str]:
        """As `pvcd --check` prints it."""
        yield f"{self.verdict.value:<10} {self.sentence}"
        if self.next_step:
            yield f"{'next step':<10} {self.next_step}"


def ok(sentence: str) -> Finding:
    """All is well."""
    return Finding(Verdict.ok, sentence)


def warning(sentence: str, next_step: str | None = None) -> Finding:
    """It can start, but somebody should know."""
    return Finding(Verdict.warning, sentence, next_step)


def problem(sentence: str, next_step: str | None = None) -> Finding:
    """It cannot start."""
    return Finding(Verdict.problem, sentence, next_step)
