"""Planted defects, in the tables and in the code of a daemon: each is found within a bounded number of schedules.

What is planted here was either once wrong, or is what somebody would get wrong. `pytest tests/sim/test_planted.py --long` lists after how
many schedules, and how much time, each is found.
"""

import re
import time
from dataclasses import replace

import pytest

from pvc.agent.executor import Executor
from pvc.agent.feed import Feed
from pvc.check.mutants import with_rows
from pvc.cluster.memory import MemoryStore
from pvc.cluster.store import ANY_VERSION, Changed, ChildrenChanged, Set
from pvc.core import decide, events, intake
from pvc.core.decide import Rules
from pvc.fsm import guards as g
from pvc.fsm.states import By, Guest, Job, Want
from pvc.fsm.tables import TABLES
from pvc.sim.daemon import SimDaemon
from pvc.sim.explore import explored
from pvc.sim.hypervisor import SimHypervisor
from pvc.sim.schedule import Sizes
from tests.check.planted import planted

SEEDS = 240
"""Within how many schedules a defect has to be found."""
SIZES = Sizes((3,), (3, 4, 6), 240.0)


def rows(table, trigger, **changes):
    """Rows that say something else."""
    return lambda patch: patch.setattr(SimDaemon, "rules", planted(table, trigger, **changes))


def unguarded(table, trigger, *guards):
    """Rows that do not ask these guards."""

    def plant(patch):
        kept = lambda row: tuple(guard for guard in row.guards if guard not in guards)  # noqa: E731
        patch.setattr(SimDaemon, "rules", planted(table, trigger, lambda row: set(guards) & set(row.guards), guards=kept))

    return plant


def missing(table, trigger):
    """No row of this trigger."""
    left = tuple(row for row in TABLES[table].rows if row.trigger != trigger)
    return lambda patch: patch.setattr(SimDaemon, "rules", Rules(with_rows({table: left})))


# ---- defects in code


def writes(trigger, **fields):
    """A write of this trigger that says something else than its row."""

    def plant(patch):
        honest = Executor._domain_change

        def change(self, asked, life):
            wrong = replace(life, **fields) if asked.move.row.trigger == trigger else life
            return honest(self, asked, wrong)

        patch.setattr(Executor, "_domain_change", change)

    return plant


def hears_no_end_of_a_job(patch):
    patch.setattr(SimHypervisor, "_done", lambda self, uuid, job: None)


def sees_no_end_of_a_guest(patch):
    patch.setattr(SimHypervisor, "_seen", lambda self, uuid, by_itself: None)


def recovers_before_the_fence(patch):
    honest = decide.roles

    def roles(me, life, guest, nodes, caretaker):
        lost = life.owner in nodes and not nodes[life.owner].alive
        return honest(me, life, guest, nodes, caretaker) | (By.FENCER if lost and nodes[me].works and life.owner != me else By(0))

    patch.setattr(decide, "roles", roles)
    unguarded("domain", "recover", g.OWNER_GONE)(patch)


def takes_a_lost_reply_for_success(patch):
    honest = Executor.fire

    def fire(self, asked):
        first, *seen = honest(self, asked)
        return [replace(first, result=events.Result.written) if first.result is events.Result.lost else first, *seen]

    patch.setattr(Executor, "fire", fire)


def writes_over_what_others_wrote(patch):
    from pvc.agent import executor

    honest = executor.domain_change

    def domain_change(*args):
        change = honest(*args)
        ops = tuple(replace(op, version=ANY_VERSION) if isinstance(op, Set) and op.path == change.primary else op for op in change.ops)
        return replace(change, ops=ops)

    patch.setattr(executor, "domain_change", domain_change)


def acts_on_half_a_view(patch):
    """Of the records that is harmless: every write names the versions that it relies on. Guests have none."""
    honest = SimHypervisor._tell

    def half(self, event):
        if isinstance(event, events.Inventory):
            self.count = event = replace(event, guests=dict(list(event.guests.items())[::2]))
        honest(self, event)

    patch.setattr(SimHypervisor, "_tell", half)


