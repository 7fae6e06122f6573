"""Where ZooKeeper is in a scenario: on nodes, of which it needs a majority, or apart from them."""

from collections.abc import Iterable, Iterator
from typing import Any

from pvc.cluster.names import shown
from pvc.errors import unknown

ON_NODES, EXTERNAL = "on_nodes", "external"
WORDS = (ON_NODES, EXTERNAL)


def voters_of(said: Any, nodes: Iterable[str]) -> frozenset[str]:
    """The nodes that ZooKeeper runs on, none when it is apart from them; ``said`` has no problems."""
    if said == EXTERNAL:
        return frozenset()
    return frozenset(nodes if said == ON_NODES else _listed(said))


def voter_problems(said: Any, nodes: Iterable[Any]) -> Iterator[str]:
    """Everything that is wrong with this field; ``nodes`` are those there are at the beginning."""
    if isinstance(said, str):
        if said not in WORDS:
            yield f"zk: {unknown('word', said, WORDS)}"
        return
    listed = _listed(said)
    if not isinstance(listed, list) or not listed:
        yield f"zk is {shown(said)}, and neither {' nor '.join(WORDS)}, nor a list of nodes"
        return
    for name in listed:
        if not isinstance(name, str):
            yield f"zk: {shown(name)} is not the name of a node"
        elif name not in nodes:
            yield f"zk: {unknown('node', name, [one for one in nodes if isinstance(one, str)])}"


def _listed(said: Any) -> Any:
    return said[ON_NODES] if isinstance(said, dict) and [*said] == [ON_NODES] else said
