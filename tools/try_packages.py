"""Builds the Debian packages and tries them as a new user would, in a root of their own under a real systemd, with a real ZooKeeper.

Run it as root, with the Python of `make setup`: `make try-packages`. It takes some two minutes, and nothing of it stays.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pvc import __version__  # noqa: E402 - from this very tree
from tests import ensemble  # noqa: E402

NEEDED = ("debootstrap", "dpkg-buildpackage", "lintian", "systemd-nspawn", "nsenter")
PACKAGES = ("pvc-daemon", "pvc-client")
BEFORE = f"{__version__}~before"
DEADLINE_S = 180
LIMIT_S = 600
IGNORED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
CONFIG = """[default]
zookeeper = {zookeeper}
chroot = /pvc
keepalive_interval = 1
fence_method = none
libvirt_uri = qemu+tcp://127.0.0.1:{libvirt}/system
"""
LIBVIRTD = """listen_tls = 0
listen_tcp = 1
listen_addr = "127.0.0.1"
tcp_port = "{libvirt}"
auth_tcp = "none"
"""
"""A real libvirtd, over TCP as the specification asks for."""
QEMU = """user = "root"
group = "root"
remember_owner = 0
stdio_handler = "file"
cgroup_controllers = []
security_driver = "none"
namespaces = []
"""
"""What a machine within a machine cannot give it is not asked for."""
GUEST = """<domain type="qemu">
  <name>web1</name>
  <memory unit="MiB">32</memory>
  <vcpu>1</vcpu>
  <os><type arch="x86_64" machine="pc">hvm</type></os>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator><memballoon model="none"/></devices>
</domain>
"""
"""A real QEMU, which stays at its firmware's prompt."""
PROCESS = "cut -d' ' -f1,22 /proc/$(cat /run/libvirt/qemu/web1.pid)/stat"
"""The guest's process and the moment that it began."""
HYPERVISOR = "libvirt-daemon libvirt-daemon-driver-qemu qemu-system-x86"
CHECK = "PVCD_CONFIG_FILE=/etc/pvc/pvcd.conf pvcd --check"
QUICK = "[Service]\nWatchdogSec=2\nRestartSec=0.2\n"
LEFT = r"find / -xdev \( -path /srv -o -path /proc \) -prune -o \( -iname '*pvc*' -o -path /etc/libvirt/hooks \) -print"


