"""Plays a scenario: a whole simulated cluster as the file describes it, what befalls it at its time, and the trace of it all.

The cluster begins with everything on, defines and starts its VMs as an admin would, and then lets go of what the file wants off: so a
beginning is one that the product can come to. The instant after that is 0 s.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from pvc.client.cluster import Cluster
from pvc.cluster.ensemble import Snapshot
from pvc.cluster.store import StoreError
from pvc.errors import PvcError
from pvc.fsm.states import Domain
from pvc.sim.cluster import SimCluster
from pvc.sim.daemon import STOP_S
from pvc.sim.figures import SYSTEM_MIB
from pvc.sim.machine import Mood
from pvc.sim.policy_fields import policy_of
from pvc.sim.scenario import Checkpoint, NodePlan, Scenario, Step, VmPlan
from pvc.sim.trace import Trace
from pvc.sim.verbs import NODES, VERBS, named
from pvc.sim.witness import Happening
from pvc.sim.world import ANYWHERE

JOIN_S = 120.0
REST_S = 300.0
"""How long a cluster may take until it is as its file wants it at the beginning."""
LOOK_S = 0.1
"""How often a host that shuts down looks whether its daemon has ended."""
OFF_S = 2.0
"""How long a host that reboots is off."""

Line = dict[str, Any]


class Stage:
    """The cluster of one scenario; ``tell``, if anybody listens, is given every line of its trace, and ``prepared`` what happens before."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        tell: Callable[[Line], None] | None = None,
        say: Callable[[str], None] | None = None,
        prepared: Callable[[Happening], None] | None = None,
    ) -> None:
        self.scenario = scenario
        self.say = say
        self.tell = tell
        self.cluster = SimCluster(0, seed, scenario.settings)
        self.cluster.fencing = scenario.fences
        self.down = False
        self.cut_nodes: set[str] = set()
        self.seen = (-1, -1)
        self.garbled: dict[str, bytes] = {}
        self.snapshot: Snapshot | None = None
        self.cluster.witness.listeners += [prepared] if prepared else []
        self._prepare()
        self.cluster.witness.listeners.clear()
        self.trace = Trace(self.cluster.witness)
        if tell is not None:
            for line in self.trace.beginning():
                tell(line)
        self.cluster.witness.listeners.append(self._happened)

    @property
    def admin(self) -> Cluster:
        """The client by which an admin gives commands."""
        return self.cluster.admin

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self.cluster.now - self.trace.began

    # ---- the beginning

    def _prepare(self) -> None:
        cluster, plans = self.cluster, self.scenario.nodes
        for plan in plans:
            taken = sum(vm.memory_mib for vm in self.scenario.vms if (vm.on or vm.home) == plan.name)
            self.add_node(plan.name, max(plan.memory_mib, taken), plan.boot_s, boots_in_s=0.0)
            cluster.world.machines[plan.name].watchdog.there = plan.watchdog
        cluster.run_until(cluster.all_run, JOIN_S, "every node has joined")
        cluster.run(cluster.settings.keepalive_interval_s)  # everybody has measured
        for plan in plans:
            if plan.flushed:
                self.admin.flush(plan.name)
        for vm in self.scenario.vms:
            self.define(vm.name, vm.home, asdict(vm))
            self._begin(vm)
        cluster.run_until(self._is_as_desired, REST_S, "every VM is as desired")
        cluster.world.start_failures.clear()
        for plan in plans:  # a node may hold more than it could take anew
            cluster.world.machines[plan.name].memory_mib = plan.memory_mib + SYSTEM_MIB
        cluster.run(cluster.settings.dead_s + cluster.settings.session_timeout_s + cluster.settings.keepalive_interval_s)
        for plan in plans:
            cluster.world.machines[plan.name].bmc.mood = Mood(plan.bmc)
        self._let_go([plan for plan in plans if not plan.on])
        if self.scenario.voters:
            cluster.world.watchers.append(self)
        self._look_at_quorum()

    def _begin(self, vm: VmPlan) -> None:
        if vm.desired == "disable":
            self.admin.disable(vm.name)
        elif vm.desired != "stop":
            if vm.desired == "failed":
                self.cluster.world.start_failures[self.cluster.uuid(vm.name), "*"] = -1
            self.admin.start(vm.name, vm.on or vm.home)

    def _is_as_desired(self) -> bool:
        witness = self.cluster.witness
        news = (witness.looks, len(witness.trace))
        if news == self.seen:
            return False
        self.seen = news
        if not self.cluster.all_rest():
            return False  # nearly always; the rest is a look at every machine for every VM
        states = all(self.cluster.life(vm.name).state is Domain(vm.desired) for vm in self.scenario.vms)
        return states and not self.cluster.settled()

    def _let_go(self, plans: list[NodePlan]) -> None:
        """Shut these nodes down, all at once."""
        for plan in plans:
            self.cluster.stop_daemon(plan.name)
        daemons = [self.cluster.daemons[plan.name] for plan in plans]
        self.cluster.run_until(lambda: not any(daemon.alive for daemon in daemons), 2 * STOP_S, "every daemon has ended")
        for plan in plans:
            self.cluster.power_off(plan.name)

    def add_node(self, name: str, memory_mib: int, boot_s: float, boots_in_s: float | None = None) -> None:
        """A new machine, which is switched on; guests may take all the memory that the file gives it."""
        machine = self.cluster.add_node(name, memory_mib=memory_mib + SYSTEM_MIB, on=False)
        machine.boot_s = boot_s
        machine.power_on(boots_in_s)

    def define(self, name: str, home: str, said: Mapping[str, Any]) -> None:
        """Define a VM."""
        memory_mib = said.get("memory_mib", 512)
        self.cluster.define(name, home, memory_mib, **policy_of(said.get("policy", {})))
        profile = self.cluster.profile(name)
        profile.memory_mib = memory_mib
        profile.migrate_s, profile.shutdown_s = said.get("migrate_s", 4.0), said.get("shutdown_s", 3.0)

    # ---- time

    def play(self, judged: Callable[[Checkpoint], None]) -> None:
        """Let everything happen; checkpoints are judged before what happens at the same instant."""
        moments: list[tuple[float, Checkpoint | Step]] = [(checkpoint.at, checkpoint) for checkpoint in self.scenario.wishes.checkpoints]
        if self.scenario.better is not None:
            moments += [(checkpoint.at, checkpoint) for checkpoint in self.scenario.better.checkpoints]
        moments += [(step.at, step) for step in self.scenario.steps]
        for at, what in sorted(moments, key=lambda moment: moment[0]):
            self._run_to(at)
            if isinstance(what, Step):
                self.do(what)
                self._run_to(at)  # who hears of it takes it up now, not when something else happens
            else:
                judged(what)
        self._run_to(self.scenario.end)

    def _run_to(self, at: float) -> None:
        while self.cluster.step(self.trace.began + at):
            pass

    def _happened(self, happening: Happening) -> None:
        if self.tell is not None:
            self.tell(self.trace.line(happening))
        if self.say is not None:
            self.say(f"{happening.at - self.trace.began:10.3f}  {happening.words}")

    # ---- steps

    def do(self, step: Step) -> None:
        """Do one step; what is refused is noted, and the scenario goes on."""
        verb, note = VERBS[step.do], self.cluster.witness.note
        said = {field: value for field, value in step.said.items() if value is not None}
        nodes = {field: self._meant(said[field], said.get("fallback")) for field in NODES if field in said and field != "fallback"}
        said |= nodes
        words = " ".join(str(value) for field, value in said.items() if field not in ("at", "fallback"))
        missing = [str(step.said[field]) for field, node in nodes.items() if not self._is_there(node, step.do)]
        if missing:
            why = f"{missing[0]} is no node now"
            note("refused", f"{step.do} is left out: {why}", command=words, why=why)
            return
        note("step", f"* {words}", step=said)
        try:
            verb.act(self, said)
        except (PvcError, StoreError) as error:
            note("refused", f"{words} is refused: {error}", command=words, why=str(error))
        self._look_at_quorum()

    def _is_there(self, node: str | None, do: str) -> bool:
        """Whether a step has a node to happen to; of commands the client says so itself."""
        return node is not None and (node in self.cluster.world.machines or node == ANYWHERE or do == "node_add" or VERBS[do].command)

    def _meant(self, text: str, fallback: str | None) -> str | None:
        node = named(self, text)
        return named(self, fallback) if node is None and fallback is not None else node

    def cut(self, node: str, cut: bool) -> None:
        """A node loses, or regains, every connection to ZooKeeper and to other nodes."""
        (self.cut_nodes.add if cut else self.cut_nodes.discard)(node)
        self.cluster.cut_host(node, cut)

    def zookeeper(self, down: bool) -> None:
        """The whole ensemble is unusable, or usable."""
        self.down = down

    def shut_down(self, node: str, then_on: bool) -> None:
        """The operating system goes down: the daemon is told to stop, then guests die and the power goes."""
        machine, clock = self.cluster.world.machines[node], self.cluster.world.clock
        boots = machine.boots
        self.cluster.stop_daemon(node)

        def look() -> None:
            daemon = self.cluster.daemons.get(node)
            if not machine.on or machine.boots != boots:
                return
            if daemon is not None and daemon.alive:
                clock.after(LOOK_S, f"{node} shuts down", look)
                return
            machine.power_off()
            if then_on:
                clock.after(OFF_S, f"{node} boots again", machine.power_on)

        if machine.on:
            clock.after(LOOK_S, f"{node} shuts down", look)

    # ---- ZooKeeper on the nodes

    def guest_changed(self, *args: Any) -> None:
        """Of no interest: it is the power of nodes that counts."""

    def power_changed(self, node: str, on: bool) -> None:
        """A node was switched: ZooKeeper may have lost, or found, its majority."""
        self._look_at_quorum()

    def _look_at_quorum(self) -> None:
        voters = self.scenario.voters
        up = [name for name in voters if self.cluster.world.machines[name].on and name not in self.cut_nodes]
        usable = not self.down and (not voters or 2 * len(up) > len(voters))
        self.cluster.ensemble_down(not usable)
