"""A cluster without a daemon: records in a `MemoryEnsemble`, moved by what the tables allow and by nothing else."""

from itertools import count

from pvc.cluster import znodes
from pvc.cluster.changes import create_cluster, define_change, domain_change, named
from pvc.cluster.commit import commit
from pvc.cluster.ensemble import MemoryEnsemble
from pvc.cluster.evidence import Relied, Seen, Transition
from pvc.cluster.formats import decode_boot, decode_config, decode_domain, decode_history, decode_node
from pvc.cluster.memory import MemoryStore
from pvc.cluster.node_changes import Joining, join_change, node_change, token_of
from pvc.cluster.records import Boot, ClusterConfig, DomainRecord, Fencing, Machine, NodeRecord, Unreadable
from pvc.core.decide import RULES
from pvc.core.facts import Local, NodeFacts, Options, Self, Watch
from pvc.fsm.fire import after
from pvc.fsm.states import By, Guest, Job
from pvc.fsm.tables import TABLES
from pvc.fsm.views import Life, NodeLife, NodeView

CLUSTER_ID = "11111111-2222-3333-4444-555555555555"
UUID = "6f1c0a52-8a0e-4c7e-9f60-0d2c5a0b6a11"
XML = b"<domain type='kvm'><name>web1</name></domain>"
AT = "2031-05-06T07:08:09Z"
ROOT = "root@desk"


def a_domain(**changes):
    """A VM as it is defined."""
    fields = {"uuid": UUID, "name": "web1", "gen": "first", "life": Life(home="n1"), "memory_mib": 1024, "vcpus": 2, "request": "define-1"}
    return DomainRecord(**{**fields, **changes})