def hears_an_earlier_connection(patch):
    """What was read under one connection arrives under the next one, after all was read again."""
    connect, event_of, take = MemoryStore._connect, MemoryStore._event, Feed.take

    def late(self):
        was, generation = dict(self._reported), self._generation
        connect(self)
        self.waiting.extend(replace(event, generation=generation) for event in was.values())

    def heard(self, event):
        return take(self, replace(event, generation=self.generation) if isinstance(event, LATE) else event)

    patch.setattr(MemoryStore, "_connect", late)
    patch.setattr(MemoryStore, "_event", lambda self, item: item if isinstance(item, LATE) else event_of(self, item))
    patch.setattr(Feed, "take", heard)


LATE = (Changed, ChildrenChanged)


def tries_again_at_once(patch):
    def answered(self, key, known):
        known.ticket = known.refused = None

    patch.setattr(intake.Intake, "_answered", answered)


def takes_silence_of_libvirt_for_an_end(patch):
    honest = intake.Intake._take_hypervisor

    def take(self, event):
        keys = list(honest(self, event))
        if isinstance(event, events.HypervisorLost):
            self.known.inventory = True
            for domain in self.known.domains.values():
                domain.guest, domain.job = Guest.absent, Job.none
            return self._everything()
        return keys

    patch.setattr(intake.Intake, "_take_hypervisor", take)


def never_counts_time(patch):
    honest = SimDaemon.wait
    patch.setattr(SimDaemon, "wait", lambda self, name, seconds: honest(self, name, 1e9))


PLANTED = {
    "recovery before the fence": recovers_before_the_fence,
    "no saving throws": unguarded("fence", "shoot", g.NODE_DUE),
    "proof without a reading": unguarded("fence", "prove", g.READ_OFF),
    "a claim without its epoch": rows("domain", "claim", sets=lambda row: {key: v for key, v in row.sets.items() if key != "epoch"}),
    "a claim on a node that takes no VMs": unguarded("domain", "claim", g.ME_FITS),
    "a migration to a node that takes no VMs": unguarded("domain", "evacuate", g.CHOICE_FITS, g.CHOICE_OTHER, g.CHOICE_UNTRIED),
    "a way home to a node that takes no VMs": unguarded("domain", "go_home", g.HOME_FITS, g.HOME_UNTRIED),
    "off while it runs": unguarded("domain", "off", g.ABSENT),
    "handed over while it runs": unguarded("migration", "hand_over", g.ABSENT, g.IDLE),
    "a start that is not ordered": rows("domain", "claim", effects=()),
    "a stop that nobody carries out": missing("domain", "halt"),
    "a guest that ended and stays so": missing("domain", "ended"),
    "a failed migration that nobody ends": missing("domain", "migrate_failed"),
    "flushed while guests are there": unguarded("flush", "flushed", g.EMPTY),
    "a lost reply taken for success": takes_a_lost_reply_for_success,
    "half of a view acted on": acts_on_half_a_view,
    "events of an earlier connection": hears_an_earlier_connection,
    "writes over what others wrote": writes_over_what_others_wrote,
    "tries again at once": tries_again_at_once,
    "libvirt's silence taken for an end": takes_silence_of_libvirt_for_an_end,
    "time that nobody counts": never_counts_time,
    "a wish that a finished migration overwrites": writes("migrated", want=Want.shutdown),
    "a home that a finished migration overwrites": writes("migrated", home="hv9"),
    "an operation that changes its id on the way": writes("accept", op_id="another"),
    "a claim that keeps its target": writes("claim", target="hv1"),
    "ends of jobs that nobody hears": hears_no_end_of_a_job,
    "ends of guests that nobody sees": sees_no_end_of_a_guest,
}


def found(seeds=SEEDS):
    """After how many schedules something broke, and what; None when nothing did."""
    for number in range(seeds):
        outcome = explored(number, SIZES)
        if outcome.broken:
            assert not re.match(r"\w+Error\b", outcome.broken), f"what was planted does not fit the code any more: {outcome.broken}"
            return number + 1, outcome.broken.partition("\n")[0]
    return None


@pytest.mark.marathon
def test_every_planted_defect_is_found(capsys):
    missed = []
    for defect, plant in PLANTED.items():
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            began = time.process_time()
            story = found()
            took = time.process_time() - began
        missed += [] if story else [defect]
        with capsys.disabled():
            print(f"\n{defect:<44}{story[0] if story else '-':>4}{took:8.1f} s  {story[1][:100] if story else 'NOT FOUND'}", end="")
    assert missed == []


def test_without_a_defect_nothing_is_found():
    assert found(3) is None


def test_enough_is_planted():
    assert len(PLANTED) >= 25
