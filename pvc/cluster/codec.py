"""JSON that is taken at its word or not at all: strict parsing, and fields declared once for reading, writing and documenting.

Whatever is read here was written by somebody else: another version, another program, or a hand. So it is never guessed at, nothing in it
makes a daemon raise anything but `Bad` or need unbounded time, and what is not known here is kept for those who know it.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pvc.cluster.names import clipped, is_line, shown
from pvc.errors import unknown
from pvc.fsm.states import Word

MAX_DEPTH = 8
MAX_DIGITS = 18
"""What fits into 64 bits in every language; Python's own conversion takes quadratic time on more."""

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"?'
_BUT_BRACKETS = re.compile(rf"{_STRING}|[^\[\]{{}}\"]+", re.DOTALL)


class Bad(ValueError):
    """A value that is not what is declared: where in the record, and why."""

    def __init__(self, at: str, why: str) -> None:
        super().__init__(f"{at}: {why}" if at else why)


def parse(data: bytes, limit: int) -> dict[str, Any]:
    """The object in these bytes; raises `Bad` for anything that is not exactly one well-formed, bounded JSON object."""
    if len(data) > limit:
        raise Bad("", f"it has {len(data)} bytes, at most {limit} are read")
    try:
        text = data.decode("utf-8")
        _check_depth(text)
        value = (_CAREFUL if _LONG.search(text) else _DECODER).decode(text)
        if "\\u" in text:
            dumped(value)
    except UnicodeDecodeError as error:
        raise Bad("", f"it is not UTF-8 at byte {error.start}") from error
    except UnicodeEncodeError as error:
        raise Bad("", "it holds half of a surrogate pair, which is no character") from error
    except json.JSONDecodeError as error:
        raise Bad("", f"it is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Bad("", f"it is {shown(value)}, not an object")
    return value


def dumped(value: object) -> bytes:
    """JSON in UTF-8 (H13); raises ValueError for what JSON cannot say."""
    return _ENCODER.encode(value).encode("utf-8")


def _check_depth(text: str) -> None:
    """Before parsing, because the parser recurses: a record must not end the daemon that reads it."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return  # as in nearly all records
    depth = 0
    for bracket in _BUT_BRACKETS.sub("", text):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise Bad("", f"it is nested deeper than {MAX_DEPTH} levels")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two readers may take different ones of them, and then disagree about who owns a VM.
    found = dict(pairs)
    if len(found) != len(pairs):
        times = Counter(key for key, _ in pairs)
        raise Bad(shown(next(key for key in times if times[key] > 1)), "it is there twice")
    return found


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise Bad("", f"{shown(digits, 30)} has more than {MAX_DIGITS} digits")
    return int(digits)


def _real(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise Bad("", f"{shown(digits, 30)} is not finite")
    return value


def _constant(word: str) -> None:
    raise Bad("", f"{word} is not a number that JSON knows")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_float=_real, parse_constant=_constant)
_CAREFUL = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_int=_integer, parse_float=_real, parse_constant=_constant)
_LONG = re.compile(rf"[0-9]{{{MAX_DIGITS + 1}}}")
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


# ---- kinds of values


class Kind(Protocol):
    """How a value is read, written, and described in the documents."""

    @property
    def words(self) -> str:
        """What may stand here, in words."""

    def read(self, value: Any, at: str) -> Any:
        """The value as we use it; raises `Bad`."""

    def write(self, value: Any) -> Any:
        """The value as JSON has it."""


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """A string of bounded length that passes a test."""

    limit: int
    rule: str = ""
    test: Callable[[str], bool] = is_line

    @property
    def words(self) -> str:
        return self.rule.partition(":")[0] or f"text, at most {self.limit} characters"

    def read(self, value: Any, at: str) -> str:
        if not isinstance(value, str):
            raise Bad(at, f"{shown(value)} is not a string")
        if len(value) > self.limit:
            raise Bad(at, f"it has {len(value)} characters, at most {self.limit} are read")
        if not self.test(value):
            raise Bad(at, f"{shown(value)} is not {self.rule or 'one line without control characters'}")
        return value

    def write(self, value: Any) -> Any:
        return value


@dataclass(frozen=True, slots=True)
class Number(Kind):
    """An integer within bounds; `true` is none."""

    least: int = 0
    most: int = 10**12

    @property
    def words(self) -> str:
        return f"integer from {self.least} to {self.most}" if self.most < 10**12 else f"integer from {self.least}"

    def read(self, value: Any, at: str) -> int:
        if type(value) is not int:
            raise Bad(at, f"{shown(value)} is not an integer")
        if not self.least <= value <= self.most:
            raise Bad(at, f"{value} is not between {self.least} and {self.most}")
        return value

    def write(self, value: Any) -> Any:
        return value


@dataclass(frozen=True, slots=True)
class Real(Kind):
    """A number from 0, with or without a fraction."""

    words: str = "number from 0"

    def read(self, value: Any, at: str) -> float:
        if type(value) not in (int, float) or not 0 <= value <= 10**12:
            raise Bad(at, f"{shown(value)} is not a number from 0")
        return float(value)

    def write(self, value: Any) -> Any:
        return value


@dataclass(frozen=True, slots=True)
class Flag(Kind):
    """True or false."""

    words: str = "true or false"

    def read(self, value: Any, at: str) -> bool:
        if not isinstance(value, bool):
            raise Bad(at, f"{shown(value)} is neither true nor false")
        return value

    def write(self, value: Any) -> Any:
        return value


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """A word of an enum, but for those that are never stored."""

    enum: type[Word]
    without: tuple[Word, ...] = ()
    known: Mapping[str, Word] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", {str(word): word for word in self.enum if word not in self.without})

    @property
    def words(self) -> str:
        return " ".join(f"`{word}`" for word in self.known)

    def read(self, value: Any, at: str) -> Word:
        if not isinstance(value, str):
            raise Bad(at, f"{shown(value)} is not a string")
        if value not in self.known:
            raise Bad(at, unknown("word", clipped(value, 40), self.known))
        return self.known[value]

    def write(self, value: Any) -> Any:
        return str(value)


@dataclass(frozen=True, slots=True)
class Maybe(Kind):
    """A value, or null."""

    kind: Kind

    @property
    def words(self) -> str:
        return f"{self.kind.words}, or null"

    def read(self, value: Any, at: str) -> Any:
        return None if value is None else self.kind.read(value, at)

    def write(self, value: Any) -> Any:
        return None if value is None else self.kind.write(value)


@dataclass(frozen=True, slots=True)
class Several(Kind):
    """A list of bounded length."""

    kind: Kind
    limit: int

    @property
    def words(self) -> str:
        return f"list, at most {self.limit}, of: {self.kind.words}"

    def read(self, value: Any, at: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Bad(at, f"{shown(value)} is not a list")
        if len(value) > self.limit:
            raise Bad(at, f"it has {len(value)} entries, at most {self.limit} are read")
        return tuple(self.kind.read(item, f"{at}[{number}]") for number, item in enumerate(value))

    def write(self, value: Any) -> Any:
        return [self.kind.write(item) for item in value]
