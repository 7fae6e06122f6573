"""Ten clients through an outage of the whole ensemble, in a process of its own beside the other tests.

    python -m tests.cluster.long_outage DIRECTORY OUTAGE_S

Prints one line of JSON: what became of the sessions.
"""

import json
import sys
import time
from pathlib import Path

from pvc.cluster.live import ZooKeeperStore
from pvc.cluster.options import Options
from pvc.cluster.store import Create, State
from tests import ensemble as zk
from tests.cluster.worlds import DEADLINE_S, Probe, until_connected_again

CLIENTS = 10
SESSION_S = 10.0


def main() -> None:
    """Open ten sessions, kill every server, wait, start them again, and count."""
    directory, outage_s = Path(sys.argv[1]), float(sys.argv[2])
    with zk.running(directory) as ensemble:
        probes = [Probe(ZooKeeperStore(Options(ensemble.hosts, session_timeout_s=SESSION_S))) for _ in range(CLIENTS)]
        for number, probe in enumerate(probes):
            probe.store.start(probe, DEADLINE_S)
            probe.store.watch(f"/alive{number}")
            probe.store.multi([Create(f"/alive{number}", ephemeral=True)])
            probe.until_data(f"/alive{number}", b"")
        sessions = [probe.store.session_id for probe in probes]

        ensemble.kill()
        began = time.monotonic()
        generations = [probe.until_state(State.LOST).generation for probe in probes]
        lost_after_s = time.monotonic() - began
        time.sleep(began + outage_s - time.monotonic())
        ensemble.start()
        serving = time.monotonic()
        for probe, generation in zip(probes, generations, strict=True):
            until_connected_again(probe, generation)
        back_after_s = time.monotonic() - serving

        result = {
            "outage_s": round(serving - began, 1),
            "granted_s": probes[0].store.session_timeout_s,
            "lost_by_lease_after_s": round(lost_after_s, 1),
            "back_after_s": round(back_after_s, 1),
            "sessions_lost": sum(probe.store.session_id != session for probe, session in zip(probes, sessions, strict=True)),
            "ephemerals_kept": sum(
                (znode := probes[0].store.read(f"/alive{number}", sync=True)) is not None and znode.owner == session
                for number, session in enumerate(sessions)
            ),
            "last_states": sorted({" ".join(state.value for state in probe.states()[-3:]) for probe in probes}),
            "lost_events": sum(probe.states().count(State.LOST) for probe in probes),
        }
        for probe in probes:
            probe.store.close()
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
