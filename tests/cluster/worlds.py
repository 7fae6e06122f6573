"""Two worlds for one contract: what the memory store answers at once, the real one is waited for."""

import itertools
import threading
import time

from kazoo.client import KazooClient

from pvc.cluster.ensemble import MemoryEnsemble
from pvc.cluster.live import ZooKeeperStore, create_root
from pvc.cluster.memory import MemoryStore
from pvc.cluster.options import Options
from pvc.cluster.store import Changed, ChildrenChanged, Connection, Relisted, State
from tests.link import Link

DEADLINE_S = 120
POLL_S = 0.05  # for what is no event
TICK_S = 0.5


class Probe:
    """A store and all that it has reported."""

    def __init__(self, store):
        self.store = store
        self.link = None
        self._events = []
        self._changed = threading.Condition()

    def __call__(self, event):
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    @property
    def events(self):
        with self._changed:
            return list(self._events)

    def forget(self):
        """Begin to listen anew."""
        with self._changed:
            self._events.clear()

    def until(self, found, what, deadline_s=DEADLINE_S):
        """Wait until `found(events)` is true, and return that."""
        deadline = time.monotonic() + deadline_s
        with self._changed:
            while not (result := found(self._events)):
                left = deadline - time.monotonic()
                assert left > 0, f"no {what} within {deadline_s} s; seen: {self._events[-20:]}"
                self._changed.wait(min(left, POLL_S))
            return result

    # -- What tests wait for -------------------------------------------------------------------------------------------

    def until_state(self, state):
        """The first report of this state."""
        return self.until(lambda events: next((e for e in events if isinstance(e, Connection) and e.state is state), None), state.name)

    def until_data(self, path, data):
        """The newest report of this path holds this data (None: it does not exist)."""

        def last(events):
            seen = [e for e in events if isinstance(e, Changed) and e.path == path]
            return bool(seen) and (seen[-1].znode and seen[-1].znode.data) == data and seen[-1:]

        return self.until(last, f"{path} = {data!r}")[0]

    def until_children(self, path, names):
        """The newest report of this path has these children."""

        def last(events):
            seen = [e for e in events if isinstance(e, ChildrenChanged) and e.path == path]
            return bool(seen) and seen[-1].names == names and seen[-1:]

        return self.until(last, f"children of {path} = {names}")[0]

    def settle(self, deadline_s=DEADLINE_S):
        """Wait until everything that has happened up to now is reported."""
        seen = sum(isinstance(e, Relisted) for e in self.events)
        self.store.relist()
        self.until(lambda events: sum(isinstance(e, Relisted) for e in events) > seen, "Relisted", deadline_s)

    def until_relisted(self, generation):
        """Everything watched was reported in this generation or a later one."""
        self.until(lambda events: any(isinstance(e, Relisted) and e.generation >= generation for e in events), f"Relisted {generation}")

    def states(self):
        """The states reported, in order."""
        return [e.state for e in self.events if isinstance(e, Connection)]

    def reports(self, path):
        """All reports on this path, in order."""
        return [e for e in self.events if isinstance(e, Changed | ChildrenChanged) and e.path == path]


class MemoryProbe(Probe):
    """Waiting is letting virtual time pass."""

    def __init__(self, store, ensemble):
        super().__init__(store)
        self._ensemble = ensemble

    def until(self, found, what, deadline_s=DEADLINE_S):
        for _ in range(int(deadline_s / TICK_S)):
            self.store.deliver()
            if result := found(self._events):
                return result
            self._ensemble.advance(TICK_S)
        raise AssertionError(f"no {what} within {deadline_s} virtual seconds; seen: {self._events[-20:]}")


class MemoryWorld:
    """A `MemoryEnsemble`."""

    LONGEST_S = 20 * TICK_S

    def __init__(self):
        self.ensemble = MemoryEnsemble(TICK_S)

    def probe(self, session_timeout_s=4.0):
        probe = MemoryProbe(MemoryStore(self.ensemble, session_timeout_s), self.ensemble)
        return probe

    def open(self, session_timeout_s=4.0):
        probe = self.probe(session_timeout_s)
        probe.store.start(probe)
        return probe

    def cut(self, probe):
        probe.store.disconnect()

    def mend(self, probe):
        probe.store.reconnect()

    def expire(self, probe):
        self.ensemble.expire(probe.store.session_id)

    def lose_next_reply(self, probe, *, applied):
        probe.store.lose_next_reply(applied=applied)

    def unreachable(self):
        probe = self.probe()
        probe.store.disconnect()
        return probe

    def close(self):
        pass


class ZooKeeperWorld:
    """A chroot of its own in a real ensemble, and a link of its own for each client."""

    LONGEST_S = 20.0
    """What the servers grant at most, and what a test gets that does not wait for an end: a busy machine must not end a session."""

    _numbers = itertools.count()

    def __init__(self, ensemble):
        self.ensemble = ensemble
        self.chroot = f"/contract/world{next(self._numbers)}"
        self._probes = []
        create_root(Options(ensemble.hosts, self.chroot, self.LONGEST_S), DEADLINE_S)

    def probe(self, session_timeout_s=LONGEST_S, target=0, **options):
        link = Link(self.ensemble.hosts[target])
        probe = Probe(ZooKeeperStore(Options((link.host,), self.chroot, session_timeout_s, **options)))
        probe.link = link
        self._probes.append(probe)
        return probe

    def open(self, session_timeout_s=LONGEST_S, **options):
        probe = self.probe(session_timeout_s, **options)
        probe.store.start(probe, DEADLINE_S)
        return probe

    def cut(self, probe):
        probe.link.cut()
        probe.until(lambda _: not probe.store.connected, "end of the connection")

    def mend(self, probe):
        probe.link.mend()

    def expire(self, probe):
        """Close the session from another connection: the only way to end one whose client is well."""
        other = KazooClient(",".join(self.ensemble.hosts), client_id=probe.store._client.client_id)
        other.start()
        other.stop()
        other.close()

    def lose_next_reply(self, probe, *, applied):
        probe.link.lose_next_reply(applied=applied)

    def unreachable(self):
        probe = self.probe()
        probe.link.cut()
        return probe

    def close(self):
        for probe in self._probes:
            probe.store.close()
            probe.link.close()


def until_connected_again(probe, generation):
    """The report of the first connection after this generation."""

    def found(events):
        return next((e for e in events if isinstance(e, Connection) and e.state is State.CONNECTED and e.generation > generation), None)

    return probe.until(found, "another CONNECTED")
