"""The whole of it: commands of the client on real hosts, guests, links and power. In every test no guest may ever run twice."""

import json
import time

import pytest

from lab import wait_until
from lab.watch import repeated

pytestmark = pytest.mark.lab
# Beyond every time that PVC itself counts, on a machine that has little left: 6 s to be dead, 3 s of saving throws, 10 s to switch.
RECOVERY_S = 90
TICKS_S = 60
SESSION_S = 5


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


def test_guests_of_a_node_without_power_run_elsewhere(cluster):
    victim = running(cluster, "db", disk=True)
    cluster[victim].power_off()
    wait_until(lambda: vm(cluster, "db")["owner"] not in (victim, None), RECOVERY_S, "another node has it")
    heir = vm(cluster, "db")["owner"]
    wait_until(lambda: ticks_on(cluster, "db", heir), TICKS_S, "it ticks there")
    assert " 2 ." in cluster[heir].console("db"), "its disk remembers the first boot"

    cluster[victim].power_on()
    wait_until(lambda: victim in cluster.working_nodes(), RECOVERY_S, "the node works again")


def test_a_node_that_is_cut_off_is_shot_before_its_guests_run_elsewhere(cluster):
    victim = running(cluster, "web")
    cluster.cut(victim)
    wait_until(lambda: not cluster[victim].is_on, RECOVERY_S, "its power is taken")
    wait_until(lambda: vm(cluster, "web")["owner"] not in (victim, None), RECOVERY_S, "another node has the guest")


def test_a_killed_daemon_takes_up_its_guests_when_it_is_back(cluster, watcher):
    node = running(cluster, "web")
    cluster[node].kill_pvcd()
    cluster[node].start_pvcd()
    wait_until(lambda: node in cluster.working_nodes(), RECOVERY_S, "the node works again")
    cluster.pvc("vm", "migrate", "web")
    assert vm(cluster, "web")["owner"] != node
    assert len({tick.boot for tick in cluster.ticks("web")}) == 1


def test_without_zookeeper_guests_run_on_and_nobody_is_shot(cluster):
    node = running(cluster, "web")
    boots = {host.name: host.boot_id for host in cluster.hosts.values()}
    cluster.kill_ensemble()
    time.sleep(2 * SESSION_S)
    before = len(cluster.ticks("web"))
    wait_until(lambda: len(cluster.ticks("web")) > before, TICKS_S, "it ticks")
    cluster.start_ensemble()
    wait_until(lambda: len(cluster.working_nodes()) == 3, RECOVERY_S, "all nodes work again")
    cluster.pvc("vm", "migrate", "web")
    assert vm(cluster, "web")["owner"] != node
    assert {host.name: host.boot_id for host in cluster.hosts.values() if host.is_on} == boots
    assert len({tick.boot for tick in cluster.ticks("web")}) == 1
