"""A lab as a whole: three hosts, their rack, and what there is once for all of them."""

import contextlib
import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import IO, Any

from lab import parts, services, zookeeper
from lab.bmc import Bmcs
from lab.guests import Tick, build, guest_xml, read_ticks
from lab.host import Guest, Host
from lab.network import Pair, Rack
from lab.place import ROOT, Layout, Place, labs, one_at_a_time
from lab.services import build_shared_folder_library
from lab.shell import run
from lab.wait import wait_until
from pvc.errors import PvcError

START_TIMEOUT_S = 90
# A command may wait for many migrations, one after the other, of emulated guests on a machine that has little left.
CLIENT_TIMEOUT_S = 300


class Lab:
    """Three hosts with everything. As a context manager it is up inside, and nothing of it is left afterwards.

    `leashed`: the lab ends with this process, however that ends. `pvcd`: whether pvcd starts with a host. `layout`: of how many machines
    it consists, if it is not three; one that runs already keeps its own.
    """

    def __init__(self, name: str = "lab", *, leashed: bool = False, pvcd: bool = True, layout: Layout | None = None) -> None:
        self.place = Place(name, layout)
        self._leashed, self._pvcd = leashed, pvcd
        self._lock: IO[str] | None = None
        self._rack = Rack(self.place)
        self.machines = {name: Host(self.place, self._rack, name) for name in self.place.machines}
        self.hosts = {name: self.machines[name] for name in self.place.hosts}
        self.servers = {name: self.machines[name] for name in self.place.servers}
        self._bmcs: Bmcs | None = None

    @property
    def bmcs(self) -> Bmcs:
        """The BMC of each host: `lab.bmcs["hv2"]`."""
        if self._bmcs is None:
            self._bmcs = Bmcs(self.place, self.hosts)
        return self._bmcs

    def __getitem__(self, host: str) -> Host:
        return self.machines[host]

    def __enter__(self) -> "Lab":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- Up and down ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bring everything up: an ensemble with a leader, and libvirtd's that answer. What fails is taken down again."""
        absent = parts.missing()
        if absent:
            raise PvcError(f"a lab cannot be here, for want of {', '.join(absent)}", "make lab, as root")
        self._claim()
        try:
            self._create()
            for host in self.machines.values():
                host.power_on()
            self.wait()
            if self._pvcd:
                self.pvc("init", "lab", "--yes")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Take everything down, also what is left of a start that failed."""
        with one_at_a_time():
            self._take_down()

    def _take_down(self) -> None:
        for host in self.machines.values():
            host.power_off()
        if (self.place.directory / "bmc").exists():
            self.bmcs.stop()
        self._rack.remove()
        if self._lock is not None:
            self._lock.close()
        shutil.rmtree(self.place.directory, ignore_errors=True)
        with contextlib.suppress(OSError):
            ROOT.rmdir()  # as long as there is another lab, it stays

    def wait(self) -> None:
        """Wait until the ensemble serves and each libvirtd answers."""
        wait_until(self.has_quorum, START_TIMEOUT_S, "all ZooKeeper servers serve")
        for host in self.hosts.values():
            wait_until(lambda host=host: host.libvirt_answers, START_TIMEOUT_S, f"libvirtd of {host.name} answers")  # type: ignore[misc]

    def _claim(self) -> None:
        """Take the name and two networks, and first remove what killed processes have left of theirs."""
        with one_at_a_time():
            for name in labs():
                if Place(name).is_orphan:
                    Lab(name)._take_down()
            if self.place.exists:
                here = f'a lab called "{self.place.name}" is there already'
                raise PvcError(here, f"tools/lab --name {self.place.name} status, or … down")
            self.place.directory.mkdir(parents=True)
            self.place.keep_layout()
            if self._leashed:
                self._lock = self.place.owner_lock.open("w")
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            try:
                self.place.choose_networks()
            except BaseException:
                self._take_down()
                raise

    def _create(self) -> None:
        if not self._pvcd:
            self.place.without_pvcd.touch()
        self.place.shared.mkdir()
        build(self.place.shared)
        build_shared_folder_library(self.place)
        self._rack.create()
        for host in self.machines.values():
            host.prepare()
        self.bmcs.start()

    # -- Faults --------------------------------------------------------------------------------------------------------

    def cut(self, host: str, *peers: str) -> None:
        """Cut a host off from these, or from everybody: what is sent either way is lost in silence."""
        self[host].cut(*peers)

    def heal(self, host: str, *peers: str) -> None:
        """End that."""
        self[host].heal(*peers)

    def heal_all(self) -> None:
        """End every cut, plug in every cable, and let every link be fast."""
        self._rack.heal(self._rack.cuts())
        self._rack.lose("", 0)
        for host in self.machines.values():
            if host.is_on:
                self._rack.carrier(host.name, True)
                host.slow(None)

    def cuts(self) -> set[Pair]:
        """What is cut now: from whom to whom."""
        return self._rack.cuts()

    def kill_ensemble(self) -> None:
        """Kill every ZooKeeper server."""
        for host in self.servers.values():
            host.kill("zookeeper")

    def start_ensemble(self) -> None:
        """Start every ZooKeeper server, and wait until they serve."""
        for host in self.servers.values():
            host.start("zookeeper")
        wait_until(self.has_quorum, START_TIMEOUT_S, "the ZooKeeper servers serve again")

    # -- The ensemble --------------------------------------------------------------------------------------------------

    @property
    def zookeeper(self) -> str:
        """Where the cluster is, as a client on this machine is told it."""
        return ",".join(host.zookeeper for host in self.servers.values()) + services.CHROOT

    def pvc(self, *words: str, check: bool = True, timeout_s: float = CLIENT_TIMEOUT_S) -> subprocess.CompletedProcess[str]:
        """Run the client on this machine, as a person would; PvcError when it fails and `check` is set."""
        return run(str(services.PVC), "--zookeeper", self.zookeeper, *words, check=check, timeout_s=timeout_s)

    def working_nodes(self) -> list[str]:
        """Names of the nodes whose daemon says that it works, as the client lists them; none when it cannot."""
        done = self.pvc("node", "list", "--output", "json", check=False)
        nodes = json.loads(done.stdout)["nodes"] if done.returncode == 0 else []
        return [node["name"] for node in nodes if node.get("state") == "run"]

    def has_quorum(self) -> bool:
        """Whether every server that has power serves, and one of them leads."""
        modes = [host.zookeeper_mode() for host in self.servers.values() if host.is_on]
        return all(modes) and modes.count("leader") == 1

    def leader(self) -> Host:
        """The host whose ZooKeeper server leads."""
        found = wait_until(self._leaders, zookeeper.ELECTION_TIMEOUT_S, "one ZooKeeper server leads")
        return found[0]

    def _leaders(self) -> list[Host]:
        return [host for host in self.servers.values() if host.zookeeper_mode() == "leader"]

    # -- Guests --------------------------------------------------------------------------------------------------------

    def guests(self) -> list[Guest]:
        """Every QEMU process of every host."""
        return [guest for host in self.hosts.values() for guest in host.guests()]

    def guest_xml(self, name: str, **options: Any) -> str:
        """The domain XML of a tiny guest; for its options see `lab.guests.guest_xml`."""
        return guest_xml(self.place.shared, name, **options)

    def guest_file(self, name: str, **options: Any) -> Path:
        """A file with that XML, where every host sees it."""
        path = self.place.shared / f"{name}.xml"
        path.write_text(self.guest_xml(name, **options))
        return path

    def ticks(self, vm: str) -> list[Tick]:
        """Every tick that a guest has printed, host after host, in the order of each."""
        return [tick for host in self.hosts.values() for tick in read_ticks(host.name, host.console(vm))]
