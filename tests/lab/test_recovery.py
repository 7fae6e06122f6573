"""Nodes die. What they owned runs elsewhere once they are proven to be off, once, and what comes back does as it was told before."""

import pytest

from lab import wait_until
from pvc.fsm.states import Daemon, Domain, Fence, Flush
from tests.lab.admin import PATIENCE_S

pytestmark = pytest.mark.lab


def test_guests_of_a_node_without_power_run_elsewhere(ward_for):
    """Nobody is shot: power that reads off is proof. Each VM comes to what was wanted of it, and the node comes back as it was."""
    ward = ward_for(dead_ticks="60", boot_grace="90")  # a device that was too busy to answer is asked again, long before a shot
    victim = ward.victim
    ward.up("web", victim, {"migration": "none"})
    ward.up("db", victim, {"migration": "none"}, disk=True)
    ward.define("idle", victim)
    ward.up("stubborn", victim, {"migration": "none"}, deaf=True)
    ward.client.flush(victim)
    ward.ask("shutdown", "stubborn")
    ward.reach_state("stubborn", Domain.shutdown)
    ward.lab[victim].power_off()

    heirs = {name: ward.recovered(name, victim) for name in ("web", "db")}
    ward.reach_state("stubborn", Domain.stop)
    assert ward.life("idle").state is Domain.stop
    assert " 2 ." in ward.lab[heirs["db"]].console("db"), "its disk remembers the first boot"
    assert ward.phases_of(victim)[-2:] == [Fence.evidence, Fence.proven]
    assert ward.shots_at(victim) == 0

    ward.lab[victim].power_on()
    ward.works(victim)
    wait_until(lambda: ward.node(victim).flush is Flush.flushed, PATIENCE_S, "it has kept that it is to be empty, and is")
    assert ward.states_of(victim)[-3:] == [Daemon.fenced, Daemon.init, Daemon.run]
    assert {name: ward.life(name).owner for name in heirs} == heirs, "they stay until somebody calls them home"
    ward.settles()


def test_a_node_that_is_cut_off_is_shot_before_its_guests_run_elsewhere(ward):
    """It goes on as long as its power does. When it is back, not even a person at its virsh can start what it once had."""
    victim = ward.victim
    ward.up("web", victim)
    stale = ward.lab.place.shared / "stale.xml"
    stale.write_text(ward.lab[victim].virsh("dumpxml", "web"))
    with ward.cut(victim):
        heir = ward.recovered("web", victim)
        assert not ward.lab[victim].is_on
        assert ward.phases_of(victim)[-4:] == [Fence.evidence, Fence.throws, Fence.shot, Fence.proven]
        assert len(ward.boots("web")) == 2
    ward.lab[victim].power_on()
    ward.works(victim)
    refused = ward.lab[victim].run("virsh", "create", str(stale), check=False)
    assert refused.returncode != 0
    assert "this host has not claimed it" in refused.stderr
    assert ward.life("web").owner == heir
    ward.settles()
