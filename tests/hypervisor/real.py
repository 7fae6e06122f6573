"""The real world: two hosts of the lab with libvirtd and QEMU, and ports of ours over them."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab import Host, Lab, wait_until
from lab.guests import guest_uuid
from pvc.core import events as e
from pvc.fsm.states import Effect
from pvc.fsm.views import Life
from pvc.hypervisor import HypervisorOptions, LibvirtHypervisor
from tests.hypervisor.world import HV1, HV2, SOON_S, until

HOOK = Path(__file__).parents[2] / "hooks" / "pvc-claims"


class Machine:
    """A host of the lab as these tests use it: its libvirtd with our hook."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.name, self.address = host.name, host.address
        # A path from outside: it works whatever happens to the host's network.
        self.socket = host.directory / "root/run/libvirt/libvirt-sock"
        self.uri = f"qemu+unix:///system?socket={self.socket}"
        self.claims = host.directory / "root/run/pvc/claims"

    def install_hook(self) -> None:
        """libvirt looks for hooks when it starts."""
        hooks = self.host.directory / "root/etc/libvirt/hooks/qemu.d"
        hooks.mkdir(parents=True, exist_ok=True)
        shutil.copy(HOOK, hooks)
        self.host.stop("libvirtd")
        self.start_libvirtd()

    def start_libvirtd(self) -> None:
        """Start it where it does not run, and wait until it answers."""
        self.host.start("libvirtd")
        wait_until(lambda: self.host.libvirt_answers, SOON_S, f"libvirtd of {self.name} answers")

    def knows(self, uuid: str) -> bool:
        """Whether its libvirt has a domain of this UUID."""
        return uuid in self.host.virsh("list", "--all", "--uuid")

    def qemu(self, uuid: str) -> int | None:
        """The QEMU of this guest."""
        return next((guest.pid for guest in self.host.guests() if guest.uuid == uuid), None)


@contextmanager
def two_machines(name: str) -> Iterator[Lab]:
    """A lab without what these tests do not need."""
    with Lab(name, leashed=True, pvcd=False) as lab:
        for host in lab.hosts.values():
            host.stop("zookeeper")
        yield lab


class Port:
    """The port of one host, and what it has reported: read by nobody but a test, so every event counts as read when it is reported."""

    def __init__(self, world: RealWorld, machine: Machine, **options: object) -> None:
        self.events: list[e.Event] = []
        self.said: list[str] = []
        self.changed = threading.Condition()
        given = {"reopen_s": 0.05, "reopen_max_s": 0.5, "settle_s": 1.0, "relist_s": 600.0, **options}
        self.hypervisor = LibvirtHypervisor(
            HypervisorOptions(name=machine.name, boot=machine.host.boot_id, claims_directory=machine.claims, uri=machine.uri, **given),  # type: ignore[arg-type]
            xml_of=lambda uuid: world.xml[uuid],
            address_of=lambda node: world.machines[node].address,
            report=self.take,
            say=self.said.append,
        )

    def take(self, event: e.Event) -> None:
        with self.changed:
            if isinstance(event, e.Inventory):
                dict(event.guests)
            self.events.append(event)
            self.changed.notify_all()


class RealWorld:
    """The lab's hosts; each test gets ports of its own, and leaves no guest behind."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.machines = {name: Machine(lab[name]) for name in (HV1, HV2)}
        for machine in self.machines.values():
            machine.install_hook()
        self.xml: dict[str, bytes] = {}
        self.ports: dict[str, Port] = {}
        self.names: dict[str, str] = {}
        self.number = 0

    def open(self, **options: object) -> None:
        for host in self.machines:
            self.start_port(host, **options)

    def start_port(self, host: str, **options: object) -> Port:
        port = self.ports[host] = Port(self, self.machines[host], **options)
        port.hypervisor.start()
        return port

    def close(self) -> None:
        for host, port in self.ports.items():
            port.hypervisor.close()
            machine = self.machines[host]
            machine.host.thaw("libvirtd")
            machine.host.heal()
            machine.host.slow(None)
            for guest in machine.host.guests():
                with suppress(ProcessLookupError):
                    os.kill(guest.pid, signal.SIGKILL)
            until(lambda machine=machine: not machine.host.guests(), SOON_S, "guests are gone")
            shutil.rmtree(machine.claims, ignore_errors=True)
            machine.start_libvirtd()
        self.ports.clear()

    # ---- what happens past the ports

    def _file(self, uuid: str) -> str:
        path = self.lab.place.shared / f"{uuid}.xml"
        path.write_bytes(self.xml[uuid])
        return str(path)

    def define_persistently(self, host: str, uuid: str) -> None:
        self.machines[host].host.virsh("define", self._file(uuid))

    def create_past_the_port(self, host: str, uuid: str) -> None:
        self.machines[host].host.virsh("create", self._file(uuid))

    # ---- what the contract suite asks for

    def wait(self, host: str, condition: Callable[[list[e.Event]], object], seconds: float, why: str) -> None:
        port = self.ports[host]
        with port.changed:
            there = port.changed.wait_for(lambda: condition(port.events), seconds)
        assert there, f"not within {seconds:g} s: {why}\nevents: {port.events}\nsaid: {port.said}"

    def events(self, host: str) -> list[e.Event]:
        return list(self.ports[host].events)

    def order(self, host: str, uuid: str, effect: Effect, life: Life) -> None:
        self.ports[host].hypervisor.order(uuid, effect, life)

    def define(self, *, heeds: bool = True, slow: bool = False) -> str:
        self.number += 1
        name = f"g{os.getpid()}-{self.number}"
        uuid = guest_uuid(name)
        text = self.lab.guest_xml(name, deaf=not heeds, tick_s=0.1)
        if slow:
            self.machines[HV2].host.slow(1)
        self.xml[uuid] = text.encode()
        self.names[uuid] = name
        return uuid

    def kill_guest(self, host: str, uuid: str) -> None:
        # libvirt shows a guest that comes in before its QEMU is there.
        pid = wait_until(lambda: self.machines[host].qemu(uuid), SOON_S, f"there is a QEMU of {uuid} on {host}")
        os.kill(pid, signal.SIGKILL)

    def ticks(self, host: str, uuid: str) -> int:
        return self.machines[host].host.console(self.names[uuid]).count("tick")

    def guest_is_up(self, host: str, uuid: str) -> None:
        until(lambda: self.ticks(host, uuid) > 1, SOON_S, f"{uuid} ticks on {host}")

    def guest_powers_off(self, host: str, uuid: str) -> None:
        self.guest_is_up(host, uuid)
        self.machines[host].host.virsh("shutdown", uuid)  # past the port: what the port hears is the guest's own power-off

    @contextmanager
    def freeze(self, host: str) -> Iterator[None]:
        self.machines[host].host.freeze("libvirtd")
        try:
            yield
        finally:
            self.machines[host].host.thaw("libvirtd")

    def kill_libvirtd(self, host: str) -> None:
        self.machines[host].host.stop("libvirtd", signal.SIGKILL)
        self.machines[host].host.start("libvirtd")

    def restart_port(self, host: str) -> None:
        self.ports[host].hypervisor.close()
        self.start_port(host)

    def reboot_id(self, host: str) -> None:
        for path in self.machines[host].claims.iterdir():
            path.write_text(path.read_text().replace(self.machines[host].host.boot_id, "00000000-0000-0000-0000-00000000dead"))

    def running_on(self, uuid: str) -> list[str]:
        found = []
        for name, machine in self.machines.items():
            if "running" in machine.host.virsh("domstate", uuid, check=False):
                found.append(name)
        return found

