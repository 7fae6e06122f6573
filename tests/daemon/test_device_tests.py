"""The self-test of fencing: what each device says, what is not believed from then on, and who asked for it."""

from dataclasses import replace

import pytest

from pvc.cluster import znodes
from pvc.cluster.device_tests import DeviceTest, decode_tests, encode_tests
from pvc.cluster.records import FenceMethod
from pvc.cluster.store import Changed, Set
from pvc.daemon.config import FenceAccess
from pvc.daemon.device_tests import DeviceTester
from pvc.fsm.states import Power
from tests.agent.small_cluster import SmallCluster
from tests.daemon.test_power import tool  # noqa: F401 - a fixture

GUID = "00112233445566778899aabbccddeeff"
# Which machine is meant is in the address; hv2 is silent.
DEVICES = """case "$*" in
*hv2*) exit 1;;
*status) cat "$(echo "$*" | grep -o 'hv[0-9]')" 2>/dev/null || echo "Chassis Power is on";;
*guid) echo "System GUID  : 00112233-4455-6677-8899-aabbccddeeff";;
esac"""


class World:
    """Three nodes, and the tester of hv1."""

    def __init__(self):
        self.small = SmallCluster(nodes=3, vms=0)
        self.accesses = {name: FenceAccess(FenceMethod.ipmi, f"{name}-lom", "pvc", "x", timeout_s=60) for name in self.small.straws}
        self.store = self.small.stores["hv1"]
        token = self.small.agents["hv1"].executor
        self.tester = DeviceTester("hv1", self.store, self.accesses.__getitem__, token=lambda: token.token, now=lambda: "now", recheck_s=0)

    def tested(self):
        self.tester.test()
        return decode_tests("hv1", self.small.client.read(znodes.device_tests("hv1")).data)

    def ask(self, request):
        path = znodes.device_tests("hv1")
        found = self.small.client.read(path)
        old = decode_tests("hv1", found.data)
        self.small.client.multi([Set(path, encode_tests("hv1", replace(old, asked=request)), found.version)])
        self.tester.changed(Changed(path, self.small.client.read(path), 0))
        return self.tester._asked.is_set()


@pytest.fixture
def world(tool):  # noqa: F811
    tool(DEVICES)
    return World()


def test_every_device_is_asked_and_the_answers_are_there_to_be_read(world):
    tests = world.tested()
    assert (tests.at, [(one.node, one.reading, one.works) for one in tests.results]) == (
        "now", [("hv1", Power.on, True), ("hv2", Power.silent, False), ("hv3", Power.on, True)]
    )  # fmt: skip


def test_a_node_without_a_device_cannot_be_fenced_and_says_so(world):
    world.accesses["hv3"] = FenceAccess(FenceMethod.manual)
    assert world.tested().results[2] == DeviceTest("hv3", FenceMethod.manual, Power.unread)


def test_a_device_of_another_machine_is_not_believed_until_it_is_the_right_one(world):
    world.accesses["hv3"] = replace(world.accesses["hv3"], guid=GUID.replace("00", "99"))
    assert "another machine's" in world.tested().results[2].fault
    assert "another machine's" in world.tester.distrusted("hv3")
    assert world.tester.distrusted("hv1") == ""
    world.accesses["hv3"] = replace(world.accesses["hv3"], guid=GUID)
    assert world.tested().results[2].works
    assert world.tester.distrusted("hv3") == ""


def test_a_device_that_reads_off_while_its_node_lives_is_another_machines(world, tmp_path):
    (tmp_path / "hv3").write_text("Chassis Power is off\n")
    assert "it reads off while the node lives" in world.tested().results[2].fault
    world.small.power_off("hv3")
    world.small.ensemble.advance(60)
    world.small.settle()
    assert world.tested().results[2] == DeviceTest("hv3", FenceMethod.ipmi, Power.off)


def test_a_node_that_dies_while_its_device_is_asked_does_not_discredit_it(world, tmp_path):
    """Its session outlives it by the timeout; whoever distrusted its device then would never recover it."""
    (tmp_path / "hv3").write_text("Chassis Power is off\n")

    def meanwhile(seconds):
        world.small.power_off("hv3")
        world.small.ensemble.advance(60)

    world.tester._closing.wait = meanwhile
    assert world.tested().results[2] == DeviceTest("hv3", FenceMethod.ipmi, Power.off)
    assert world.tester.distrusted("hv3") == ""


def test_a_request_is_answered_once(world):
    world.tested()
    assert world.ask("test-1")
    world.tester._asked.clear()
    assert world.tested().answered == "test-1"
    path = znodes.device_tests("hv1")
    world.tester.changed(Changed(path, world.small.client.read(path), 0))
    assert not world.tester._asked.is_set()
    assert world.ask("test-2")


def test_who_is_not_a_node_any_more_publishes_nothing(world):
    boot = world.small.client.read(znodes.boot("hv1"))
    world.small.client.multi([Set(znodes.boot("hv1"), boot.data, boot.version)])
    world.tester._closing.set()
    world.tester.test()
    assert world.small.client.read(znodes.device_tests("hv1")) is None
