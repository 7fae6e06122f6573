"""The lab itself, without PVC: a fault that does not happen would let every test of a fault pass."""

import fcntl
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import Lab, place, wait_until
from lab.place import ROOT, Place, labs
from lab.services import REPOSITORY
from lab.shell import run
from lab.watch import Watcher, repeated, running_copies
from pvc.errors import PvcError, TimedOut

pytestmark = pytest.mark.lab
TICKS_S = 60
# Beyond what anything here takes on a machine that has little left.
PATIENCE_S = 90
UP_S = 300


def start(lab, host, name, **options):
    """Start a guest by libvirt alone, and wait until it ticks."""
    lab[host].virsh("create", str(lab.guest_file(name, **options)))
    wait_until(lambda: ticks_on(lab, host, name), TICKS_S, f"{name} ticks on {host}")


def ticks_on(lab, host, name):
    return [tick for tick in lab.ticks(name) if tick.host == host]


def migrate(lab, name, source, target):
    """Migrate as PVC does, from libvirtd to libvirtd; returns what virsh complained of."""
    return lab[source].run("virsh", "migrate", "--live", "--p2p", name, lab[target].libvirt_uri, check=False, timeout_s=UP_S).stderr


# -- Hosts -------------------------------------------------------------------------------------------------------------


def test_each_host_is_a_machine_of_its_own(lab):
    names = {lab[host].run("hostname").stdout.strip() for host in lab.hosts}
    boots = {lab[host].run("cat", "/proc/sys/kernel/random/boot_id").stdout.strip() for host in lab.hosts}
    identities = {lab[host].virsh("capabilities").split("<uuid>")[1][:36] for host in lab.hosts}
    assert names == set(lab.hosts)
    assert len(boots) == len(identities) == 3
    assert boots == {host.boot_id for host in lab.hosts.values()}


def test_the_ensemble_has_one_leader(lab):
    wanted = ["follower", "follower", "leader"]
    wait_until(lambda: sorted(host.zookeeper_mode() for host in lab.hosts.values()) == wanted, PATIENCE_S, "one of them leads")


def test_without_power_a_host_has_nothing_left(lab):
    start(lab, "hv1", "web")
    before = lab["hv1"].boot_id
    lab["hv1"].power_off()
    assert not lab["hv1"].is_on
    assert lab.guests() == []
    assert lab["hv1"].running() == {}
    with pytest.raises(PvcError, match="has no power"):
        lab["hv1"].virsh("list")

    lab["hv1"].power_on()
    lab.wait()
    assert lab["hv1"].boot_id != before
    assert lab["hv1"].virsh("list", "--all", "--name").strip() == ""


