"""One VM on the lab's cluster: where it is, what is asked of it, and how it must end.

A fault belongs to a moment of a start, a migration or a shutdown. The moment is an event, never a time: the record's watch shows a
phase, a hook of libvirt has been reached and holds libvirt there, libvirt itself tells that a guest was stopped for its switchover.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lab import Host, Lab, wait_until
from lab.watch import Watcher
from pvc.client.snapshot import NodeNow
from pvc.cluster.records import HandoverPolicy
from pvc.errors import Refused
from pvc.fsm.states import Daemon, Domain, Migration, Request
from pvc.fsm.views import Life, NodeLife
from tests.lab.holds import Holds
from tests.lab.record import REACH_S, Record

# A guest is lost when it has not come up again by then, on a machine that has little left.
END_S = 120
KILL, TERM = signal.SIGKILL, signal.SIGTERM
FAST_MIB_S, MEDIUM_MIB_S, SLOW_MIB_S = 1000, 25, 1


class Stage(Holds):
    """One VM, where it is, and what can be done to it. `source` is where its life began in this test, `target` where it is to go."""

    def __init__(self, lab: Lab, watcher: Watcher, name: str, **options: object) -> None:
        super().__init__(lab, name)
        self.watcher, self._options = watcher, options
        self._record = Record(lab, self.uuid)
        self.handover = "paused"
        self.settled = False
        self._said = {host.name: len(host.log("pvcd")) for host in lab.hosts.values()}

    def close(self) -> None:
        """Let go of everything that may still be held, and of the watch."""
        self.let_go()
        self._record.close()

    # -- What it is ----------------------------------------------------------------------------------------------------

    @property
    def life(self) -> Life | None:
        """What its record says."""
        return self._record.life

    def reach(self, state: Domain | None = None, phase: Migration | None = None) -> None:
        """Wait until the record says so."""

        def so(life: Life | None) -> bool:
            return life is not None and state in (None, life.state) and phase in (None, life.phase)

        self._record.reach(f"{state or ''} {phase or ''}", so)

    @property
    def third(self) -> str:
        """The host that a migration does not concern."""
        return next(name for name in self.lab.hosts if name not in (self.source, self.target))

    def runs_on(self) -> set[str]:
        """Where its processors run."""
        return {guest.host for guest in self.watcher.running(self.name)}

    def boots(self) -> set[str]:
        """Its boots so far."""
        return {tick.boot for tick in self.lab.ticks(self.name)}

    # -- Where it begins -----------------------------------------------------------------------------------------------

    def defined(self) -> None:
        """Have it in a cluster in which every node takes VMs."""
        client = self._record.client
        wait_until(lambda: all(_takes_vms(node) for node in client.nodes().values()), REACH_S, "every node takes VMs")
        if all(getattr(seen.value, "uuid", None) != self.uuid for seen in client.domains().values()):
            client.define(self.lab.guest_xml(self.name, **self._options).encode(), home=self.source)
        self._record.reach("a record", lambda life: life is not None)

    def off(self) -> None:
        """Have it defined, and off."""
        self.defined()
        if self.life.state is not Domain.stop:
            self.ask("stop")
        self._record.reach("stop", lambda life: life.state is Domain.stop)

    def up(self) -> None:
        """Have it run, and tick."""
        self.defined()
        self._record.client.set_policy(self.name, handover=HandoverPolicy(self.handover), shutdown_timeout_s=60)
        if self.life.state is not Domain.start:
            self.ask("start", self.source)
            self.reach(Domain.start)
        self.source = self.life.owner
        self.target = next(name for name in self.lab.hosts if name != self.source)
        self.ticks_on()

    def give_up_soon(self) -> None:
        """Let its guest have a second to power itself off."""
        self._record.client.set_policy(self.name, shutdown_timeout_s=1)

    # -- Commands ------------------------------------------------------------------------------------------------------

    def ask(self, verb: str, *words: str) -> None:
        """Give a command, and wait for nothing; a node that was just started again may still say that it takes no VM."""
        self.settled = False
        wait_until(lambda: self._was_taken(verb, words), REACH_S, f"{verb} is taken")

    def _was_taken(self, verb: str, words: tuple[str, ...]) -> bool:
        try:
            asked = getattr(self._record.client, verb)(self.name, *words)
        except Refused as refused:
            if "does not answer" not in refused.message:
                raise
            return False
        self._record.catch_up(asked.version)
        return True

    def flush(self, role: str) -> None:
        """Ask a node to empty itself."""
        self._record.client.flush(self.host(role).name)

    def ready(self, role: str) -> None:
        """Give a node back."""
        self.settled = False
        self._record.client.ready(self.host(role).name)

    def node(self, role: str) -> NodeLife:
        """What the record of a node says."""
        return self._record.client.node(self.host(role).name).record.life

    def migrate(self) -> None:
        """Ask for a migration to the target."""
        self.ask("migrate", self.target)

    # -- Daemons -------------------------------------------------------------------------------------------------------

    def end(self, role: str, number: int) -> None:
        """End a pvcd by this signal; one that is frozen decides nothing on its way."""
        host = self.host(role)
        pids = [pid for pid, argv in host.processes().items() if any(word.endswith("/bin/pvcd") for word in argv)]
        if number == KILL:
            for pid in pids:
                os.kill(pid, KILL)
        host.stop("pvcd", number)

    def begin(self, role: str) -> None:
        """Start a pvcd, unless it runs."""
        self.host(role).start_pvcd()

    def begin_and_wait(self, role: str) -> None:
        """Start a pvcd, and wait until it is in the cluster again."""
        said = len(self.host(role).log("pvcd"))
        self.begin(role)
        wait_until(lambda: "connected, session" in self.host(role).log("pvcd")[said:], REACH_S, f"pvcd of {role} is connected")

    def has_fired(self, role: str, trigger: str) -> bool:
        """Whether its pvcd has said, since this began, that this transition was fired."""
        host = self.host(role)
        return any(self.name in line and f"({trigger}" in line for line in host.log("pvcd")[self._said[host.name] :].splitlines())

    def has_said(self, role: str, words: str) -> bool:
        """Whether its pvcd has said this since the stage was set."""
        host = self.host(role)
        return words in host.log("pvcd")[self._said[host.name] :]

    # -- libvirt and QEMU ----------------------------------------------------------------------------------------------

    def restart_libvirtd(self, role: str) -> None:
        """Kill a libvirtd, and start it at once; its guests are left alone."""
        self.host(role).kill("libvirtd")
        self.host(role).start("libvirtd")

    def kill_guest(self, role: str) -> None:
        """Kill the QEMU of it at this host."""
        os.kill(self.copies()[self.host(role).name], KILL)

    def libvirt_shows(self, role: str) -> str:
        """Its state and the reason for it, in the words of virsh; empty where libvirt has none of it."""
        return self.host(role).virsh("domstate", "--reason", self.name, check=False).strip()

    def copy_goes(self, role: str) -> None:
        """Wait until no QEMU of it is at this host."""
        wait_until(lambda: self.host(role).name not in self.copies(), REACH_S, f"the copy at {role} goes")

    def migration_ends(self) -> None:
        """Wait until libvirt of the source does not migrate it any more, well or not."""
        jobs = ("domjobinfo", self.name)
        wait_until(lambda: "Operation:" not in self.host("source").virsh(*jobs, check=False), REACH_S, "libvirt ends the migration")

    @contextmanager
    def copying(self, left_mib: float | None = None, ask: Callable[[], None] | None = None) -> Iterator[None]:
        """A migration that goes on copying as long as this lasts; `left_mib`: with so little left that its end will come at once.

        `ask` is what brings it about, when that is not the command to migrate.
        """
        with self.asked("source") as domain:
            domain.migrateSetMaxSpeed(MEDIUM_MIB_S if left_mib else SLOW_MIB_S)
            (ask or self.migrate)()
            self.reach(phase=Migration.moving)
            # Slower and slower: on a machine that has little left the moment must not pass while this process waits for its turn.
            for below, speed in ((2 * left_mib, 8), (left_mib, SLOW_MIB_S)) if left_mib else ((float("inf"), SLOW_MIB_S),):
                wait_until(lambda below=below: 0 < _left_mib(domain) < below, REACH_S, "it copies")
                domain.migrateSetMaxSpeed(speed)
        try:
            yield
        finally:
            self.faster()

    def faster(self) -> None:
        """Let what is being copied come to its end."""
        if self.host("source").libvirt_answers:
            self.host("source").run("virsh", "migrate-setspeed", self.name, str(FAST_MIB_S), check=False)

    # -- How it ends ---------------------------------------------------------------------------------------------------

    def rests(self, state: Domain = Domain.start) -> None:
        """It must come to rest in this state: with one guest, on its owner, when that is `start`, or with none; and nothing pending."""
        for host in self.lab.hosts.values():
            host.start_pvcd()
        wait_until(lambda: self._complaints(state) == [], END_S, f"it comes to rest: {self._complaints(state)}")
        for host in self.lab.hosts.values():
            wait_until(lambda host=host: self._libvirt_agrees(host), REACH_S, f"libvirt of {host.name} has what there is")
        self.settled = True

    def _libvirt_agrees(self, host: Host) -> bool:
        return (self.name in host.virsh("list", "--all", "--name").split()) is (host.name in self.copies())

    def _complaints(self, state: Domain) -> list[str]:
        life, copies = self.life, set(self.copies())
        wanted = {life.owner} if state is Domain.start else set()
        found = [(life.state is state, f"it is {life.state}"), (life.phase is Migration.none, f"its migration is {life.phase}")]
        found += [(life.target is None, f"its target is {life.target}"), (life.request is Request.none, f"it was asked to {life.request}")]
        found += [(copies == wanted, f"QEMUs are on {copies}"), (self.runs_on() == wanted, f"it runs on {self.runs_on()}")]
        return [sentence for good, sentence in found if not good]

    def ticks_on(self) -> None:
        """It goes on counting where it is."""
        before = len(self.lab.ticks(self.name))
        wait_until(lambda: len(self.lab.ticks(self.name)) > before, REACH_S, f"{self.name} ticks on")


def _left_mib(domain: Any) -> float:
    """How much of a guest libvirt has yet to copy; 0 where that is not known yet."""
    return domain.jobStats().get("memory_remaining", 0) / 2**20


def _takes_vms(node: NodeNow) -> bool:
    return node.alive and node.record.life.daemon is Daemon.run and node.stats is not None and node.stats.libvirt


