"""What goes wrong, as sentences for the one who must act: what happened, why, and the next step."""

from collections.abc import Iterable
from difflib import get_close_matches

# A cluster may hold thousands of names: a message shows so many.
KNOWN_SHOWN = 12


class PvcError(Exception):
    """Anything PVC refuses or fails to do; `exit_code` is what a command then ends with."""

    exit_code = 1

    def __init__(self, message: str, next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return self.message


class Refused(PvcError):
    """A rule forbids it now, and nothing was changed."""

    exit_code = 1


class UsageProblem(PvcError):
    """The command line itself cannot be understood."""

    exit_code = 2


class NotFound(PvcError):
    """There is no such VM, node or other named thing."""

    exit_code = 3


class TimedOut(PvcError):
    """It is still going on, but the caller would not wait longer."""

    exit_code = 4


class NoQuorum(PvcError):
    """ZooKeeper does not answer, or only a minority of it does."""

    exit_code = 5


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """The at most three known names that look most like the word, best first; a full name for its short one; case does not count."""
    by_folded = {name.casefold(): name for name in known}
    full = [name for folded, name in by_folded.items() if folded.startswith(f"{word.casefold()}.")]
    return full[:3] or [by_folded[folded] for folded in get_close_matches(word.casefold(), by_folded, n=3)]


def unknown(kind: str, word: str, known: Iterable[str]) -> str:
    """The message for a mistyped name: what was typed, what may have been meant, what there is."""
    names = sorted(known)
    guesses = " or ".join(f'"{name}"' for name in nearest(word, names))
    question = f"; did you mean {guesses}?" if guesses else "."
    return f'no {kind} called "{word}"{question} Known: {_listed(names)}'


def _listed(names: list[str]) -> str:
    if not names:
        return "none"
    rest = len(names) - KNOWN_SHOWN
    return ", ".join(names[:KNOWN_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
