"""A process with a session that a test freezes and wakes: reads one command a line, answers with one line.

    python -m tests.cluster.sleeper CHROOT TIMEOUT_S HOST...

`guarded PATH` and `bare PATH` commit a change of that record, under the boot token it began with or without it, and
repeat it until it is applied or refused, as a process would that knows nothing of its sleep.
"""

import itertools
import queue
import sys

from pvc.cluster.commit import Change, commit
from pvc.cluster.live import ZooKeeperStore
from pvc.cluster.options import Options
from pvc.cluster.store import Check, Connection, Create, NotConnected, OutcomeUnknown, Refused, SessionLost, Set

BOOT = "/boot"
ALIVE = "/alive"


def main() -> None:
    """Join, say so, obey."""
    chroot, timeout_s, *hosts = sys.argv[1:]
    events = queue.Queue()
    store = ZooKeeperStore(Options(tuple(hosts), chroot, float(timeout_s)))
    store.start(events.put, 60.0)
    store.multi([Create(BOOT), Create(ALIVE, ephemeral=True)])
    print(f"joined {store.session_id}", flush=True)
    for line in sys.stdin:
        command, path = line.split()
        print(write(store, path, command == "guarded"), flush=True)
    states = [e.state.value for e in iter_queue(events) if isinstance(e, Connection)]
    print(" ".join(states), store.session_id, flush=True)
    store.close()


def write(store, path, guarded):
    """Insist on a change."""
    guards = (Check(BOOT, 0),) if guarded else ()
    for attempt in itertools.count(1):
        try:
            version = commit(store, Change(path, "r", (Set(path, b"sleeper", 0),), guards))
            return f"applied {version} at attempt {attempt}"
        except Refused as refused:
            return f"refused {refused.why.name} {refused.path}"
        except (NotConnected, OutcomeUnknown, SessionLost):
            pass


def iter_queue(events):
    while not events.empty():
        yield events.get()


if __name__ == "__main__":
    main()
