"""The port over a real libvirtd, beyond what every port owes: who answers, what is counted when, and what is refused."""

import subprocess
import sys
import threading
import time

import pytest

from pvc.core import events as e
from pvc.errors import PvcError
from pvc.fsm.states import Effect, Guest, Job
from pvc.hypervisor import probe
from pvc.hypervisor.claims import Claims, Phase
from tests.hypervisor.world import HV1, HV2, SOON_S, Script, inventories, jobs_done, last, until

pytestmark = pytest.mark.long


def test_who_answers_is_told(real):
    facts = probe(real.machines[HV1].uri)
    assert facts.hostname.startswith(HV1)
    assert facts.libvirt.count(".") == facts.qemu.count(".") == 2


def test_a_libvirtd_that_is_not_there_is_told(real, tmp_path):
    with pytest.raises(PvcError, match="cannot be asked"):
        probe(f"qemu+unix:///system?socket={tmp_path}/nothing")


def test_a_frozen_libvirtd_holds_up_nobody_who_asks(real):
    with real.freeze(HV1), pytest.raises(PvcError, match="has not answered for 1 s"):
        probe(real.machines[HV1].uri, timeout_s=1)


def test_what_guests_take_is_known(real):
    script = Script(real)
    uuid = script.create(HV1)
    hypervisor = real.ports[HV1].hypervisor
    until(lambda: hypervisor.figures().vcpus == 1, SOON_S, "its size is known")
    assert hypervisor.figures().domains == 1
    assert hypervisor.figures().memory_allocated_mib == 96
    script.do(HV1, uuid, Effect.destroy, Job.destroy)
    assert hypervisor.figures().domains == 0


def test_a_definition_without_a_guest_is_none_and_stands_in_the_way_of_another(real, tmp_path):
    """Started beside it, ours would carry its settings away, or be started again by libvirt one day."""
    script = Script(real)
    uuid = real.define()
    real.define_persistently(HV1, uuid)
    try:
        real.restart_port(HV1)
        assert script.counted(HV1).guests.get(uuid, Guest.absent) is Guest.absent
        assert script.do(HV1, uuid, Effect.create, Job.create) is Guest.absent
        assert "a domain of it already" in real.ports[HV1].said[-1]
    finally:
        real.machines[HV1].host.virsh("undefine", uuid)


def test_the_xml_of_another_vm_is_not_started(real):
    script = Script(real)
    uuid, other = real.define(), real.define()
    real.xml[uuid] = real.xml[other]
    assert script.do(HV1, uuid, Effect.create, Job.create) is Guest.absent
    assert last(real.events(HV1), other) is Guest.absent
    (done,) = jobs_done(real.events(HV1), uuid, Job.create)
    assert "XML" in done.trouble


def test_a_guest_that_cannot_start_says_why(real):
    script = Script(real)
    uuid = real.define()
    real.xml[uuid] = real.xml[uuid].replace(b"/kernel<", b"/no-such-kernel<")
    assert script.do(HV1, uuid, Effect.create, Job.create) is Guest.absent
    assert "no-such-kernel" in jobs_done(real.events(HV1), uuid, Job.create)[0].trouble


def test_an_order_while_libvirt_is_lost_is_decided_again(real):
    script = Script(real)
    uuid = real.define()
    real.machines[HV1].host.stop("libvirtd")
    real.wait(HV1, lambda events: isinstance(events[-1], e.HypervisorLost), SOON_S, "it is noticed")
    script.give(HV1, uuid, Effect.create)
    assert "decided again" in real.ports[HV1].said[-1]
    real.machines[HV1].start_libvirtd()
    real.wait(HV1, lambda events: len(inventories(events)) >= 2, SOON_S, "it is counted again")
    assert not jobs_done(real.events(HV1), uuid, Job.create)
    assert script.do(HV1, uuid, Effect.create, Job.create) is Guest.running


def test_after_a_create_that_nobody_saw_end_absent_is_said_late_and_is_final(real):
    """What waits in a frozen libvirtd may still begin; once it was counted as gone, the hook lets it in no more."""
    uuid = real.define()
    port = real.ports[HV1]
    port.hypervisor.close()
    dead = Claims(real.machines[HV1].claims, real.machines[HV1].host.boot_id)
    dead.put(uuid, 1, Phase.create, Job.create)
    begun = time.monotonic()
    port = real.start_port(HV1, settle_s=1.5)
    assert Script(real).counted(HV1).guests.get(uuid, Guest.absent) is Guest.absent
    assert time.monotonic() - begun >= 1.5
    with pytest.raises(PvcError, match="not claimed by this host any more"):
        real.create_past_the_port(HV1, uuid)


