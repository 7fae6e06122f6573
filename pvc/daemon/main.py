"""The entry point of `pvcd`, the node daemon."""

import argparse
import logging
import os
import socket
from collections.abc import Sequence

from pvc import __version__
from pvc.daemon import virt
from pvc.daemon.findings import Finding, Verdict
from pvc.daemon.logs import open_log
from pvc.daemon.notify import Notifier
from pvc.daemon.preflight import CONFIG_VARIABLE, Preflight, Ready
from pvc.daemon.process import NodeDaemon
from pvc.daemon.surroundings import Surroundings
from pvc.errors import PvcError

log = logging.getLogger("pvcd")

LEVEL = {Verdict.ok: logging.INFO, Verdict.warning: logging.WARNING, Verdict.problem: logging.ERROR}


def main(arguments: Sequence[str] | None = None, surroundings: Surroundings | None = None) -> int:
    """Run the daemon and return its exit code: 0 when it was told to stop, 1 when there is a problem."""
    parser = argparse.ArgumentParser(
        prog="pvcd", description="The node daemon of PVC.", epilog=f"{CONFIG_VARIABLE} names its configuration, PVCD_LOG=debug tells more."
    )
    parser.add_argument("--version", action="version", version=f"pvcd {__version__}")
    parser.add_argument("--check", action="store_true", help="look whether it could start, say what is found, and end")
    asked = parser.parse_args(arguments)
    around = surroundings or libvirt_surroundings()
    if asked.check:
        logging.getLogger("kazoo").addHandler(logging.NullHandler())  # it would repeat what is said in our own sentences
        logging.getLogger("kazoo").propagate = False
        return 0 if Preflight(_print, around, os.environ).run() else 1
    open_log()
    notifier = Notifier()
    notifier.status("preflight")
    log.info("pvcd %s starts", __version__)
    try:
        ready = Preflight(_log, around, os.environ).run()
        if ready is None:
            log.critical("pvcd cannot start; guests run on")
            return 1
        _introduce(ready)
        return NodeDaemon(ready, around.hypervisor, notifier).run()
    except PvcError as error:
        log.critical("%s%s", error.message, f"; {error.next_step}" if error.next_step else "")
        return 1


def libvirt_surroundings() -> Surroundings:
    """The real ones; without libvirt's Python package the preflight says so."""
    return Surroundings(virt.probe, virt.hypervisor, socket.gethostname())


def _print(finding: Finding) -> None:
    for line in finding.lines():
        print(line, flush=True)


def _log(finding: Finding) -> None:
    next_step = f"; {finding.next_step}" if finding.next_step else ""
    log.log(LEVEL[finding.verdict], "%s%s", finding.sentence, next_step)


def _introduce(ready: Ready) -> None:
    found = ready.machine
    log.info("node %s: %d CPUs, %d MiB, %s", ready.config.node, found.cpus, found.memory_mib, found.arch)
    log.info("%s, kernel %s, boot %s", found.os, found.kernel, ready.boot)
    log.info("libvirt %s, QEMU %s, pvc %s", found.libvirt, found.qemu, found.pvc)
