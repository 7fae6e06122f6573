# ruff: noqa: E501 - an entry of the table is one line
"""The layout: every path that PVC has in ZooKeeper, and what each znode is, who writes it and who watches it.

Paths are made here and nowhere else, and only from names that were checked: an empty name or '..' would lead to another znode. The table
is also the source of `docs/znodes.md`, which others write their programs by.
"""

from dataclasses import dataclass

from pvc.cluster.names import checked_name, checked_token, checked_uuid

CONFIG = "/config"
NAMES = "/names"
ALIVE = "/alive"
BOOTS = "/boots"
NODES = "/nodes"
DOMAINS = "/domains"

PARENTS = (NAMES, ALIVE, BOOTS, NODES, DOMAINS)
"""Created with the cluster and never deleted: a watch on their children would end with them."""


def name(domain: str) -> str:
    """Where the UUID of the VM of this name is found."""
    return f"{NAMES}/{checked_name('VM', domain)}"


def alive(node: str) -> str:
    """A node's proof of life."""
    return f"{ALIVE}/{checked_name('node', node)}"


def boot(node: str) -> str:
    """A node's boot record; its version is the token that a fence takes away."""
    return f"{BOOTS}/{checked_name('node', node)}"


def node(name: str) -> str:
    """A node's record."""
    return f"{NODES}/{checked_name('node', name)}"


def stats(name: str) -> str:
    """What a node's daemon last measured."""
    return f"{node(name)}/stats"


def device_tests(name: str) -> str:
    """What a node's daemon found when it last asked the fence devices of all nodes."""
    return f"{node(name)}/fence-tests"


def progress(name: str) -> str:
    """How far the migrations away from a node are."""
    return f"{node(name)}/progress"


def index(name: str) -> str:
    """The parent of a node's index entries: its children are the UUIDs of the VMs that concern the node."""
    return f"{node(name)}/domains"


def index_entry(name: str, uuid: str) -> str:
    """The index entry which says that this VM's record names this node."""
    return f"{index(name)}/{checked_uuid(uuid)}"


def events(name: str) -> str:
    """A node's last transitions."""
    return f"{node(name)}/events"


def domain(uuid: str) -> str:
    """A VM's record."""
    return f"{DOMAINS}/{checked_uuid(uuid)}"


def generation(uuid: str, gen: str) -> str:
    """The znode that exists as long as this VM, and not its successor with the same UUID, is defined."""
    return f"{domain(uuid)}/g-{checked_token(gen)}"


def xml(uuid: str) -> str:
    """A VM's libvirt XML."""
    return f"{domain(uuid)}/xml"


def history(uuid: str) -> str:
    """A VM's last transitions."""
    return f"{domain(uuid)}/history"


def is_index_entry(path: str) -> bool:
    """Whether this is the path of an index entry."""
    parts = path.split("/")
    return len(parts) == 5 and parts[1] == NODES[1:] and parts[3] == "domains"


@dataclass(frozen=True, slots=True)
class Entry:
    """A kind of znode: its path with variable parts in angle brackets, what it holds, who writes and who watches it, and what it means."""

    path: str
    holds: str
    writers: str
    watchers: str
    meaning: str
    ephemeral: bool = False


# fmt: off
LAYOUT = (
    Entry(CONFIG, "config", "clients", "every daemon", "The cluster: its identity, the hold, and the policy of VMs that state none."),
    Entry(NAMES, "", "nobody", "nobody", "Parent of the names."),
    Entry(f"{NAMES}/<vm>", "uuid", "clients and owners, with the record it leads to", "nobody", "Makes a VM's name unique: it is created with the VM and deleted with it."),
    Entry(ALIVE, "", "nobody", "every daemon, its children", "Parent of the proofs of life."),
    Entry(f"{ALIVE}/<node>", "boot", "that node's daemon, when it joins", "nobody", "Proof of life: it goes with the session of the node's daemon. Its absence is a suspicion and proves nothing.", ephemeral=True),
    Entry(BOOTS, "", "nobody", "nobody", "Parent of the boot records."),
    Entry(f"{BOOTS}/<node>", "boot", "that node's daemon when it joins, whoever proves the node dead, and the client that removes it", "nobody", "The fencing token: each write of a daemon checks that this still has the version it joined with. Never deleted, so a version never returns."),
    Entry(NODES, "", "nobody", "every daemon, its children", "Parent of the node records."),
    Entry(f"{NODES}/<node>", "node", "that node's daemon, its fencer, and clients", "every daemon", "The node: its state, whether it takes VMs, its fence, and how to reach it."),
    Entry(f"{NODES}/<node>/stats", "stats", "that node's daemon, with each keepalive", "nobody", "What the node has and uses, as last measured."),
    Entry(f"{NODES}/<node>/progress", "progress", "that node's daemon, at most once a second while guests leave it, and at the end of each", "whoever waits for a migration", "How far the live migrations away from the node are; missing before the first."),
    Entry(f"{NODES}/<node>/fence-tests", "fence-tests", "that node's daemon, every hour and when asked; whoever asks", "that node's daemon, and whoever asks", "What the fence devices of all nodes said to the node's daemon; missing before the first test."),
    Entry(f"{NODES}/<node>/domains", "", "nobody", "that node's daemon, its children", "Parent of the node's index."),
    Entry(f"{NODES}/<node>/domains/<uuid>", "empty", "whoever changes the VM's record, in the same write", "nobody", "Index: the VM's record names this node as its owner, target or home."),
    Entry(f"{NODES}/<node>/events", "history", "whoever changes the record, in the same write", "whoever follows the cluster", "The node's last transitions, oldest first."),
    Entry(DOMAINS, "", "nobody", "every daemon, its children", "Parent of the VM records."),
    Entry(f"{DOMAINS}/<uuid>", "domain", "clients, and the daemons of its owner, target, home and fencer", "the daemons of the nodes it names", "The VM: what is wanted, what is, who owns it, and the operation in flight."),
    Entry(f"{DOMAINS}/<uuid>/g-<gen>", "empty", "clients and owners, with the record", "nobody", "Each write to the VM checks that this exists: a VM undefined and defined again with the same UUID is another one."),
    Entry(f"{DOMAINS}/<uuid>/xml", "xml", "clients", "nobody", "The VM as libvirt is to start it, unchanged."),
    Entry(f"{DOMAINS}/<uuid>/history", "history", "whoever changes the record, in the same write", "whoever follows the cluster", "The VM's last transitions, oldest first."),
)
# fmt: on
