"""`pvc doctor`: everything that can be looked at from here, each with what to do about it."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pvc.cli.access import SESSION_S, Access, access
from pvc.cli.output import Cell, answer, output, print_table
from pvc.cli.screen import several

if TYPE_CHECKING:
    from pvc.client.attention import Finding
    from pvc.client.cluster import Cluster
    from pvc.cluster.options import Tls

ASK_S = 3.0
COLOURS = {"problem": "red", "warning": "yellow", "ok": "green"}


@click.command()
@click.option("--repair", is_flag=True, help="Correct the index of VMs, which nodes find their VMs by; everything else stays as it is.")
@output()
def doctor(repair: bool, form: str) -> None:
    """Look at ZooKeeper, nodes, fencing, versions, clocks and records, and say what to do.

    Ends with 1 when there is a problem. What only a node can see of itself, its own "pvcd --check" says.

    \b
    pvc doctor
    pvc doctor -o json
    pvc doctor --repair
    """
    findings = list(_findings(access(), repair))
    rows = [(Cell(one.level, COLOURS[one.level]), one.about, _sentence(one)) for one in findings]
    data = {"findings": [asdict(one) for one in findings]}
    names = list(dict.fromkeys(one.about for one in findings if one.level != "ok"))
    answer(form, data, names, lambda wide: print_table(("", "ABOUT", "WHAT, AND THE NEXT STEP"), rows, ""))
    if any(one.level == "problem" for one in findings):
        click.get_current_context().exit(1)


def _sentence(finding: "Finding") -> str:
    return finding.sentence + (f" -> {finding.next_step}" if finding.next_step else "")


def _findings(way: Access, repair: bool) -> "Iterator[Finding]":
    from pvc.client.attention import FINE, PROBLEM, Finding
    from pvc.errors import PvcError

    try:
        options = way.options()
        source = next(setting.source for setting in way.addresses() if setting.value)
    except PvcError as error:
        yield Finding(PROBLEM, "configuration", error.message, error.next_step)
        return
    yield Finding(FINE, "configuration", f"{','.join(options.hosts)}{options.chroot or '/'}, from {source}")
    if way.make_store is None:
        yield from servers(options.hosts, options.tls)
    try:
        with way.cluster() as cluster:
            yield from _inside(cluster, repair)
    except PvcError as error:
        yield Finding(PROBLEM, "ZooKeeper", error.message, error.next_step)


def servers(hosts: tuple[str, ...], tls: "Tls | None" = None) -> "Iterator[Finding]":
    """Each server by itself, and whether those that answer are a majority."""
    from pvc.client.attention import FINE, PROBLEM, WARNING, Finding

    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        modes = dict(zip(hosts, pool.map(lambda host: _mode(host, tls), hosts), strict=True))
    for host, (mode, why) in modes.items():
        if mode is None:
            yield Finding(WARNING, f"ZooKeeper {host}", f"it does not answer: {why}", f"look at ZooKeeper on {host.partition(':')[0]}")
    serving = sum(mode in ("leader", "follower", "standalone") for mode, _ in modes.values())
    unknown = sum(mode == "unknown" for mode, _ in modes.values())
    words = f"{serving + unknown} of {len(hosts)} servers answer"
    if serving + unknown == 0:
        yield Finding(PROBLEM, "quorum", words, "start the ensemble")
    elif serving and not any(mode in ("leader", "standalone") for mode, _ in modes.values()) and serving == len(hosts):
        yield Finding(PROBLEM, "quorum", f"{words}, and none of them leads", "look at the ensemble's logs")
    elif len(hosts) == 1:
        yield Finding(WARNING, "quorum", f"{words}; without it nothing is decided", "run 3 or 5 servers, and list them all")
    elif len(hosts) % 2 == 0:
        yield Finding(WARNING, "quorum", f"{words}; {len(hosts)} survive no better than {len(hosts) - 1}", "run 3 or 5 servers")
    else:
        yield Finding(FINE, "quorum", words)


def _mode(host: str, tls: "Tls | None") -> tuple[str | None, str]:
    """What a server says it is; "unknown" where it answers and does not tell."""
    name, _, port = host.rpartition(":")
    try:
        with socket.create_connection((name.strip("[]"), int(port)), ASK_S) as plain, _by_tls(plain, tls) as connection:
            connection.settimeout(ASK_S)
            connection.sendall(b"srvr")
            told = connection.makefile("rb").read(4096).decode("ascii", "replace")
    except (OSError, ValueError) as error:
        return None, str(error)
    mode = next((line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("Mode:")), None)
    if mode is None and "not currently serving" in told:
        return None, "it is not part of a quorum"
    return mode or "unknown", ""


def _by_tls(plain: socket.socket, tls: "Tls | None") -> socket.socket:
    from pvc.cluster.login import tls_context

    return plain if tls is None else tls_context(tls).wrap_socket(plain)


def _inside(cluster: "Cluster", repair: bool) -> "Iterator[Finding]":
    from pvc.client.attention import FINE, WARNING, Finding, attention
    from pvc.client.checkup import checkup

    granted = cluster.store.session_timeout_s
    far = abs(granted - SESSION_S) > SESSION_S / 2
    hint = "look at minSessionTimeout and maxSessionTimeout of ZooKeeper" if far and cluster.store.session_timeout_s < SESSION_S else None
    yield Finding(WARNING if hint else FINE, "session", f"{granted:g} s are granted, {SESSION_S:g} s were asked for", hint)
    snapshot = cluster.snapshot()
    nodes, vms = several(len(snapshot.nodes), "node"), several(len(snapshot.domains), "VM")
    yield Finding(FINE, "cluster", f"{snapshot.config.value.name}, {nodes}, {vms}")
    yield from checkup(cluster, snapshot, repair=repair)
    yield from attention(snapshot)
