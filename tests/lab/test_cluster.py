"""The whole of it, as an admin sees it: commands of the client on real hosts and guests. In every test no guest may ever run twice."""

import json
import re
import subprocess

import pytest

from lab import wait_until
from lab.services import PVC
from lab.watch import repeated

pytestmark = pytest.mark.lab
# Beyond every time that PVC itself counts, on a machine that has little left.
RECOVERY_S = 90
TICKS_S = 60
SLOW_MBIT = 24
"""A link over which a guest writes faster than it is sent."""


def vm(cluster, name):
    """A VM as the client shows it to programs."""
    return json.loads(cluster.pvc("vm", "info", name, "--output", "json").stdout)["vm"]


def running(cluster, name, **options):
    """Define and start a guest; returns the node it runs on, once it ticks."""
    cluster.pvc("vm", "define", str(cluster.guest_file(name, **options)))
    cluster.pvc("vm", "start", name)
    wait_until(lambda: cluster.ticks(name), TICKS_S, f"{name} ticks")
    return vm(cluster, name)["owner"]


def ticks_on(cluster, name, host):
    return [tick for tick in cluster.ticks(name) if tick.host == host]


def test_a_guest_lives(cluster):
    """Defined, started, moved live there and back without a reset, shut down, removed: and ZooKeeper has forgotten it."""
    home = running(cluster, "web")
    cluster.pvc("vm", "migrate", "web")
    away = vm(cluster, "web")["owner"]
    assert away != home
    assert vm(cluster, "web")["home"] == home
    wait_until(lambda: ticks_on(cluster, "web", away), TICKS_S, "it ticks there")
    cluster.pvc("vm", "unmigrate", "web")
    assert vm(cluster, "web")["owner"] == home
    before = len(ticks_on(cluster, "web", home))
    wait_until(lambda: len(ticks_on(cluster, "web", home)) > before, TICKS_S, "it ticks at home")
    assert len({tick.boot for tick in cluster.ticks("web")}) == 1
    assert repeated(cluster.ticks("web")) == []

    cluster.pvc("vm", "shutdown", "web")
    assert cluster.guests() == []
    assert "off ." in cluster[home].console("web")
    cluster.pvc("vm", "undefine", "web", "--yes")
    assert json.loads(cluster.pvc("vm", "list", "--output", "json").stdout)["vms"] == []


def test_who_waits_sees_how_far_a_migration_is(cluster):
    """Over a link on which it does not end before something was measured."""
    home = running(cluster, "busy", dirty_mib=32)
    away = next(name for name in ("hv1", "hv2", "hv3") if name != home)
    cluster[away].slow(SLOW_MBIT)
    command = [str(PVC), "--zookeeper", cluster.zookeeper, "vm", "migrate", "busy", away]
    told = []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as migration:
        try:
            for line in migration.stdout:
                told.append(line)
                if re.search(r"busy: \d+ % migrated, [1-9]\d* MiB/s", line):
                    break
            else:
                pytest.fail(f"it ended, and never told how far it was: {told}")
        finally:
            cluster[away].slow(None)
            migration.stdout.read()
    assert migration.returncode == 0
    back = json.loads(cluster.pvc("vm", "unmigrate", "busy", "-o", "json").stdout)
    assert back["vm"]["owner"] == home
    # A client that reads the record too late for its hand-over cannot put the standstill together.
    assert back["standstill_ms"] is None or 0 < back["standstill_ms"] < 1000 * TICKS_S


def test_a_killed_daemon_takes_up_its_guests_when_it_is_back(cluster, watcher):
    node = running(cluster, "web")
    cluster[node].kill_pvcd()
    cluster[node].start_pvcd()
    wait_until(lambda: node in cluster.working_nodes(), RECOVERY_S, "the node works again")
    cluster.pvc("vm", "migrate", "web")
    assert vm(cluster, "web")["owner"] != node
    assert len({tick.boot for tick in cluster.ticks("web")}) == 1
