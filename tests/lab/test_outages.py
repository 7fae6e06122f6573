"""What everything stands on goes away for a while: libvirtd, one ZooKeeper server, all of them. Guests run on, and nobody comes to harm."""

import json
import signal

import pytest

from lab import wait_until
from pvc.errors import Refused
from pvc.fsm.states import Daemon, Domain, Fence
from tests.lab.admin import NODES, PATIENCE_S, Admin, frozen

pytestmark = pytest.mark.lab
NOTICED_S = 60
"""libvirt's keepalive gives up after 8 s, and the next keepalive of PVC tells; the rest is for a machine that has little left."""


@pytest.fixture
def hasty(cluster, watcher, kept):
    """The same, on a cluster with the lab's short times: a node is dead after 6 s."""
    kept["good"] = False
    admin = Admin(cluster, watcher)
    yield admin
    admin.close()


class Untouched:
    """What must be the same after an outage: the guests, the hosts, and that nobody has acted on either."""

    def __init__(self, admin, *names):
        self.admin, self.names = admin, names
        self.before = self.now()

    def now(self):
        admin = self.admin
        return {
            "guests": {guest.name: (guest.host, guest.pid) for guest in admin.lab.guests()},
            "boots": {name: admin.boots(name) for name in self.names},
            "lives": {name: admin.life(name) for name in self.names},
            "transitions": {name: admin.triggers(name) for name in self.names},
            "hosts": {host.name: host.boot_id for host in admin.lab.hosts.values() if host.is_on},
        }

    def verify(self):
        """Nothing has happened, and every guest ticks on."""
        for name, (host, _) in self.before["guests"].items():
            self.admin.ticks_on(name, host)
        assert self.now() == self.before
        wait_until(self.all_work, PATIENCE_S, "all nodes work, and nobody suspects them")

    def all_work(self):
        nodes = [node.record.life for node in self.admin.nodes().values()]
        return [(life.daemon, life.fence) for life in nodes] == [(Daemon.run, Fence.none)] * len(NODES)


def libvirt_answers(admin, host):
    """What the node's daemon says of it, as `pvc node list` shows."""
    nodes = json.loads(admin.lab.pvc("node", "list", "--output", "json").stdout)["nodes"]
    return next(node["stats"]["libvirt"] for node in nodes if node["name"] == host)


def reach_libvirt(admin, host, answers, within_s=PATIENCE_S):
    wait_until(lambda: libvirt_answers(admin, host) is answers, within_s, f"{host} says of its libvirt: {answers}")


# -- libvirtd ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_guests_outlive_their_libvirtd(admin, number):
    admin.up("web", "hv1")
    untouched = Untouched(admin, "web")
    hv1 = admin.lab["hv1"]
    hv1.stop("libvirtd", number)
    wait_until(lambda: admin.said("hv1", "is lost"), PATIENCE_S, "its daemon has noticed")
    hv1.start("libvirtd")
    wait_until(lambda: admin.said("hv1", "answers: 1 guests are here"), PATIENCE_S, "its daemon has counted its guests")
    untouched.verify()
    admin.do("migrate", "web", "hv2")
    admin.ticks_on("web", "hv2")


def test_a_hanging_libvirtd_is_noticed_and_told_and_harms_nobody(admin):
    admin.up("web", "hv1")
    untouched = Untouched(admin, "web")
    pvcd = admin.lab["hv1"].running()["pvcd"]
    with frozen(admin.lab["hv1"], "libvirtd"):
        reach_libvirt(admin, "hv1", False, NOTICED_S)
        assert "its libvirt does not answer" in admin.lab.pvc("node", "list").stdout
        wait_until(lambda: admin.said("hv1", "warning", "is lost", "they are left alone"), PATIENCE_S, "its daemon says so")
        admin.define("db", "hv1")
        with pytest.raises(Refused, match="its libvirt does not answer"):
            admin.ask("start", "db", "hv1")
        admin.do("start", "db")
        assert admin.life("db").owner != "hv1"
        admin.ticks_on("web", "hv1")
        assert admin.lab["hv1"].running()["pvcd"] == pvcd
        assert admin.client.node("hv1").alive
    reach_libvirt(admin, "hv1", True)
    admin.do("undefine", "db")
    untouched.verify()
    assert admin.lab["hv1"].running()["pvcd"] == pvcd


def test_what_was_asked_while_libvirtd_hung_is_done_when_it_answers(admin):
    admin.start("web", "hv1")
    with frozen(admin.lab["hv1"], "libvirtd"):
        reach_libvirt(admin, "hv1", False, NOTICED_S)
        asked = admin.ask("stop", "web")
        assert admin.life("web").state is Domain.start, "nobody says off before the hypervisor shows it"
        assert admin.copies("web") == ["hv1"]
    admin.client.wait_for(asked, timeout_s=PATIENCE_S)
    assert admin.copies("web") == []


