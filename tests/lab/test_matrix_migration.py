"""A node that dies, or is cut off, in the middle of a live migration, and is fenced for it: rows of docs/fault-matrix.md."""

import pytest

from lab import wait_until
from pvc.fsm.states import Domain, Migration
from tests.lab.admin import PATIENCE_S
from tests.lab.holds import Switchover
from tests.lab.record import REACH_S
from tests.lab.stage import Stage

pytestmark = pytest.mark.lab
LEFT_MIB = 25


@pytest.fixture
def stage(ward):
    """A guest that runs on a node which ZooKeeper can do without, on its way to another such, as far as there are two."""
    stage = Stage(ward.lab, ward.watcher, "web")
    stage.source = ward.victim
    stage.up()
    stage.target = next(name for name in ward.without_leader() if name != stage.source)
    yield stage
    stage.close()


def test_the_source_loses_its_power_while_it_copies(ward, stage):
    """What has arrived is half a guest: it begins anew."""
    with stage.copying():
        ward.lab[stage.source].power_off()
        ward.recovered("web", stage.source)
    assert len(stage.boots()) == 2
    ward.settles()


def test_the_source_loses_its_power_after_the_switchover(ward, stage):
    """The copy at the target is complete, and nobody has written that it is the one. It goes on where it was."""
    with Switchover(stage) as switchover:
        with stage.copying(LEFT_MIB):
            ward.lab[stage.source].freeze("pvcd")
        switchover.wait()
        stage.copy_goes("source")
    assert stage.life.phase is Migration.moving
    ward.lab[stage.source].power_off()
    heir = ward.recovered("web", stage.source)
    assert heir == stage.target
    assert len(stage.boots()) == 1
    ward.settles()


def test_the_target_loses_its_power_while_it_copies(ward, stage):
    """It stays where it is, and the node that was to have it is fenced: a record names it."""
    with stage.copying():
        ward.lab[stage.target].power_off()
        wait_until(lambda: stage.life.phase is Migration.none, REACH_S, "the migration is over")
    assert (stage.life.state, stage.life.owner) == (Domain.start, stage.source)
    stage.ticks_on()
    assert len(stage.boots()) == 1
    ward.settles()


def test_the_source_is_cut_off_while_it_copies(ward, stage):
    """It still runs, and its copy waits: until the shot nobody may let the copy go on."""
    with stage.copying(), ward.cut(stage.source):
        ward.recovered("web", stage.source)
        assert not ward.lab[stage.source].is_on
    ward.settles()


def test_the_target_is_cut_off_while_it_copies(ward, stage):
    with stage.copying(), ward.cut(stage.target):
        wait_until(lambda: stage.life.phase is Migration.none, 2 * PATIENCE_S, "the migration is over")
        assert stage.life.owner == stage.source
        stage.ticks_on()
    ward.works(stage.source)
    assert len(stage.boots()) == 1


def test_a_migration_that_never_ends_is_given_up(ward_for):
    """It copies more slowly than its guest could ever be sent, until its time is over."""
    ward = ward_for(migration_timeout="10")
    stage = Stage(ward.lab, ward.watcher, "web")
    stage.up()
    with stage.copying():
        wait_until(lambda: stage.life.phase is Migration.none, REACH_S, "it is given up")
    assert (stage.life.state, stage.life.owner) == (Domain.start, stage.source)
    assert "migrate_failed" in ward.triggers("web")
    stage.ticks_on()
    stage.close()
    assert len(ward.boots("web")) == 1
    ward.settles()


def test_both_are_cut_off_while_it_copies(ward_for):
    """Nobody is left who could shoot anybody, so both are waited for."""
    ward = ward_for(throws_ticks="100")
    stage = Stage(ward.lab, ward.watcher, "web")
    stage.source = ward.victim
    stage.up()
    with stage.copying(), ward.cut(stage.source, stage.target):
        wait_until(lambda: stage.has_said(stage.source, "the session has ended or may have"), REACH_S, "it has noticed")
        stage.copy_goes("target")
        ward.lab[stage.source].virsh("domstate", "web")
    ward.works(*ward.lab.hosts)
    stage.rests()
    stage.ticks_on()
    assert len(stage.boots()) == 1
    stage.close()
    ward.settles()
