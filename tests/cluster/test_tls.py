"""The store over TLS: who has no certificate of ours is not served, and a server that has none is not trusted."""

import gc
import shutil
import subprocess
from pathlib import Path

import pytest

from pvc.cluster.live import ZooKeeperStore, create_root
from pvc.cluster.options import Options, Tls
from pvc.cluster.store import Create, NotConnected
from tests import ensemble as zk
from tests.cluster.worlds import DEADLINE_S, Probe, until_connected_again

# kazoo 2.8 names the protocol in a way that Python has given up.
pytestmark = [pytest.mark.ensemble, pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLS:DeprecationWarning")]

JARS = Path("/usr/share/java")
# Debian's zookeeper.jar does not name all that TLS needs: the server would hang without a word.
PARTS = ["codec", "resolver", "transport", "transport-native-unix-common", "handler", "buffer", "common"]
NETTY = [JARS / f"netty-{part}.jar" for part in PARTS]
CLASSES = ":".join(map(str, ["/etc/zookeeper/conf", JARS / "zookeeper.jar", *NETTY]))
CONFIG = """serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory
secureClientPort={port}
secureClientPortAddress=127.0.0.1
ssl.keyStore.location={directory}/server.pem
ssl.trustStore.location={directory}/ca.pem
ssl.clientAuth=need
ssl.hostnameVerification=false
"""


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def certificate(directory, name, authority):
    """A key and a certificate signed by that authority, and both in one file."""
    key, request, signed = (directory / f"{name}.{kind}" for kind in ("key", "csr", "crt"))
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    ca = ["-CA", directory / f"{authority}.pem", "-CAkey", directory / f"{authority}.key", "-CAcreateserial"]
    names = directory / f"{name}.ext"
    names.write_text("subjectAltName=IP:127.0.0.1")
    openssl("x509", "-req", "-in", request, *ca, "-out", signed, "-days", "2", "-extfile", names)
    (directory / f"{name}.pem").write_text(key.read_text() + signed.read_text())


@pytest.fixture(scope="module")
def secure(require, tmp_path_factory):
    """A server that speaks TLS: its host and the directory of all certificates."""
    require("ZooKeeper", zk.available(), "install the Debian package zookeeper")
    require("netty", all(jar.exists() for jar in NETTY), "install the Debian package libnetty-java")
    require("openssl", shutil.which("openssl") is not None, "install the Debian package openssl")
    directory = tmp_path_factory.mktemp("tls")
    for authority in ("ca", "other"):
        openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", directory / f"{authority}.key",
            "-out", directory / f"{authority}.pem", "-subj", f"/CN={authority}", "-days", "2",
        )  # fmt: skip
    certificate(directory, "server", "ca")
    certificate(directory, "client", "ca")
    certificate(directory, "stranger", "other")
    port = zk.free_port()
    settings = {"servers": 1, "extra": CONFIG.format(port=port, directory=directory), "java": f"-cp {CLASSES}"}
    with zk.running(tmp_path_factory.mktemp("secure"), **settings):
        yield f"127.0.0.1:{port}", directory


def options(secure, client="client", ca="ca", **tls):
    host, directory = secure
    certificates = {"cert": str(directory / f"{client}.crt"), "key": str(directory / f"{client}.key")} if client else {}
    return Options((host,), "/pvc", 10.0, tls=Tls(ca=str(directory / f"{ca}.pem"), **certificates, **tls))


def test_a_certificate_of_ours_is_served_and_comes_back(secure):
    create_root(options(secure), DEADLINE_S)
    probe = Probe(ZooKeeperStore(options(secure)))
    probe.store.start(probe, DEADLINE_S)
    probe.store.multi([Create("/a", b"1")])
    probe.store.watch("/a")
    probe.until_data("/a", b"1")
    probe.store._client.drop()
    until_connected_again(probe, 1)
    assert probe.store.read("/a").data == b"1"
    probe.store.close()


# kazoo leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("client", "ca"), [(None, "ca"), ("stranger", "ca"), ("client", "other")])
def test_a_stranger_on_either_side_is_not_served(secure, client, ca):
    probe = Probe(ZooKeeperStore(options(secure, client, ca)))
    with pytest.raises(NotConnected):
        probe.store.start(probe, timeout_s=2)
    assert probe.events == []
    gc.collect()


def test_the_documents_name_what_debians_server_does_not_find_by_itself():
    assert f"netty-%s.jar' {' '.join(PARTS)})" in (Path(__file__).parents[2] / "docs/operations.md").read_text()
