"""Hands on everything around one VM: services and guests that are frozen, libvirt held at a moment of its own, packets that are lost."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from lab import Host, Lab, wait_until
from lab.guests import guest_uuid
from lab.services import CLIENT_PORT, LIBVIRT_PORT
from lab.shell import run
from pvc.hypervisor.library import names
from tests.lab.record import REACH_S

HOOK = """#!/bin/sh
# Holds libvirt where a test wants it to be held; see tests/lab/holds.py.
[ "$2" = migrate ] && cat
gate={directory}/$1.$2
[ -e "$gate" ] && : > "$gate.reached"
while [ -e "$gate" ]; do sleep 0.05; done
exit 0
"""


class Holds:
    """A VM of the lab and what can be held, frozen or cut off around it, each as long as a `with` lasts."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name = lab, name
        self.uuid = guest_uuid(name)
        self.source, self.target = "hv1", "hv2"

    def host(self, role: str) -> Host:
        """The host of a role, "source" or "target", or of a name."""
        return self.lab[getattr(self, role, role)]

    def copies(self) -> dict[str, int]:
        """Where a QEMU of it is, running or not, and its process id."""
        return {guest.host: guest.pid for guest in self.lab.guests() if guest.uuid == self.uuid}

    @contextmanager
    def asked(self, role: str) -> Iterator[Any]:
        """It as libvirt of this host has it, over a connection that stays: what is asked often must not take a process each time."""
        with connected(self.host(role)) as connection:
            yield connection.lookupByUUIDString(self.uuid)

    def let_go(self) -> None:
        """Let go of everything that may still be held."""
        for host in self.lab.hosts.values():
            for gate in _gates(host).glob("*"):
                gate.unlink(missing_ok=True)
            for service in ("pvcd", "libvirtd", "zookeeper"):
                host.thaw(service)

    @contextmanager
    def frozen(self, role: str, service: str) -> Iterator[None]:
        """A service that does nothing, and is not gone."""
        host = self.host(role)
        host.freeze(service)
        try:
            yield
        finally:
            host.thaw(service)

    @contextmanager
    def frozen_guest(self, role: str) -> Iterator[None]:
        """Its QEMU at this host does nothing, and neither does what libvirt asks of it."""
        pid = self.copies()[self.host(role).name]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def gate(self, role: str, operation: str) -> Iterator[Callable[[], None]]:
        """Hold libvirt at this operation of its hooks; yields what waits until it is there. It goes on when this ends."""
        host = self.host(role)
        gate = _gates(host) / f"{self.name}.{operation}"
        reached = gate.with_name(gate.name + ".reached")
        _install_hook(host)
        reached.unlink(missing_ok=True)
        gate.touch()
        try:
            yield lambda: wait_until(reached.exists, REACH_S, f"libvirt of {host.name} comes to {operation} {self.name}") and None
        finally:
            gate.unlink(missing_ok=True)

    @contextmanager
    def dropped(self, role: str, rule: str) -> Iterator[None]:
        """What a rule of nftables matches is lost in silence, as long as this lasts: at this host, as it comes in or goes out."""
        host = self.host(role)
        hook = rule.split()[0]
        inside = ("nsenter", f"--target={host.init_pid()}", "--net", "nft")
        table = f"table inet test {{\n chain {hook} {{\n type filter hook {hook} priority 0; {rule.removeprefix(hook)} drop\n }}\n }}"
        run(*inside, "-f", "-", text=table)
        try:
            yield
        finally:
            run(*inside, "delete", "table", "inet", "test", check=False)

    def without_zookeeper(self, role: str) -> AbstractContextManager[None]:
        """A host whose pvcd reaches no ZooKeeper server, while everything else of it goes on."""
        return self.dropped(role, f"output tcp dport {CLIENT_PORT}")

    def without_answers(self) -> AbstractContextManager[None]:
        """The target's libvirtd hears the source's and does as it is told, but its answers are lost."""
        return self.dropped("source", f"input ip saddr {self.host('target').address} tcp sport {LIBVIRT_PORT}")

    def without_requests(self) -> AbstractContextManager[None]:
        """What the source's libvirtd asks of the target's is lost."""
        return self.dropped("source", f"output ip daddr {self.host('target').address} tcp dport {LIBVIRT_PORT}")


@contextmanager
def connected(host: Host) -> Iterator[Any]:
    """A connection to the libvirt of a host, by a path that no cut concerns."""
    library = names().library
    connection = library.open(f"qemu+unix:///system?socket={host.directory / 'root/run/libvirt/libvirt-sock'}")
    try:
        yield connection
    finally:
        with suppress(library.libvirtError):  # its libvirtd may have been killed
            connection.close()


class Switchover:
    """The moment at which libvirt has stopped a guest at its source for the switchover, as libvirt tells it."""

    def __init__(self, held: Holds) -> None:
        self._held = held
        self.reached = threading.Event()

    def __enter__(self) -> "Switchover":
        lifecycle = names().library.VIR_DOMAIN_EVENT_ID_LIFECYCLE
        with ExitStack() as opened:
            self._connection = opened.enter_context(connected(self._held.host("source")))
            self._number = self._connection.domainEventRegisterAny(None, lifecycle, self._heard, None)
            self._opened = opened.pop_all()
        return self

    def _heard(self, connection: object, domain: object, event: int, detail: int, opaque: object) -> None:
        library = names().library
        migrated = event == library.VIR_DOMAIN_EVENT_SUSPENDED and detail == library.VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED
        if migrated and domain.UUIDString() == self._held.uuid:
            self.reached.set()

    def wait(self) -> None:
        """Until it has come to that."""
        assert self.reached.wait(REACH_S), "it never came to the switchover"

    def __exit__(self, *_: object) -> None:
        with suppress(names().library.libvirtError):  # its libvirtd may have been killed
            self._connection.domainEventDeregisterAny(self._number)
        self._opened.close()


def _gates(host: Host) -> Path:
    return host.directory / "gates"


def _install_hook(host: Host) -> None:
    """Where libvirt looks at each operation; that there are hooks at all it found out when it started, by pvc's own."""
    _gates(host).mkdir(exist_ok=True)
    hook = host.directory / "root/etc/libvirt/hooks/qemu.d/test-gate"
    if not hook.exists():
        hook.write_text(HOOK.format(directory=_gates(host)))
        hook.chmod(0o755)
