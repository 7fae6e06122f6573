"""Making a lab that was used, and maybe broken, as good as new, in seconds: for the next test."""

import contextlib
import os
import shutil
import signal
from collections.abc import Sequence
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import NotEmptyError

from lab import services
from lab.host import Host
from lab.lab import START_TIMEOUT_S, Lab
from lab.wait import wait_until

NODES_TIMEOUT_S = 60


def reset(lab: Lab) -> None:
    """All power on, all links whole, ZooKeeper and libvirt answer; no cluster, no guest, and no pvcd runs."""
    lab.place.without_pvcd.touch()
    lab.heal_all()
    _end_daemons(lab)
    lab.bmcs.reset()
    for host in lab.machines.values():
        host.power_on()
        for service in host.services:
            if service != "pvcd":
                host.thaw(service)
                host.start(service)
    for host in lab.hosts.values():
        _kill_guests(host)
    lab.wait()
    for host in lab.hosts.values():
        _forget(host)
    for disk in lab.place.shared.glob("*.qcow2"):
        disk.unlink()
    _wipe(",".join(host.zookeeper for host in lab.servers.values()))


def new_cluster(lab: Lab, nodes: Sequence[str] = (), **options: str) -> None:
    """Create a cluster, start pvcd on these hosts, or all, with these options in its configuration, and wait until each node works.

    From then on pvcd also starts when a host gets its power back.
    """
    lab.pvc("init", "lab", "--yes")
    lab.place.without_pvcd.unlink(missing_ok=True)
    wanted = nodes or list(lab.hosts)
    for name in wanted:
        lab[name].write_pvcd_conf(**options)
        lab[name].start_pvcd()
    wait_until(lambda: sorted(lab.working_nodes()) == sorted(wanted), NODES_TIMEOUT_S, "each node works")


def _end_daemons(lab: Lab) -> None:
    """One that is ended later could shoot another's host for its silence, and that shot must not hit the next test."""
    lab.bmcs.ignore()
    for host in lab.hosts.values():
        if host.is_on:
            host.kill("pvcd")


def _kill_guests(host: Host) -> None:
    for guest in host.guests():
        with contextlib.suppress(ProcessLookupError):
            os.kill(guest.pid, signal.SIGKILL)
    wait_until(lambda: not host.guests(), START_TIMEOUT_S, f"the guests of {host.name} end")


def _forget(host: Host) -> None:
    """What libvirt and pvcd have kept of guests, and what those printed."""
    wait_until(lambda: not host.virsh("list", "--name").strip(), START_TIMEOUT_S, f"libvirtd of {host.name} sees that its guests ended")
    for name in host.virsh("list", "--all", "--name").split():
        host.virsh("undefine", name)
    for console in host.console_directory.iterdir():
        console.unlink()
    shutil.rmtree(host.directory / "root" / "run" / "pvc", ignore_errors=True)
    for file in (host.directory / "pvc").iterdir():
        file.unlink()
    (host.directory / "log" / "pvcd").unlink(missing_ok=True)
    host.write_pvcd_conf()


def _wipe(servers: str) -> None:
    client: Any = KazooClient(servers)
    client.start(timeout=START_TIMEOUT_S)
    try:
        wait_until(lambda: _is_gone(client), START_TIMEOUT_S, "nothing is left in ZooKeeper")
    finally:
        client.stop()
        client.close()


def _is_gone(client: Any) -> bool:
    """Whether nothing is left of the cluster, or something came while it was deleted."""
    with contextlib.suppress(NotEmptyError):
        client.delete(services.CHROOT, recursive=True)
    return not client.exists(services.CHROOT)
