"""What the Core does about a node that is lost: when it counts, when it waits, and what brakes it."""

from dataclasses import replace

import pytest

from pvc.cluster.records import FenceMethod, Fencing, NodeStats, Policy, Selector
from pvc.core import events as e
from pvc.core.facts import NodeFacts, roles
from pvc.core.settings import Settings
from pvc.core.waits import fence_wait
from pvc.fsm.states import By, Daemon, Domain, Effect, Fence, Guest, Migration, Power
from pvc.fsm.views import NodeLife
from tests.core.test_core import CONFIG, UUID, braked, fires, measures, node, vm, waits, working

SETTINGS = Settings()


def held(core, fence=Fence.evidence, daemon=Daemon.run, version=7, by="hv1", name="hv3"):
    """The fence of a node that is lost, as its record now says."""
    return core.on(e.NodeSeen(name, node(name, daemon, fence=fence, by=by), version))


def lost(core, name="hv3"):
    """A node goes, and this daemon gets its fence; returns the ticket of the reading that was ordered."""
    core.on(e.DomainSeen(UUID, vm(owner=name), 3))
    answers = core.on(e.AliveSeen(frozenset({"hv1", "hv2", "hv3"} - {name})))
    suspect = next(answer for answer in fires(answers) if answer.key == f"node {name}")
    core.on(e.Fired(suspect.ticket, e.Result.written))
    held(core, name=name)
    return suspect.ticket


def triggers(answers):
    return [answer.move.row.trigger for answer in fires(answers)]


def test_absence_is_counted_only_while_this_daemon_was_connected_itself():
    """H60: it may be that nobody could be seen, by anybody."""
    core = working()
    lost(core)
    core.on(e.Disconnected())
    core.on(e.Due("hv3 absent 1 dead"))
    answers = core.on(e.Connected(new_session=False))
    assert waits(answers)["hv1 session"] == SETTINGS.dead_s + SETTINGS.session_timeout_s
    answers = core.on(e.AliveSeen(frozenset({"hv1", "hv2"})))
    assert waits(answers)["hv3 absent 2 dead"] == SETTINGS.dead_s
    held(core)
    assert triggers(core.on(e.Synced())) == []
    assert core.on(e.Due("hv3 absent 1 dead")) == []
    assert "declare" not in triggers(core.on(e.Due("hv1 session")))
    assert "declare" in triggers(core.on(e.Due("hv3 absent 2 dead")))


def test_nobody_is_shot_before_a_full_dead_time_after_a_reconnect():
    core = working()
    assert braked(core) == ""
    core.on(e.Disconnected())
    core.on(e.Connected(new_session=False))
    assert "has not been connected for a full dead time" in core.known.brake("hv3")


def test_a_grace_for_booting_begins_once_however_often_the_record_changes():
    core = working()
    assert "hv4 grace" in waits(core.on(e.NodeSeen("hv4", node("hv4"), 1)))
    assert "hv4 grace" not in waits(core.on(e.NodeSeen("hv4", node("hv4"), 2)))


def test_a_device_that_is_silent_is_left_to_others_ever_longer():
    core = working()
    ticket = lost(core)
    for seconds in (5, 10, 20, 40, 60, 60):
        (passed,) = fires(core.on(e.PowerRead("hv3", ticket, Power.silent)))
        assert passed.move.row.trigger == "pass_on"
        (wait,) = [(name, after) for name, after in waits(core.on(e.Fired(passed.ticket, e.Result.written))).items() if "passed" in name]
        assert wait[1] == seconds
        assert triggers(held(core, by=None)) == []
        (adopt,) = fires(core.on(e.Due(wait[0])))
        assert adopt.move.row.trigger == "adopt"
        ticket = adopt.ticket
        core.on(e.Fired(ticket, e.Result.written))
        held(core)


def test_what_was_passed_on_is_forgotten_with_the_suspicion():
    core = working()
    ticket = lost(core)
    (passed,) = fires(core.on(e.PowerRead("hv3", ticket, Power.silent)))
    core.on(e.Fired(passed.ticket, e.Result.written))
    held(core, by=None)
    core.on(e.NodeSeen("hv3", node("hv3"), 9))
    assert not core.known.nodes["hv3"].resting


