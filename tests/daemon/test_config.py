"""The configuration: sections over defaults, and all problems at once."""

import re
from pathlib import Path

import pytest

from pvc.cluster.records import FenceMethod
from pvc.daemon.config import BadConfig, lights_out_name, read_config
from pvc.daemon.keys import BY_NAME, KEYS, with_port

SAMPLE = Path(__file__).parents[2] / "etc/pvcd.conf.sample"

LEAST = {"zookeeper": "zk1", "ipmi_username": "pvc", "ipmi_password": "s3cret"}


def write(tmp_path, default=LEAST, **sections):
    """A file with these sections."""
    texts = {"default": default, **{name.replace("_", "."): keys for name, keys in sections.items()}}
    path = tmp_path / "pvcd.conf"
    lines = [f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()) for name, keys in texts.items()]
    path.write_text("\n".join(lines))
    return path


def problems(path, hostname="hv1"):
    with pytest.raises(BadConfig) as refused:
        read_config(path, hostname)
    return list(refused.value.problems)


def test_what_nobody_says_is_as_specified(tmp_path):
    config = read_config(write(tmp_path), "hv1.example.org")
    assert config.node == "hv1.example.org"
    assert config.zookeeper == ("zk1:2181",)
    assert config.settings.keepalive_interval_s == 5
    assert config.settings.dead_ticks == 6
    assert config.libvirt_uri == "qemu+tcp://127.0.0.1:16509/system"
    assert config.fence_of("hv1.example.org").address == "hv1-lom.example.org"


def test_a_section_of_the_host_goes_over_the_default(tmp_path):
    path = write(tmp_path, {**LEAST, "keepalive_interval": 4}, hv1={"keepalive_interval": 2})
    assert read_config(path, "hv1").settings.keepalive_interval_s == 2
    assert read_config(path, "hv2").settings.keepalive_interval_s == 4


@pytest.mark.parametrize(("section", "hostname"), [("hv1_a_org", "hv1.a.org"), ("hv1", "hv1.a.org"), ("hv1_a_org", "hv1"), ("HV1", "hv1")])
def test_a_section_may_have_the_full_name_or_the_short_one(tmp_path, section, hostname):
    path = write(tmp_path, **{section: {"keepalive_interval": 2}})
    assert read_config(path, hostname).settings.keepalive_interval_s == 2


def test_a_section_of_the_same_short_name_in_another_domain_is_another_host(tmp_path):
    path = write(tmp_path, hv1_b_org={"keepalive_interval": 2})
    assert read_config(path, "hv1.a.org").settings.keepalive_interval_s == 5


def test_the_list_of_servers_keeps_its_order(tmp_path):
    path = write(tmp_path, {**LEAST, "zookeeper": "local:2182, [fd00::2], fd00::3,\n  far"})
    assert read_config(path, "hv1").zookeeper == ("local:2182", "[fd00::2]:2181", "[fd00::3]:2181", "far:2181")


def test_all_problems_are_said_at_once(tmp_path):
    path = write(
        tmp_path,
        {"ipmi_username": "pvc", "keepalive_intervall": 5, "dead_ticks": "many", "power_back": "maybe"},
        hv2={"migration_address": "user@host"},
    )
    found = problems(path)
    assert len(found) == 6
    assert 'no key called "keepalive_intervall"; did you mean "keepalive_interval"?' in found[0]
    assert "[default] dead_ticks: 'many' is no whole number from 4 to 100" in found[1]
    assert "[default] power_back" in found[2]
    assert "[hv2] migration_address" in found[3]
    assert "zookeeper, which is required" in found[4]
    assert "ipmi_password, which is required" in found[5]


def test_a_problem_of_the_defaults_is_not_repeated_for_each_host(tmp_path):
    path = write(tmp_path, {**LEAST, "dead_ticks": 1}, hv1={}, hv2={})
    assert len(problems(path)) == 1


