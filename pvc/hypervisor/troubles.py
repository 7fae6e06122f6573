"""What libvirt's errors mean, in one place. The same code means different things in different parts of libvirt, so both are looked at.

Nothing is decided from this: after every call the guest is looked at. It says what to tell, and whether a call's outcome is unknown.
"""

import re
from enum import Enum
from typing import NamedTuple

from pvc.errors import PvcError

# The command line of a child, with its environment, before what it said: a record has room for one sentence.
CHILD = re.compile(r"(internal error: )?Child process \(.*?\) unexpected (exit status|fatal signal) \d+: ", re.DOTALL)


class Trouble(Enum):
    """Why a call failed."""

    gone = "there is no such domain"
    state = "the domain is not in a state for it"
    busy = "another job holds the domain"
    aborted = "it was broken off"
    refused = "it was refused"
    configuration = "the domain cannot be like that on this host"
    peer = "the libvirtd of the other host was not reached, or lost"
    connection = "the connection broke, so what came of it is unknown"
    failed = "it failed"


class CallFailed(PvcError):
    """A call to libvirt failed, or its outcome is unknown."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        self.trouble = trouble
        super().__init__(message)


class Rule(NamedTuple):
    """Errors of libvirt by the names of their domain and code; an empty domain stands for any other."""

    domain: str
    codes: tuple[str, ...]
    trouble: Trouble


# The first that fits counts. A broken connection is none of these: libvirt repeats to us what went wrong between two libvirtds, in the same
# words, so whether our own stands is asked of itself.
RULES = (
    Rule("", ("NO_DOMAIN", "INVALID_DOMAIN"), Trouble.gone),
    Rule("", ("OPERATION_INVALID", "DOM_EXIST"), Trouble.state),
    Rule("", ("OPERATION_TIMEOUT", "RESOURCE_BUSY", "AGENT_UNRESPONSIVE", "AGENT_UNSYNCED"), Trouble.busy),
    Rule("", ("OPERATION_ABORTED",), Trouble.aborted),
    Rule("", ("HOOK_SCRIPT_FAILED", "OPERATION_DENIED", "ACCESS_DENIED", "AUTH_FAILED", "AUTH_CANCELLED", "AUTH_UNAVAILABLE",
              "MIGRATE_UNSAFE"), Trouble.refused),
    Rule("", ("XML_ERROR", "XML_DETAIL", "XML_INVALID_SCHEMA", "CONFIG_UNSUPPORTED", "ARGUMENT_UNSUPPORTED", "OPERATION_UNSUPPORTED",
              "NO_SUPPORT", "INVALID_ARG", "CPU_INCOMPATIBLE", "OS_TYPE", "UNKNOWN_HOST"), Trouble.configuration),
    Rule("STORAGE", ("SYSTEM_ERROR",), Trouble.configuration),  # a disk that is not there
    Rule("RPC", ("INTERNAL_ERROR", "SYSTEM_ERROR", "RPC", "NO_CONNECT"), Trouble.peer),
    Rule("REMOTE", ("INTERNAL_ERROR", "SYSTEM_ERROR", "RPC", "NO_CONNECT"), Trouble.peer),
)  # fmt: skip


def words_of(message: str) -> str:
    """What libvirt said, as one line that begins with what matters."""
    return " ".join(CHILD.sub("", message).split())


def trouble_of(domain: str, code: str) -> Trouble:
    """The class of an error, by the names of its domain and its code."""
    for rule in RULES:
        if rule.domain in ("", domain) and code in rule.codes:
            return rule.trouble
    return Trouble.failed
