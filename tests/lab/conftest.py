"""One lab for all end-to-end tests; each begins with hosts that are on, links that are whole, and no cluster and no guest.

    def test_a_guest_starts(cluster):
        cluster.pvc("vm", "define", str(cluster.guest_file("web")))

After each test it is verified that no guest ever ran twice. When one fails, its report holds what each pvcd said last.
"""

import os

import pytest

from lab import Lab, parts
from lab.reset import new_cluster, reset
from lab.watch import Watcher
from tests.lab.admin import Admin
from tests.lab.stage import Stage
from tests.lab.ward import SHORT, Ward, dead_s

LOG_LINES = 60
# A daemon that is ended and started again by a test must not be shot for it on a machine that has little left.
PATIENT = {"dead_ticks": "40", "boot_grace": "60"}


@pytest.fixture(scope="session")
def session_lab(require):
    """A lab that runs, started once. Tests do not take it themselves: nobody has tidied up in it.

    PVC_TEST_LAB names it when two runs on one machine must not meet; of several workers of one run each has its own.
    """
    missing = parts.missing()
    require("the lab", not missing, f"it needs {', '.join(missing)}; make test, as root, installs what can be installed")
    name = os.environ.get("PVC_TEST_LAB", "test") + os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    with Lab(name, leashed=True, pvcd=False) as lab:
        yield lab


@pytest.fixture
def lab(session_lab, request):
    """Three hosts with ZooKeeper and libvirtd, and BMCs; pvcd does not run."""
    reset(session_lab)
    request.node.lab = session_lab
    return session_lab


@pytest.fixture
def watcher(lab):
    """Looks all the time which guests run; the test fails if one ever ran twice."""
    with Watcher(lab) as watcher:
        yield watcher


@pytest.fixture
def cluster(lab, watcher):
    """The lab with a cluster: pvcd runs on each host, and each node works."""
    new_cluster(lab)
    return lab


@pytest.fixture
def ward_for(lab, watcher, request):
    """Call it as ward_for(throws_ticks="100"): a cluster with these times, in which every rule is checked at each step."""
    wards = []

    def ward_for(**options):
        new_cluster(lab, **SHORT | options)
        wards.append(Ward(lab, watcher, dead_s=dead_s(options)))
        return wards[-1]

    yield ward_for
    for ward in wards:
        if not request.node.failed:
            ward.verify()
        ward.close()


@pytest.fixture
def ward(ward_for):
    """The same with short times: a node is dead after 6 s."""
    return ward_for()


@pytest.fixture(scope="module")
def kept():
    """Whether the last test of this module has left its cluster as good as new."""
    return {"good": False}


@pytest.fixture
def stage_for(session_lab, kept, request):
    """Call it as stage_for("web"): one VM on a cluster that tests of a module share as long as each comes to rest."""
    request.node.lab = session_lab
    if not kept["good"]:
        reset(session_lab)
        new_cluster(session_lab, **PATIENT)
    kept["good"] = False
    stages = []

    def stage_for(name, **options):
        stages.append(Stage(session_lab, watcher, name, **options))
        return stages[-1]

    with Watcher(session_lab) as watcher:
        yield stage_for
        for stage in stages:
            stage.close()
    kept["good"] = all(stage.settled for stage in stages)


@pytest.fixture
def admin(session_lab, kept, request):
    """Somebody who works with a cluster that tests of a module share, as long as each leaves it as good as new."""
    request.node.lab = session_lab
    if not kept["good"]:
        reset(session_lab)
        new_cluster(session_lab, **PATIENT)
    kept["good"] = False
    with Watcher(session_lab) as watcher:
        admin = Admin(session_lab, watcher)
        yield admin
        if not request.node.failed:
            kept["good"] = admin.has_left_nothing()
        admin.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Add the end of each pvcd's log to the report of what failed."""
    outcome = yield
    report = outcome.get_result()
    lab = getattr(item, "lab", None)
    item.failed = report.failed or getattr(item, "failed", False)
    if report.failed and lab is not None:
        for host in lab.hosts.values():
            lines = host.log("pvcd").splitlines()[-LOG_LINES:]
            if lines:
                report.sections.append((f"pvcd of {host.name}", "\n".join(lines)))