def test_a_start_in_flight_while_libvirtd_hangs_is_no_failure(admin):
    """The call has no answer for longer than the connection lives. It is carried out later or never, and then again: but never twice."""
    admin.define("web", "hv2", {"restart_budget": 0})
    with frozen(admin.lab["hv2"], "libvirtd"):
        admin.ask("start", "web", "hv2")
        admin.reach_state("web", Domain.boot)
        reach_libvirt(admin, "hv2", False, NOTICED_S)
        assert (admin.life("web").state, admin.life("web").restarts) == (Domain.boot, 0), "unknown is not failed"
    admin.reach_state("web", Domain.start)
    assert admin.life("web").restarts == 0, "not even one of its restarts was used up"
    comes_up_once(admin)


def test_a_start_in_flight_when_libvirtd_is_killed_ends_with_one_guest(admin):
    admin.define("web", "hv2", {"restart_budget": 0})
    with frozen(admin.lab["hv2"], "libvirtd"):
        admin.ask("start", "web", "hv2")
        admin.reach_state("web", Domain.boot)
        admin.lab["hv2"].kill("libvirtd")
    admin.lab["hv2"].start("libvirtd")
    admin.reach_state("web", Domain.start)
    comes_up_once(admin)


def comes_up_once(admin):
    """Its owner has its only guest, wherever that is: the node that hung is not the best one at that moment."""
    owner = admin.life("web").owner
    admin.ticks_on("web", owner)
    assert admin.copies("web") == [owner]
    assert len(admin.boots("web")) == 1


# -- ZooKeeper ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["leader", "follower"])
def test_one_zookeeper_server_less_stops_nothing(hasty, role):
    admin = hasty
    leader = admin.lab.leader()
    victim = leader if role == "leader" else next(host for host in admin.lab.hosts.values() if host is not leader)
    admin.up("web", victim.name)
    untouched = Untouched(admin, "web")
    victim.kill("zookeeper")
    admin.lab.pvc("vm", "define", str(admin.lab.guest_file("db")), "--home", victim.name)
    admin.lab.pvc("vm", "start", "db", victim.name)
    admin.lab.pvc("vm", "undefine", "db", "--yes")
    untouched.verify()
    admin.lab.pvc("vm", "migrate", "web")
    victim.start("zookeeper")
    wait_until(admin.lab.has_quorum, PATIENCE_S, "all servers serve")


def test_without_any_zookeeper_guests_run_on_and_nobody_is_fenced(hasty):
    admin = hasty
    for name, host in (("web", "hv1"), ("db", "hv2")):
        admin.up(name, host)
    untouched = Untouched(admin, "web", "db")
    admin.lab.kill_ensemble()
    for host in NODES:
        wait_until(lambda host=host: admin.said(host, "the session has ended or may have"), PATIENCE_S, f"the session of {host} is over")
    done = admin.lab.pvc("vm", "list", check=False)
    assert done.returncode == 5
    for name, host in (("web", "hv1"), ("db", "hv2")):
        admin.ticks_on(name, host)

    admin.lab.start_ensemble()
    wait_until(lambda: sorted(admin.lab.working_nodes()) == list(NODES), PATIENCE_S, "all nodes work again")
    untouched.verify()
    admin.lab.pvc("vm", "migrate", "web", "hv3")
    admin.lab.pvc("vm", "stop", "db", "--yes")
    assert (admin.copies("web"), admin.copies("db")) == (["hv3"], [])


def test_a_migration_under_way_when_zookeeper_goes_ends_with_one_guest(hasty):
    """Without ZooKeeper nobody can say who owns it, so it stays where it is, or goes on when they are back."""
    admin = hasty
    admin.up("busy", "hv1", dirty_mib=16)
    admin.lab["hv2"].slow(8)
    admin.ask("migrate", "busy", "hv2")
    admin.reach("busy", "moving", lambda record: str(record.life.phase) == "moving")
    admin.lab.kill_ensemble()
    wait_until(lambda: admin.said("hv1", "the session has ended or may have"), PATIENCE_S, "the session is over")
    admin.lab["hv2"].slow(None)
    admin.lab.start_ensemble()
    admin.reach("busy", "settled", lambda record: record.life.state is Domain.start and str(record.life.phase) == "none")
    wait_until(lambda: len(admin.copies("busy")) == 1, PATIENCE_S, "one copy is left")
    assert admin.copies("busy") == [admin.life("busy").owner]
    admin.ticks_on("busy", admin.life("busy").owner)
    assert len(admin.boots("busy")) == 1
