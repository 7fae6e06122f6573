"""Five hosts, and ZooKeeper beside them: two deaths at once, more deaths than a majority, and a cluster cut in half."""

import os

import pytest

from lab import Lab, parts
from lab.place import Layout
from lab.reset import new_cluster, reset
from lab.watch import Watcher
from pvc.fsm.states import Fence
from tests.lab.ward import SHORT, Ward, dead_s

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def wide_lab(require):
    """Five hosts with guests, and three machines that run ZooKeeper and nothing else."""
    missing = parts.missing()
    require("the lab", not missing, f"it needs {', '.join(missing)}")
    name = f"{os.environ.get('PVC_TEST_LAB', 'test')}w"
    with Lab(name, leashed=True, pvcd=False, layout=Layout(hosts=5, servers=3)) as lab:
        yield lab


@pytest.fixture
def ward_of(wide_lab, request):
    """Call it as ward_of(4, throws_ticks="100"): a cluster of so many nodes."""
    reset(wide_lab)
    request.node.lab = wide_lab
    wards = []
    with Watcher(wide_lab) as watcher:

        def ward_of(nodes, **options):
            names = list(wide_lab.hosts)[:nodes]
            new_cluster(wide_lab, names, **SHORT | options)
            wards.append(Ward(wide_lab, watcher, dead_s=dead_s(options)))
            return wards[-1]

        yield ward_of
        for ward in wards:
            ward.close()


def test_two_of_five_lose_their_power_at_once(ward_of):
    ward = ward_of(5)
    names = {f"web{number}": host for number, host in enumerate(("hv1", "hv1", "hv2", "hv2"))}
    for name, host in names.items():
        ward.start(name, host)
    for name in names:
        ward.hears(name)
    for host in ("hv1", "hv2"):
        ward.lab[host].power_off()
    for name in names:
        ward.recovered(name, "hv1", "hv2")
    assert (ward.shots_at("hv1"), ward.shots_at("hv2")) == (0, 0)
    ward.settles()


def test_two_of_five_are_cut_off_at_once(ward_of):
    """Three are a majority: both are shot, and both are replaced."""
    ward = ward_of(5)
    for name, host in (("web", "hv1"), ("db", "hv2")):
        ward.up(name, host)
    with ward.cut("hv1", "hv2"):
        for name in ("web", "db"):
            ward.recovered(name, "hv1", "hv2")
        assert not ward.lab["hv1"].is_on
        assert not ward.lab["hv2"].is_on
    ward.settles()


def test_two_of_three_lose_their_power(ward_of):
    """No majority is left, and none is needed: nobody is shot who is off."""
    ward = ward_of(3)
    for name, host in (("web", "hv1"), ("db", "hv2")):
        ward.up(name, host)
    for host in ("hv1", "hv2"):
        ward.lab[host].power_off()
    for name in ("web", "db"):
        assert ward.recovered(name, "hv1", "hv2") == "hv3"
    assert (ward.shots_at("hv1"), ward.shots_at("hv2")) == (0, 0)
    ward.settles()


def test_half_of_the_nodes_are_cut_off(ward_of):
    """It may be the network that is dead, and not they: nobody is shot, also not by the first to be back, and all goes on."""
    ward = ward_of(4, throws_ticks="10")
    for name, host in (("web", "hv1"), ("db", "hv2"), ("www", "hv3")):
        ward.up(name, host)
    with ward.cut("hv1", "hv2"):
        for host in ("hv1", "hv2"):
            ward.reach_fence(host, Fence.throws)
        ward.keepalives("hv3", 25)
        assert [ward.node(host).fence for host in ("hv1", "hv2")] == [Fence.throws, Fence.throws]
        for name, host in (("web", "hv1"), ("db", "hv2"), ("www", "hv3")):
            ward.stays(name, host)
    ward.works("hv1", "hv2", "hv3", "hv4")
    assert sum(ward.shots_at(host) for host in ward.lab.hosts) == 0
    ward.settles()
