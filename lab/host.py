"""One host: network, mount, UTS and PID namespaces with services in them, whose power can go at any moment."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import guests, init, services, zookeeper
from lab.control import Control
from lab.network import Rack, both_ways
from lab.place import Place
from lab.services import CLIENT_PORT, LIBVIRT_PORT
from lab.shell import TIMEOUT_S, run
from lab.wait import wait_until
from pvc.errors import PvcError

INIT = Path(init.__file__)
BOOT_TIMEOUT_S = 60
# Keeps the handle of every process that was started here, until it has been waited for.
_started: dict[Path, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Guest:
    """A QEMU process: its id on the machine, the domain's UUID and name, and the host it runs on."""

    pid: int
    uuid: str
    name: str
    host: str


class Host:
    """One host of a lab. What it is like now is asked of the machine each time, so any process may hold such an object.

    Its name is its host name, and so the name of its node.
    """

    def __init__(self, place: Place, rack: Rack, name: str) -> None:
        self._place, self._rack = place, rack
        self.name = name
        self.directory = place.host_directory(name)
        self._control = Control(self.directory, name)

    # -- What it is called and where it is found -----------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Its address on the network that can be cut."""
        return self._place.address(self.name)

    @property
    def bmc_address(self) -> str:
        """The address of its BMC."""
        return self._place.bmc_address(self.name)

    @property
    def libvirt_uri(self) -> str:
        """Its libvirtd, as the machine and the other hosts reach it while it is not cut off."""
        return f"qemu+tcp://{self.address}:{LIBVIRT_PORT}/system"

    @property
    def zookeeper(self) -> str:
        """Its ZooKeeper server, as host:port."""
        return f"{self.address}:{CLIENT_PORT}"

    @property
    def boot_id(self) -> str:
        """The boot id that its kernel would have: a new one for each power-on."""
        return (self.directory / "boot_id").read_text().strip()

    def log(self, service: str) -> str:
        """Everything that a service has printed: "zookeeper", "libvirtd" or "pvcd"."""
        path = self.directory / "log" / service
        return path.read_text(errors="replace") if path.exists() else ""

    # -- Power ---------------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Lay out the directories and configuration of a host that was never on."""
        for path in (*(f"root/{bind}" for bind in init.BINDS), "log", "pvc"):
            (self.directory / path).mkdir(parents=True)
        self.console_directory.mkdir(parents=True)
        (self.directory / "hosts").write_text(self._place.hosts_file())
        services.write_files(self._place, self.name)

    @property
    def is_on(self) -> bool:
        """Whether it has power."""
        return self.init_pid() is not None

    def init_pid(self) -> int | None:
        """The id, on the machine, of its first process; None without power."""
        return self._control.pid()

    def power_on(self) -> None:
        """Boot it: a new boot id, an empty /run, and the services start. Returns when its first process listens."""
        with self._switching():
            if not self.is_on:
                self._power_on()

    def _power_on(self) -> None:
        self._rack.forget(self.name)
        self._rack.plug(self.name)
        (self.directory / "boot_id").write_text(f"{uuid.uuid4()}\n")
        self._note_power("on")
        runtime = self.directory / "root" / "run"
        shutil.rmtree(runtime)
        runtime.mkdir()
        self.write_services()
        process = self._boot()
        wait_until(lambda: self.is_on or process.poll() is not None, BOOT_TIMEOUT_S, f"{self.name} does not boot; {self._console()}")
        if not self.is_on:
            raise PvcError(f"{self.name} does not boot: {self._console()}")

    def power_off(self) -> None:
        """Take its power away: the links first, that nobody hears it die, then every process of it at one moment."""
        with self._switching():
            self._rack.unplug(self.name)
            self._control.kill()
            _wait_for(self.directory)
            self._rack.forget(self.name)
            self._note_power("off")

    def power_history(self) -> list[tuple[float, bool]]:
        """Since when it was on, or off: seconds of the wall clock, oldest first."""
        lines = [line.split() for line in (self.directory / "power").read_text().splitlines()]
        return [(float(at), word == "on") for at, word in lines]

    def _note_power(self, word: str) -> None:
        if self.directory.exists():
            with (self.directory / "power").open("a") as power:
                power.write(f"{time.time()} {word}\n")

    @contextmanager
    def _switching(self) -> Iterator[None]:
        """One at a time: a BMC may switch while somebody else does."""
        try:
            lock = (self.directory / "switch").open("w")
        except FileNotFoundError:  # of a lab that is half up there is nothing to lock
            yield
            return
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _boot(self) -> subprocess.Popen[bytes]:
        _wait_for(self.directory)
        with (self.directory / "log" / "console").open("ab") as console:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self._place.namespace(self.name),
                 "unshare", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child",
                 sys.executable, "-S", "-E", "-B", str(INIT), str(self.directory), self.name, *self._place.leash],
                cwd="/", stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            )  # fmt: skip
        _started[self.directory] = process
        return process

    def _console(self) -> str:
        return self.log("console").strip()[-500:] or "it says nothing"

    # -- Services ------------------------------------------------------------------------------------------------------

    @property
    def services(self) -> list[str]:
        """The names of its services, in the order in which they start."""
        return list(services.services(self._place, self.name, pvcd=True))

    def write_services(self) -> None:
        """Tell its first process what to run."""
        wanted = services.services(self._place, self.name, pvcd=not self._place.without_pvcd.exists())
        text = json.dumps({name: asdict(service) for name, service in wanted.items()}, indent=1)
        (self.directory / "services.json").write_text(text)

    def start(self, service: str) -> None:
        """Start "zookeeper", "libvirtd" or "pvcd"; one that runs already is left alone."""
        self._control.start(service)

    def stop(self, service: str, number: int = signal.SIGTERM) -> int | None:
        """Send a service this signal, wait until it has ended, and return its exit code, negative for a signal."""
        return self._control.stop(service, number)

    def kill(self, service: str) -> None:
        """End a service without a chance to say goodbye."""
        self._control.stop(service, signal.SIGKILL)

    def freeze(self, service: str) -> None:
        """Stop a service with SIGSTOP: its connections stay, and it answers nothing."""
        self._control.freeze(service)

    def thaw(self, service: str) -> None:
        """Let a frozen service go on; nothing happens to one that does not run."""
        self._control.thaw(service)

    def running(self) -> dict[str, int]:
        """The services that run, with their process ids as the host sees them; empty without power."""
        return self._control.running()

    def start_pvcd(self) -> None:
        """Start its pvcd."""
        self.start("pvcd")

    def stop_pvcd(self) -> int | None:
        """End its pvcd as systemd does, with SIGTERM; returns its exit code."""
        return self.stop("pvcd")

    def freeze_all(self) -> None:
        """Stop every process of it with SIGSTOP, guests included, but for its first one: the machine hangs."""
        self._signal_all(signal.SIGSTOP)

    def thaw_all(self) -> None:
        """Let all of them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        for pid in self.processes().keys() - {self.init_pid()}:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill_pvcd(self, number: int = signal.SIGKILL) -> int | None:
        """End its pvcd without a chance to say goodbye, or with another signal."""
        return self.stop("pvcd", number)

    def write_pvcd_conf(self, **options: str) -> None:
        """Write its pvcd.conf anew with these keys added or replaced; its pvcd reads it when it starts."""
        services.write_pvcd_conf(self._place, self.name, options)

    def zookeeper_mode(self) -> str:
        """leader or follower; empty when its ZooKeeper server does not serve."""
        return zookeeper.mode(self.address, CLIENT_PORT)

    @property
    def libvirt_answers(self) -> bool:
        """Whether its libvirtd takes connections."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(1)
            return line.connect_ex(str(self.directory / "root" / "run" / "libvirt" / "libvirt-sock")) == 0

    @property
    def console_directory(self) -> Path:
        """Where the serial lines of its guests end up, NAME.log for each."""
        return self.directory / "root" / guests.CONSOLES.relative_to("/")

    def console(self, vm: str) -> str:
        """What a guest has printed on this host; empty when it was never here."""
        path = self.console_directory / f"{vm}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # -- Inside --------------------------------------------------------------------------------------------------------

    def run(self, *argv: str, check: bool = True, timeout_s: float = TIMEOUT_S) -> subprocess.CompletedProcess[str]:
        """Run a command on this host to its end; PvcError when it fails and `check` is set."""
        pid = self.init_pid()
        if pid is None:
            raise PvcError(f"{self.name} has no power", f"tools/lab host-on {self.name}")
        inside = ("nsenter", f"--target={pid}", "--mount", "--uts", "--net", "--pid", "--wd=/", "--")
        return run(*inside, *argv, check=check, timeout_s=timeout_s)

    def virsh(self, *arguments: str, check: bool = True, timeout_s: float = TIMEOUT_S) -> str:
        """What virsh prints, asked on this host over its socket, so also while it is cut off."""
        return self.run("virsh", "--quiet", *arguments, check=check, timeout_s=timeout_s).stdout

    def processes(self) -> dict[int, list[str]]:
        """Every process of this host: its id on the machine, and its command line."""
        pid = self.init_pid()
        home = _link(pid) if pid is not None else None
        if home is None:
            return {}
        return command_lines(lambda pid: _link(pid) == home)

    def guests(self) -> list[Guest]:
        """Its QEMU processes, those that wait for a migration included."""
        found = ((pid, argv) for pid, argv in self.processes().items() if "qemu-system" in argv[0] and "-uuid" in argv)
        return [Guest(pid, argv[argv.index("-uuid") + 1], _name(argv), self.name) for pid, argv in found]

    # -- Network -------------------------------------------------------------------------------------------------------

    def cut(self, *peers: "str | Host") -> None:
        """Cut it off from these, or from everybody: what is sent is lost in silence."""
        self._rack.cut(both_ways(self.name, self._names(peers)))

    def heal(self, *peers: "str | Host") -> None:
        """Let it reach these, or everybody, again."""
        self._rack.heal(both_ways(self.name, self._names(peers)))
        if not peers and self.is_on:
            self._rack.carrier(self.name, True)

    def deafen(self, *peers: "str | Host") -> None:
        """Lose what these, or all, send to it, but not what it sends."""
        self._rack.cut([(peer, self.name) for peer in self._names(peers) if peer != self.name])

    def pull_cable(self) -> None:
        """Cut it off so that it notices at once: its interface has no carrier. `heal` plugs it in again."""
        self._rack.carrier(self.name, False)

    def slow(self, rate_mbit: float | None) -> None:
        """Let at most so many Mbit/s through to it; None lifts that."""
        self._rack.slow(self.name, rate_mbit)

    def lose(self, percent: int) -> None:
        """Lose so much of what it sends and of what is sent to it; 0 lifts that, for every host."""
        self._rack.lose(self.name, percent)

    def _names(self, peers: "tuple[str | Host, ...]") -> list[str]:
        return [peer if isinstance(peer, str) else peer.name for peer in peers] or list(self._rack.ports)


def _wait_for(directory: Path) -> None:
    """Take down the process that was started here for a host whose power is gone, maybe taken by another process."""
    process = _started.pop(directory, None)
    if process is not None:
        process.wait()


def _link(pid: int) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def command_lines(wanted: Callable[[int], bool] = lambda pid: True) -> dict[int, list[str]]:
    """Every process of the machine, or those that are wanted: its id, and its command line."""
    pids = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    found = {pid: _command_line(pid) for pid in pids if wanted(pid)}
    return {pid: argv for pid, argv in found.items() if argv}


def _command_line(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return []
    return text.split("\0")[:-1]


def _name(argv: list[str]) -> str:
    """The domain's name in QEMU's command line: -name guest=NAME,..."""
    named = argv[argv.index("-name") + 1] if "-name" in argv else ""
    return named.split(",")[0].removeprefix("guest=")
