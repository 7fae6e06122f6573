"""Random faults and commands from one seed, then everything is healed and has to come to rest.

Each seed draws its own kinds of faults and how often each happens, and leaves others out: bugs hide where one fault comes often and
another never.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import TypeVar

from pvc.cluster.records import HandoverPolicy
from pvc.errors import PvcError
from pvc.fsm.states import Domain, Flush, Guest, Want
from pvc.sim.cluster import SimCluster
from pvc.sim.machine import Machine, Mood
from pvc.sim.world import ANYWHERE

T = TypeVar("T")

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


class Chaos:
    """A cluster with the VMs ``names``, and what happens to it."""

    def __init__(self, cluster: SimCluster, names: Sequence[str]) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.admin = cluster.admin
        self.names = tuple(names)
        self.chance = Random(f"chaos {cluster.seed}")
        faults = [
            self.power_off, self.power_on, self.kill_daemon, self.kill_daemon_at_order, self.start_daemon, self.stop_daemon,
            self.freeze_daemon, self.thaw_daemon, self.cut_store, self.cut_host, self.cut_link, self.heal_host, self.lose_reply,
            self.freeze_libvirtd, self.thaw_libvirtd, self.restart_libvirtd, self.kill_libvirtd, self.guest_dies, self.guest_goes,
            self.guest_ignores, self.starts_fail, self.migrations_fail, self.bmc, self.ensemble,
        ]  # fmt: skip
        self.weights: dict[Callable[[], None], float] = {
            fault: self.chance.expovariate(1.0) for fault in faults if self.chance.random() > LEFT_OUT
        }
        self.weights[self.ask] = 3.0 + self.chance.expovariate(0.3)
        self.gap_s = self.chance.choice((GAP_S / 8, GAP_S / 2, GAP_S))

    def storm(self, seconds: float) -> None:
        """Let things happen for this long."""
        until = self.cluster.now + seconds
        while self.cluster.now < until:
            (what,) = self.chance.choices(tuple(self.weights), tuple(self.weights.values()))
            what()
            self.cluster.run(self.chance.expovariate(1.0 / self.gap_s))

    def pick(self, some: Sequence[T]) -> T:
        """One of these."""
        return self.chance.choice(some)

    def host(self) -> str:
        """Some host."""
        return self.pick(tuple(self.world.machines))

    def machine(self) -> Machine:
        """Some host's machine."""
        return self.world.machines[self.host()]

    def uuid(self) -> str:
        """Some VM."""
        return self.cluster.uuid(self.pick(self.names))

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

    def power_off(self) -> None:
        """A host loses its power."""
        self.machine().power_off()

    def power_on(self) -> None:
        """A host is switched on."""
        self.machine().power_on()

    def kill_daemon(self) -> None:
        """kill -9."""
        self.cluster.kill_daemon(self.host())

    def kill_daemon_at_order(self) -> None:
        """The next order of a daemon is never given: it dies after the write."""
        for name, daemon in self.cluster.daemons.items():
            if name == self.host():
                daemon.fragile = True

    def start_daemon(self) -> None:
        """The daemon is started again."""
        self.cluster.start_daemon(self.host())

    def stop_daemon(self) -> None:
        """SIGTERM."""
        self.cluster.stop_daemon(self.host())

    def freeze_daemon(self) -> None:
        """SIGSTOP."""
        for daemon in self.cluster.daemons.values():
            if daemon.name == self.host():
                daemon.freeze()

    def thaw_daemon(self) -> None:
        """SIGCONT."""
        for daemon in self.cluster.daemons.values():
            daemon.thaw()

    def cut_store(self) -> None:
        """A host loses ZooKeeper."""
        self.cluster.cut_store(self.host())

    def cut_host(self) -> None:
        """A host loses everything but its management board."""
        self.cluster.cut_host(self.host())

    def cut_link(self) -> None:
        """Two hosts lose each other."""
        self.world.cut(self.host(), self.host())

    def heal_host(self) -> None:
        """A host regains everything."""
        self.cluster.cut_host(self.host(), cut=False)

    def lose_reply(self) -> None:
        """The reply to a daemon's next write is lost, and with it the connection, for a while."""
        name = self.host()
        daemon = self.cluster.daemons.get(name)
        if daemon is not None and daemon.alive:
            daemon.store.lose_next_reply(applied=self.chance.random() < 0.5)
            self.world.clock.after(self.chance.uniform(0.1, 20.0), f"{name} reconnects", lambda: self.cluster.cut_store(name, cut=False))

    def freeze_libvirtd(self) -> None:
        """A libvirtd hangs."""
        self.machine().libvirtd.freeze()

    def thaw_libvirtd(self) -> None:
        """All libvirtds go on."""
        for machine in self.world.machines.values():
            machine.libvirtd.thaw()

    def restart_libvirtd(self) -> None:
        """A libvirtd is restarted."""
        libvirtd = self.machine().libvirtd
        libvirtd.kill()
        self.world.clock.after(self.chance.uniform(0.5, 3.0), "libvirtd starts", libvirtd.start)

    def kill_libvirtd(self) -> None:
        """A libvirtd dies, and stays so."""
        self.machine().libvirtd.kill()

    def guest_dies(self) -> None:
        """A guest's process ends."""
        self.machine().libvirtd.dies(self.uuid())

    def guest_goes(self) -> None:
        """A guest powers itself off."""
        uuid = self.uuid()
        for machine in self.world.machines.values():
            if machine.libvirtd.guest(uuid) is Guest.running:
                machine.libvirtd.dies(uuid, "it powered itself off", by_itself=True)

    def guest_ignores(self) -> None:
        """A guest ignores requests to power itself off."""
        self.world.profile(self.uuid()).obeys = False

    def starts_fail(self) -> None:
        """A VM's next starts fail, somewhere."""
        where = self.pick((*self.world.machines, ANYWHERE))
        self.world.start_failures[self.uuid(), where] = self.pick((1, 2, 3, 8))

    def migrations_fail(self) -> None:
        """A VM's next migrations fail."""
        self.world.migration_failures[self.uuid(), ANYWHERE] = self.pick((1, 2, -1))

    def bmc(self) -> None:
        """A management board works otherwise; none of them ever lies."""
        self.machine().bmc.mood = self.pick((Mood.works, Mood.slow, Mood.silent, Mood.deaf))

    def ensemble(self) -> None:
        """ZooKeeper is down for a while."""
        self.cluster.ensemble_down()
        self.world.clock.after(self.chance.uniform(0.5, 40.0), "the ensemble is back", lambda: self.cluster.ensemble_down(down=False))

    # ---- and is over

    def heal(self) -> None:
        """Every fault is over, and every machine switched on."""
        for kept in (self.world.start_failures, self.world.migration_failures):
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
