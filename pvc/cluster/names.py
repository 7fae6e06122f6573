"""Names of VMs and nodes, UUIDs, ids and addresses: what they look like, checked before one becomes part of a path, a URI or a command."""

import re
from functools import lru_cache

from pvc.errors import UsageProblem

NAME_RULE = "1 to 63 of a-z, A-Z, 0-9, '.', '_' and '-', beginning with a letter or digit, without '..'"
UUID_RULE = "32 of 0-9 and a-f in the groups 8-4-4-4-12"
TOKEN_RULE = "1 to 64 of letters, digits, '.', '_', ':' and '-'"
ADDRESS_RULE = "a host name or IP address, perhaps with a port; no user, no password"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TOKEN = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_ADDRESS = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")
# Fixed, where str.isprintable grows with Python's Unicode tables: nodes of different age must agree on what can be read.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


# fullmatch throughout: "$" would let a name end in a line break.


def is_name(text: str) -> bool:
    """Whether this may name a VM or a node."""
    return _NAME.fullmatch(text) is not None and ".." not in text


def is_uuid(text: str) -> bool:
    """Whether this is a UUID in the one form that we use for paths."""
    return _UUID.fullmatch(text) is not None


def is_token(text: str) -> bool:
    """Whether this may be the id of a request, an operation, a generation or a kernel boot."""
    return _TOKEN.fullmatch(text) is not None and text not in (".", "..")


def is_address(text: str) -> bool:
    """Whether this can be connected to, and cannot carry a user or a password (H88)."""
    return _ADDRESS.fullmatch(text) is not None


def is_line(text: str) -> bool:
    """Whether this is one line without control characters, so that it can be shown on any terminal."""
    return (text.isascii() and text.isprintable()) or _CONTROL.search(text) is None


@lru_cache(4096)  # asked for with each path
def checked_name(kind: str, text: str) -> str:
    """The name itself; raises UsageProblem when it is none, because an empty one, or '..', would lead to another znode."""
    if not is_name(text):
        raise UsageProblem(f"{shown(text)} cannot be the name of a {kind}: a name is {NAME_RULE}")
    return text


def checked_uuid(text: str) -> str:
    """The UUID itself; raises UsageProblem when it is not in canonical form."""
    if not is_uuid(text):
        raise UsageProblem(f"{shown(text)} is no UUID in canonical form: {UUID_RULE}")
    return text


def checked_token(text: str) -> str:
    """The id itself; raises UsageProblem when it is none."""
    if not is_token(text):
        raise UsageProblem(f"{shown(text)} is no id: an id is {TOKEN_RULE}")
    return text


def shown(value: object, limit: int = 60) -> str:
    """Any value in a sentence: quoted, on one line, not endless."""
    text = repr(value[:limit] if isinstance(value, str | list | bytes) else value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def clipped(text: str, limit: int) -> str:
    """Words from elsewhere, as a record can hold them: on one line, and within its limit."""
    line = " ".join(_CONTROL.sub(" ", text[: 4 * limit]).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
