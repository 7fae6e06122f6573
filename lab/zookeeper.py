"""How a ZooKeeper server is started and asked, for the lab and for the ensembles of the tests alike."""

import contextlib
import socket
from pathlib import Path

ELECTION_TIMEOUT_S = 90
SCRIPT = Path("/usr/share/zookeeper/bin/zkServer.sh")
# forceSync: these servers lose power never, and an fsync per write is most of what they would do.
JAVA = "-Xmx128m -Dzookeeper.forceSync=no -Dzookeeper.preAllocSize=1024 -Dzookeeper.enforceQuota=true -XX:-UsePerfData"
CONFIG = """tickTime={tick_ms}
initLimit=40
syncLimit={sync_ticks}
dataDir={directory}
clientPort={port}
clientPortAddress={address}
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=*
"""


def available() -> bool:
    """Whether ZooKeeper is installed."""
    return SCRIPT.exists()


def config(directory: Path, port: int, *, tick_ms: int, sync_ticks: int, address: str = "127.0.0.1") -> str:
    """A zoo.cfg, to which the members of the ensemble are to be added."""
    return CONFIG.format(directory=directory, port=port, tick_ms=tick_ms, sync_ticks=sync_ticks, address=address)


def command(configuration: Path) -> list[str]:
    """What starts a server, in the foreground."""
    return [str(SCRIPT), "start-foreground", str(configuration)]


def environment(logs: Path, java: str = "") -> dict[str, str]:
    """What a server needs to find in its environment, besides a PATH."""
    return {"JMXDISABLE": "true", "ZOO_LOG_DIR": str(logs), "JVMFLAGS": f"{JAVA} {java}".strip()}


def ask(host: str, port: int, word: str, timeout_s: float = 1.0) -> str:
    """The answer to a four-letter word, empty when there is none."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout_s) as line:
        line.sendall(word.encode())
        return b"".join(iter(lambda: line.recv(65536), b"")).decode()
    return ""


def mode(host: str, port: int) -> str:
    """leader, follower or standalone; empty when it does not serve."""
    answers = dict(line.split(": ", 1) for line in ask(host, port, "srvr").splitlines() if ": " in line)
    return answers.get("Mode", "")
