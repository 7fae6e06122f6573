"""What the kernel says of this machine."""

import os
import socket

import pytest

from pvc.daemon import machine
from pvc.daemon.machine import GuestSums
from pvc.errors import PvcError

MEMINFO = "MemTotal: 8388608 kB\nMemFree: 1048576 kB\nMemAvailable: 4194304 kB\nHugePages_Total: 0\n"


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """8 GiB, of which the kernel could give 4 more."""
    (tmp_path / "meminfo").write_text(MEMINFO)
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "meminfo")


def free(allocated, reserve=512):
    return machine.measure(1, GuestSums(1, 1, allocated), reserve, libvirt=True).memory_free_mib


@pytest.mark.usefixtures("memory")
def test_free_is_what_the_kernel_can_give_without_the_reserve():
    assert free(0) == 4096 - 512
    assert free(2048) == 4096 - 512


@pytest.mark.usefixtures("memory")
def test_memory_that_guests_were_promised_is_not_free_though_they_do_not_use_it_yet():
    assert free(6144) == 2048 - 512


@pytest.mark.usefixtures("memory")
def test_free_is_never_less_than_nothing():
    assert free(8192) == 0


@pytest.mark.usefixtures("memory")
def test_a_keepalive_says_what_is_there_and_what_is_used():
    stats = machine.measure(9, GuestSums(3, 5, 1024), 0, libvirt=False)
    assert (stats.tick, stats.domains, stats.vcpus, stats.libvirt) == (9, 3, 5, False)
    assert (stats.memory_total_mib, stats.memory_used_mib, stats.memory_allocated_mib) == (8192, 4096, 1024)
    assert stats.load >= 0


def test_the_static_facts_are_those_of_this_machine():
    found = machine.describe("9.0.0", "7.2.0")
    assert (found.cpus, found.arch, found.kernel) == (os.cpu_count(), os.uname().machine, os.uname().release)
    assert found.memory_mib > 0
    assert (found.libvirt, found.qemu) == ("9.0.0", "7.2.0")


def test_the_boot_id_is_the_kernels(tmp_path, monkeypatch):
    assert machine.boot_id() == machine.boot_id()
    monkeypatch.setattr(machine, "BOOT_ID", tmp_path / "none")
    with pytest.raises(PvcError, match="cannot be read"):
        machine.boot_id()


@pytest.mark.parametrize(
    ("family", "address", "shown"),
    [(socket.AF_INET, "127.0.0.1", "127.0.0.1"), (socket.AF_INET, "0.0.0.0", "0.0.0.0"), (socket.AF_INET6, "::", "::")],
)
def test_who_listens_is_found_by_the_address_as_people_write_it(family, address, shown):
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        port = listener.getsockname()[1]
        assert machine.listeners(port) == []
        listener.listen()
        assert machine.listeners(port) == [shown]
