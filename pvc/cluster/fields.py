"""Objects with declared fields, in which the fields that are not declared survive.

A field that this version does not know belongs to another version or another program. It is read past, carried along as JSON text in
`foreign`, and written back where it was, at every level.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pvc.cluster.codec import Bad, Kind, Maybe, Number, dumped, parse
from pvc.cluster.names import shown
from pvc.cluster.records import Unreadable
from pvc.errors import PvcError

Record = TypeVar("Record")

VERSION = 1
"""Of every format. Another one is read as far as its stable fields, and never written."""

FOREIGN = ""
"""The key under which a record's values hold its foreign fields."""

MAX_FOREIGN_BYTES = 16 * 1024
"""A record that is full of foreign fields must have room for ours, or a VM could not move because of them."""

REQUIRED = object()
"""In place of a default: a record without this field cannot be read, because any guess could be dangerous."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its name in JSON, what may stand there, and what it means. A `stable` one stays where it is in all versions."""

    name: str
    kind: Kind
    meaning: str
    default: Any = REQUIRED
    stable: bool = False


V = Field("v", Number(1), "version of this format", stable=True)


@dataclass(frozen=True, slots=True)
class Object(Kind):
    """An object of declared fields; read as a dict of their values."""

    fields: tuple[Field, ...]
    inner: Mapping[str, "Object | None"] = field(init=False, repr=False, compare=False)
    """The object in each field, None for a field that holds none."""
    readers: tuple[tuple[str, Callable[[Any, str], Any], Any], ...] = field(init=False, repr=False, compare=False)
    writers: tuple[tuple[str, Callable[[Any], Any]], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Asked for each field of each record that is read or written, so answered once.
        object.__setattr__(self, "inner", {field.name: _object(field.kind) for field in self.fields})
        object.__setattr__(self, "readers", tuple((field.name, field.kind.read, field.default) for field in self.fields))
        object.__setattr__(self, "writers", tuple((field.name, field.kind.write) for field in self.fields))

    @property
    def words(self) -> str:
        return "object"

    def read(self, value: Any, at: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Bad(at, f"{shown(value)} is not an object")
        above = f"{at}." if at else ""
        found = {}
        for name, read, default in self.readers:
            if name in value:
                found[name] = read(value[name], above + name)
            elif default is REQUIRED:
                raise Bad(above + name, "it is missing")
            else:
                found[name] = default
        return found

    def write(self, value: Any) -> Any:
        return {name: write(value[name]) for name, write in self.writers}

    def stable(self) -> "Object":
        """The part of this object that every version reads."""
        kept = [Field(f.name, f.kind.stable(), f.meaning, f.default) if isinstance(f.kind, Object) else f for f in self.fields if f.stable]
        return Object(tuple(kept))


@dataclass(frozen=True, slots=True)
class Whole(Object):
    """An object that becomes a record of its own: its foreign fields, and those of the objects in it, come with its values."""

    def read(self, value: Any, at: str) -> dict[str, Any]:
        values = Object.read(self, value, at)
        foreign = foreign_in(self, value)
        text = dumped(foreign) if foreign else b""
        if len(text) > MAX_FOREIGN_BYTES:
            raise Bad(at, f"its unknown fields have {len(text)} bytes, at most {MAX_FOREIGN_BYTES} are kept")
        return {**values, FOREIGN: text.decode()}

    def write(self, value: Any) -> Any:
        known, foreign = Object.write(self, value), value[FOREIGN]
        return _merge(known, json.loads(foreign)) if foreign else known


def foreign_in(known: Object, value: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a value, and of the objects in it, that are not declared."""
    found = {}
    for name, part in value.items():
        if name not in known.inner:
            found[name] = part
        elif (inner := known.inner[name]) is not None and isinstance(part, dict) and (below := foreign_in(inner, part)):
            found[name] = below
    return found


def _object(kind: Kind) -> Object | None:
    inner = kind.kind if isinstance(kind, Maybe) else kind
    return inner if isinstance(inner, Object) else None


def _merge(value: dict[str, Any], foreign: Mapping[str, Any]) -> dict[str, Any]:
    """The value with foreign fields back in their places; what belonged to an object that is gone goes with it."""
    whole = dict(value)
    for name, part in foreign.items():
        if name not in value:
            whole[name] = part
        elif isinstance(value[name], dict):
            whole[name] = _merge(value[name], part)
    return whole


VERSIONED = Object((V,))


class Unwritable(PvcError):
    """A record that could not be read again, or of a version that only another PVC can write: nothing was written."""


@dataclass(frozen=True, slots=True)
class Format(Generic[Record]):
    """How one kind of record stands in JSON: its fields, and how their values make a record and come from one."""

    fields: Whole
    build: Callable[[str, Mapping[str, Any]], Record]
    spread: Callable[[Record], Mapping[str, Any]]
    limit: int

    def decode(self, path: str, key: str, data: bytes) -> Record | Unreadable:
        """The record in this data; `key` is the name of its znode."""
        try:
            value = parse(data, self.limit)
            version = VERSIONED.read(value, "")["v"]
            if version != VERSION:
                raise Bad("v", f"it is of version {version}, and this PVC knows version {VERSION} alone")
            return self.build(key, self.fields.read(value, ""))
        except Bad as error:
            return Unreadable(path, str(error), data)

    def encode(self, path: str, key: str, record: Record) -> bytes:
        """The record as it is written; raises `Unwritable` when it could not be read again."""
        data = self.written(record)
        return readable(path, data, self.decode(path, key, data))

    def written(self, record: Record) -> bytes:
        """The record in JSON, whether it could be read again or not."""
        return dumped(self.fields.write({"v": VERSION, **self.spread(record)}))


def readable(path: str, data: bytes, again: object) -> bytes:
    """The data itself; raises `Unwritable` when what was read of it says that it could not be read again."""
    if isinstance(again, Unreadable):
        raise Unwritable(f"{path} would not be readable: {again.why}")
    return data


def outlined(form: Format[Any], data: bytes) -> Mapping[str, Any] | None:
    """The fields that all versions share, when the version is one that we do not know."""
    try:
        value = parse(data, form.limit)
        stable = form.fields.stable().read(value, "")
    except Bad:
        return None
    return None if stable["v"] == VERSION else stable
