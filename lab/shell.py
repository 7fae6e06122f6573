"""Running the tools of the system, with their complaint in the error."""

import shlex
import subprocess
from collections.abc import Sequence

from pvc.errors import PvcError

# What a hang must not outlast. Nothing here works longer than seconds.
TIMEOUT_S = 60


def run(*argv: str, check: bool = True, timeout_s: float = TIMEOUT_S, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; PvcError with what it printed when it fails and `check` is set."""
    try:
        done = subprocess.run(argv, input=text or "", capture_output=True, text=True, errors="replace", timeout=timeout_s)
    except FileNotFoundError as error:
        raise PvcError(f"{argv[0]} is not installed", "tools/install-debian.sh lab, as root") from error
    except subprocess.TimeoutExpired as error:
        raise PvcError(f"no end after {timeout_s:g} s: {shlex.join(argv)}") from error
    if check and done.returncode:
        raise PvcError(f"{shlex.join(argv)} failed ({done.returncode}): {(done.stderr or done.stdout).strip()}")
    return done


def batch(commands: Sequence[str], namespace: str = "") -> None:
    """Run several `ip` commands in one process, in the named network namespace; the first that fails ends it with PvcError."""
    where = ("-n", namespace) if namespace else ()
    run("ip", *where, "-batch", "-", text="\n".join(commands) + "\n")
