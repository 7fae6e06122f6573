"""A cluster of straw whose hypervisors work when a client waits: whatever is ordered is done, unless a test says how it ends."""

from contextlib import suppress

from pvc.client.cluster import Cluster
from pvc.client.ear import Ear
from pvc.cluster.memory import MemoryStore
from tests.agent.small_cluster import SmallCluster

XML = """<domain type='kvm'>
  <name>{name}</name>
  <memory unit='MiB'>{memory_mib}</memory>
  <vcpu>2</vcpu>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>
</domain>
"""


def xml(name, memory_mib=512):
    """The XML of a VM."""
    return XML.format(name=name, memory_mib=memory_mib).encode()


class World:
    """Three nodes, and clients: each with a store of its own, and all of them in one time."""

    def __init__(self, nodes=3, settings=None):
        self.small = SmallCluster(nodes=nodes, vms=0, settings=settings)
        self.clients = []
        self.fails = set()  # jobs, by their word, that fail
        self.idles = []  # what happens at each turn of a wait, oldest first
        self.lazy = False  # no job ends

    def client(self, who="anna@desk", make=MemoryStore):
        """Another client."""
        store = make(self.small.ensemble, session_timeout_s=1000.0)
        ear = Ear(clock=lambda: self.small.ensemble.now, idle=self.turn)
        store.start(ear.hear)
        self.clients.append(store)
        return Cluster(store, who, ear, now=lambda: "2031-05-06 07:08:09+0000")

    def turn(self, seconds=1.0):
        """Everything that is under way ends; then, where nothing was, a second passes."""
        if self.idles:
            self.idles.pop(0)()
        self.small.settle()
        worked = not self.lazy and self.work()
        if not worked and not self.hear():
            self.small.advance(1)
        self.hear()

    def work(self):
        """End every job in flight."""
        ended = False
        for name, straw in self.small.straws.items():
            for uuid, (job, _) in list(straw.jobs.items()):
                self.small.end_job(name, uuid, ok=job.value not in self.fails)
                ended = True
        self.small.settle()
        return ended

    def hear(self):
        """Hand every client its events."""
        return sum(store.deliver() for store in self.clients)

    def quiet(self, turns=20):
        """Let everything come to rest."""
        for _ in range(turns):
            with suppress(IndexError):
                self.turn()