def main() -> int:
    """Try everything; the first thing that is not so ends it with its story."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or os.geteuid() != 0 or not ensemble.available():
        print(f"it needs root, ZooKeeper and {', '.join(NEEDED)}. Next: tools/install-debian.sh deb, as root", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="pvc-packages-", dir="/var/tmp") as folder:
        work = Path(folder)
        build(work)
        with ensemble.running(work / "zookeeper", servers=1) as zookeeper, machine(work) as inside:
            try:
                install(inside)
                configure(inside, zookeeper.hosts[0])
                run_it(inside)
                upgrade(inside)
                leave(inside)
            except BaseException:
                print(inside("journalctl -u pvcd -u libvirtd -o cat --no-pager | tail -40", check=False))
                raise
    print("the packages are as they should be")
    return 0


def told(sentence: str) -> None:
    """One line for what was seen."""
    print(f"{time.monotonic() - BEGAN:6.1f} s  {sentence}", flush=True)


BEGAN = time.monotonic()


# ---- building


def build(work: Path) -> None:
    """The packages twice, in different surroundings, and once as if of an earlier version."""
    for name, surroundings in (("now", {}), ("again", {"TZ": "Pacific/Auckland", "LC_ALL": "C", "HOME": "/nonexistent"})):
        _build(ROOT, work / name, surroundings, 0o022 if name == "now" else 0o077)
    for package in PACKAGES:
        one, other = (work / name / f"{package}_{__version__}.deb" for name in ("now", "again"))
        _must(one.read_bytes() == other.read_bytes(), f"{package} is not the same when it is built again")
    told("built twice: the same to the byte")
    subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", *(work / "now").glob("*.deb")], check=True)
    told("lintian has nothing to say")
    before = work / "source"
    shutil.copytree(ROOT, before, ignore=IGNORED)
    for path in (before / "debian/changelog", before / "pvc/__init__.py"):
        path.write_text(path.read_text().replace(__version__, BEFORE, 1))
    _build(before, work / "before", {}, 0o022)


def _build(source: Path, into: Path, surroundings: dict[str, str], umask: int) -> None:
    into.mkdir(mode=0o755)
    with (into / "log").open("wb") as log:
        command = [source / "build-deb.sh", into]
        done = subprocess.run(command, env={**os.environ, **surroundings}, umask=umask, stdout=log, stderr=log, timeout=LIMIT_S)
    _must(done.returncode == 0, (into / "log").read_text()[-3000:])


# ---- a machine of its own


@contextlib.contextmanager
def machine(work: Path) -> Iterator[Callable[..., str]]:
    """A fresh Debian with a booted systemd; yields a function that runs a command in it and returns what it printed."""
    root = work / "root"
    asked = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Codename: bookworm", "Label: Debian"]
    mirror = subprocess.run(asked, capture_output=True, text=True).stdout.split()[:1]
    command = ["debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,dbus", "bookworm", str(root), *mirror]
    with (work / "debootstrap").open("wb") as log:
        done = subprocess.run(command, stdout=log, stderr=log, timeout=LIMIT_S)
    _must(done.returncode == 0, (work / "debootstrap").read_text()[-3000:])
    (root / "etc/dpkg/dpkg.cfg.d/quick").write_text("force-unsafe-io\n")
    proxy = subprocess.run(["apt-config", "dump"], capture_output=True, text=True).stdout.splitlines()
    (root / "etc/apt/apt.conf.d/00proxy").write_text("".join(f"{line}\n" for line in proxy if "proxy" in line.lower()))
    for name in ("before", "now"):
        (root / "srv" / name).mkdir()
        for path in (work / name).glob("*.deb"):
            shutil.copy(path, root / "srv" / name)
    with (work / "boot").open("wb") as log:
        nspawn = subprocess.Popen(
            ["systemd-nspawn", "-q", "-D", root, "-M", f"pvc-try-{os.getpid()}", "--register=no", "--keep-unit", "--boot"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=ensemble.die_with_parent,
        )  # fmt: skip
    try:
        leader = _until(lambda: _first_processes(nspawn.pid), "the machine boots")[0]
        inside = _runner(leader)
        _until(lambda: inside("systemctl is-system-running --wait", check=False).strip() in ("running", "degraded"), "systemd has booted")
        # nspawn puts a boot id of its own over the kernel's; who has a /proc/sys of their own, as the unit's sandbox does, sees through it.
        inside("umount /proc/sys/kernel/random/boot_id", check=False)
        told("a fresh Debian has booted, with its own systemd")
        yield inside
    finally:
        # Its first process takes all others of the machine along; only then does nspawn itself end, and leave nothing mounted.
        for leader in _children(nspawn.pid) or [str(nspawn.pid)]:
            os.kill(int(leader), signal.SIGKILL)
        nspawn.wait(DEADLINE_S)


def _children(process: int) -> list[str]:
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()


def _first_processes(process: int) -> list[str]:
    """Children that are process 1 of their machine: for a moment there is one that only prepares it."""
    with contextlib.suppress(OSError):
        return [child for child in _children(process) if re.search(r"^NSpid:\t\d+\t1$", Path(f"/proc/{child}/status").read_text(), re.M)]
    return []


def _runner(leader: str) -> Callable[..., str]:
    """What runs a command line in the machine whose first process this is; it must end with 0 unless it is not checked."""

    def inside(command: str, *, check: bool = True) -> str:
        surroundings = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root", "LC_ALL": "C.UTF-8"}
        enter = ["nsenter", "-t", leader, "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root", "--wd", "/bin/sh", "-c", command]
        nothing, pipe = subprocess.DEVNULL, subprocess.PIPE
        done = subprocess.run(
            enter, env=surroundings, stdin=nothing, stdout=pipe, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S
        )
        if check and done.returncode:
            raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout[-3000:]}")
        return done.stdout

    return inside


# ---- what is tried


def install(inside: Callable[..., str]) -> None:
    """The client works by itself; the daemon is not started before it is configured."""
    inside("apt-get update -qq")
    inside(f"apt-get install -qq --no-install-recommends /srv/before/pvc-client_{BEFORE}.deb")
    _must(inside("pvc --version") == f"pvc {BEFORE}\n", "pvc does not say its version")
    _must("NOT SO" not in inside("pvc sim demo --pace 0"), "the demo does not end well")
    told("pvc-client: installed without the daemon, and the demo runs")
    said = inside(f"apt-get install -qq --no-install-recommends {HYPERVISOR} /srv/before/pvc-daemon_{BEFORE}.deb")
    _must("Failed to" not in said, f"its installation complains:\n{said[-3000:]}")
    _must(inside("pvcd --version") == f"pvcd {BEFORE}\n", "pvcd does not say its version")
    _must(_shows(inside, "ActiveState") == "inactive", "pvcd runs without a configuration")
    _must(_shows(inside, "ConditionResult") == "no", "it is not its condition that keeps pvcd from starting")
    settings = inside("systemd-analyze cat-config sysctl.d", check=False)  # it complains of a link of Debian's that leads nowhere here
    _must("net.ipv4.tcp_retries2 = 5\n" in settings, "TCP would go on repeating for minutes")
    told("pvc-daemon: installed beside it, and not started before it is configured")


def configure(inside: Callable[..., str], zookeeper: str) -> None:
    """As the documents say: write the file, create the cluster, check."""
    libvirt = ensemble.free_port()
    inside("useradd --system --user-group libvirt-qemu")  # libvirtd wants it, and a package that brings much more would make it
    inside(f"cat > /srv/libvirtd.conf <<'END'\n{LIBVIRTD.format(libvirt=libvirt)}END")
    inside(f"mkdir -p /var/log/libvirt/qemu && cat > /etc/libvirt/qemu.conf <<'END'\n{QEMU}END")
    inside("systemd-run --unit=libvirtd libvirtd --listen --config /srv/libvirtd.conf")
    inside(f"cat > /etc/pvc/pvcd.conf <<'END'\n{CONFIG.format(zookeeper=zookeeper, libvirt=libvirt)}END\nchmod 600 /etc/pvc/pvcd.conf")
    inside(f"sed -i 's,^#zookeeper = .*,zookeeper = {zookeeper}/pvc,' /etc/pvc/pvc.conf && grep -q ^zookeeper /etc/pvc/pvc.conf")
    inside("pvc init office --yes")
    _until(lambda: "problem " not in inside(CHECK, check=False), "libvirtd answers")
    _must("ZooKeeper: connected" in inside(CHECK), "it is not connected")
    told("pvcd --check: all is well, with a real ZooKeeper and a real libvirtd")


def run_it(inside: Callable[..., str]) -> None:
    """It starts, says what it does, and is started again when it stands still: once at least, on a busy machine it may do so by itself."""
    inside("systemctl start pvcd")  # returns when it has said that it is ready
    _must(_shows(inside, "ActiveState") == "active", "pvcd is not active")
    _until(lambda: "session live" in _shows(inside, "StatusText"), "the status line tells of its session")
    sentence = "node stop -> init (join)"
    _until(lambda: sentence in inside("journalctl -u pvcd -o cat --no-pager PVC_MACHINE=node PVC_TO=init"), "the journal has fields")
    told("pvcd runs under systemd, with a status line and fields in the journal")
    inside(f"mkdir -p /run/systemd/system/pvcd.service.d && printf '{QUICK}' > /run/systemd/system/pvcd.service.d/quick.conf")
    inside("systemctl daemon-reload && systemctl restart pvcd && systemctl kill --kill-whom=main -s STOP pvcd")
    _until(lambda: int(_shows(inside, "NRestarts")) >= 1 and _shows(inside, "ActiveState") == "active", "systemd starts it again")
    inside("rm -r /run/systemd/system/pvcd.service.d && systemctl daemon-reload")
    told("pvcd was frozen, and systemd has started it again")


def upgrade(inside: Callable[..., str]) -> None:
    """One after the other, client first: configuration, cluster and guests stay, and for a while their versions differ."""
    inside(f"cat > /srv/web1.xml <<'END'\n{GUEST}END\npvc vm define /srv/web1.xml && pvc vm start web1 --timeout {DEADLINE_S}")
    guest, history = inside(PROCESS), inside("pvc vm history web1 -o json")
    kept = inside("sha256sum /etc/pvc/pvcd.conf /etc/pvc/pvc.conf")
    for package, version in zip(("pvc-client", "pvc-daemon"), (BEFORE, __version__), strict=True):
        inside(f"apt-get install -qq --no-install-recommends /srv/now/{package}_{__version__}.deb")
        _must(inside("pvc --version") == f"pvc {__version__}\n", "the client is not the new one")
        _must(inside("pvcd --version") == f"pvcd {version}\n", f"the daemon is not {version}")
        _until(lambda version=version: version in inside("pvc node info $(hostname) -o json"), f"the client sees a daemon of {version}")
    _must(inside("sha256sum /etc/pvc/pvcd.conf /etc/pvc/pvc.conf") == kept, "the upgrade has changed the configuration")
    _must(inside("systemctl is-active pvcd") == "active\n", "pvcd does not run after the upgrade")
    _must(inside(PROCESS) == guest, "the guest's QEMU is another one")
    _must(inside("pvc vm history web1 -o json") == history, "the upgrade has done something to the guest")
    told("upgraded, client first: configuration, cluster and the running QEMU are as before")
    inside("systemctl stop pvcd")
    _must(inside(PROCESS) == guest, "the guest did not outlive a stop of pvcd")
    inside(f"systemctl start pvcd && pvc vm stop web1 --yes --timeout {DEADLINE_S}")
    _must("web1" not in inside("ls /run/libvirt/qemu"), "its guest runs on")
    told("the guest outlives a stop of pvcd, and the new pvcd ends it when it is asked to")


def leave(inside: Callable[..., str]) -> None:
    """Removed, the configuration stays; purged, nothing does."""
    inside("apt-get remove -qq pvc-daemon pvc-client")
    _must(inside("systemctl is-active pvcd", check=False).strip() == "inactive", "pvcd runs on without its package")
    _must("pvcd.conf\n" in inside("ls /etc/pvc"), "the configuration went with the package")
    inside("apt-get purge -qq pvc-daemon pvc-client")
    left = inside(LEFT) + inside("ls -d /run/pvc 2>/dev/null || true")
    _must(not left, f"left behind:\n{left}")
    told("removed and purged: nothing is left")


def _shows(inside: Callable[..., str], name: str) -> str:
    return inside(f"systemctl show pvcd --property={name} --value").strip()


def _until(holds: Callable[[], object], what: str) -> "list[str]":
    """Wait until it holds, and return it; systemd and ZooKeeper have no event for us."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        if found := holds():
            return found  # type: ignore[return-value]
        _must(time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}")
        time.sleep(0.2)


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


if __name__ == "__main__":
    sys.exit(main())
