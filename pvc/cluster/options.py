"""How to reach the ensemble, and as whom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from pvc.cluster.names import shown
from pvc.errors import UsageProblem

_SERVER = re.compile(r"([A-Za-z0-9._-]{1,255}|\[(?P<ipv6>[0-9A-Fa-f:.]{2,45})\]):(?P<port>[0-9]{1,5})")
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
            if not is_server(host):
                raise UsageProblem(f"{shown(host)} is no ZooKeeper server", "write it as host:port, for example zk1:2181")
        if self.chroot and (not self.chroot.startswith("/") or self.chroot.endswith("/")):
            raise UsageProblem(f'the chroot "{self.chroot}" is no absolute path', "write it as /pvc")
        for entry in self.acl:
            parse_acl(entry)


def is_server(text: str) -> bool:
    """Whether this is host:port, an IPv6 address in brackets; kazoo would end on what is none."""
    found = _SERVER.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        return False
    try:
        return found["ipv6"] is None or bool(IPv6Address(found["ipv6"]).exploded)
    except ValueError:
        return False


def parse_acl(entry: str) -> tuple[str, str, frozenset[str]]:
    """Scheme, id and the names of the permissions; the id may contain colons itself."""
    scheme, _, rest = entry.partition(":")
    identity, _, letters = rest.rpartition(":")
    if not scheme or not letters or not set(letters) <= set(PERMISSIONS):
        raise UsageProblem(f'"{entry}" is no ACL entry', "write it as scheme:id:cdrwa, for example world:anyone:r")
    return scheme, identity, frozenset(PERMISSIONS[letter] for letter in letters)
