"""The real Core of every node, a few VMs, and whatever may go wrong: never two guests, nothing wanted lost, always a way out (I2, I4).

A step is three small numbers, so that hypothesis can drop and shrink steps freely; a step that means nothing where it stands is skipped.
"""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from pvc.cluster.store import NotConnected, Refused
from pvc.fsm.states import Daemon, Domain, Fence, Guest, Want
from pvc.fsm.tables import TABLES
from tests.agent.small_cluster import UUIDS, SmallCluster

RESTING = {state.name for state in TABLES["domain"].states if state.rests or state.final}
STEP = st.tuples(st.integers(0, 15), st.integers(0, 7), st.integers(0, 7))


class Story:
    """A cluster, and what each number means in it."""

    def __init__(self, nodes: int, vms: int) -> None:
        self.cluster = SmallCluster(nodes, vms)
        self.vms = vms
        self.verbs = (
            *(self.command,) * 3,
            *(self.end_job,) * 3,
            *(self.end_power_job,) * 2,
            self.power_off,
            self.power_on,
            self.kill,
            self.start,
            self.cut,
            self.flush,
            self.lose_reply,
            self.wait,
        )

    def step(self, verb: int, a: int, b: int) -> None:
        self.verbs[verb % len(self.verbs)](a, b)
        self.cluster.settle()
        self.cluster.check(self.vms)

    def node(self, number: int) -> str:
        return sorted(self.cluster.straws)[number % len(self.cluster.straws)]

    def command(self, a: int, b: int) -> None:
        uuid = UUIDS[a % self.vms]
        moves = self.cluster.client_moves(uuid)
        if moves:
            self.cluster.do(uuid, moves[b % len(moves)])

    def end_job(self, a: int, b: int) -> None:
        jobs = self.cluster.straws[self.node(a)].jobs
        if jobs:
            self.cluster.end_job(self.node(a), sorted(jobs)[b % len(jobs)], ok=b < 6, half=b == 6)

    def end_power_job(self, a: int, b: int) -> None:
        self.cluster.end_power_job(self.node(a), ok=b != 7)

    def power_off(self, a: int, b: int) -> None:
        self.cluster.power_off(self.node(a))

    def power_on(self, a: int, b: int) -> None:
        self.cluster.power_on(self.node(a))

    def kill(self, a: int, b: int) -> None:
        self.cluster.kill_daemon(self.node(a))

    def start(self, a: int, b: int) -> None:
        self.cluster.start_daemon(self.node(a))

    def cut(self, a: int, b: int) -> None:
        store = self.cluster.stores[self.node(a)]
        if self.node(a) in self.cluster.agents:
            (store.disconnect if b % 2 else store.reconnect)()

    def flush(self, a: int, b: int) -> None:
        with suppress(Refused):  # a daemon was faster
            self.cluster.tell_node(self.node(a), ("flush", "ready")[b % 2])

    def lose_reply(self, a: int, b: int) -> None:
        name = self.node(a)
        if name in self.cluster.agents:
            self.cluster.stores[name].lose_next_reply(applied=bool(b % 2))

    def wait(self, a: int, b: int) -> None:
        self.cluster.advance(1 + 5 * b)

    def heal(self) -> None:
        """Every fault is over, every job ends well, and time passes."""
        cluster = self.cluster
        for name, straw in cluster.straws.items():
            if name in cluster.agents:
                cluster.stores[name].reconnect()
            cluster.power_on(name)
            cluster.start_daemon(name)
            cluster.settle()
            cluster.tell_node(name, "ready")
            assert straw.on
        for _ in range(40):
            cluster.advance(30)
            for name, straw in cluster.straws.items():
                for uuid in list(straw.jobs):
                    cluster.end_job(name, uuid, ok=True)
                while straw.power_jobs:
                    cluster.end_power_job(name, ok=True)
                cluster.power_on(name)
                cluster.start_daemon(name)
                cluster.stores[name].reconnect()
            cluster.settle()
            cluster.check(self.vms)

    def verdict(self) -> None:
        """Everything rests, as it is wanted, and the records agree with the hypervisors."""
        for name, record in self.cluster.nodes().items():
            assert (record.life.daemon, record.life.fence) == (Daemon.run, Fence.none), f"{name}: {record.life}"
        for uuid in UUIDS[: self.vms]:
            record = self.cluster.record(uuid)
            if record is None:
                continue
            life = record.life
            assert life.state in RESTING, f"{record.name}: {life}"
            assert self.cluster.running(uuid) == ([life.owner] if life.state is Domain.start else []), f"{record.name}: {life}"
            assert (life.want is Want.start) == (life.state in (Domain.start, Domain.failed)), f"{record.name}: {life}"
            others = [straw for straw in self.cluster.straws.values() if straw.name != life.owner]
            assert all(straw.guests.get(uuid, Guest.absent) is Guest.absent for straw in others)


@given(st.lists(STEP, max_size=60), st.integers(2, 4), st.integers(1, 3))
def test_whatever_happens_there_is_never_a_second_guest_and_everything_settles(steps, nodes, vms):
    story = Story(nodes, vms)
    for verb, a, b in steps:
        with suppress(NotConnected):
            story.step(verb, a, b)
    story.heal()
    story.verdict()
