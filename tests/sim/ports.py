"""Two simulated hosts, each with a hypervisor port alone, for the contract suite of hypervisor ports."""

from contextlib import contextmanager

from pvc.fsm.states import Guest
from pvc.sim.hypervisor import SimHypervisor
from pvc.sim.world import World

HOSTS = ("hv1", "hv2")
UUID = "00000000-0000-4000-8000-{:012}"
XML = "<domain type='kvm'><name>vm{0}</name><memory unit='MiB'>96</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"
ENDLESS_S = 3600.0


class SimWorld:
    """The world of `tests/hypervisor/world.py`, simulated."""

    def __init__(self, seed: int = 0) -> None:
        self.world = World(seed)
        self.xml: dict[str, bytes] = {}
        self.ports: dict[str, SimHypervisor] = {}
        self.reported: dict[str, list] = {}
        for name in HOSTS:
            self.world.add(name).power_on(0.0)
        self._pass(0.0)
        for name in HOSTS:
            self.restart_port(name)

    def _pass(self, seconds: float) -> None:
        until = self.world.clock.now + seconds
        while (due := self.world.clock.take(until)) is not None:
            due.action()

    def wait(self, host, condition, seconds, why):
        until = self.world.clock.now + seconds
        while not condition(self.reported[host]):
            due = self.world.clock.take(until)
            assert due is not None, f"not within {seconds} s: {why}"
            due.action()

    def events(self, host):
        return self.reported[host]

    def order(self, host, uuid, effect, life):
        self.ports[host].order(uuid, effect, life)

    def define(self, *, heeds=True, slow=False):
        uuid = UUID.format(len(self.xml))
        self.xml[uuid] = XML.format(len(self.xml)).encode()
        profile = self.world.profile(uuid)
        profile.obeys, profile.migrate_s = heeds, ENDLESS_S if slow else 2.0
        return uuid

    def libvirtd(self, host):
        return self.world.machines[host].libvirtd

    def kill_guest(self, host, uuid):
        self.libvirtd(host).dies(uuid)

    def guest_powers_off(self, host, uuid):
        self.libvirtd(host).dies(uuid, "it powered itself off", by_itself=True)

    @contextmanager
    def freeze(self, host):
        self.libvirtd(host).freeze()
        try:
            yield
        finally:
            self.libvirtd(host).thaw()

    def kill_libvirtd(self, host):
        self.libvirtd(host).kill()
        self.world.clock.after(1.0, "it is started again", self.libvirtd(host).start)

    def restart_port(self, host):
        if host in self.ports:
            self.ports[host].close()
        self.reported[host] = []
        self.ports[host] = SimHypervisor(self.world.machines[host], xml_of=self.xml.__getitem__, report=self.reported[host].append)
        self.ports[host].start()

    def reboot_id(self, host):
        self.world.machines[host].claims.clear()
        self.libvirtd(host).doors.clear()

    def running_on(self, uuid):
        return self.world.running(uuid)

    def guest(self, host, uuid) -> Guest:
        return self.libvirtd(host).guest(uuid)
