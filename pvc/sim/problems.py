"""What parts of a scenario file are made of, and what may be wrong with each: fields, numbers, words and names."""

from collections.abc import Iterable, Mapping
from typing import Any

from pvc.cluster.names import shown
from pvc.errors import unknown

Said = Mapping[str, Any]
"""A part of a file."""

MOST = 1e9
LIMIT = f" below {MOST:,.0f}"


def is_number(value: Any) -> bool:
    """Whether this is a number, and neither negative nor endless."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MOST


def _is_huge(value: Any) -> bool:
    return isinstance(value, int | float) and value >= MOST


class Problems:
    """Collects what is wrong, as sentences; ``where`` in each says in which part."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def wrong(self, problem: str) -> None:
        """Another problem."""
        self.problems.append(problem)

    def keys(self, said: Any, known: Iterable[str], where: str, needs: Iterable[str] = ()) -> bool:
        """Whether this is an object; its fields are all known, and none that it needs is missing."""
        if not isinstance(said, dict):
            self.wrong(f"{where} is no object")
            return False
        for key in said:
            if key not in known:
                self.wrong(f"{where}: {unknown('field', key, known)}")
        for key in needs:
            if key not in said:
                self.wrong(f'{where}: "{key}" is missing')
        return True

    def number(self, said: Said, field: str, where: str, *, whole: bool = False) -> None:
        """A field that is a number where it is there."""
        if field in said and not (is_number(said[field]) and (not whole or isinstance(said[field], int))):
            kind = "whole number" if whole else "number"
            self.wrong(f"{where}: {field} is {shown(said[field])}, and no {kind} from 0 on{LIMIT if _is_huge(said[field]) else ''}")

    def word(self, value: Any, known: Iterable[str], where: str) -> None:
        """One of these words."""
        if value not in known:
            self.wrong(f"{where}: {unknown('word', str(value), known)}")

    def named(self, kind: str, name: Any, known: Iterable[Any], where: str) -> None:
        """The name of something that there is."""
        if not isinstance(name, str):
            self.wrong(f"{where}: {shown(name)} is not the name of a {kind}")
        elif name not in known:
            self.wrong(f"{where}: {unknown(kind, name, [one for one in known if isinstance(one, str)])}")

    def entries(self, said: Said, field: str) -> list[Any]:
        """This field, which is a list; nothing where it is not."""
        value = said.get(field, [])
        if not isinstance(value, list):
            self.wrong(f"{field} is no list")
            return []
        return value
