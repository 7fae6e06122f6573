"""Who we are to ZooKeeper, and how it is reached by TLS: keys that `pvcd.conf` and `pvc.conf` have in common."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pvc.cluster.names import is_line, shown
from pvc.cluster.options import Options, Tls, parse_acl
from pvc.errors import PvcError, UsageProblem

if TYPE_CHECKING:
    import ssl

PASSWORD, PASSWORD_FILE = "zookeeper_password", "zookeeper_password_file"
SECRETS = frozenset({PASSWORD})
"""Keys whose value is never shown."""


def _file(text: str) -> str:
    if not text.startswith("/") or not is_line(text):
        raise ValueError(f"{shown(text)} is no absolute path")
    return text


def _user(text: str) -> str:
    if not is_line(text) or ":" in text:
        raise ValueError(f"{shown(text)} is no user: one word without a colon")
    return text


def _password(text: str) -> str:
    if not text or not is_line(text):
        raise ValueError("it is not one line of text")
    return text


def _acl(text: str) -> str:
    try:
        for entry in _entries(text):
            parse_acl(entry)
    except PvcError as error:
        raise ValueError(f"{error.message}: {error.next_step}") from error
    return text


def _entries(text: str) -> tuple[str, ...]:
    return tuple(entry for entry in re.split(r"[\s,]+", text) if entry)


KEYS: Mapping[str, Callable[[str], str]] = {
    "zookeeper_ca": _file,
    "zookeeper_cert": _file,
    "zookeeper_key": _file,
    "zookeeper_user": _user,
    PASSWORD: _password,
    PASSWORD_FILE: _file,
    "zookeeper_acl": _acl,
}
"""Each reads its text, or raises ValueError with what is wrong with it. All are optional."""

Said = Mapping[str, str | None]
"""What a configuration says for these keys, each read; None or absent where it says nothing."""


def problems(said: Said) -> Iterator[str]:
    """What does not go together, as sentences."""
    ca, cert, key, user = (said.get(f"zookeeper_{name}") for name in ("ca", "cert", "key", "user"))
    password = said.get(PASSWORD) or said.get(PASSWORD_FILE)
    if bool(cert) != bool(key):
        yield "zookeeper_cert and zookeeper_key belong together: one of them is missing"
    if cert and key and not ca:
        yield "zookeeper_cert without zookeeper_ca: nothing says which server to trust"
    if user and not password:
        yield f"zookeeper_user needs a {PASSWORD} or a {PASSWORD_FILE}"
    if password and not user:
        yield "a password for ZooKeeper is of no use without zookeeper_user"
    if cert and key and not user and not said.get("zookeeper_acl"):
        # Without a word, ZooKeeper gives what one certificate writes to that certificate alone.
        yield (
            "with zookeeper_cert and no zookeeper_user, zookeeper_acl must say who may change what is written:"
            " world:anyone:cdrwa for whoever has a certificate, auth::cdrwa where all nodes and clients share one"
        )


def secured(options: Options, said: Said) -> Options:
    """These options, with the login that was configured; raises UsageProblem for a file that cannot be used."""
    wrong = next(problems(said), None)
    if wrong is not None:
        raise UsageProblem(wrong, "correct the configuration")
    tls = Tls(said["zookeeper_ca"], said.get("zookeeper_cert"), said.get("zookeeper_key")) if said.get("zookeeper_ca") else None
    if tls is not None:
        tls_context(tls)
    user = said.get("zookeeper_user")
    auth = (("digest", f"{user}:{_secret_of(said)}"),) if user else ()
    return replace(options, auth=auth, acl=_entries(said.get("zookeeper_acl") or ""), tls=tls)


def _secret_of(said: Said) -> str:
    path = said.get(PASSWORD_FILE)
    if not path:
        return said.get(PASSWORD) or ""
    try:
        return _password(Path(path).read_text(encoding="utf-8").strip())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "there is not one line of text in it"
        raise UsageProblem(f"{PASSWORD_FILE} {path} cannot be read: {why}", "write the password into it") from error


def tls_context(tls: Tls) -> "ssl.SSLContext":
    """For a connection as kazoo makes it; raises UsageProblem for a file that kazoo would only make a server of that does not answer."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = tls.check_hostname
    _try("zookeeper_ca", tls.ca, lambda: context.load_verify_locations(tls.ca))
    if tls.cert:
        both = f"{tls.cert} with zookeeper_key {tls.key}"
        # An encrypted key would be asked for on a terminal that is not there.
        _try("zookeeper_cert", both, lambda: context.load_cert_chain(str(tls.cert), tls.key, password=lambda: ""))
    return context


def _try(key: str, what: str | None, load: Callable[[], None]) -> None:
    try:
        load()
    except OSError as error:  # ssl's own are of that kind
        why = error.strerror if isinstance(error, FileNotFoundError | PermissionError) else "no PEM file, or its key is another's or locked"
        raise UsageProblem(f"{key} {what} cannot be used: {why}", "name PEM files that this user may read") from error
