"""Random faults and commands from one seed, then everything is healed and has to come to rest.

Each seed draws its own kinds of faults and how often each happens, and leaves others out: bugs hide where one fault comes often and
another never.
"""

from collections.abc import Sequence
from contextlib import suppress
from random import Random

from pvc.cluster.records import HandoverPolicy
from pvc.errors import PvcError
from pvc.fsm.states import Domain, Flush, Want
from pvc.sim.cluster import SimCluster
from pvc.sim.faults import Faults
from pvc.sim.machine import Mood

LEFT_OUT = 0.4
"""How likely a kind of fault does not happen under one seed."""
RARE = 0.03
"""How many commands are ones after which little happens."""
GAP_S = 8.0
"""How long it takes on average from one happening to the next."""
REST_S = 1800.0
"""How long a healed cluster may take to come to rest."""


VERBS = (
    *("start",) * 5, *("migrate",) * 4, *("move",) * 2, *("unmigrate",) * 2, *("restart",) * 2, *("flush",) * 2, *("ready",) * 2,
    *("shutdown",) * 2, "stop", "disable", "enable", "cancel", "unmigrate", "restart",
)  # fmt: skip
"""What an admin does, the commoner the more often."""


class Chaos(Faults):
    """A cluster with the VMs ``names``, and what happens to it."""

    def __init__(self, cluster: SimCluster, names: Sequence[str]) -> None:
        super().__init__(cluster, names, Random(f"chaos {cluster.seed}"))
        self.weights = {fault: self.chance.expovariate(1.0) for fault in self.all if self.chance.random() > LEFT_OUT}
        self.weights[self.ask] = 3.0 + self.chance.expovariate(0.3)
        self.gap_s = self.chance.choice((GAP_S / 8, GAP_S / 2, GAP_S))

    def storm(self, seconds: float) -> None:
        """Let things happen for this long."""
        until = self.cluster.now + seconds
        while self.cluster.now < until:
            (what,) = self.chance.choices(tuple(self.weights), tuple(self.weights.values()))
            what()
            self.cluster.run(self.chance.expovariate(1.0 / self.gap_s))

    # ---- what happens

    def ask(self) -> None:
        """An admin gives a command, which may well be refused."""
        rare = self.chance.random() < RARE
        verb, name = self.pick(("undefine", "hold") if rare else VERBS), self.pick(self.names)
        with suppress(PvcError):
            if self.cluster.record(name) is None:
                self.cluster.define(name, self.host())
            elif verb in ("flush", "ready"):
                getattr(self.admin, verb)(self.host())
            elif verb == "hold":
                self.admin.hold(self.chance.random() < 0.5)
            elif verb in ("start", "migrate", "move"):
                getattr(self.admin, verb)(name, self.pick((None, self.host())))
            else:
                getattr(self.admin, verb)(name)

    # ---- and is over

    def heal(self) -> None:
        """Every fault is over, and every machine switched on."""
        for kept in (self.world.start_failures, self.world.migration_failures, self.world.ambushes):
            kept.clear()
        for profile in self.world.profiles.values():
            profile.obeys = True
        self.cluster.ensemble_down(down=False)
        for name, machine in self.world.machines.items():
            machine.bmc.mood = Mood.works
            machine.libvirtd.thaw()
            machine.libvirtd.start()
            machine.power_on()
            self._revive(name)

    def _revive(self, name: str) -> None:
        self.cluster.cut_host(name, cut=False)  # also where a reply was lost only now
        daemon = self.cluster.daemons.get(name)
        if daemon is not None:
            daemon.fragile = False
            daemon.thaw()
        self.cluster.start_daemon(name)

    def rest(self) -> float:
        """Heal, give every node back, and wait until all is at rest; returns how long that took."""
        began = self.cluster.now
        self.heal()
        self.cluster.run(1.0)
        while self.cluster.now < began + REST_S:
            self._attend()
            self.cluster.run(5.0)
            if not self.cluster.settled() and not self.unwanted():
                return self.cluster.now - began
        wrong = "; ".join([*self.cluster.settled(), *self.unwanted()])
        return self.cluster.run_until(lambda: False, 0.0, f"at rest: {wrong}")

    def _attend(self) -> None:
        """What an operator does: switch on what was shot, start what stopped, give back what was flushed, end the hold."""
        for name, machine in self.world.machines.items():
            machine.power_on()
            self._revive(name)
            record = self.cluster.witness.nodes.get(name)
            if record is not None and record.life.flush in (Flush.flush, Flush.flushed):
                with suppress(PvcError):
                    self.admin.ready(name)
        with suppress(PvcError):
            self.admin.hold(False)

    def unwanted(self) -> list[str]:
        """VMs at rest in a state that nobody wants; one that used up its restarts has failed rightly."""
        wrong = []
        for record in self.cluster.witness.domains.values():
            up = record.life.state in (Domain.start, Domain.failed)
            if up is not (record.life.want is Want.start):
                wrong.append(f"{record.name} is {record.life.state} and wanted {record.life.want}")
        return wrong


def cluster_by_chance(seed: int) -> Chaos:
    """A cluster of a size, with VMs and hand-overs, that depend on the seed; all nodes run, and all VMs were asked to."""
    chance = Random(f"cluster {seed}")
    cluster = SimCluster(chance.choice((2, 3, 3, 3, 4, 5)), seed)
    cluster.run_until(cluster.all_run, 60.0, "all nodes run")
    names = [f"vm{number + 1}" for number in range(chance.choice((1, 2, 4, 6)))]
    for name in names:
        handover = chance.choice((HandoverPolicy.paused, HandoverPolicy.paused, HandoverPolicy.libvirt))
        cluster.define(name, chance.choice(tuple(cluster.world.machines)), handover=handover)
        cluster.profile(name).migrate_s = chance.choice((0.5, 2.0, 20.0))
        cluster.admin.start(name)
    return Chaos(cluster, names)