def test_nobody_hears_a_host_die(lab):
    """What dies without power sends no end of its connections: a peer must find out by itself."""
    code = "import socket, sys; s = socket.create_connection((sys.argv[1], 2181)); print(flush=True); s.settimeout(2); s.recv(1)"
    peer = subprocess.Popen([sys.executable, "-c", code, lab["hv2"].address], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with peer:
        peer.stdout.readline()
        lab["hv2"].power_off()
        assert "TimeoutError" in peer.stderr.read()


def test_a_service_can_be_killed_frozen_and_started_again(lab):
    leader = lab.leader()
    leader.freeze("zookeeper")
    assert leader.zookeeper_mode() == ""
    leader.thaw("zookeeper")
    assert leader.stop("zookeeper", signal.SIGKILL) == -signal.SIGKILL
    assert "zookeeper" not in leader.running()
    wait_until(lab.leader, PATIENCE_S, "the others elect a leader")
    leader.start("zookeeper")
    wait_until(lab.has_quorum, PATIENCE_S, "all three serve again")


def test_a_killed_libvirtd_leaves_its_guests(lab):
    start(lab, "hv1", "web")
    pids = [guest.pid for guest in lab.guests()]
    lab["hv1"].kill("libvirtd")
    assert [guest.pid for guest in lab.guests()] == pids
    lab["hv1"].start("libvirtd")
    wait_until(lambda: lab["hv1"].libvirt_answers, PATIENCE_S, "libvirtd answers")
    assert lab["hv1"].virsh("list", "--name").split() == ["web"]


# -- Links -------------------------------------------------------------------------------------------------------------


def reaches(lab, source, target):
    """Whether one host gets an answer of another's ZooKeeper server."""
    code = "import socket, sys; s = socket.create_connection((sys.argv[1], 2181), 1); s.sendall(b'ruok'); sys.exit(s.recv(4) != b'imok')"
    return lab[source].run(sys.executable, "-c", code, lab[target].address, check=False).returncode == 0


def comes_to_reach(lab, source, target):
    """An answer takes its time on a busy machine; behind a cut there is never one."""
    wait_until(lambda: reaches(lab, source, target), PATIENCE_S, f"{source} reaches {target}")


def test_a_cut_host_reaches_nobody_until_it_is_healed(lab):
    lab.cut("hv2")
    assert not reaches(lab, "hv1", "hv2")
    assert not reaches(lab, "hv2", "hv3")
    assert lab["hv2"].zookeeper_mode() == ""
    comes_to_reach(lab, "hv1", "hv3")
    assert lab.bmcs["hv2"].ask("status") == "Chassis Power is on"

    lab["hv2"].power_off()
    lab["hv2"].power_on()
    assert not reaches(lab, "hv1", "hv2"), "a cut outlives the power"
    lab.heal("hv2")
    comes_to_reach(lab, "hv1", "hv2")


def test_two_hosts_can_be_cut_from_each_other_alone(lab):
    lab.cut("hv1", "hv2")
    assert not reaches(lab, "hv1", "hv2")
    comes_to_reach(lab, "hv1", "hv3")
    comes_to_reach(lab, "hv2", "hv3")


def test_a_pulled_cable_is_noticed(lab):
    lab["hv3"].pull_cable()
    assert "NO-CARRIER" in lab["hv3"].run("ip", "link", "show", "eth0").stdout
    lab.heal("hv3")
    comes_to_reach(lab, "hv3", "hv1")


def test_a_slow_link_makes_a_migration_long(lab):
    start(lab, "hv1", "web")
    lab["hv2"].slow(60)
    begun = time.monotonic()
    assert migrate(lab, "web", "hv1", "hv2") == ""
    assert time.monotonic() - begun > 4


# -- BMCs --------------------------------------------------------------------------------------------------------------


def test_a_bmc_cuts_the_power_for_real(lab):
    start(lab, "hv2", "web")
    bmc = lab.bmcs["hv2"]
    assert bmc.ask("status") == "Chassis Power is on"
    bmc.ask("off")
    assert (bmc.ask("status"), lab["hv2"].is_on, lab.guests()) == ("Chassis Power is off", False, [])
    bmc.ask("on")
    assert (bmc.ask("status"), lab["hv2"].is_on) == ("Chassis Power is on", True)


def power_as_seen_from(lab, witness, host):
    """What another host reads of its power, over the network."""
    tool = ["ipmitool", "-I", "lanplus", "-C", "3", "-H", f"{host}-lom", "-U", "admin", "-P", "lab", "chassis", "power", "status"]
    return lab[witness].run(*tool).stdout.strip()


def test_a_host_reaches_the_bmc_of_another(lab):
    lab.cut("hv1")
    assert power_as_seen_from(lab, "hv1", "hv2") == "Chassis Power is on"


def test_bmcs_stay_within_reach_whichever_host_loses_its_power(lab):
    """A switch left to itself changes its own address with its ports: for a minute nobody found the BMCs that are behind it."""
    for victim in lab.hosts:
        witness = next(host for host in lab.hosts if host != victim)
        assert power_as_seen_from(lab, witness, victim) == "Chassis Power is on"
        lab[victim].power_off()
        assert power_as_seen_from(lab, witness, victim) == "Chassis Power is off"
        lab[victim].power_on()
        lab.wait()


@pytest.mark.parametrize(("mode", "reads"), [("ignore", "Chassis Power is on"), ("lie", "Chassis Power is off"), ("broken", "")])
def test_a_bad_bmc_switches_nothing(lab, mode, reads):
    bmc = lab.bmcs["hv3"]
    bmc.behave(mode)
    bmc.ask("off")
    assert bmc.ask("status") == reads
    assert lab["hv3"].is_on


def test_a_slow_bmc_switches_later(lab):
    bmc, host = lab.bmcs["hv3"], lab["hv3"]
    bmc.behave("slow", seconds=3)
    bmc.ask("off")
    assert bmc.ask("status") == "Chassis Power is on" or not host.is_on, "what it says is so"
    wait_until(lambda: bmc.ask("status") == "Chassis Power is off", PATIENCE_S, "the power goes")
    (ordered_at, _), (off_at, on) = bmc.orders()[0], host.power_history()[-1]
    assert not on
    assert off_at - ordered_at >= 3


def waiting_packets(lab):
    """How many bytes a BMC has been sent that it has not looked at."""
    lines = run("ip", "netns", "exec", lab.place.rack, "ss", "-Huln", f"src {lab.bmcs['hv2'].address}").stdout.splitlines()
    return sum(int(line.split()[1]) for line in lines)


def test_an_order_that_is_sent_again_is_carried_out_once(lab):
    """A BMC that is slow is told again and again; what it does late would hit a host that is long back."""
    bmc, host = lab.bmcs["hv2"], lab["hv2"]
    with ThreadPoolExecutor() as pool, (host.directory / "switch").open("w") as switch:
        fcntl.flock(switch, fcntl.LOCK_EX)
        asked = pool.submit(bmc.ask, "off")
        wait_until(lambda: waiting_packets(lab), PATIENCE_S, "it is told again")
        fcntl.flock(switch, fcntl.LOCK_UN)
        assert asked.result() == "Chassis Power Control: Down/Off"
    assert bmc.ask("on") == "Chassis Power Control: Up/On"
    wait_until(lambda: not waiting_packets(lab) and not bmc.is_busy, PATIENCE_S, "it has done everything")
    assert host.is_on
    assert [order for _, order in bmc.orders()] == ["off", "on"]


def test_a_silent_bmc_does_not_answer(lab):
    lab.bmcs["hv3"].silence()
    with pytest.raises(PvcError, match="no end after"):
        lab.bmcs["hv3"].ask("status", timeout_s=3)
    lab.bmcs["hv3"].answer()
    assert lab.bmcs["hv3"].ask("status") == "Chassis Power is on"


# -- Guests ------------------------------------------------------------------------------------------------------------


def test_a_guest_ticks_on_where_it_is_moved_to(lab, watcher):
    start(lab, "hv1", "web")
    assert migrate(lab, "web", "hv1", "hv2") == ""
    wait_until(lambda: len(ticks_on(lab, "hv2", "web")) > 2, TICKS_S, "it ticks there")
    ticks = lab.ticks("web")
    assert len({tick.boot for tick in ticks}) == 1
    assert repeated(ticks) == []
    assert [guest.host for guest in running_copies(lab, "web")] == ["hv2"]


def test_a_guest_with_a_disk_migrates_and_counts_its_boots(lab, watcher):
    start(lab, "hv1", "db", disk=True)
    assert migrate(lab, "db", "hv1", "hv3") == ""
    wait_until(lambda: ticks_on(lab, "hv3", "db"), TICKS_S, "it ticks there")
    lab["hv3"].virsh("destroy", "db")
    start(lab, "hv2", "db", disk=True)
    assert "disk" in lab["hv2"].console("db")
    assert [line.split()[2] for line in lab["hv2"].console("db").splitlines() if line.startswith("disk")] == ["2"]


def test_a_reset_is_seen(lab):
    start(lab, "hv1", "web")
    lab["hv1"].virsh("reset", "web")
    wait_until(lambda: len({tick.boot for tick in lab.ticks("web")}) == 2, TICKS_S, "it ticks as another boot")


def test_a_guest_hears_its_power_button_unless_it_is_deaf(lab):
    start(lab, "hv1", "web")
    start(lab, "hv1", "stubborn", deaf=True)
    lab["hv1"].virsh("shutdown", "web")
    lab["hv1"].virsh("shutdown", "stubborn")
    wait_until(lambda: [guest.name for guest in lab.guests()] == ["stubborn"], PATIENCE_S, "only the deaf one is left")


def test_a_busy_guest_takes_long_to_migrate(lab):
    start(lab, "hv1", "busy", dirty_mib=32)
    lab["hv1"].virsh("migrate-setspeed", "busy", "4")
    with pytest.raises(PvcError, match="no end after"):
        lab["hv1"].run("virsh", "migrate", "--live", "--p2p", "busy", lab["hv2"].libvirt_uri, timeout_s=20)
    assert "Memory remaining" in lab["hv1"].virsh("domjobinfo", "busy")
    lab["hv1"].virsh("domjobabort", "busy")


# -- The watcher -------------------------------------------------------------------------------------------------------


def test_two_running_copies_are_seen(lab):
    """The same guest by hand on two hosts: libvirt knows nothing of the other, as after a split."""
    watcher = Watcher(lab)
    watcher.start()
    start(lab, "hv1", "web")
    start(lab, "hv2", "web")
    wait_until(watcher.twice, PATIENCE_S, "the watcher has seen both")
    wait_until(lambda: {guest.host for guest in watcher.running("web")} == {"hv1", "hv2"}, PATIENCE_S, "both run")
    watcher.stop()
    with pytest.raises(AssertionError, match="web ran on hv"):
        watcher.verify()


def test_a_guest_that_goes_on_twice_prints_its_ticks_twice(lab):
    """One memory, two lives: what a migration leaves when both sides take themselves for the one."""
    start(lab, "hv1", "web")
    watcher = Watcher(lab)
    saved = str(lab.place.shared / "saved")
    lab["hv1"].virsh("save", "web", saved)
    for host in ("hv2", "hv3"):
        lab[host].virsh("restore", saved, "--running")
    wait_until(lambda: repeated(lab.ticks("web")), PATIENCE_S, "both print the same tick")
    watcher.sample()
    with pytest.raises(AssertionError, match="was printed twice"):
        watcher.verify()


def test_a_paused_copy_does_not_count(lab, watcher):
    start(lab, "hv1", "web")
    lab["hv2"].virsh("create", "--paused", str(lab.guest_file("web")))
    assert len(lab.guests()) == 2
    assert [guest.host for guest in running_copies(lab, "web")] == ["hv1"]


# -- Up and down -------------------------------------------------------------------------------------------------------


def traces(name):
    """Everything on this machine that would belong to a lab of this name."""
    found = [line for line in run("ip", "netns", "list").stdout.splitlines() if line.startswith(f"pvc-{name}")]
    found += [line for line in run("ip", "-brief", "link").stdout.splitlines() if line.startswith(f"pvc-{name}")]
    found += [line for line in run("ps", "-eo", "pid,args").stdout.splitlines() if str(ROOT / name) in line]
    found += [line for line in run("cat", "/proc/mounts").stdout.splitlines() if str(ROOT / name) in line]
    return found + [lab for lab in labs() if lab == name]


@pytest.fixture
def further(lab):
    """The name of another lab, which no other run of these tests on this machine takes."""
    return f"x{lab.place.name}"


def test_two_labs_do_not_meet_and_nothing_is_left(lab, further):
    with Lab(further, leashed=True, pvcd=False) as other:
        assert traces(further)
        assert not {host.address for host in other.hosts.values()} & {host.address for host in lab.hosts.values()}
        start(other, "hv1", "web")
        assert lab.guests() == []
        with pytest.raises(PvcError, match="is there already"):
            Lab(further).start()
        assert other["hv1"].is_on
    assert traces(further) == []


def test_a_start_that_fails_leaves_nothing(further, monkeypatch):
    def fail(_):
        raise TimedOut("no quorum")

    monkeypatch.setattr(Lab, "wait", fail)
    with pytest.raises(TimedOut):
        Lab(further, pvcd=False).start()
    assert traces(further) == []


def test_a_leashed_lab_ends_with_its_owner(lab, further):
    """And the next lab that starts takes away what a killed process could not: directories and namespaces."""
    code = f"from lab import Lab; Lab('{further}', leashed=True, pvcd=False).start(); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        owner.stdout.readline()
        owner.kill()
    orphan = Lab(further)
    wait_until(lambda: not any(host.is_on for host in orphan.hosts.values()), PATIENCE_S, "the hosts end with their owner")
    heir = f"y{lab.place.name}"
    with Lab(heir, leashed=True, pvcd=False):
        assert traces(further) == []
        assert lab["hv1"].is_on
    assert traces(heir) == []


def test_whose_owner_has_ended_is_an_orphan_also_while_its_last_processes_notice(tmp_path, monkeypatch):
    """Each of them waits for that lock, and holds it for a moment before it ends."""
    monkeypatch.setattr(place, "ROOT", tmp_path)
    here = Place("x")
    here.directory.mkdir()
    with here.owner_lock.open("w") as owner, here.owner_lock.open() as process:
        fcntl.flock(owner, fcntl.LOCK_EX)
        assert not here.is_orphan
        fcntl.flock(owner, fcntl.LOCK_UN)
        fcntl.flock(process, fcntl.LOCK_SH)
        assert here.is_orphan


def test_the_command_brings_up_and_down(further):
    tool = (str(REPOSITORY / "tools" / "lab"), "--name", further)
    try:
        assert "export PVC_ZOOKEEPER=10.99." in run(*tool, "up", "--no-pvcd", timeout_s=UP_S).stdout
        refused = run(*tool, "up", check=False)
        assert refused.returncode == 1
        assert "is there already" in refused.stderr
        run(*tool, "host-off", "hv2")
        run(*tool, "cut", "hv1", "hv3")
        told = run(*tool, "status").stdout
        assert "hv2  OFF" in told
        assert "cut off from hv3" in told
        run(*tool, "host-on", "hv2")
        assert "hv2  on" in run(*tool, "status").stdout
    finally:
        run(*tool, "down")
    assert traces(further) == []
    assert "there is no lab" in run(*tool, "status", check=False).stdout