def test_an_empty_value_says_nothing(tmp_path):
    assert "zookeeper, which is required" in problems(write(tmp_path, {**LEAST, "zookeeper": ""}))[0]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"session_timeout": 30}, "must be less than the dead time"),
        ({"boot_grace": 29}, "must not be less than the dead time"),
        ({"keepalive_interval": 0}, "no number of seconds"),
        ({"keepalive_interval": "nan"}, "no number of seconds"),
        ({"dead_ticks": 3}, "no whole number from 4"),
        ({"chroot": "pvc"}, "no path such as"),
        ({"libvirt_uri": "127.0.0.1"}, "no URI"),
        ({"migration_uri": "qemu+tcp://hv2/system"}, "where {address} belongs"),
        ({"migration_uri": "qemu+tcp://{address}/{x}"}, "where {address} belongs"),
        ({"state_file": "state.json"}, "no absolute path"),
        ({"fence_method": "stonith"}, "none of none, ipmi"),
        ({"zookeeper": "zk1:99999"}, "no whole number from 1 to 65535"),
        ({"zookeeper": "[::1"}, "is no server such as"),
        ({"zookeeper": ","}, "names no server"),
        ({"ipmi_guid": "4c4c4544"}, "neither 'any' nor a GUID"),
        ({"fence_method": "watchdog", "watchdog_timeout": 11}, "must not be less than two session timeouts of 6 s"),
        ({"watchdog_device": "/dev/watchdog1", "watchdog_timeout": 11}, "must not be less than two session timeouts of 6 s"),
        ({"fence_agent": "rm -rf /"}, "no name such as fence_redfish"),
        ({"fence_agent_options": "\n  username=pvc\n  hunter2"}, "each of its lines has to be an option"),
        ({"fence_agent_options": "\n  action=on"}, "not for the file to say"),
    ],
)
def test_a_value_out_of_range_or_order_is_refused(tmp_path, keys, words):
    (found,) = problems(write(tmp_path, {**LEAST, **keys}))
    assert words in found


def test_the_session_timeout_is_six_seconds_or_half_of_the_dead_time(tmp_path):
    assert read_config(write(tmp_path), "hv1").settings.session_timeout_s == 6
    path = write(tmp_path, {**LEAST, "keepalive_interval": 1})
    assert read_config(path, "hv1").settings.session_timeout_s == 3


def test_a_daemon_gives_up_before_its_peers_may_shoot_it(tmp_path):
    config = read_config(write(tmp_path), "hv1")
    assert config.settings.own_lease_s == 15
    assert config.settings.own_lease_s < config.settings.dead_ticks * config.settings.keepalive_interval_s


def test_fencing_needs_a_password_or_a_file_or_the_word_none(tmp_path):
    without = {"zookeeper": "zk1", "ipmi_username": "pvc"}
    assert "ipmi_password" in problems(write(tmp_path, without))[0]
    assert read_config(write(tmp_path, {**without, "ipmi_password_file": "/etc/x"}), "hv1")
    config = read_config(write(tmp_path, {"zookeeper": "zk1", "fence_method": "none"}), "hv1")
    assert config.fence_of("hv1").method is FenceMethod.none


def test_an_agent_needs_its_name_and_options_and_tells_nobody_its_password(tmp_path):
    agent = {"zookeeper": "zk1", "fence_method": "agent"}
    missing = problems(write(tmp_path, agent))
    assert [re.search(r"say (\w+), which is required", problem)[1] for problem in missing] == ["fence_agent", "fence_agent_options"]
    options = "\n  ip = 10.0.0.11\n  username=pvc\n  password=a=b;c%"
    access = read_config(write(tmp_path, {**agent, "fence_agent": "fence_redfish", "fence_agent_options": options}), "hv1").fence_of("hv1")
    assert access.options == (("ip", "10.0.0.11"), ("username", "pvc"), ("password", "a=b;c%"))
    assert (access.published.address, access.secrets, "a=b" in repr(access)) == ("10.0.0.11", True, False)
    (problem,) = problems(write(tmp_path, {**agent, "fence_agent": "fence_x", "fence_agent_options": "\n  s3cret"}))
    assert "s3cret" not in problem