class SmallCluster:
    """Nodes, their sessions and boot tokens, and one client."""

    def __init__(self, *nodes):
        self.ensemble = MemoryEnsemble()
        self.client = self.session()
        self.stores, self.tokens, self.boots = {}, {}, {}
        self.requests = count(1)
        commit(self.client, create_cluster(ClusterConfig(CLUSTER_ID, "small", request="create-1")))
        for node in nodes:
            self.join(node)
            self.move_node(node, node, own=Self(joined=True, inventory=True))

    def session(self):
        """Another process."""
        store = MemoryStore(self.ensemble)
        store.start(lambda event: None)
        return store

    # -- What is there

    def seen(self, path, decode):
        """One record with its version, None when there is none."""
        znode = self.client.read(path)
        return None if znode is None else Seen(decode(znode.data), znode.version)

    def domain(self, uuid=UUID):
        """The VM."""
        return self.seen(znodes.domain(uuid), lambda data: decode_domain(uuid, data))

    def node(self, name):
        """The node."""
        return self.seen(znodes.node(name), lambda data: decode_node(name, data))

    def history(self, uuid=UUID):
        """What happened to the VM."""
        return self._history(znodes.history(uuid))

    def events(self, node):
        """What happened to a node."""
        return self._history(znodes.events(node))

    def _history(self, path):
        found = self.seen(path, lambda data: decode_history(path, data))
        return found.value if found and isinstance(found.value, Unreadable) else found

    def facts(self):
        """What every process knows of the nodes."""
        alive = self.client.children(znodes.ALIVE)
        records = {name: self.node(name).value for name in self.client.children(znodes.NODES)}
        return {name: NodeFacts(record.life, name in alive, record.boot) for name, record in records.items()}

    def relied(self, me=None):
        """Versions as of now."""
        nodes = self.client.children(znodes.NODES)
        return Relied(
            me=me,
            token=self.tokens.get(me),
            nodes={name: self.client.read(znodes.node(name)).version for name in nodes},
            boots={name: self.client.read(znodes.boot(name)).version for name in nodes},
            config=self.client.read(znodes.CONFIG).version,
            alive=frozenset(self.client.children(znodes.ALIVE)),
        )

    def tree(self, path="/"):
        """Every path there is."""
        below = [f"{path.rstrip('/')}/{name}" for name in self.ensemble.children(path)]
        return [path, *(found for child in below for found in self.tree(child))]

    def indexed(self, uuid=UUID):
        """The nodes whose index has the VM."""
        return {name for name in self.client.children(znodes.NODES) if uuid in self.client.children(znodes.index(name))}

    # -- What can be done

    def transition(self, table, row, by, who, choice=None):
        """This row, fired now."""
        return Transition(table.name, row, by, who, f"request-{next(self.requests)}", AT, choice=choice)

    def define(self, record=None, xml=XML):
        """A new VM."""
        commit(self.client, define_change(record or a_domain(), xml, self.relied(), ROOT, AT))

    def join_change(self, name, kernel):
        """What a daemon writes that starts under this kernel boot."""
        known = self.node(name)
        life = known.value.life if known else NodeLife()
        facts = {**self.facts(), name: NodeFacts(life, False, None)}
        (move,) = RULES.node_moves(name, name, facts, Watch(), Self())
        boot = self.seen(znodes.boot(name), lambda data: decode_boot(name, data))
        alive = self.seen(znodes.alive(name), lambda data: decode_boot(name, data))
        joining = Joining(kernel, Machine(cpus=8, memory_mib=32768), "10.0.0.1", Fencing())
        transition = self.transition(move.table, move.row, move.by, name)
        found = {"seen": known, "boot": boot, "alive": alive, "events": self.events(name)}
        return join_change(name, RULES.after(move), joining, transition, self.relied(name), **found)

    def join(self, name, kernel=None):
        """A daemon starts."""
        store = self.session()
        change = self.join_change(name, kernel or f"kernel-{name}")
        commit(store, change)
        self.stores[name], self.tokens[name] = store, token_of(change, name)

    def die(self, name):
        """The session of a node's daemon ends."""
        self.ensemble.expire(self.stores[name].session_id)

    def change_of_node(self, me, node, own=Self(), watch=Watch(), relied=None):  # noqa: B008
        """What the tables let a daemon write about a node next."""
        move = RULES.node_moves(me, node, self.facts(), watch, own)[0]
        znode = self.client.read(znodes.boot(node))
        transition = self.transition(move.table, move.row, move.by, me)
        seen = Seen(znode.data, znode.version)
        return node_change(self.node(node), RULES.after(move), transition, relied or self.relied(me), seen, self.events(node))

    def move_node(self, me, node, own=Self(), watch=Watch()):  # noqa: B008
        """Write it."""
        change = self.change_of_node(me, node, own, watch)
        commit(self.stores[me], change)
        return change

    def move_of(self, me, guest=Guest.absent, job=Job.none, trigger=None, choice=None, uuid=UUID, **options):
        """What the tables let this daemon do with the VM next."""
        room = None if choice is None else (choice,)
        facts, life = self.facts(), self.domain(uuid).value.life
        moves = RULES.domain_moves(me, life, Local(guest, job), facts, Options(op_id=f"op-{next(self.requests)}", **options), room)
        assert moves, f"{me} has nothing to do"
        assert trigger in (None, moves[0].row.trigger), moves[0].row
        return moves[0]

    def change_by(self, me, move, uuid=UUID, relied=None):
        """What this daemon, or a client, writes for this move."""
        seen = self.domain(uuid)
        transition = self.transition(move.table, move.row, move.by, me or ROOT, move.view.choice)
        life = RULES.after(move)
        children = self.client.children(znodes.domain(uuid))
        return domain_change(seen, life, transition, relied or self.relied(me), self.history(uuid), children)

    def move(self, me, *arguments, **options):
        """A daemon does the next thing."""
        change = self.change_by(me, self.move_of(me, *arguments, **options), options.get("uuid", UUID))
        commit(self.stores[me], change)
        return change

    def ask_change(self, trigger, choice=None, uuid=UUID):
        """What a client writes that asks for this."""
        room = None if choice is None else (choice,)
        moves = RULES.client_moves(self.domain(uuid).value.life, self.facts(), Options(op_id=f"op-{next(self.requests)}"), room)
        (move,) = [move for move in moves if move.row.trigger == trigger]
        return self.change_by(None, move, uuid)

    def ask(self, trigger, choice=None, uuid=UUID):
        """A client asks."""
        change = self.ask_change(trigger, choice, uuid)
        commit(self.client, change)
        return change

    def ask_node(self, table, trigger, node):
        """What a client writes that asks this of a node."""
        seen, znode, table = self.node(node), self.client.read(znodes.boot(node)), TABLES[table]
        view = NodeView(seen.value.life, node, alive=node in self.client.children(znodes.ALIVE))
        row = next(row for row in table.rows_for(trigger) if row.by & By.CLIENT and row.refuse(view) is None)
        life, transition = after(table, row, view), self.transition(table, row, By.CLIENT, ROOT)
        return node_change(seen, life, transition, self.relied(), Seen(znode.data, znode.version), self.events(node))

    # -- What must be true at any time

    def check(self, uuid=UUID):
        """Every record can be read, and the index is what they say."""
        for name in self.client.children(znodes.NODES):
            assert isinstance(self.node(name).value, NodeRecord)
        assert isinstance(decode_config(self.client.read(znodes.CONFIG).data), ClusterConfig)
        for name in self.client.children(znodes.ALIVE):
            assert isinstance(decode_boot(name, self.client.read(znodes.alive(name)).data), Boot)
        found = self.domain(uuid)
        if found is None:
            assert not self.indexed(uuid)
            return None
        assert isinstance(found.value, DomainRecord), found.value
        assert self.indexed(uuid) == named(found.value.life)
        return found.value
