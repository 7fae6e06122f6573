"""The times that a client writes into histories, next to those of daemons."""

import time

from pvc.client.cluster import wall_clock
from pvc.daemon import machine


def test_wherever_a_client_is_it_tells_the_time_as_the_daemons_do(monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        before, told, after = machine.wall_clock(), wall_clock(), machine.wall_clock()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert before <= told <= after, "as text, which is how they are shown side by side"
