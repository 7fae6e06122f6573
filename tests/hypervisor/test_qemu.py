"""The end of a QEMU is seen by its process, and by that of no other."""

import signal
import subprocess
from pathlib import Path

import pytest

from lab.wait import wait_until
from pvc.hypervisor import qemu

UUID, OTHER = "4d7c2a52-0f0e-4d8e-9a35-5f1e6b7c8d90", "5d7c2a52-0f0e-4d8e-9a35-5f1e6b7c8d90"


@pytest.fixture
def begin():
    """Start processes that look like QEMU's."""
    begun = []

    def begin(uuid, name="qemu-system-x86_64"):
        # A shell that waits for its input: its command line is what counts.
        process = subprocess.Popen([name, "-c", "read line", "-uuid", uuid], executable="/bin/sh", stdin=subprocess.PIPE)
        begun.append(process)
        # The kernel tells of a new program a moment before it shows its command line.
        wait_until(lambda: uuid.encode() in Path(f"/proc/{process.pid}/cmdline").read_bytes(), 60, "its command line shows")
        return process

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def test_its_end_is_seen_at_once(begin):
    process = begin(UUID)
    found = qemu.find(UUID)
    assert found is not None
    assert not qemu.has_ended(found, 0)
    process.send_signal(signal.SIGKILL)
    assert qemu.has_ended(found, 60)


def test_others_are_not_taken_for_it(begin):
    begin(OTHER)
    begin(UUID, "virsh")
    assert qemu.find(UUID) is None


def test_of_two_none_is_the_one(begin):
    begin(UUID)
    begin(UUID)
    assert qemu.find(UUID) is None
