"""Preflight about fencing: the own device, the secrets of others, and the peers."""

import pytest

from pvc.cluster.records import FenceMethod
from pvc.daemon import machine, preflight_fencing
from pvc.daemon.config import read_config
from pvc.daemon.findings import Verdict
from pvc.daemon.preflight_fencing import FencingLook
from tests.daemon.test_power import tool  # noqa: F401 - a fixture

GUID = "00112233-4455-6677-8899-aabbccddeeff"
IPMI = {"zookeeper": "zk1", "ipmi_username": "pvc", "ipmi_password": "s3cret"}


def says(power, guid=""):
    """A script that answers so."""
    return f'case "$*" in *status) echo "Chassis Power is {power}";; *guid) echo "System GUID  : {guid}";; esac'


def look(tmp_path, hostname="hv1", default=IPMI, **sections):
    path = tmp_path / "pvcd.conf"
    texts = {"default": default, **sections}
    path.write_text("".join(f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()) for name, keys in texts.items()))
    path.chmod(0o600)
    return FencingLook(read_config(path, hostname))


def said(findings, verdict):
    return [finding.sentence for finding in findings if finding.verdict is verdict]


@pytest.fixture(autouse=True)
def machine_of_our_own(tmp_path, monkeypatch):
    """A machine with a UUID and a kernel that gives up soon."""
    uuid, retries = (tmp_path / name for name in ("uuid", "retries"))
    uuid.write_text(GUID.upper() + "\n")
    retries.write_text("5\n")
    monkeypatch.setattr(machine, "DMI_UUID", uuid)
    monkeypatch.setattr(preflight_fencing, "TCP_RETRIES2", retries)
    monkeypatch.setattr(preflight_fencing, "ASK_OWN_S", 60.0)
    return tmp_path


def test_a_device_that_reads_on_and_is_of_this_machine_is_believed(tool, tmp_path):  # noqa: F811
    tool(says("on", GUID))
    found = look(tmp_path)
    assert [finding.verdict for finding in found.findings()] == [Verdict.ok, Verdict.ok]
    assert (found.published.fault, found.published.guid, found.published.works) == ("", GUID.replace("-", ""), True)


def test_a_device_that_reads_off_is_another_machines_and_nothing_starts(tool, tmp_path):  # noqa: F811
    tool(says("off", GUID))
    (problem,) = said(look(tmp_path).findings(), Verdict.problem)
    assert "it reads off while the node lives" in problem


def test_a_device_of_another_machine_is_not_believed(tool, tmp_path):  # noqa: F811
    tool(says("on", GUID.replace("00", "99")))
    found = look(tmp_path)
    (warning,) = said(found.findings(), Verdict.warning)
    assert "it is another machine's" in warning
    assert not found.published.works
    assert "another machine's" in found.published.fault


@pytest.mark.parametrize(
    ("keys", "uuid", "works"),
    [({"ipmi_guid": "any"}, GUID, True), ({"ipmi_guid": GUID}, "0" * 32, True), ({}, "f" * 32, True), ({}, GUID, False)],
)
def test_the_file_may_say_which_guid_a_device_has_or_that_it_does_not_matter(tool, tmp_path, keys, uuid, works):  # noqa: F811
    tool(says("on", GUID if "ipmi_guid" in keys and keys["ipmi_guid"] != "any" else GUID.replace("00", "99")))
    machine.DMI_UUID.write_text(uuid)
    found = look(tmp_path, default={**IPMI, **keys})
    list(found.findings())
    assert found.published.works is works


def test_a_device_that_does_not_answer_is_warned_about(tool, tmp_path):  # noqa: F811
    tool("exit 1")
    found = look(tmp_path)
    (warning,) = said(found.findings(), Verdict.warning)
    assert "which does not answer from here" in warning
    assert found.published.works


def test_who_is_fenced_by_hand_is_told_what_that_means(tmp_path):
    found = look(tmp_path, default={"zookeeper": "zk1", "fence_method": "manual"})
    (warning,) = said(found.findings(), Verdict.warning)
    assert "until somebody confirms that it is off" in warning
    assert found.published.method is FenceMethod.manual


def test_a_peers_password_is_a_secret_too(tmp_path):
    found = look(tmp_path, default={"zookeeper": "zk1", "fence_method": "none"}, hv2={**IPMI, "fence_method": "ipmi"})
    (tmp_path / "pvcd.conf").chmod(0o644)
    (problem,) = said(found.findings(), Verdict.problem)
    assert "everybody on this machine can read it" in problem


def test_peers_without_a_section_or_a_password_are_named(tool, tmp_path):  # noqa: F811
    tool(says("on"))
    alone = {"zookeeper": "zk1"}
    found = look(tmp_path, default=alone, hv1=IPMI, hv2=alone)
    first, second, third = said(found.peers(["hv1", "hv2", "hv3"]), Verdict.warning)
    assert "no section for hv3: for them only [default] counts" in first
    assert "cannot fence hv2" in second
    assert "cannot fence hv3" in third
    assert list(look(tmp_path).peers(["hv1", "hv2", "hv3"])) == []


def test_that_two_nodes_are_too_few_to_shoot_is_said(tool, tmp_path):  # noqa: F811
    tool(says("on"))
    (warning,) = said(look(tmp_path).peers(["hv1", "hv2"]), Verdict.warning)
    assert "of two nodes neither ever shoots the other" in warning
    assert list(look(tmp_path).peers(["hv1"])) == []


def test_a_kernel_that_repeats_for_long_is_said(tmp_path):
    quiet = look(tmp_path, default={"zookeeper": "zk1", "fence_method": "manual"})
    assert len(said(quiet.findings(), Verdict.warning)) == 1
    preflight_fencing.TCP_RETRIES2.write_text("15\n")
    _, kernel = said(quiet.findings(), Verdict.warning)
    assert "tcp_retries2 is 15" in kernel


@pytest.mark.parametrize(
    ("device", "verdict", "words"),
    [
        ("/dev/null", Verdict.ok, "by /dev/null, 15 s without ZooKeeper; peers take this node for off 55 s after"),
        ("/dev/nobody", Verdict.warning, "no watchdog /dev/nobody"),
    ],
)
def test_a_watchdog_is_looked_at_and_not_armed(tmp_path, device, verdict, words):
    found = look(tmp_path, default={"zookeeper": "zk1", "fence_method": "watchdog", "watchdog_device": device})
    assert words in "".join(said(found.findings(), verdict))


@pytest.mark.parametrize(("interval", "warned"), [(1, False), (0.5, True)])
def test_times_in_which_a_daemon_cannot_be_started_again_are_warned_about(tmp_path, interval, warned):
    """H76: a daemon that crashes is no dead node."""
    quiet = {"zookeeper": "zk1", "fence_method": "manual", "keepalive_interval": interval}
    assert any("works again after" in one for one in said(look(tmp_path, default=quiet).findings(), Verdict.warning)) is warned