def test_the_proof_of_a_fencer_that_is_gone_is_adopted_at_once():
    core = working()
    ticket = lost(core)
    (passed,) = fires(core.on(e.PowerRead("hv3", ticket, Power.silent)))
    core.on(e.Fired(passed.ticket, e.Result.written))
    assert triggers(held(core, Fence.proven, Daemon.fenced, by=None)) == ["adopt"]


def test_shots_that_prove_nothing_are_repeated_ever_more_slowly():
    life = NodeLife(Daemon.unfenced, fence=Fence.failed, by="hv1")
    assert [fence_wait("hv3", life, tries, SETTINGS)[1] for tries in (1, 2, 3, 6, 50)] == [30, 60, 120, 600, 600]


def test_a_dead_node_is_shot_after_its_saving_throws_and_not_before():
    core = working()
    core.on(e.PowerRead("hv3", lost(core), Power.on))
    core.on(e.ConfigSeen(CONFIG, 2))
    core.known.session_is_old = True
    answers = held(core, Fence.throws, Daemon.dead)
    ((throws, seconds),) = [(name, after) for name, after in waits(answers).items() if "throws" in name]
    assert seconds == SETTINGS.throws_s == 15
    assert "shoot" not in triggers(answers)
    assert triggers(core.on(e.Due(throws))) == ["shoot"]


def test_nodes_that_are_proven_off_count_for_no_majority():
    core = working(("hv1", "hv2", "hv3", "hv4", "hv5"))
    core.on(e.ConfigSeen(CONFIG, 2))
    core.known.session_is_old = True
    core.on(e.DomainSeen(UUID, vm(owner="hv3"), 3))
    core.on(e.AliveSeen(frozenset({"hv1", "hv2"})))
    assert "only 2 of 5 nodes answer" in core.known.brake("hv3")
    for name in ("hv4", "hv5"):
        held(core, Fence.proven, Daemon.fenced, by="hv2", name=name)
    core.known.settling = False
    assert core.known.brake("hv3") == ""


@pytest.mark.parametrize(
    ("daemon", "by", "recovers"), [(Daemon.fenced, "hv1", True), (Daemon.unfenced, "hv1", False), (Daemon.fenced, "hv2", False)]
)
def test_who_holds_the_fence_of_a_node_that_is_proven_off_recovers_and_nobody_else(daemon, by, recovers):
    nodes = {"hv1": NodeFacts(NodeLife(Daemon.run), True), "hv3": NodeFacts(NodeLife(daemon, fence=Fence.proven, by=by), False)}
    assert bool(roles("hv1", vm(owner="hv3").life, Guest.absent, nodes, caretaker=False) & By.FENCER) is recovers


def test_one_node_is_shot_at_a_time():
    core = working(("hv1", "hv2", "hv3", "hv4", "hv5"))
    core.on(e.ConfigSeen(CONFIG, 2))
    core.known.session_is_old = True
    core.on(e.DomainSeen(UUID, vm(owner="hv5"), 3))
    core.on(e.AliveSeen(frozenset({"hv1", "hv2", "hv3"})))
    assert core.known.brake("hv5") == ""
    held(core, Fence.shot, Daemon.fencing, by="hv2", name="hv4")
    assert core.known.brake("hv5") == "hv4 is being shot, and no more than 1 at a time"
    held(core, Fence.failed, Daemon.unfenced, by="hv2", name="hv4")
    assert core.known.brake("hv5") == ""


def test_the_first_to_come_back_is_not_the_majority_that_shoots_the_others():
    core = working(("hv1", "hv2", "hv3", "hv4"))
    core.on(e.ConfigSeen(CONFIG, 2))
    core.known.session_is_old = True
    core.on(e.DomainSeen(UUID, vm(owner="hv3"), 3))
    core.on(e.AliveSeen(frozenset({"hv1", "hv2"})))
    assert "only 2 of 4 nodes answer" in core.known.brake("hv3")
    answers = core.on(e.AliveSeen(frozenset({"hv1", "hv2", "hv4"})))
    (wait,) = [name for name in waits(answers) if "majority" in name]
    assert waits(answers)[wait] == SETTINGS.throws_s
    assert "a majority answers again since a moment ago" in core.known.brake("hv3")
    core.on(e.AliveSeen(frozenset({"hv1", "hv2"})))
    answers = core.on(e.AliveSeen(frozenset({"hv1", "hv2", "hv4"})))
    core.on(e.Due(wait))
    assert "a majority answers again" in core.known.brake("hv3"), "that was the time before"
    core.on(e.Due(next(name for name in waits(answers) if "majority" in name)))
    assert core.known.brake("hv3") == ""


