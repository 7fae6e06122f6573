"""`pvc` where ZooKeeper is reached by TLS or asks who one is: as /etc/pvc/pvc.conf says, on real servers."""

import json
from types import SimpleNamespace

import pytest

from pvc.cli.access import Access
from pvc.cli.main import main
from tests import ensemble as zk
from tests.cluster.test_tls import secure  # noqa: F401 - a fixture

pytestmark = [pytest.mark.ensemble, pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLS:DeprecationWarning")]


@pytest.fixture(scope="module")
def plain(require, tmp_path_factory):
    """A server that takes whoever comes."""
    require("ZooKeeper", zk.available(), "install the Debian package zookeeper")
    with zk.running(tmp_path_factory.mktemp("plain"), servers=1) as ensemble:
        yield ensemble.hosts[0]


@pytest.fixture
def pvc(tmp_path, monkeypatch, capsys):
    """Run `pvc` with these lines in its file; a server on a machine that is busy has its time."""
    monkeypatch.delenv("PVC_ZOOKEEPER", raising=False)
    monkeypatch.setattr("pvc.cli.access.CONNECT_S", 60.0)
    monkeypatch.setattr("pvc.cli.doctor.ASK_S", 60.0)

    def run(lines, *arguments):
        (tmp_path / "pvc.conf").write_text("".join(f"{line}\n" for line in lines))
        way = Access(config_file=tmp_path / "pvc.conf", user_file=tmp_path / "none")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.main(list(arguments), "pvc", obj=way)
        out, err = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code, out=out, err=err)

    return run


def test_a_cluster_over_tls_is_created_listed_and_found_well(secure, pvc):  # noqa: F811
    host, directory = secure
    lines = [f"zookeeper = {host}/office", f"zookeeper_ca = {directory}/ca.pem", "zookeeper_acl = world:anyone:cdrwa"]
    lines += [f"zookeeper_cert = {directory}/client.crt", f"zookeeper_key = {directory}/client.key"]
    assert pvc(lines, "init", "office", "--yes").code == 0
    assert pvc(lines, "node", "list", "-o", "json").code == 0
    found = json.loads(pvc(lines, "doctor", "-o", "json").out)["findings"]
    (quorum,) = (one for one in found if one["about"] == "quorum")
    assert "1 of 1 servers answer" in quorum["sentence"]


# kazoo leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_who_has_no_certificate_is_told_where_to_look(secure, pvc, monkeypatch):  # noqa: F811
    host, directory = secure
    monkeypatch.setattr("pvc.cli.access.CONNECT_S", 1.0)
    refused = pvc([f"zookeeper = {host}", f"zookeeper_ca = {directory}/ca.pem"], "node", "list")
    assert refused.code == 5
    assert "by TLS" in refused.err
    assert "the certificates" in refused.err


def test_only_the_user_who_created_a_cluster_reads_and_changes_it(plain, pvc):
    ours = [f"zookeeper = {plain}/guarded", "zookeeper_user = pvc", "zookeeper_password = s3cret"]
    assert pvc(ours, "init", "office", "--yes").code == 0
    assert pvc(ours, "hold", "on", "--reason", "it is ours").code == 0
    for theirs in (ours[:1], [*ours[:2], "zookeeper_password = guess"]):
        for command in (("cluster", "info"), ("hold", "off"), ("node", "list"), ("vm", "list"), ("init", "mine", "--yes")):
            refused = pvc(theirs, *command)
            assert refused.code == 1, (command, refused.out)
            assert "the credentials do not allow it" in refused.err
            assert "zookeeper_user" in refused.err
    assert json.loads(pvc(ours, "cluster", "info", "-o", "json").out)["cluster"]["hold"]["on"]


def test_no_password_is_ever_shown(plain, pvc):
    ours = [f"zookeeper = {plain}/guarded", "zookeeper_user = pvc", "zookeeper_password = s3cret"]
    shown = pvc(ours, "config", "show")
    assert "(not shown)" in shown.out
    assert "s3cret" not in shown.out + pvc(ours, "doctor").out
