"""What can go wrong in a simulated cluster, each as one call that draws by chance what it befalls."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import TypeVar

from pvc.errors import PvcError
from pvc.fsm.states import Guest
from pvc.sim.cluster import SimCluster
from pvc.sim.libvirtd import Libvirtd
from pvc.sim.machine import Machine, Mood
from pvc.sim.migration import Migration, Moment
from pvc.sim.world import ANYWHERE

T = TypeVar("T")


class Faults:
    """Faults of a cluster with the VMs ``names``."""

    def __init__(self, cluster: SimCluster, names: Sequence[str], chance: Random) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.admin = cluster.admin
        self.names = tuple(names)
        self.chance = chance

    @property
    def all(self) -> tuple[Callable[[], None], ...]:
        """Every kind of fault; what is named twice comes more often."""
        return (
            self.power_off, self.power_on, self.kill_daemon, self.kill_daemon_at_order, self.start_daemon, self.stop_daemon,
            self.freeze_daemon, self.thaw_daemon, self.cut_store, self.cut_host, self.cut_link, self.heal_host, self.lose_reply,
            self.freeze_libvirtd, self.thaw_libvirtd, self.restart_libvirtd, self.kill_libvirtd, self.guest_dies, self.guest_goes,
            self.guest_ignores, self.starts_fail, self.migrations_fail, self.bmc, self.ensemble, self.ambush,
        )  # fmt: skip

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

    def ambush(self) -> None:
        """Something strikes a migration at its switchover or its arrival: a moment so short that chance alone hardly finds it."""
        moment = self.pick((Moment.switching, Moment.arrived))

        def strike(migration: Migration) -> bool:
            if migration.moment is not moment:
                return False
            side = self.pick((migration.source, migration.target))
            name = side.machine.name
            self._blow(side, migration.uuid)
            self.world.clock.after(self.chance.uniform(1.0, 15.0), f"{name} recovers", lambda: self._recover(name))
            return True

        self.world.ambushes.append(strike)
        with suppress(PvcError):
            self.admin.migrate(self.pick(self.names))

    def _blow(self, side: Libvirtd, uuid: str) -> None:
        name = side.machine.name
        blows: tuple[Callable[[], None], ...] = (
            side.kill,
            side.freeze,
            side.machine.power_off,
            lambda: self.cluster.kill_daemon(name),
            lambda: self.cluster.cut_host(name),
            lambda: side.dies(uuid),
        )
        self.pick(blows)()

    def _recover(self, name: str) -> None:
        self.cluster.cut_host(name, cut=False)
        libvirtd = self.world.machines[name].libvirtd
        libvirtd.thaw()
        libvirtd.start()
        self.cluster.start_daemon(name)

    def bmc(self) -> None:
        """A management board works otherwise; none of them ever lies."""
        self.machine().bmc.mood = self.pick((Mood.works, Mood.slow, Mood.silent, Mood.deaf))

    def ensemble(self) -> None:
        """ZooKeeper is down for a while."""
        self.cluster.ensemble_down()
        self.world.clock.after(self.chance.uniform(0.5, 40.0), "the ensemble is back", lambda: self.cluster.ensemble_down(down=False))
