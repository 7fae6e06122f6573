"""Many nodes and VMs of a scenario file that one entry stands for, by its ``count``: each has the entry's name and a number from 1 on."""

from collections.abc import Iterator
from itertools import cycle
from typing import Any

from pvc.cluster.names import shown
from pvc.sim.problems import Said

COUNT = "count"
MOST = 20_000
IN_TURN = "*"
"""The home of VMs that are spread over all nodes, one after the other."""


def expanded(said: Said) -> Said:
    """The same, one by one; what is wrong is left as it is."""
    nodes = _each(said.get("nodes"))
    homes = cycle([node.get("name") if isinstance(node, dict) else node for node in nodes or ()] or [IN_TURN])
    vms = _each(said.get("vms"))
    for vm in vms or ():
        if isinstance(vm, dict) and vm.pop(COUNT, None) and vm.get("home") == IN_TURN:
            vm["home"] = next(homes)
    for node in nodes or ():
        if isinstance(node, dict):
            node.pop(COUNT, None)
    return {**said, **({"nodes": nodes} if nodes is not None else {}), **({"vms": vms} if vms is not None else {})}


def count_problems(said: Said) -> Iterator[str]:
    """Every count that is none."""
    for field, kind in (("nodes", "node"), ("vms", "vm")):
        entries = said.get(field)
        for number, one in enumerate(entries if isinstance(entries, list) else (), 1):
            if isinstance(one, dict) and COUNT in one and not _is_count(one[COUNT]):
                yield f"{kind} {number}: {COUNT} is {shown(one[COUNT])}, and no whole number from 1 to {MOST}"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST


def _each(entries: Any) -> list[Any] | None:
    if not isinstance(entries, list):
        return None
    found: list[Any] = []
    for one in entries:
        if not isinstance(one, dict) or COUNT not in one:
            found.append(one)
        elif _is_count(one[COUNT]) and isinstance(one.get("name"), str):
            found += [{**one, "name": f"{one['name']}{number + 1}"} for number in range(one[COUNT])]
        else:
            found.append({**one, COUNT: 1})
    return found
