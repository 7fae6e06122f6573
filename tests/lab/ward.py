"""A cluster in which nodes die, and somebody who looks after it: what the fences say, what the guests do, and every rule at every step."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import Lab, wait_until
from lab.services import PVCD_DEFAULTS
from lab.watch import Watcher
from pvc.fsm.states import Daemon, Domain, Fence, Migration, Want
from pvc.fsm.views import NodeLife
from tests.lab.admin import PATIENCE_S, Admin
from tests.lab.ledger import Ledger

SHORT = {"session_timeout": "2", "boot_grace": "15"}
"""Over the lab's own short times, a keepalive each second: a session of 2 s, so that a death is suspected soon."""
RECOVERY_S = 150
"""Far beyond every time that PVC counts: whoever waits so long waits in vain."""
THREADS, FILES = 60, 120
"""What no daemon needs, whatever has happened to it (I8)."""


def dead_s(options: dict[str, str]) -> float:
    """The dead time of a cluster with these options."""
    return int(options.get("dead_ticks", 6)) * float(options.get("keepalive_interval", PVCD_DEFAULTS["keepalive_interval"]))


class Ward(Admin):
    """Every step ends with `verify`: what the rules forbid is found where it happened."""

    def __init__(self, lab: Lab, watcher: Watcher, *, dead_s: float = 6) -> None:
        super().__init__(lab, watcher)
        self._dead_s = dead_s
        # The death of the leader's host takes an election before anything else can happen.
        self.victim = self.without_leader()[0]
        self.others = [name for name in lab.hosts if name != self.victim]
        self.expected: set[str] = set()

    def without_leader(self) -> list[str]:
        """The hosts whose ZooKeeper server does not lead; one that is slow to answer may."""
        leader = self.lab.leader().name
        return [name for name in self.lab.hosts if name != leader]

    # -- Nodes ---------------------------------------------------------------------------------------------------------

    def node(self, name: str) -> NodeLife:
        """What the record of a node says."""
        return self._patiently(lambda: self.client.node(name).record.life)

    def alive(self, name: str) -> bool:
        """Whether a node holds its session."""
        return self._patiently(lambda: self.client.node(name).alive)

    def reach_fence(self, name: str, *phases: Fence) -> NodeLife:
        """Wait until a node's fence is in one of these phases."""
        words = " or ".join(phases)
        wait_until(lambda: self.node(name).fence in phases, RECOVERY_S, f"the fence of {name} comes to {words}: {self.node(name)}")
        self.verify()
        return self.node(name)

    def works(self, *names: str) -> None:
        """Wait until these nodes work, and nobody suspects them."""
        wanted = (Daemon.run, Fence.none)
        for name in names:
            here = lambda name=name: self.alive(name) and (self.node(name).daemon, self.node(name).fence) == wanted  # noqa: E731
            wait_until(here, RECOVERY_S, f"{name} works: {self.node(name)}")
        self.verify()

    def shots_at(self, name: str) -> int:
        """How often the device of a node was told to cut its power."""
        return sum(order == "off" for _, order in self.lab.bmcs[name].orders())

    def phases_of(self, name: str) -> list[str]:
        """Through which phases the fence of a node went, repetitions left out."""
        phases = [phase for _, phase, _ in self.ledger().fences[name]]
        return [phase for number, phase in enumerate(phases) if number == 0 or phases[number - 1] != phase]

    def holders_of(self, name: str) -> list[str]:
        """Who held the fence of a node, one after the other."""
        holders = [by for _, _, by in self.ledger().fences[name] if by is not None]
        return [by for number, by in enumerate(holders) if number == 0 or holders[number - 1] != by]

    def states_of(self, name: str) -> list[str]:
        """Through which states the daemon of a node went."""
        return self.ledger().daemons[name]

    def keepalives(self, name: str, number: int) -> None:
        """So many keepalives of a node later: by then it has had the time for whatever it is not to do."""
        wanted = self._tick(name) + number
        wait_until(lambda: self._tick(name) >= wanted, RECOVERY_S, f"{name} keeps alive")

    def _tick(self, name: str) -> int:
        stats = self._patiently(lambda: self.client.node(name).stats)
        return 0 if stats is None else stats.tick

    # -- Guests --------------------------------------------------------------------------------------------------------

    def recovered(self, name: str, *victims: str) -> str:
        """Wait until a VM is owned by another node than these and ticks there; returns which."""
        self.reach(
            name, f"start away from {victims}", lambda record: record.life.state is Domain.start and record.life.owner not in victims
        )
        heir = self.life(name).owner
        assert heir is not None
        wait_until(lambda: self.ticks_at(name, heir), PATIENCE_S, f"{name} ticks on {heir}")
        self.verify()
        return heir

    def stays(self, name: str, owner: str) -> None:
        """A VM is owned by this node, and its guest ticks there, in the boot that it had."""
        assert self.life(name).owner == owner
        self.ticks_on(name, owner)
        assert len(self.boots(name)) == 1

    # -- The rules -----------------------------------------------------------------------------------------------------

    def ledger(self) -> Ledger:
        """What was written so far."""
        return Ledger(self.lab, self._dead_s).read()

    def verify(self) -> None:
        """I1 to I6 up to now."""
        complaints = [complaint for complaint in self.ledger().complaints if not any(word in complaint for word in self.expected)]
        twice = [f"I1: {twice}" for twice in self.watcher.twice()]
        assert not complaints + twice, "; ".join(complaints + twice)

    def settles(self) -> None:
        """I4 and I7: each VM comes to be what is wanted of it, exactly its owner has its guest, and no daemon has grown (I8)."""
        wait_until(lambda: not list(self._unsettled()), PATIENCE_S, f"everything comes to rest: {'; '.join(self._unsettled())}")
        for host in self.lab.hosts.values():
            pid = _pvcd(host)
            if pid is not None:
                threads, files = (len(os.listdir(f"/proc/{pid}/{kind}")) for kind in ("task", "fd"))
                assert threads < THREADS, f"I8: pvcd of {host.name} has {threads} threads"
                assert files < FILES, f"I8: pvcd of {host.name} has {files} files open"
        self.verify()

    def _unsettled(self) -> Iterator[str]:
        for record in self._patiently(self.client.snapshot).records():
            life, copies = record.life, self.copies(record.name)
            up = life.want is Want.start
            if (life.state is Domain.start) is not up or life.phase is not Migration.none:
                yield f"{record.name} is {life.state} {life.phase}, and wanted {life.want}"
            elif copies != ([life.owner] if up else []):
                yield f"{record.name} belongs to {life.owner}, and its QEMUs are on {copies}"

    # -- Faults --------------------------------------------------------------------------------------------------------

    @contextmanager
    def cut(self, *names: str) -> Iterator[None]:
        """These nodes reach nobody, not even each other, as long as this lasts."""
        for name in names:
            self.lab.cut(name)
        try:
            yield
        finally:
            for name in names:
                self.lab.heal(name)

    def kill_daemon(self, name: str) -> None:
        """End a pvcd by SIGKILL, whatever it does; its guests run on."""
        pid = _pvcd(self.lab[name])
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        self.lab[name].kill("pvcd")


def _pvcd(host) -> int | None:
    found = [pid for pid, argv in host.processes().items() if any(word.endswith("/bin/pvcd") for word in argv)]
    return found[0] if found and Path(f"/proc/{found[0]}").exists() else None
