"""Having the fence devices tested: each daemon is asked, and says what it reads. Nothing is switched."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import uuid4

from pvc.client.snapshot import Reader
from pvc.client.waiting import Waiting
from pvc.cluster import znodes
from pvc.cluster.device_tests import DeviceTest, DeviceTests, decode_tests, encode_tests
from pvc.cluster.names import is_name
from pvc.cluster.store import Changed, Create, Refused, Set
from pvc.errors import PvcError

TRIES = 5
PATIENCE_S = 60.0
"""A silent device takes its time, and so do many of them."""


@dataclass(frozen=True, slots=True)
class Tested:
    """What the daemon of one node said of the device of one node; ``said`` is None when that daemon did not answer."""

    tester: str
    said: DeviceTest | None


class DeviceTesting:
    """What one client does to know whether nodes could be fenced."""

    def __init__(self, reader: Reader, waiting: Waiting) -> None:
        self.reader, self.waiting = reader, waiting

    def test(self, name: str | None, timeout_s: float = PATIENCE_S, show: Callable[[str], None] | None = None) -> tuple[Tested, ...]:
        """Have every daemon that is there test the devices; what each says of this node's, or of all, and last who did not answer."""
        if name is not None:
            self.reader.node(name)
        store = self.reader.store
        testers = sorted(one for one in store.children(znodes.ALIVE, sync=True) or () if is_name(one))
        if not testers:
            raise PvcError("no node answers, so nobody can ask a device", "start pvcd on one: systemctl start pvcd")
        found: dict[str, DeviceTests] = {}
        with self.waiting.watching(*map(znodes.device_tests, testers)):
            asked = {tester: self._ask(tester) for tester in testers}
            for event in self.waiting.events(timeout_s, show):
                if event is None:
                    break
                if isinstance(event, Changed):
                    tester = event.path.split("/")[2]
                    tests = None if event.znode is None else decode_tests(tester, event.znode.data)
                    if isinstance(tests, DeviceTests) and tests.answered == asked.get(tester):
                        found[tester] = tests
                if len(found) == len(asked):
                    break
        return tuple(_sorted(testers, found, name))

    def _ask(self, tester: str) -> str:
        path, request = znodes.device_tests(tester), f"test-{uuid4().hex[:16]}"
        for _ in range(TRIES):
            znode = self.reader.store.read(path, sync=True)
            old = DeviceTests() if znode is None else decode_tests(tester, znode.data)
            if not isinstance(old, DeviceTests):
                raise PvcError(str(old), f"repair or remove {path} by hand")
            data = encode_tests(tester, replace(old, asked=request))
            with suppress(Refused):
                self.reader.store.multi([Create(path, data) if znode is None else Set(path, data, znode.version)])
                return request
        raise PvcError(f"{tester} cannot be asked: others ask it all the time", "try again")


def _sorted(testers: list[str], found: dict[str, DeviceTests], name: str | None) -> Iterator[Tested]:
    tested = [(one.node, tester, one) for tester, tests in found.items() for one in tests.results if name in (None, one.node)]
    yield from (Tested(tester, one) for _, tester, one in sorted(tested, key=lambda item: item[:2]))
    yield from (Tested(tester, None) for tester in testers if tester not in found)
