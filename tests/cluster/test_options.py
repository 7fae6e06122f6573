"""How the ensemble is reached is checked when it is said, and secrets do not show."""

import pytest

from pvc.cluster.options import Options, Tls, parse_acl
from pvc.errors import UsageProblem


@pytest.mark.parametrize(
    "options",
    [
        *({"hosts": hosts} for hosts in ((), ("zk1",), ("a b:1",), ("zk1:many",), ("zk1:0",), ("zk1:65536",), (":2181",))),
        *({"hosts": (host,)} for host in ("::1:2181", "[::1", "[:]:2181", "x]:2181", "[::1]:2181:3", "[zk1]:2181")),
        {"chroot": "pvc"},
        {"chroot": "/pvc/"},
        {"acl": ("world:anyone",)},
        {"acl": ("world:anyone:rx",)},
    ],
)
def test_what_cannot_work_is_refused_with_a_next_step(options):
    with pytest.raises(UsageProblem) as refused:
        Options(**({"hosts": ("localhost:2181",)} | options))
    assert refused.value.next_step


@pytest.mark.parametrize("host", ["zk1:2181", "zk_1.example.org:1", "10.0.0.1:65535", "[::1]:2181", "[fd00::1]:2281"])
def test_a_name_or_an_address_with_a_port_is_a_server(host):
    assert Options((host,)).hosts == (host,)


@pytest.mark.parametrize(
    ("entry", "parsed"),
    [
        ("world:anyone:r", ("world", "anyone", {"read"})),
        ("digest:pvc:aGFzaA==:cdrwa", ("digest", "pvc:aGFzaA==", {"create", "delete", "read", "write", "admin"})),
        ("ip:fd00::1:rw", ("ip", "fd00::1", {"read", "write"})),
        ("auth::cdrwa", ("auth", "", {"create", "delete", "read", "write", "admin"})),
    ],
)
def test_an_acl_entry_is_written_as_in_zkcli(entry, parsed):
    assert parse_acl(entry) == parsed


def test_secrets_do_not_show():
    """H88"""
    options = Options(("h:1",), auth=(("digest", "pvc:s3cret"),), sasl={"password": "s3cret"}, tls=Tls(key_password="s3cret"))
    assert "s3cret" not in repr(options)