def test_why_a_node_is_not_shot_is_said_once():
    core = working()
    lost(core)
    (throws,) = [name for name in waits(held(core, Fence.throws, Daemon.dead)) if "throws" in name]
    said = [answer.sentence for answer in core.on(e.Due(throws)) if isinstance(answer, e.Say)]
    assert said == ["hv3 is not shot: hv1 has not been connected for a full dead time itself"]
    assert not [answer for answer in core.on(e.NodeSeen("hv2", node("hv2"), 9)) if isinstance(answer, e.Say)]


@pytest.mark.parametrize(("reading", "words"), [(Power.on, "Its power reads on: its daemon is dead, or cut off."), (None, "")])
def test_a_death_is_declared_with_what_its_power_reads(reading, words):
    core = working()
    ticket = lost(core)
    if reading is not None:
        core.on(e.PowerRead("hv3", ticket, reading))
    (declare,) = fires(core.on(e.Due("hv3 absent 1 dead")))
    assert (declare.move.row.trigger, declare.why) == ("declare", f"{declare.move.row.why} {words}" if words else "")


def test_a_node_that_does_not_come_on_is_switched_on_a_few_times():
    core = working()
    core.known.settings = Settings(power_back=True)
    ticket = lost(core)
    (prove,) = fires(core.on(e.PowerRead("hv3", ticket, Power.off)))
    core.on(e.Fired(prove.ticket, e.Result.written))
    answers = held(core, Fence.proven, Daemon.fenced)
    for order in range(4):
        (wait,) = [name for name in waits(answers) if "proven" in name]
        on = fires(core.on(e.Due(wait)))
        assert [answer.move.row.effects for answer in on] == ([(Effect.power_on,)] if order < 3 else [])
        if on:
            answers = core.on(e.Fired(on[0].ticket, e.Result.written))
            core.on(e.PowerRead("hv3", on[0].ticket, Power.off))


@pytest.mark.parametrize(
    ("fencing", "words"),
    [
        (Fencing(FenceMethod.none), "it has no fence device (fence_method = none)"),
        (Fencing(FenceMethod.manual), "it has no fence device (fence_method = manual)"),
        (Fencing(FenceMethod.ipmi, "10.0.0.9", fault="its GUID is another"), "its fence device is not believed: its GUID is another"),
    ],
)
def test_a_node_without_a_working_device_is_neither_shot_nor_proven_nor_asked_again(fencing, words):
    core = working()
    core.on(e.NodeSeen("hv3", replace(node("hv3"), fencing=fencing), 6))
    braked(core)
    for fence, daemon in ((Fence.evidence, Daemon.run), (Fence.throws, Daemon.dead)):
        life = NodeLife(daemon, fence=fence, by="hv1")
        core.on(e.NodeSeen("hv3", replace(node("hv3"), life=life, fencing=fencing), 7))
        core.known.nodes["hv3"].reading = Power.off
        core.known.nodes["hv3"].due = core.known.nodes["hv3"].stale = True
        assert not fires(core._look_at_node("hv3") or core.answers)
    assert core.known.brake("hv3") == f"{words}; only an operator can tell that it is off"


def guarded(core, version=7, fence=Fence.evidence, daemon=Daemon.run, by="hv1"):
    """A node without a device, whose armed watchdog was announced."""
    record = replace(node("hv3", daemon, fence=fence, by=by), fencing=Fencing(FenceMethod.watchdog, reset_s=55))
    return core.on(e.NodeSeen("hv3", record, version))


