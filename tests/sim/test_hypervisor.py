"""The simulated hypervisor port owes what the real one owes: the bodies of the contract suite, over simulated machines."""

import pytest

from pvc.core import events as e
from pvc.fsm.states import Effect, Guest, Job
from tests.hypervisor import test_contract as contract
from tests.hypervisor.world import HV1, HV2, Script, inventories, jobs_done, last
from tests.sim.ports import SimWorld

CONTRACT = [promise for name, promise in vars(contract).items() if name.startswith("test_")]


@pytest.fixture(params=range(3))
def world(request):
    return SimWorld(request.param)


@pytest.fixture
def script(world):
    words = Script(world)
    for host in (HV1, HV2):
        words.counted(host)
    return words


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__.removeprefix("test_"))
def test_the_simulated_port_keeps_the_contract(promise, world, script):
    promise(world, script)


def test_every_job_ends_also_when_its_connection_breaks(world, script):
    uuid = script.create(HV1, slow=True)
    script.admit(HV2, uuid)
    before = script.give(HV1, uuid, Effect.migrate, target=HV2)
    script.shows(HV2, uuid, Guest.incoming)
    world.kill_libvirtd(HV1)
    assert script.done(HV1, uuid, Job.migrate, before) is Guest.unknown
    assert isinstance(world.events(HV1)[-1], e.HypervisorLost)
    script.shows(HV1, uuid, Guest.running)


def test_an_order_without_a_connection_ends_unknown(world, script):
    uuid = world.define()
    world.kill_libvirtd(HV1)
    assert script.do(HV1, uuid, Effect.create, Job.create) is Guest.unknown
    world.wait(HV1, lambda events: len(inventories(events)) == 2, 20, "it is counted again")
    assert last(world.events(HV1), uuid) is Guest.absent


def test_what_is_not_a_vm_is_not_started(world, script):
    uuid = world.define()
    world.xml[uuid] = b"<domain/>"
    assert script.do(HV1, uuid, Effect.create, Job.create) is Guest.absent


def test_a_daemon_that_is_gone_hears_nothing(world, script):
    uuid = script.create(HV1)
    port, before = world.ports[HV1], list(world.events(HV1))
    port.close()
    world.kill_guest(HV1, uuid)
    world._pass(10.0)
    assert world.events(HV1) == before
    assert not jobs_done(before, uuid, Job.destroy)
