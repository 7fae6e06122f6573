"""The preflight about fencing: the own device, the secrets, the peers."""

import shutil
import stat
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from pvc.agent.watchdog import reset_after_s
from pvc.cluster import login
from pvc.cluster.records import FenceMethod, Fencing
from pvc.daemon import machine
from pvc.daemon.config import DEFAULT, DaemonConfig, FenceAccess
from pvc.daemon.devices import look_at, wanted_guid
from pvc.daemon.fencers import fencer_of
from pvc.daemon.findings import Finding, ok, problem, warning
from pvc.fsm.states import Power

TCP_RETRIES2 = Path("/proc/sys/net/ipv4/tcp_retries2")
MOST_RETRIES = 8
"""Repetitions after which some 100 s have passed; 5 are over after some 10 to 20 s."""
ASK_OWN_S = 2.0
"""A daemon that has crashed must be back within the dead time, whatever its device does."""
RESTART_S = 8.0
"""RestartSec of our unit, and what a start takes."""
MANUAL = (FenceMethod.none, FenceMethod.manual)


class FencingLook:
    """Looks at how this node is fenced, and how it would fence others; ``published`` is what its record is to say of it."""

    def __init__(self, config: DaemonConfig) -> None:
        self._config = config
        self._access = config.fence_of(config.node)
        self.published: Fencing = self._access.published

    def findings(self) -> Iterator[Finding]:
        """Everything about this node itself."""
        yield from self._secrets()
        if self._access.method in MANUAL:
            yield warning(
                f"fencing: {self._config.node} has none: when it dies, its VMs stay where they are until somebody confirms that it is off",
                "set fence_method = ipmi and the device's address",
            )
        else:
            yield from self._tools([self._access])
            yield from self._own_device()
        yield from self._watchdog()
        yield from _order(self._config)
        yield from _kernel()

    def _watchdog(self) -> Iterator[Finding]:
        """Whether it is there. To open it is to arm it, so that is left to the daemon."""
        device, timeout_s = self._config.watchdog_device, self._config.watchdog_timeout_s
        if device is None:
            return
        if device.is_char_device():
            off_s = reset_after_s(timeout_s)
            yield ok(f"fencing: by {device}, {timeout_s:g} s without ZooKeeper; peers take this node for off {off_s} s after its session")
        else:
            yield warning(f"fencing: there is no watchdog {device}, so nobody can count on its bite", "load its driver, or softdog")

    def peers(self, names: Iterable[str]) -> Iterator[Finding]:
        """What the file says of the nodes of this name, which is how this node would fence them."""
        file = self._config.file
        others = [name for name in sorted(names) if name != self._config.node]
        if len(others) == 1:
            yield warning(
                "fencing: of two nodes neither ever shoots the other, for one is no majority: only who reads off is recovered by itself",
                "add a third node, perhaps one that takes no VMs: it is asked all the same",
            )
        alone = [name for name in others if file.section_of(name) == DEFAULT]
        if alone and file.sections:
            which = ", ".join(alone)
            yield warning(f"fencing: {file.path} has no section for {which}: for them only [{DEFAULT}] counts", f"add [{alone[0]}] to it")
        for name in others:
            access = file.fence_of(name)
            if access.method is FenceMethod.ipmi and (access.username is None or not (access.password or access.password_file)):
                yield warning(f"fencing: this node cannot fence {name}: the file has no user or password for it", f"add it to [{name}]")
        for finding in self._tools([file.fence_of(name) for name in others]):
            yield warning(finding.sentence, finding.next_step)

    def _tools(self, accesses: Iterable[FenceAccess]) -> Iterator[Finding]:
        programs = {access.agent: "fence-agents" for access in accesses if access.method is FenceMethod.agent}
        if any(access.method is FenceMethod.ipmi for access in accesses):
            programs["ipmitool"] = "ipmitool"
        for program, package in programs.items():
            if shutil.which(str(program)) is None:
                yield problem(f"fencing: {program} is not installed", f"apt install {package}")

    def _secrets(self) -> Iterator[Finding]:
        """A file with a password that anybody on this machine can read is as good as none."""
        file, path = self._config.file, self._config.path
        accesses = [file.fence_of(name) for name in (self._config.node, *file.sections)]
        files = {access.password_file for access in accesses if access.password_file is not None}
        told = any(access.secrets for access in accesses) or self._config.login.get(login.PASSWORD)
        files |= {path} if told else set()
        own = self._config.login.get(login.PASSWORD_FILE)
        files |= {Path(own)} if own else set()
        for one in sorted(files):
            yield from _secret(one)

    def _own_device(self) -> Iterator[Finding]:
        access = self._access
        fencer = fencer_of(replace(access, timeout_s=min(access.timeout_s, ASK_OWN_S)), threading.Event())
        if fencer is None:
            return
        guid = wanted_guid(access, machine.dmi_uuid()) if access.method is FenceMethod.ipmi else None
        look = look_at(fencer, guid, lives=True)
        self.published = replace(access.published, guid=guid, fault=look.fault)
        name = f"{access.method} at {access.address}" if access.address else str(access.agent or access.method)
        if look.fault and look.reading is Power.off:
            yield problem(f"fencing: the device of {self._config.node} is not believed: {look.fault}", "correct its address")
        elif look.fault:
            yield warning(f"fencing: the device of {self._config.node} is not believed: {look.fault}", "correct its address, or ipmi_guid")
        elif look.reading is Power.silent:
            next_step = "look at its address, user and password; some devices cannot be reached from their own machine"
            yield warning(f"fencing: by {name}, which does not answer from here", next_step)
        else:
            yield ok(f"fencing: by {name}, which reads {look.reading}")


def _secret(path: Path) -> Iterator[Finding]:
    try:
        mode = path.stat().st_mode
        path.open("rb").close()
    except OSError as error:
        yield problem(f"fencing: {path} cannot be read: {error.strerror}", "write the password into it, as root")
        return
    if mode & stat.S_IROTH:
        yield problem(f"fencing: {path} holds a password, and everybody on this machine can read it", f"chmod 0600 {path}")
    elif mode & stat.S_IRGRP:
        yield warning(f"fencing: {path} holds a password, and others than its owner can read it", f"chmod 0600 {path}")


def _order(config: DaemonConfig) -> Iterator[Finding]:
    """The times in the order in which they pass, for whoever wonders how long it takes."""
    settings = config.settings
    dead_s = settings.dead_ticks * settings.keepalive_interval_s
    yield ok(
        f"times: a node that is lost is suspected after {settings.session_timeout_s:g} s, dead after {dead_s:g} s,"
        f" and shot after {dead_s + settings.throws_s:g} s"
    )
    if dead_s + settings.throws_s < RESTART_S:
        yield warning(
            f"times: a daemon that crashes works again after some {RESTART_S:g} s, and by then its node has been shot",
            "raise dead_ticks or throws_ticks; or set RestartSec=0.5 by systemctl edit pvcd",
        )


def _kernel() -> Iterator[Finding]:
    try:
        retries = int(TCP_RETRIES2.read_text())
    except (OSError, ValueError):
        return
    if retries > MOST_RETRIES:
        yield warning(
            f"kernel: net.ipv4.tcp_retries2 is {retries}: a migration that is cut off in its last moment holds its guest for minutes",
            "sysctl -w net.ipv4.tcp_retries2=5, and write it into /etc/sysctl.d",
        )