def test_a_watchdog_whose_time_is_over_is_proof_and_nobody_shoots():
    core = working()
    ticket = lost(core)
    ((reset, seconds),) = [(name, after) for name, after in waits(guarded(core)).items() if "reset" in name]
    assert seconds == 55
    assert fires(core.on(e.PowerRead("hv3", ticket, Power.silent))) == []
    assert "its watchdog resets it" in core.known.brake("hv3")
    declare = fires(core.on(e.Due("hv3 absent 1 dead")))[0]
    assert declare.move.row.trigger == "declare"
    core.on(e.Fired(declare.ticket, e.Result.written))
    (throws,) = [name for name in waits(guarded(core, 8, Fence.throws, Daemon.dead)) if "throws" in name]
    assert fires(core.on(e.Due(throws))) == []
    (prove,) = fires(core.on(e.Due(reset)))
    assert (prove.move.row.trigger, prove.why.endswith("Its watchdog has reset it: the time that it announced is over.")) == ("prove", True)


def test_the_time_of_a_watchdog_is_counted_anew_whenever_the_fence_was_anothers():
    """In between the node may have been there, and fed it."""
    core = working()
    lost(core)
    (first,) = [name for name in waits(guarded(core)) if "reset" in name]
    guarded(core, 8, by="hv2")
    (second,) = [name for name in waits(guarded(core, 9)) if "reset" in name]
    assert first != second
    assert fires(core.on(e.Due(first))) == []
    core.on(e.Disconnected(expired=True))
    assert not core.known.nodes["hv3"].resetting


def test_a_fence_stays_where_the_time_of_a_watchdog_is_counted():
    """Whoever took it over would count from the beginning: among daemons that pass it to each other nobody would ever reach the end."""
    for reset_s, moves in ((55, []), (0, ["pass_on"])):
        core = working()
        ticket = lost(core)
        record = node("hv3", fence=Fence.evidence, by="hv1")
        core.on(e.NodeSeen("hv3", replace(record, fencing=Fencing(FenceMethod.ipmi, reset_s=reset_s)), 7))
        assert triggers(core.on(e.PowerRead("hv3", ticket, Power.silent))) == moves


def test_a_node_that_was_stopped_may_have_disarmed_its_watchdog():
    core = working()
    core.on(e.PowerRead("hv3", lost(core), Power.silent))
    (wait,) = [name for name in waits(guarded(core, daemon=Daemon.stop)) if "reset" in name]
    assert fires(core.on(e.Due(wait))) == []
    assert "prove" not in triggers(core.on(e.Due("hv3 absent 1 long")))


@pytest.mark.parametrize("state", [Domain.start, Domain.boot, Domain.restart, Domain.destroy, Domain.migrate])
def test_what_a_dead_node_owned_is_recovered_once_there_is_room_in_whatever_state_it_was(state):
    core = working()
    full = {name: NodeStats(memory_free_mib=100) for name in ("hv1", "hv2")}
    core.on(e.Measured(full))
    lost(core)
    held(core, Fence.proven, Daemon.fenced)
    phase = Migration.asked if state is Domain.migrate else Migration.none
    known = vm(state, owner="hv3", target="hv2" if state is Domain.migrate else None, phase=phase)
    core.on(e.Measured(full))
    assert triggers(core.on(e.DomainSeen(UUID, known, 9))) == []
    core.on(e.Due("hv1 measured"))
    assert measures(core.on(e.StatsSeen(NodeStats(memory_free_mib=100)))) == [("hv1", "hv2")]
    assert triggers(core.on(e.Measured(full | {"hv2": NodeStats(memory_free_mib=4000)}))) == ["recover"]


@pytest.mark.parametrize("selector", Selector)
def test_what_a_dead_node_owned_is_spread_over_those_that_are_left(selector):
    """All of it is decided in one look, when none of it is written yet."""
    core = working()
    lost(core)
    for uuid in (UUID[:-1] + digit for digit in "123456"):
        core.on(e.DomainSeen(uuid, replace(vm(owner="hv3", home="hv3"), uuid=uuid, policy=Policy(selector=selector)), 3))
    core.on(e.DomainSeen(UUID, None, 4))
    core.on(e.Measured({name: NodeStats(memory_free_mib=64000, load=1.0) for name in ("hv1", "hv2")}))
    targets = [answer.move.view.choice for answer in fires(held(core, Fence.proven, Daemon.fenced)) if answer.move.row.trigger == "recover"]
    assert sorted(targets) == ["hv1"] * 3 + ["hv2"] * 3
