"""Numbers for things, and functions of numbered things kept as arrays: what lets a whole level of states be expanded at once."""

from collections.abc import Callable, Hashable, Set
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Item = TypeVar("Item", bound=Hashable)


class Interned(Generic[Item]):
    """Numbers for things, both ways."""

    def __init__(self) -> None:
        self.number: dict[Item, int] = {}
        self.items: list[Item] = []

    def __call__(self, item: Item) -> int:
        """The number of this thing, a new one if it was never seen."""
        known = self.number.get(item)
        if known is None:
            known = self.number[item] = len(self.items)
            self.items.append(item)
        return known

    def copy(self) -> "Interned[Item]":
        """The same numbers for the same things, to go on from."""
        new: Interned[Item] = Interned()
        new.number, new.items = dict(self.number), list(self.items)
        return new


class Column:
    """A function from numbers to numbers >= 0 whose values are computed when they are first asked for."""

    def __init__(self, compute: Callable[[int], int]) -> None:
        self.compute = compute
        self.values = np.full(1024, -1, dtype=np.int32)

    def __getitem__(self, keys: Numbers) -> Numbers:
        self._reach(int(keys.max(initial=0)))
        found = self.values[keys]
        unknown = found < 0
        if unknown.any():
            for key in distinct(keys[unknown]).tolist():
                value = self.compute(key)
                self.values[key] = value
            found = self.values[keys]
        return found.astype(np.int64)

    def _reach(self, top: int) -> None:
        if top >= len(self.values):
            grown = np.full(max(top + 1, 2 * len(self.values)), -1, dtype=np.int32)
            grown[: len(self.values)] = self.values
            self.values = grown


class Rows:
    """A function from numbers to runs of rows (tuples of ``width`` numbers), computed when first asked for."""

    def __init__(self, width: int, compute: Callable[[int], list[tuple[int, ...]]]) -> None:
        self.compute = compute
        self.width = width
        self.pending: list[tuple[int, ...]] = []
        self.flat = np.zeros((0, width), dtype=np.int64)
        self.filled = 0
        self.first = Column(self._expand)
        self.count = Column(self._counted)
        self.counts: dict[int, int] = {}

    def _expand(self, key: int) -> int:
        rows = self.compute(key)
        start = self.filled + len(self.pending)
        self.pending.extend(rows)
        self.counts[key] = len(rows)
        return start

    def _counted(self, key: int) -> int:
        return self.counts.pop(key)

    def of(self, keys: Numbers) -> tuple[Numbers, Numbers]:
        """All rows of all keys: the index into ``keys`` that each row belongs to, and the rows themselves, shape (rows, width)."""
        first = self.first[keys]
        counts = self.count[keys]
        self._settle()
        index = np.repeat(np.arange(len(keys)), counts)
        offset = np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts)
        return index, self.flat[first[index] + offset]

    def one(self, key: int) -> Numbers:
        """The rows of one key."""
        return self.of(np.array([key]))[1]

    def inherit(self, other: "Rows", but: Set[int]) -> None:
        """Take over all known rows but those of some keys."""
        for mine, theirs in ((self.first, other.first), (self.count, other.count)):
            mine.values = theirs.values.copy()
            mine.values[list(but)] = -1
        self.flat, self.filled = other.flat[: other.filled], other.filled

    def agrees(self, other: "Rows", keys: Set[int]) -> bool:
        """Whether both have the same rows for these keys."""
        asked = np.array(sorted(keys), dtype=np.int64)
        return all(np.array_equal(mine, theirs) for mine, theirs in zip(self.of(asked), other.of(asked), strict=True))

    def _settle(self) -> None:
        """Move rows that were computed since the last call into the array, which doubles as it grows."""
        if not self.pending:
            return
        needed = self.filled + len(self.pending)
        if needed > len(self.flat):
            grown = np.zeros((max(needed, 2 * len(self.flat)), self.width), dtype=np.int64)
            grown[: self.filled] = self.flat[: self.filled]
            self.flat = grown
        self.flat[self.filled : needed] = self.pending
        self.filled = needed
        self.pending = []


def distinct(numbers: Numbers) -> Numbers:
    """The distinct numbers, sorted. NumPy's own ``unique`` hashes, which is several times slower on as many numbers as a level has."""
    ordered = np.sort(numbers)
    keep = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=keep[1:])
    return ordered[keep]


def merged(left: Numbers, right: Numbers) -> Numbers:
    """Two sorted arrays without common numbers as one sorted array."""
    return np.insert(left, np.searchsorted(left, right), right)
