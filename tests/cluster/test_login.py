"""How a configuration says who we are to ZooKeeper: what does not go together is said, and no file fails as a silent server."""

import shutil
import subprocess

import pytest

from pvc.cluster.login import KEYS, problems, secured
from pvc.cluster.options import Options
from pvc.errors import UsageProblem

BARE = Options(("zk1:2181",))


@pytest.fixture(scope="module")
def pem(require, tmp_path_factory):
    """A directory with two certificates and their keys."""
    require("openssl", shutil.which("openssl") is not None, "install the Debian package openssl")
    directory = tmp_path_factory.mktemp("pem")
    for name in ("ours", "other"):
        files = ["-keyout", directory / f"{name}.key", "-out", directory / f"{name}.pem"]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, "-subj", f"/CN={name}", "-days", "2"]
        subprocess.run(command, check=True, capture_output=True)
    return directory


def test_nothing_said_is_nobody():
    assert secured(BARE, dict.fromkeys(KEYS)) == BARE


def test_a_user_logs_in_and_the_password_may_stand_in_a_file(tmp_path):
    path = tmp_path / "password"
    path.write_text("s3:cret\n")
    assert secured(BARE, {"zookeeper_user": "pvc", "zookeeper_password": "s"}).auth == (("digest", "pvc:s"),)
    assert secured(BARE, {"zookeeper_user": "pvc", "zookeeper_password_file": str(path)}).auth == (("digest", "pvc:s3:cret"),)


def test_entries_of_an_acl_stand_in_one_line():
    assert secured(BARE, {"zookeeper_acl": "auth::cdrwa, world:anyone:r"}).acl == ("auth::cdrwa", "world:anyone:r")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"user": "pvc"}, "needs a zookeeper_password"),
        ({"password": "s3cret"}, "of no use without zookeeper_user"),
        ({"cert": "/a"}, "zookeeper_cert and zookeeper_key belong together"),
        ({"cert": "/a", "key": "/b", "acl": "auth::cdrwa"}, "which server to trust"),
        ({"ca": "/c", "cert": "/a", "key": "/b"}, "zookeeper_acl must say who"),
    ],
)
def test_what_does_not_go_together_is_said(said, words):
    (found,) = problems({f"zookeeper_{name}": value for name, value in said.items()})
    assert words in found
    assert "s3cret" not in found


@pytest.mark.parametrize(
    ("key", "text"), [("zookeeper_ca", "ca.pem"), ("zookeeper_user", "a:b"), ("zookeeper_password", ""), ("zookeeper_acl", "world:any")]
)
def test_a_value_that_cannot_be_meant_is_refused(key, text):
    with pytest.raises(ValueError, match=r"\w"):
        KEYS[key](text)


def test_certificates_are_taken_as_they_are(pem):
    said = {f"zookeeper_{name}": str(pem / file) for name, file in (("ca", "ours.pem"), ("cert", "ours.pem"), ("key", "ours.key"))}
    tls = secured(BARE, said | {"zookeeper_acl": "auth::cdrwa"}).tls
    assert (tls.ca, tls.cert, tls.key) == (said["zookeeper_ca"], said["zookeeper_cert"], said["zookeeper_key"])


@pytest.mark.parametrize(
    ("ca", "key", "words"),
    [
        ("nowhere.pem", "ours.key", "zookeeper_ca .*nowhere.pem cannot be used: No such file"),
        ("ours.key", "ours.key", "zookeeper_ca .* no PEM file"),
        ("ours.pem", "other.key", "zookeeper_cert .* its key is another's"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(pem, ca, key, words):
    said = {"zookeeper_ca": str(pem / ca), "zookeeper_cert": str(pem / "ours.pem"), "zookeeper_key": str(pem / key)}
    with pytest.raises(UsageProblem, match=words):
        secured(BARE, said | {"zookeeper_acl": "auth::cdrwa"})


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"two\nlines"])
def test_a_password_file_that_holds_no_password_is_named(tmp_path, content):
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageProblem, match=r"zookeeper_password_file .* cannot be read"):
        secured(BARE, {"zookeeper_user": "pvc", "zookeeper_password_file": str(path)})
