"""Preflight: what is looked at, and how it is said. ZooKeeper is real where it is asked."""

import json
import os
import socket
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from pvc.cluster import znodes
from pvc.cluster.changes import create_cluster
from pvc.cluster.commit import commit
from pvc.cluster.formats import encode_boot
from pvc.cluster.live import ZooKeeperStore, create_root
from pvc.cluster.options import Options
from pvc.cluster.records import Boot, ClusterConfig, Hold
from pvc.cluster.store import Create, Delete
from pvc.daemon.door import HOOK, USUAL
from pvc.daemon.findings import Verdict
from pvc.daemon.preflight import Preflight
from pvc.daemon.surroundings import Surroundings
from pvc.errors import PvcError
from tests.daemon.conftest import CALM, DEADLINE_S


@dataclass
class Facts:
    libvirt: str = "9.0.0"
    qemu: str = "7.2.0"


def no_libvirt(uri):
    raise PvcError(f"libvirt does not answer at {uri}", "systemctl start libvirtd")


class Flight:
    """One preflight, and what it found."""

    def __init__(self, path, probe=lambda uri: Facts(), hostname="hv1"):
        environment = {} if path is None else {"PVCD_CONFIG_FILE": str(path)}
        self.found = []
        self.ready = Preflight(self.found.append, Surroundings(probe, None, hostname), environment).run()

    def said(self, verdict):
        return [finding.sentence for finding in self.found if finding.verdict is verdict]

    @property
    def problems(self):
        return self.said(Verdict.problem)

    @property
    def warnings(self):
        return self.said(Verdict.warning)