def test_a_daemon_that_saw_every_job_end_counts_at_once(real):
    script = Script(real)
    script.create(HV1)
    real.ports[HV1].hypervisor.close()
    begun = time.monotonic()
    real.start_port(HV1, settle_s=600.0)
    script.counted(HV1)
    assert time.monotonic() - begun < 60


def test_nothing_gets_in_by_hand_that_is_ours_and_not_claimed(real):
    """A guest with our mark, moved with virsh to a host that has not admitted it."""
    script = Script(real)
    uuid = script.create(HV1)
    target = f"qemu+tcp://{real.machines[HV2].address}/system"
    words = real.machines[HV1].host.run("virsh", "migrate", "--live", uuid, target, check=False)
    assert "has not claimed it" in words.stderr
    assert real.running_on(uuid) == [HV1]


def test_what_is_gone_from_here_is_not_started_by_what_still_waits(real):
    script = Script(real)
    uuid = script.create(HV1)
    real.kill_guest(HV1, uuid)
    script.shows(HV1, uuid, Guest.absent)
    with pytest.raises(PvcError, match="not claimed by this host any more"):
        real.create_past_the_port(HV1, uuid)


def test_a_guest_moves_there_and_back(real):
    script = Script(real)
    uuid = script.create(HV1)
    for source, target in ((HV1, HV2), (HV2, HV1)):
        until(lambda target=target: not real.machines[target].knows(uuid), SOON_S, "libvirt has forgotten it where it goes")
        script.admit(target, uuid)
        assert script.do(source, uuid, Effect.migrate, Job.migrate, target=target) is Guest.absent
        script.shows(target, uuid, Guest.held)
        assert script.do(target, uuid, Effect.resume, Job.resume) is Guest.running
    assert real.running_on(uuid) == [HV1]


def test_a_closed_port_is_silent(real):
    script = Script(real)
    uuid = script.create(HV1)
    real.ports[HV1].hypervisor.close()
    before = real.events(HV1)
    real.kill_guest(HV1, uuid)
    until(lambda: real.machines[HV1].qemu(uuid) is None, SOON_S, "it is dead")
    assert real.events(HV1) == before


def test_many_calls_that_wait_when_libvirtd_freezes_end_in_a_count(real):
    """With two of them on one connection libvirt 9.0 takes the whole process with it."""
    script = Script(real)
    uuids = [real.define() for _ in range(6)]
    for uuid in uuids:
        script.give(HV1, uuid, Effect.create)
    for uuid in uuids:
        assert script.done(HV1, uuid, Job.create, seconds=60) is Guest.running
    with real.freeze(HV1):
        for uuid in uuids:
            script.give(HV1, uuid, Effect.suspend)
        real.wait(HV1, lambda events: isinstance(events[-1], e.HypervisorLost), SOON_S, "it is noticed")
        assert not any(jobs_done(real.events(HV1), uuid, Job.suspend) for uuid in uuids)
    real.wait(HV1, lambda events: len(inventories(events)) >= 2, SOON_S, "it is counted again")
    counted = inventories(real.events(HV1))[-1].guests
    assert set(counted) == set(uuids)
    assert set(counted.values()) <= {Guest.running, Guest.paused}  # each was carried out, or not
    for uuid in uuids:
        assert script.do(HV1, uuid, Effect.suspend, Job.suspend) is Guest.paused


def test_breaks_leave_no_threads_behind(real):
    script = Script(real)
    script.create(HV1)
    before = threading.active_count()
    for number in range(5):
        real.kill_libvirtd(HV1)
        real.wait(HV1, lambda events, number=number: len(inventories(events)) >= number + 2, SOON_S, "it is counted again")
    until(lambda: threading.active_count() <= before + 2, SOON_S, f"{threading.active_count()} threads, {before} before")


def test_without_libvirts_package_everything_but_the_start_works():
    code = (
        "import sys; sys.modules['libvirt'] = None\n"
        "from pathlib import Path\n"
        "from pvc.hypervisor import HypervisorOptions, LibvirtHypervisor\n"
        "options = HypervisorOptions('hv1', 'boot', Path('/nowhere'))\n"
        "port = LibvirtHypervisor(options, xml_of=None, address_of=None, report=None, say=None)\n"
        "try:\n    port.start()\nexcept Exception as error:\n    print(type(error).__name__, error, error.next_step)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "PvcError libvirt's package for Python is not installed on Debian: apt install python3-libvirt\n", done.stderr
