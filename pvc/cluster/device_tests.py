"""What a node's daemon found when it last asked the fence devices of all nodes. Nobody decides by it; it is there to be looked at."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pvc.cluster import znodes
from pvc.cluster.codec import Choice, Several, Text
from pvc.cluster.fields import FOREIGN, Field, Format, Object, V, Whole
from pvc.cluster.records import MAX_NODES, MAX_RECORD_BYTES, FenceMethod, Unreadable
from pvc.cluster.schemas import NAME, SENTENCE, WORDS
from pvc.fsm.states import Power


@dataclass(frozen=True, slots=True)
class DeviceTest:
    """The device of one node, as the daemon of another, or its own, found it; ``fault`` is why it is not believed."""

    node: str
    method: FenceMethod
    reading: Power
    fault: str = ""

    @property
    def works(self) -> bool:
        """Whether that daemon could fence the node by it."""
        return self.reading in (Power.on, Power.off) and not self.fault


@dataclass(frozen=True, slots=True)
class DeviceTests:
    """One round; ``asked`` is the id of the last request for one, ``answered`` of the last that was answered, ``at`` is only shown."""

    asked: str = ""
    answered: str = ""
    at: str = ""
    results: tuple[DeviceTest, ...] = ()
    foreign: str = ""


# fmt: off
RESULT = Object((
    Field("node",    NAME, "whose device was asked"),
    Field("method",  Choice(FenceMethod), "what kind of device it is, as this daemon's configuration has it"),
    Field("reading", Choice(Power), "what it said: `on`, `off`, or nothing (`silent`); `unread` where there is none"),
    Field("fault",   SENTENCE, "why it is not believed, empty when it is", ""),
))

FIELDS = Whole((
    V,
    Field("asked",    Text(64), "id of the last request for a test, unique; to write another one asks for a test", ""),
    Field("answered", Text(64), "id of the request that was answered last", ""),
    Field("at",       WORDS, "when; wall clock, only shown", ""),
    Field("results",  Several(RESULT, MAX_NODES), "a node each", ()),
))
# fmt: on


def _build(_: str, values: Mapping[str, Any]) -> DeviceTests:
    results = tuple(DeviceTest(**item) for item in values["results"])
    return DeviceTests(values["asked"], values["answered"], values["at"], results, values[FOREIGN])


def _spread(record: DeviceTests) -> Mapping[str, Any]:
    told = {name: getattr(record, name) for name in ("asked", "answered", "at")}
    return {**told, "results": [asdict(one) for one in record.results], FOREIGN: record.foreign}


FORMAT: Format[DeviceTests] = Format(FIELDS, _build, _spread, MAX_RECORD_BYTES)


def decode_tests(name: str, data: bytes) -> DeviceTests | Unreadable:
    """What this node's daemon found."""
    return FORMAT.decode(znodes.device_tests(name), name, data)


def encode_tests(name: str, record: DeviceTests) -> bytes:
    """The same as it is written; raises `Unwritable`."""
    return FORMAT.encode(znodes.device_tests(name), name, record)