def file(tmp_path, **keys):
    """A configuration whose ZooKeeper nobody answers for."""
    keys = {"zookeeper": "127.0.0.1:1", "fence_method": "none", "state_file": tmp_path / "state.json"} | keys
    (tmp_path / "pvcd.conf").write_text("[default]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()))
    return tmp_path / "pvcd.conf"


@pytest.fixture(autouse=True)
def impatient(request, monkeypatch):
    """A refused connection is known at once; the ten seconds are for servers that are starting, or busy."""
    monkeypatch.setattr("pvc.daemon.preflight.CONNECT_TIMEOUT_S", DEADLINE_S if request.node.get_closest_marker("ensemble") else 0.5)


def test_it_ends_without_the_environment_variable():
    """ "verifies that the `PVCD_CONFIG_FILE` environment variable was specified. Terminates if it is not"."""
    flight = Flight(None)
    assert flight.ready is None
    assert flight.problems == ["configuration: PVCD_CONFIG_FILE is not set, so there is none"]


def test_it_ends_when_a_required_field_is_missing_and_says_all_of_them(tmp_path):
    """ "Terminates if any required configuration field is missing"."""
    (tmp_path / "pvcd.conf").write_text("[default]\n")
    flight = Flight(tmp_path / "pvcd.conf")
    assert [next(key for key in ("zookeeper", "username", "password") if key in said) for said in flight.problems] == [
        "zookeeper", "username", "password"
    ]  # fmt: skip


def test_it_ends_when_libvirt_or_zookeeper_is_away_and_says_both(tmp_path):
    """ "Terminates if the connection fails", both times."""
    flight = Flight(file(tmp_path), no_libvirt)
    assert flight.ready is None
    libvirt, zookeeper = flight.problems
    assert libvirt == "libvirt: libvirt does not answer at qemu+tcp://127.0.0.1:16509/system"
    assert "no ZooKeeper server answered" in zookeeper
    assert all(finding.next_step for finding in flight.found if finding.verdict is Verdict.problem)


def test_a_finding_is_a_line_and_its_next_step_another(tmp_path):
    flight = Flight(file(tmp_path), no_libvirt)
    lines = [line for finding in flight.found for line in finding.lines()]
    assert lines[0].startswith("ok         configuration: ")
    assert "problem    libvirt: libvirt does not answer at qemu+tcp://127.0.0.1:16509/system" in lines
    assert "next step  systemctl start libvirtd" in lines


def test_a_single_server_is_warned_about(tmp_path):
    assert any("only 127.0.0.1:1 is listed" in warning for warning in Flight(file(tmp_path)).warnings)
    several = Flight(file(tmp_path, zookeeper="127.0.0.1:1, 127.0.0.1:2"))
    assert not any("is listed" in warning for warning in several.warnings)


def test_a_host_without_its_section_is_warned_about(tmp_path):
    path = file(tmp_path)
    path.write_text(path.read_text() + "[hv9]\n")
    assert any("no section is called hv1" in warning for warning in Flight(path).warnings)
    assert not any("no section" in warning for warning in Flight(path, hostname="hv9.example.org").warnings)


def test_a_node_that_nobody_can_fence_is_warned_about(tmp_path):
    assert any("fencing: hv1 has none" in warning for warning in Flight(file(tmp_path)).warnings)


def test_fencing_needs_its_tool(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = file(tmp_path, fence_method="ipmi", ipmi_username="pvc", ipmi_password="x")
    assert any("ipmitool is not installed" in problem for problem in Flight(path).problems)


@pytest.mark.parametrize(("mode", "refused", "warned"), [(0o604, True, False), (0o640, False, True), (0o600, False, False)])
def test_a_password_that_everybody_can_read_is_refused(tmp_path, mode, refused, warned):
    path = file(tmp_path, fence_method="ipmi", ipmi_username="pvc", ipmi_password="x")
    path.chmod(mode)
    flight = Flight(path)
    assert any("everybody on this machine can read it" in problem for problem in flight.problems) is refused
    assert any("others than its owner can read it" in warning for warning in flight.warnings) is warned


def test_a_password_file_must_be_there(tmp_path):
    path = file(tmp_path, fence_method="ipmi", ipmi_username="pvc", ipmi_password_file=tmp_path / "none")
    assert any(f"{tmp_path / 'none'} cannot be read" in problem for problem in Flight(path).problems)


def test_a_libvirt_that_asks_nobody_for_a_password_is_warned_about(tmp_path):
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        port = listener.getsockname()[1]
        open_to_all = Flight(file(tmp_path, libvirt_uri=f"qemu+tcp://127.0.0.1:{port}/system"))
        other = Flight(file(tmp_path, libvirt_uri=f"qemu+tls://127.0.0.1:{port}/system"))
    (warning,) = [warning for warning in open_to_all.warnings if warning.startswith("libvirt")]
    assert f"without authentication on 0.0.0.0 port {port}" in warning
    assert not any(warning.startswith("libvirt") for warning in other.warnings)


def test_a_libvirt_on_loopback_alone_is_not_warned_about(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        flight = Flight(file(tmp_path, libvirt_uri=f"qemu+tcp://127.0.0.1:{listener.getsockname()[1]}/system"))
    assert not any(warning.startswith("libvirt") for warning in flight.warnings)


# ---- with a real ZooKeeper


@pytest.fixture
def path(world):
    """A configuration for a server that answers."""
    return world.daemon().folder / "pvcd.conf"


@pytest.mark.ensemble
def test_without_a_cluster_it_says_how_to_make_one(path):
    flight = Flight(path)
    assert flight.ready is None
    (problem,) = flight.problems
    assert "there is no cluster at /t-" in problem
    assert flight.found[-1].next_step.startswith("run `pvc init`")


@pytest.mark.ensemble
def test_a_daemon_logs_in_as_its_file_says(world):
    options = Options(world.ensemble.hosts, f"{world.chroot}/guarded", auth=(("digest", "pvc:s3cret"),))
    create_root(options, DEADLINE_S)
    store = ZooKeeperStore(options)
    store.start(lambda _: None, DEADLINE_S)
    commit(store, create_cluster(ClusterConfig(str(uuid.uuid4()), "guarded", request="begin")))
    store.close()
    secret = world.folder / "password"
    keys = {"chroot": f"{world.chroot}/guarded", "zookeeper_user": "pvc", "zookeeper_password_file": secret}
    path = world.daemon(**keys).folder / "pvcd.conf"
    secret.write_text("s3cret")
    secret.chmod(0o600)
    assert Flight(path).problems == []
    secret.write_text("guess")
    refused = Flight(path)
    assert "the credentials do not allow it" in refused.problems[0]
    assert "zookeeper_user" in refused.found[-1].next_step


def test_a_login_that_cannot_be_used_is_said_before_anybody_is_asked(tmp_path):
    flight = Flight(file(tmp_path, zookeeper_ca=tmp_path / "nowhere.pem"))
    assert "nowhere.pem cannot be used: No such file" in flight.problems[-1]
    assert "needs a zookeeper_password" in Flight(file(tmp_path, zookeeper_user="pvc")).problems[0]


@pytest.mark.parametrize("own_file", [False, True])
def test_a_password_for_zookeeper_that_anybody_can_read_is_a_problem(tmp_path, own_file):
    secret = tmp_path / "password"
    secret.write_text("s3cret")
    password = {"zookeeper_password_file": secret} if own_file else {"zookeeper_password": "s3cret"}
    path = file(tmp_path, zookeeper_user="pvc", **password)
    holder = secret if own_file else path
    for mode, words in ((0o644, ["everybody on this machine can read it"]), (0o600, [])):
        holder.chmod(mode)
        assert [words for sentence in Flight(path).problems if f"{holder} holds a password" in sentence] == [words] * bool(words)


@pytest.mark.ensemble
def test_when_all_is_well_the_daemon_gets_what_was_learned(world, path):
    cluster = world.create(hold=Hold(True, "admin", "maintenance"))
    flight = Flight(path)
    assert flight.problems == []
    assert any("admin holds it (maintenance)" in warning for warning in flight.warnings)
    assert flight.ready.cluster.id == cluster.id
    assert flight.ready.machine.libvirt == "9.0.0"
    assert flight.ready.config.settings.session_timeout_s == CALM["session_timeout"]


@pytest.mark.ensemble
def test_a_connection_that_is_lost_while_it_is_looked_at_is_waited_for(world, path, monkeypatch):
    """As when a server is too busy to answer for a part of a session: the daemon would end, and systemd would have to start it again."""
    world.create()
    connect = ZooKeeperStore.start

    def start(store, *arguments):
        connect(store, *arguments)
        store._client.drop()
        while store.connected and store.generation == 1:
            time.sleep(0.001)

    monkeypatch.setattr(ZooKeeperStore, "start", start)
    assert Flight(path).problems == []


@pytest.mark.ensemble
def test_the_session_timeout_that_is_granted_counts(world):
    world.create()
    flight = Flight(world.daemon(session_timeout=0.5).folder / "pvcd.conf")
    assert flight.ready.config.settings.session_timeout_s == 1.0  # two ticks of this server, its least


@pytest.mark.ensemble
def test_a_granted_session_as_long_as_the_dead_time_is_refused(world):
    world.create()
    keys = {"keepalive_interval": 0.2, "dead_ticks": 4, "session_timeout": 0.5, "boot_grace": 10}
    (problem,) = Flight(world.daemon(**keys).folder / "pvcd.conf").problems
    assert "sessions of 1 s, which must be less than the dead time of 0.8 s" in problem


@pytest.mark.ensemble
def test_a_watchdog_that_bites_within_two_granted_sessions_is_refused(world, monkeypatch):
    world.create()
    path = world.daemon(session_timeout=1, fence_method="watchdog", watchdog_timeout=2).folder / "pvcd.conf"
    assert Flight(path).problems == []
    monkeypatch.setattr(ZooKeeperStore, "session_timeout_s", 1.5)  # as a server with longer ticks grants
    (problem,) = Flight(path).problems
    assert "it grants sessions of 1.5 s, of which watchdog_timeout must be two or more" in problem


@pytest.mark.ensemble
def test_a_cluster_record_that_cannot_be_read_is_no_cluster(world, path):
    world.client.store.multi([Create(znodes.CONFIG, b"{")])
    assert "/config cannot be read" in Flight(path).problems[0]


@pytest.mark.ensemble
def test_another_cluster_or_an_older_one_is_refused(world, path):
    cluster = world.create()
    state = path.parent / "state.json"
    for before, words in [
        ({"cluster": "another", "boot_version": -1, "zxid": 1}, "belongs to the cluster another"),
        ({"cluster": cluster.id, "boot_version": -1, "zxid": 1 << 60}, "gone back in time"),
        ({"cluster": cluster.id, "boot_version": 3, "zxid": 1}, "forgotten 4 starts"),
    ]:
        state.write_text(json.dumps(before))
        flight = Flight(path)
        assert flight.ready is None
        assert words in flight.problems[0]
    os.unlink(state)
    assert Flight(path).ready is not None


@pytest.mark.ensemble
def test_a_node_of_this_name_that_is_alive_elsewhere_is_warned_about(world, path):
    world.create()
    life = Create(znodes.alive("hv1"), encode_boot("hv1", Boot(1, "another-boot")), ephemeral=True)
    world.client.store.multi([life])
    assert any("another kernel boot is alive" in warning for warning in Flight(path).warnings)
    world.client.store.multi([Delete(life.path, 0)])
    assert not any("another kernel boot" in warning for warning in Flight(path).warnings)


# ---- libvirt's hook


@pytest.mark.parametrize(
    ("mode", "claims", "verdict", "words"),
    [
        (None, "/run/pvc/claims", Verdict.warning, "is not there"),
        (0o644, "/run/pvc/claims", Verdict.warning, "is not executable"),
        (0o755, "/run/elsewhere", Verdict.warning, "and they are in /run/elsewhere"),
        (0o755, "/run/pvc/claims", Verdict.ok, "libvirt asks"),
    ],
)
def test_whether_libvirt_asks_the_hook_is_said(tmp_path, monkeypatch, mode, claims, verdict, words):
    hook = tmp_path / "pvc-claims"
    monkeypatch.setattr("pvc.daemon.door.HOOK", hook)
    if mode is not None:
        hook.touch(mode)
    (sentence,) = [one for one in Flight(file(tmp_path, claims_directory=claims)).said(verdict) if one.startswith("hook: ")]
    assert words in sentence


def test_the_hook_looks_for_claims_where_it_is_said_to():
    hook = Path(__file__).parents[2] / "hooks" / HOOK.name
    assert f"{{PVC_CLAIMS_DIRECTORY:-{USUAL}}}" in hook.read_text()


# ---- what the package brings


def test_where_metrics_are_served_is_told_and_who_could_read_them(tmp_path):
    flight = Flight(file(tmp_path, metrics_listen="0.0.0.0:9177"))
    assert "metrics: served at http://0.0.0.0:9177/metrics" in flight.said(Verdict.ok)
    assert [sentence for sentence in flight.warnings if "whoever reaches 0.0.0.0" in sentence]


def test_metrics_without_their_library_keep_nobody_from_starting(tmp_path, monkeypatch):
    monkeypatch.setattr("pvc.daemon.preflight.find_spec", lambda name: None)
    flight = Flight(file(tmp_path, metrics_listen="127.0.0.1:9177"))
    assert [sentence for sentence in flight.warnings if sentence.startswith("metrics: the Prometheus client is not installed")]
    assert not [sentence for sentence in flight.problems if "metrics" in sentence]
