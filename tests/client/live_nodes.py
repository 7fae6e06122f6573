"""Nodes over a real ensemble, in threads of a test: real agents, hypervisors of straw that do at once what they are told."""

import queue
import threading
import time

from pvc.agent.agent import Agent
from pvc.cluster.live import ZooKeeperStore
from pvc.cluster.node_changes import Joining
from pvc.cluster.records import Fencing, Machine
from pvc.core import events as e
from pvc.core.facts import JOBS
from pvc.core.settings import Settings
from pvc.fsm.states import Effect, Guest, Job


class LiveNode:
    """One node. `slow` holds the jobs, by the effect that orders them, that never end."""

    def __init__(self, name, options, peers):
        self.name, self.peers, self.slow = name, peers, set()
        self.guests = {}
        self.inbox = queue.SimpleQueue()
        self.dues = {}
        self.store = ZooKeeperStore(options)
        ports = {"hypervisor": self, "power": _NoPower(), "timer": self, "log": self}
        joining = Joining(f"boot-{name}", Machine(), None, Fencing())
        self.agent = Agent(name, self.store, joining, now=lambda: "2031-05-06 07:08:09", settings=Settings(), **ports)
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self):
        """Begin to work."""
        self.agent.begin()
        self.store.start(self.inbox.put)
        self.inbox.put(e.Inventory({}, {}))
        self.thread.start()

    def stop(self):
        """End for good."""
        self.inbox.put(None)
        self.thread.join()
        self.store.close()

    def finish(self, uuid):
        """What was too slow to end comes to its end: the guest runs."""
        self.guests[uuid] = Guest.running
        self.inbox.put(e.JobDone(uuid, Job.create, Guest.running))

    def _run(self):
        while True:
            due = min(self.dues.values(), default=time.monotonic() + 1)
            try:
                event = self.inbox.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                now = time.monotonic()
                for wait in [wait for wait, at in self.dues.items() if at <= now]:
                    del self.dues[wait]
                    self.agent.put(e.Due(wait))
            else:
                if event is None:
                    return
                self.agent.put(event)
            while self.agent.step():
                pass

    # ---- ports

    def order(self, uuid, effect, life):
        if effect is Effect.admit or effect in self.slow:
            return
        if effect is Effect.migrate:
            target = self.peers[life.target]
            del self.guests[uuid]
            target.guests[uuid] = Guest.held
            target.inbox.put(e.GuestSeen(uuid, Guest.held))
        elif effect in (Effect.create, Effect.resume):
            self.guests[uuid] = Guest.running
        elif effect in (Effect.destroy, Effect.shutdown):
            self.guests.pop(uuid, None)
        self.inbox.put(e.JobDone(uuid, JOBS[effect], self.guests.get(uuid, Guest.absent)))

    def wait(self, name, seconds):
        self.dues[name] = time.monotonic() + seconds

    def say(self, sentence):
        pass

    def moved(self, *transition):
        pass


class _NoPower:
    def order(self, node, effect, ticket):
        pass
