"""Random faults, then everything is healed: never two copies, nothing wanted is lost, and all comes to rest. A failure names its seed.

The same seed tells the same story again, as long as nothing else is changed.
"""

import os
from collections import Counter

import pytest

from pvc.sim.chaos import cluster_by_chance

STORM_S = 240.0
QUICK, LONG = 30, int(os.environ.get("PVC_CHAOS_SEEDS", "120"))
FIRST = int(os.environ.get("PVC_CHAOS_FIRST", "0"))
"""The first seed of the long run; another one every night looks at other stories."""

FOUND = {65: 600.0, 1174: 400.0}
"""Seeds, and how long they stormed, under which something was found once; kept although chance has changed since."""

SEEN = {
    "adopt", "ask_again", "call_off", "declare", "evacuate", "go_home", "hand_over", "migrate_failed", "pass_on", "prove", "recover",
    "replace", "resume", "shoot",
}  # fmt: skip
"""Rows that many storms have to see: what never happens is not tested. Rarer ones are told as stories in `test_cluster`."""


def weather(seed: int, storm_s: float) -> Counter:
    """One storm and its end; the rows that fired."""
    chaos = cluster_by_chance(seed)
    chaos.storm(storm_s)
    chaos.rest()
    return chaos.cluster.witness.fired


@pytest.mark.parametrize("seed", range(QUICK))
def test_after_a_storm_everything_comes_to_rest(seed):
    weather(seed, STORM_S)


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_found_once_is_not_found_again(seed):
    weather(seed, FOUND[seed])


@pytest.mark.long
def test_many_storms_see_what_faults_lead_to():
    fired = sum((weather(seed, STORM_S) for seed in range(FIRST, FIRST + LONG)), Counter())
    assert SEEN - {trigger for _, trigger in fired} == set()
