"""A VM's policy in a scenario file: the fields of the record, in JSON."""

from collections.abc import Iterator, Mapping
from typing import Any

from pvc.cluster.records import HandoverPolicy, Method, OnPoweroff, Selector
from pvc.errors import unknown

WORDS = {"selector": Selector, "migration": Method, "handover": HandoverPolicy, "on_poweroff": OnPoweroff}
COUNTS = ("shutdown_timeout_s", "restart_budget")
FIELDS = ("nodes", *WORDS, *COUNTS)


def policy_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """The values of these fields, which have no problems."""
    read = {name: WORDS[name](value) if name in WORDS else value for name, value in said.items()}
    return {name: tuple(value) if name == "nodes" else value for name, value in read.items()}


def policy_problems(said: Any, where: str) -> Iterator[str]:
    """Everything that is wrong with a policy."""
    if not isinstance(said, dict):
        yield f"{where} is no object"
        return
    for name, value in said.items():
        if name not in FIELDS:
            yield f"{where}: {unknown('field', name, FIELDS)}"
        elif name in WORDS and value not in tuple(map(str, WORDS[name])):
            yield f"{where}.{name}: {unknown('word', str(value), map(str, WORDS[name]))}"
        elif name in COUNTS and (not isinstance(value, int) or value < 0):
            yield f"{where}.{name}: {value!r} is no whole number"
        elif name == "nodes" and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            yield f"{where}.nodes is no list of nodes"