def test_a_host_with_a_short_name_has_the_device_of_the_full_name_of_its_section(tmp_path):
    path = write(tmp_path, **{"HV1.example.org": {}, "hv2.example.org": {}, "hv3": {}})
    config = read_config(path, "hv1")
    assert [config.fence_of(node).address for node in ("hv1", "hv2", "hv3", "hv4")] == [
        "hv1-lom.example.org", "hv2-lom.example.org", "hv3-lom", "hv4-lom",
    ]  # fmt: skip


def test_two_sections_of_one_short_name_are_refused_where_hosts_have_short_names(tmp_path):
    path = write(tmp_path, **{"hv1.a.org": {}, "hv2.a.org": {}, "hv2.b.org": {}})
    (problem,) = problems(path, "hv1")
    assert "2 sections are those of a host called hv2" in problem
    assert read_config(path, "hv1.a.org").fence_of("hv2.b.org").address == "hv2-lom.b.org"
    assert read_config(write(tmp_path, **{"hv1": {}, "hv1.a.org": {}}), "hv1").node == "hv1"


def test_a_peers_device_is_found_in_its_section(tmp_path):
    path = write(tmp_path, hv2={"ipmi_hostname": "10.0.0.2", "ipmi_password": "other"})
    config = read_config(path, "hv1")
    assert (config.fence_of("hv2").address, config.fence_of("hv2").password) == ("10.0.0.2", "other")
    assert (config.fence_of("hv3").address, config.fence_of("hv3").password) == ("hv3-lom", "s3cret")


def test_a_password_may_hold_any_character_and_is_never_shown(tmp_path):
    strange = "%(x)s;#\" '$"
    config = read_config(write(tmp_path, {**LEAST, "ipmi_password": strange}), "hv1")
    assert config.fence_of("hv1").password == strange
    assert strange not in repr(config) + repr(config.fence_of("hv1"))
    control = problems(write(tmp_path, {**LEAST, "ipmi_password": "s3cret\x07"}))
    assert "s3cret" not in str(control)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("zookeeper = x\n", "line 1 belongs to no section"),
        ("[default]\nx\ny\n", "line 2, 3 is neither"),
        ("[default]\nipmi_password s3cret\n", "line 2 is neither"),
        ("[default]\nchroot = /a\nchroot = /b\n", "line 3 says chroot again"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_file_that_is_no_ini_is_refused_in_a_sentence(tmp_path, text, words):
    path = tmp_path / "pvcd.conf"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert words in " ".join(problems(path))


def test_a_file_that_is_not_there_leads_to_the_sample(tmp_path):
    with pytest.raises(BadConfig, match="No such file") as refused:
        read_config(tmp_path / "none", "hv1")
    assert "pvcd.conf.sample" in refused.value.next_step


def test_a_host_name_that_cannot_be_a_nodes_is_refused(tmp_path):
    assert "cannot be the name of a node" in problems(write(tmp_path), "hv+1")[0]


@pytest.mark.parametrize(("node", "device"), [("hv1.example.org", "hv1-lom.example.org"), ("hv1", "hv1-lom")])
def test_a_bmc_has_a_name_by_custom(node, device):
    assert lights_out_name(node) == device


@pytest.mark.parametrize(
    ("text", "found"),
    [("a", "a:1"), ("a:2", "a:2"), ("::1", "[::1]:1"), ("[::1]", "[::1]:1"), ("[::1]:2", "[::1]:2"), ("1.2.3.4", "1.2.3.4:1")],
)
def test_an_address_may_have_a_port(text, found):
    assert with_port(text, 1) == found


def test_the_sample_can_be_used_and_shows_every_key_with_its_default():
    text = SAMPLE.read_text()
    shown = dict(re.findall(r"^#?(\w+) = ?(.*)$", text.partition("\n[hv1")[0], re.MULTILINE))
    assert sorted(shown) == sorted(BY_NAME)
    assert {key.name: shown[key.name] for key in KEYS if key.default is not None} == {
        key.name: key.default for key in KEYS if key.default is not None
    }
    config = read_config(SAMPLE, "hv2.example.org")
    assert config.zookeeper[0] == "hv2.example.org:2181"
    assert config.settings.session_timeout_s == float(shown["session_timeout"])
