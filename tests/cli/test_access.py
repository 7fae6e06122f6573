"""The way to the cluster: where it is looked for, and what is said when nobody is there."""

import pytest

from pvc.cli.access import Access, parsed
from pvc.errors import NoQuorum, UsageProblem


@pytest.fixture
def access(tmp_path, monkeypatch):
    """One that knows nothing."""
    monkeypatch.delenv("PVC_ZOOKEEPER", raising=False)
    return Access(config_file=tmp_path / "pvc.conf")


@pytest.mark.parametrize(
    ("text", "hosts", "chroot"),
    [
        ("zk1", ("zk1:2181",), ""),
        ("zk1:2182,zk2, zk3:1 /pvc/", ("zk1:2182", "zk2:2181", "zk3:1"), "/pvc"),
        ("zk1/", ("zk1:2181",), ""),
        ("zk1/a/b", ("zk1:2181",), "/a/b"),
        ("[fd00::1],[fd00::2]:2182/pvc", ("[fd00::1]:2181", "[fd00::2]:2182"), "/pvc"),
    ],
)
def test_an_address_is_read_as_every_client_writes_it(text, hosts, chroot):
    assert (parsed(text).hosts, parsed(text).chroot) == (hosts, chroot)


def test_flag_before_environment_before_file(access, monkeypatch):
    access.config_file.write_text("zookeeper = file:1/pvc\n")
    assert access.options().hosts == ("file:1",)
    access.config_file.write_text("# ours\n[default]\nzookeeper = section:1\n")
    assert access.options().hosts == ("section:1",)
    monkeypatch.setenv("PVC_ZOOKEEPER", "environment:1")
    assert access.options().hosts == ("environment:1",)
    access.zookeeper = "flag:1"
    assert access.options().hosts == ("flag:1",)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[default\nzookeeper", "line 1, 2 is neither"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"zookeeper = a\nzookeeper = b\n", "line 2 says zookeeper again"),
        (b"zookeeper = a\nzookeeper_password s3cret\n", "line 2 is neither"),
    ],
)
def test_a_broken_file_is_named_and_nothing_of_it_repeated(access, content, why):
    access.config_file.write_bytes(content)
    with pytest.raises(UsageProblem, match=rf"pvc\.conf cannot be read: {why}") as caught:
        access.options()
    assert "s3cret" not in str(caught.value)


def test_a_section_may_follow_a_comment(access):
    access.config_file.write_text("# ours\n\n[pvc]\nzookeeper = section:1\n")
    assert access.options().hosts == ("section:1",)


@pytest.mark.parametrize("text", ["a b:c:d", "127.0.0.1:many", "zk1:99999", ","])
def test_an_address_that_cannot_be_meant_is_refused(access, text):
    access.zookeeper = text
    with pytest.raises(UsageProblem) as caught:
        access.options()
    assert "host:port" in caught.value.next_step


@pytest.mark.parametrize(
    ("line", "words"),
    [("zookeper = zk1", 'did you mean "zookeeper"'), ("zookeeper_ca = ca.pem", "zookeeper_ca: 'ca.pem' is no absolute path")],
)
def test_a_key_or_value_that_cannot_be_meant_is_named(access, line, words):
    access.config_file.write_text(f"zookeeper = zk1\n{line}\n")
    with pytest.raises(UsageProblem, match=words) as caught:
        access.options()
    assert str(access.config_file) in caught.value.message


def test_the_users_own_file_may_hold_the_password_for_an_address_of_all(access, tmp_path):
    access.user_file = tmp_path / "own.conf"
    access.config_file.write_text("zookeeper = zk1/pvc\nzookeeper_user = pvc\nzookeeper_password = old\n")
    access.user_file.write_text("zookeeper_password = s3%cret\n")
    assert access.options().auth == (("digest", "pvc:s3%cret"),)
    assert access.options().chroot == "/pvc"


def test_no_address_at_all_says_where_one_can_stand(access):
    with pytest.raises(UsageProblem) as caught:
        access.options()
    assert all(place in caught.value.next_step for place in ("-z", "PVC_ZOOKEEPER", str(access.config_file)))


def test_nobody_there_is_no_quorum_within_seconds(access, capfd, monkeypatch):
    access.zookeeper = "127.0.0.1:1"
    monkeypatch.setattr("pvc.cli.access.CONNECT_S", 0.5)
    with pytest.raises(NoQuorum, match="no ZooKeeper server answered within"), access.cluster():
        pass
    assert capfd.readouterr() == ("", "")
