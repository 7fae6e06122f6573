"""Somebody who works with the lab's cluster: commands as a person types them, the client as a program uses it, and a look at everything."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from kazoo.client import KazooClient

from lab import Host, Lab, wait_until
from lab.guests import Tick
from lab.services import CHROOT, CLIENT_PORT
from lab.watch import Watcher
from pvc.client.cluster import Cluster
from pvc.client.ear import Ear
from pvc.client.goals import Verdict
from pvc.client.snapshot import NodeNow
from pvc.cluster import znodes
from pvc.cluster.options import Options
from pvc.cluster.patient import PatientStore
from pvc.cluster.records import DomainRecord
from pvc.cluster.store import NotConnected
from pvc.fsm.states import Domain, Flush
from pvc.fsm.views import Life

# Far beyond what anything here takes on a machine that has little left: whoever waits so long waits in vain.
PATIENCE_S = 90
T = TypeVar("T")
NODES = ("hv1", "hv2", "hv3")


class Admin:
    """One client of one lab, with a session of its own. VMs are named; nothing is kept that could be asked."""

    def __init__(self, lab: Lab, watcher: Watcher) -> None:
        self.lab, self.watcher = lab, watcher
        ear = Ear()
        self._hosts = tuple(f"{host.address}:{CLIENT_PORT}" for host in lab.servers.values())
        self.store = PatientStore(Options(self._hosts, CHROOT))
        self.store.start(ear.hear)
        self.client = Cluster(self.store, "test", ear)
        self.spoiled = False

    def close(self) -> None:
        """End the session."""
        self.store.close()

    # -- VMs -----------------------------------------------------------------------------------------------------------

    def define(self, name: str, home: str = "hv1", policy: dict[str, Any] | None = None, xml: str = "", **options: Any) -> None:
        """A VM whose guest is one of the lab's, with these options, or that of this XML."""
        self.client.define((xml or self.lab.guest_xml(name, **options)).encode(), home, policy)

    def start(self, name: str, home: str = "hv1", policy: dict[str, Any] | None = None, **options: Any) -> None:
        """A VM that is defined, and was started at its home; its guest may still be booting, and hears nothing then."""
        self.define(name, home, policy, **options)
        self.do("start", name, home)

    def up(self, name: str, home: str = "hv1", policy: dict[str, Any] | None = None, **options: Any) -> None:
        """The same, and its guest ticks and hears its power button."""
        self.start(name, home, policy, **options)
        self.hears(name)

    def ask(self, verb: str, name: str, *words: str) -> Any:
        """Give a command, and do not wait for what follows."""
        self.catch_up()
        return getattr(self.client, verb)(name, *words)

    def do(self, verb: str, name: str, *words: str) -> str:
        """Give a command, and wait for its end."""
        return self.client.wait_for(self.ask(verb, name, *words), timeout_s=PATIENCE_S)

    def reach(self, name: str, what: str, condition: Callable[[DomainRecord], object]) -> None:
        """Return as soon as the record of a VM is so; its watch tells."""

        def goal(record: DomainRecord | None) -> Verdict | None:
            return Verdict(True, what) if record is not None and condition(record) else None

        self._patiently(lambda: self.client.wait_until(name, goal, timeout_s=PATIENCE_S))

    def catch_up(self) -> None:
        """What is read from now on is not older than what anybody else has written and been told: the server of this session may lag."""
        self.store.read(znodes.CONFIG, sync=True)

    def _patiently(self, read: Callable[[], T]) -> T:
        """What is read, as new as it is now, also when the server of this session has just been taken away."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.catch_up()
                return read()
            except NotConnected:
                assert time.monotonic() < deadline
                wait_until(lambda: self.store.connected, PATIENCE_S, "another ZooKeeper server answers")

    def reach_state(self, name: str, state: Domain) -> None:
        """Return as soon as a VM is in this state."""
        self.reach(name, str(state), lambda record: record.life.state is state)

    def record(self, name: str) -> DomainRecord:
        """What ZooKeeper says of a VM."""
        return self._patiently(lambda: self.client.domain(name))

    def life(self, name: str) -> Life:
        """The same, as the tables see it."""
        return self.record(name).life

    def flush(self, node: str) -> Flush:
        """Whether a node takes VMs."""
        return self._patiently(lambda: self.client.node(node).record.life.flush)

    def nodes(self) -> dict[str, NodeNow]:
        """What ZooKeeper says of the nodes."""
        return dict(self._patiently(self.client.nodes))

    def triggers(self, name: str) -> list[str]:
        """The transitions of a VM so far, oldest first."""
        return [entry.trigger for entry in self._patiently(lambda: self.client.history(name))]

    # -- Guests --------------------------------------------------------------------------------------------------------

    def copies(self, name: str) -> list[str]:
        """The hosts on which a QEMU of a VM is, whether it runs or not."""
        return [guest.host for guest in self.lab.guests() if guest.name == name]

    def pid(self, name: str) -> int:
        """The process id of the only QEMU of a VM."""
        (pid,) = [guest.pid for guest in self.lab.guests() if guest.name == name]
        return pid

    def ticks_at(self, name: str, host: str) -> list[Tick]:
        """What a guest has ticked on this host."""
        return [tick for tick in self.lab.ticks(name) if tick.host == host]

    def ticks_on(self, name: str, host: str) -> None:
        """A guest ticks on this host from now on, whether it did before or not."""
        before = len(self.ticks_at(name, host))
        wait_until(lambda: len(self.ticks_at(name, host)) > before, PATIENCE_S, f"{name} ticks on {host}")

    def hears(self, name: str, boots: int = 1) -> None:
        """So many boots of a guest tick, and hear their power button."""
        third = 2
        wait_until(
            lambda: sum(tick.number == third for tick in self.lab.ticks(name)) >= boots, PATIENCE_S, f"{name} ticks in {boots} boots"
        )

    def boots(self, name: str) -> list[str]:
        """The boots of a guest."""
        return list(dict.fromkeys(tick.boot for tick in self.lab.ticks(name)))

    # -- Everything ----------------------------------------------------------------------------------------------------

    def tree(self) -> set[str]:
        """Every znode of the cluster, but for what nodes tell of migrations and of fence devices: that is there since the first."""
        client: Any = KazooClient(",".join(self._hosts) + CHROOT)
        client.start()
        try:
            return {path for path in _below(client, "/") if not path.endswith(("/progress", "/fence-tests"))}
        finally:
            client.stop()
            client.close()

    def said(self, host: str, *words: str) -> bool:
        """Whether the pvcd of a host has said a line with all of these words."""
        return any(all(word in line for word in words) for line in self.lab[host].log("pvcd").splitlines())

    def room(self, host: str, there: bool) -> None:
        """A host with room for guests, or without any; its daemon is started anew for it."""
        self.spoiled = True
        self.lab[host].stop_pvcd()
        self.lab[host].write_pvcd_conf(dead_ticks="40", boot_grace="60", memory_reserve_mib="512" if there else "1000000")
        self.lab[host].start_pvcd()
        wait_until(lambda: host in self.lab.working_nodes(), PATIENCE_S, f"{host} works")

    def has_left_nothing(self) -> bool:
        """Undefine every VM; whether every guest is gone then, and the cluster is as a new one is."""
        if self.spoiled:
            return False
        for name in sorted(record.name for record in self._patiently(self.client.snapshot).records()):
            self.do("undefine", name)
        if self.lab.guests() or sorted(self.lab.working_nodes()) != list(NODES):
            return False
        for host in self.lab.hosts.values():
            for console in host.console_directory.iterdir():
                console.unlink()
        return all(node.record.life.flush == "ready" for node in self._patiently(self.client.nodes).values())


def _below(client: Any, path: str) -> Iterator[str]:
    yield path
    for child in client.get_children(path):
        yield from _below(client, f"{path.rstrip('/')}/{child}")


@contextmanager
def frozen(host: Host, service: str) -> Iterator[None]:
    """A service of a host hangs, as long as this lasts: its connections stay, and it answers nothing."""
    host.freeze(service)
    try:
        yield
    finally:
        host.thaw(service)
