"""The real world in which these tests run."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hypervisor.world import HV1, HV2, Script


def missing() -> str:
    """What the real world needs and is not here; empty when all is."""
    absent = [name for name in ("libvirtd", "qemu-system-x86_64", "nft", "cpio") if shutil.which(name) is None]
    if importlib.util.find_spec("libvirt") is None:
        absent.append("libvirt-python")
    if not list(Path("/boot").glob("vmlinuz-*cloud*")):
        absent.append("linux-image-cloud-amd64")
    if os.geteuid() != 0:
        absent.append("root")
    return ", ".join(absent)


@pytest.fixture(scope="session")
def machines(require):
    """Two hosts with libvirtd, for all tests of the session."""
    require("libvirt", not missing(), f"missing: {missing()}")
    from tests.hypervisor.real import RealWorld, two_machines

    with two_machines(f"h{os.getpid()}") as lab:
        yield RealWorld(lab)


@pytest.fixture
def real(machines) -> Iterator[object]:
    """The real world, with ports that have counted."""
    try:
        machines.open()
        for host in (HV1, HV2):
            Script(machines).counted(host)
        yield machines
    finally:
        machines.close()


@pytest.fixture
def world(real) -> object:
    """The world in which the contract suite runs here; `tests/sim` runs the same bodies in a simulated one."""
    return real


@pytest.fixture
def script(world) -> Script:
    """Words to say to it."""
    return Script(world)
