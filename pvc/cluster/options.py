"""How to reach the ensemble, and as whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pvc.cluster.names import is_address, shown
from pvc.errors import UsageProblem

PERMISSIONS = {"c": "create", "d": "delete", "r": "read", "w": "write", "a": "admin"}


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM form. A failed handshake looks like a server that does not answer: look at both logs."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    key_password: str | None = field(default=None, repr=False)
    verify: bool = True
    check_hostname: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """All that a client needs to know about the ensemble.

    `hosts` are tried in this order, so the local server comes first; list every one.
    `auth` holds (scheme, credential) pairs, digest credentials as user:password: send those over TLS only.
    `acl` holds entries as zkCli writes them, scheme:id:cdrwa, for every znode that is created. Without any, what is
    created belongs to whoever authenticated, or to everybody when nobody did.
    """

    hosts: tuple[str, ...]
    chroot: str = ""
    session_timeout_s: float = 6.0
    auth: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    acl: tuple[str, ...] = ()
    sasl: Mapping[str, str] | None = field(default=None, repr=False)
    tls: Tls | None = None

    def __post_init__(self) -> None:
        if not self.hosts:
            raise UsageProblem("no ZooKeeper host is configured", "list at least one as host:port")
        for host in self.hosts:
            name, _, port = host.rpartition(":")
            if not is_address(host) or not name or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
                raise UsageProblem(f"{shown(host)} is no ZooKeeper server", "write it as host:port, for example zk1:2181")
        if self.chroot and (not self.chroot.startswith("/") or self.chroot.endswith("/")):
            raise UsageProblem(f'the chroot "{self.chroot}" is no absolute path', "write it as /pvc")
        for entry in self.acl:
            parse_acl(entry)


def parse_acl(entry: str) -> tuple[str, str, frozenset[str]]:
    """Scheme, id and the names of the permissions; the id may contain colons itself."""
    scheme, _, rest = entry.partition(":")
    identity, _, letters = rest.rpartition(":")
    if not scheme or not letters or not set(letters) <= set(PERMISSIONS):
        raise UsageProblem(f'"{entry}" is no ACL entry', "write it as scheme:id:cdrwa, for example world:anyone:r")
    return scheme, identity, frozenset(PERMISSIONS[letter] for letter in letters)
