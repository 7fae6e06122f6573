"""The Core by itself: events in, answers out."""

from dataclasses import replace

import pytest

from pvc.cluster.records import ClusterConfig, DomainRecord, FenceMethod, Fencing, Hold, NodeRecord, NodeStats, Policy, Unreadable
from pvc.core import events as e
from pvc.core.core import Core
from pvc.core.settings import Settings
from pvc.fsm.states import Daemon, Domain, Effect, Fence, Flush, Guest, Job, Migration, Power, Request, Want
from pvc.fsm.views import Life, NodeLife

UUID = "00000000-0000-4000-8000-000000000000"
CONFIG = ClusterConfig("11111111-1111-4111-8111-111111111111", "test")


def node(name, daemon=Daemon.run, **life):
    return NodeRecord(name, NodeLife(daemon, **life), boot=f"boot of {name}", fencing=Fencing(FenceMethod.ipmi))


def vm(state=Domain.start, want=Want.start, **life):
    return DomainRecord(UUID, "web", "g1", Life(state, want, **({"home": "hv1"} | life)), memory_mib=1024, vcpus=1)


def fires(answers):
    return [answer for answer in answers if isinstance(answer, e.Fire)]


def measures(answers):
    return [answer.nodes for answer in answers if isinstance(answer, e.Measure)]


def waits(answers):
    return {answer.wait: answer.seconds for answer in answers if isinstance(answer, e.Wait)}


def connected(names=("hv1", "hv2", "hv3"), alive=None):
    """A Core that has connected and read the nodes, but has not been told that this is all."""
    core = Core("hv1")
    for event in (e.Opened(), e.Connected(new_session=True), e.ConfigSeen(CONFIG, 1), e.Inventory({})):
        assert not fires(core.on(event))
    core.on(e.AliveSeen(frozenset(names if alive is None else alive)))
    for name in names:
        core.on(e.NodeSeen(name, node(name), 5))
    return core


def working(names=("hv1", "hv2", "hv3")):
    """A Core that has joined and works."""
    core = connected(names)
    join = fires(core.on(e.Synced()))[0]
    core.on(e.Fired(join.ticket, e.Result.written))
    core.on(e.NodeSeen("hv1", node("hv1"), 6))
    core.on(e.Measured({}))
    return core


def test_nothing_is_decided_before_everything_was_read():
    core = connected()
    assert fires(core.on(e.DomainSeen(UUID, vm(owner="hv1"), 3))) == []
    assert [answer.move.row.trigger for answer in fires(core.on(e.Synced()))] == ["join"]


def test_nothing_is_decided_while_disconnected_and_all_is_read_again_afterwards():
    core = working()
    core.on(e.Disconnected())
    assert fires(core.on(e.DomainSeen(UUID, vm(Domain.place, target="hv1"), 1))) == []
    core.on(e.Connected(new_session=False))
    assert fires(core.on(e.GuestSeen(UUID, Guest.absent))) == []
    assert [answer.move.row.trigger for answer in fires(core.on(e.Synced()))] == ["claim"]


def test_a_daemon_that_has_not_joined_decides_nothing_about_others():
    core = connected(alive=("hv1", "hv2"))
    core.on(e.DomainSeen(UUID, vm(owner="hv3"), 3))
    assert {answer.key for answer in fires(core.on(e.Synced()))} == {"node hv1"}


def test_one_transition_at_a_time_and_its_orders_are_a_job_until_they_end():
    core = working()
    claim = fires(core.on(e.DomainSeen(UUID, vm(Domain.place, target="hv1"), 1)))[0]
    assert claim.version == 1
    assert fires(core.on(e.GuestSeen(UUID, Guest.absent))) == []
    core.on(e.Fired(claim.ticket, e.Result.written))
    assert fires(core.on(e.DomainSeen(UUID, vm(Domain.boot, owner="hv1", epoch=1), 2))) == []
    done = fires(core.on(e.JobDone(UUID, Job.create, Guest.running)))
    assert [answer.move.row.trigger for answer in done] == ["started"]


def test_what_the_hypervisor_said_of_a_failure_is_told_once_with_what_follows():
    core = working()

    def claimed(answers, version):
        claim = fires(answers)[0]
        core.on(e.Fired(claim.ticket, e.Result.written))
        core.on(e.DomainSeen(UUID, vm(Domain.boot, owner="hv1", epoch=version), version))

    claimed(core.on(e.DomainSeen(UUID, vm(Domain.place, target="hv1"), 1)), 2)
    ended = fires(core.on(e.JobDone(UUID, Job.create, Guest.absent, "no such machine type")))[0]
    assert ended.move.row.trigger == "ended"
    assert ended.why == f"{ended.move.row.why} The hypervisor said: no such machine type"
    core.on(e.Fired(ended.ticket, e.Result.written))

    claimed(core.on(e.DomainSeen(UUID, vm(Domain.place, target="hv1"), 3)), 4)
    started = fires(core.on(e.JobDone(UUID, Job.create, Guest.running)))[0]
    core.on(e.Fired(started.ticket, e.Result.written))
    core.on(e.DomainSeen(UUID, vm(owner="hv1", epoch=4), 5))
    died = fires(core.on(e.GuestSeen(UUID, Guest.absent)))[0]
    assert (died.move.row.trigger, died.why) == ("ended", "")


@pytest.mark.parametrize("restarts", [0, 3, 5])
def test_a_start_whose_end_nobody_heard_is_no_failure(restarts):
    core = working()
    answers = core.on(e.DomainSeen(UUID, vm(Domain.place, target="hv1", restarts=restarts), 1))
    answers = core.on(e.Due(next(iter(waits(answers))))) if restarts else answers
    claim = fires(answers)[0]
    core.on(e.Fired(claim.ticket, e.Result.written))
    core.on(e.HypervisorLost())
    assert fires(core.on(e.DomainSeen(UUID, vm(Domain.boot, owner="hv1", epoch=1, restarts=restarts), 2))) == []
    (ended,) = (answer for answer in fires(core.on(e.Inventory({}))) if answer.key == f"domain {UUID}")
    assert (ended.move.row.trigger, ended.move.row.dest, core.rules.after(ended.move).restarts) == ("ended", Domain.place, restarts)
    assert "no failure" in ended.why


@pytest.mark.parametrize(("unheard", "restarts", "trigger"), [(2, 4, "ended"), (3, 4, "ended"), (3, 5, "give_up")])
def test_a_start_that_ends_unheard_again_and_again_is_a_failure_after_all(unheard, restarts, trigger):
    """It may be this very start that ends libvirt, on every node that tries it."""
    core = working()
    record = replace(vm(Domain.boot, owner="hv1", epoch=1, restarts=restarts), unheard=unheard)
    core.on(e.HypervisorLost())
    core.on(e.DomainSeen(UUID, record, 2))
    (ended,) = (answer for answer in fires(core.on(e.Inventory({}))) if answer.key == f"domain {UUID}")
    assert ended.move.row.trigger == trigger
    counted = unheard >= 3
    if trigger == "ended":
        assert core.rules.after(ended.move).restarts == restarts + counted
    assert ("Libvirt went away in 4 starts of it in a row" in ended.why) is counted


def test_a_guest_that_died_while_its_hypervisor_was_away_has_failed():
    core = working()
    core.on(e.GuestSeen(UUID, Guest.running))
    core.on(e.DomainSeen(UUID, vm(owner="hv1"), 2))
    core.on(e.HypervisorLost())
    (ended,) = (answer for answer in fires(core.on(e.Inventory({}))) if answer.key == f"domain {UUID}")
    assert core.rules.after(ended.move).restarts == 1


@pytest.mark.parametrize("result", [e.Result.refused, e.Result.lost])
def test_what_was_not_written_is_read_again_before_it_is_decided_again(result):
    core = working()
    claim = fires(core.on(e.DomainSeen(UUID, vm(Domain.place, target="hv1"), 1)))[0]
    assert core.on(e.Fired(claim.ticket, result)) == [e.Reread(f"domain {UUID}")]
    assert fires(core.on(e.GuestSeen(UUID, Guest.absent))) == []
    assert fires(core.on(e.DomainSeen(UUID, vm(Domain.place, target="hv1"), 2)))[0].version == 2


def test_a_refusal_that_the_record_does_not_explain_is_retried_a_little_later():
    core = working()
    record = vm(Domain.place, target="hv1")
    claim = fires(core.on(e.DomainSeen(UUID, record, 1)))[0]
    core.on(e.Fired(claim.ticket, e.Result.refused))
    again = core.on(e.DomainSeen(UUID, record, 1))
    assert (fires(again), waits(again)) == ([], {f"domain {UUID} again": Settings().retry_s})
    assert len(fires(core.on(e.Due(f"domain {UUID} again")))) == 1


def test_a_reading_that_was_asked_for_under_an_earlier_claim_counts_for_nothing():
    core = working()
    core.on(e.DomainSeen(UUID, vm(owner="hv3"), 3))
    suspect = next(answer for answer in fires(core.on(e.AliveSeen(frozenset({"hv1", "hv2"})))) if answer.key == "node hv3")
    core.on(e.Fired(suspect.ticket, e.Result.written))
    core.on(e.NodeSeen("hv3", node("hv3", fence=Fence.evidence, by="hv1"), 7))
    assert fires(core.on(e.PowerRead("hv3", suspect.ticket + 100, Power.off))) == []
    assert [answer.move.row.trigger for answer in fires(core.on(e.PowerRead("hv3", suspect.ticket, Power.off)))] == ["prove"]


def test_a_wait_of_a_state_that_is_over_changes_nothing():
    core = working()
    core.on(e.GuestSeen(UUID, Guest.running))
    first = core.on(e.DomainSeen(UUID, vm(Domain.shutdown, Want.shutdown, owner="hv1"), 1))
    asked = fires(first)[0]
    assert asked.move.row.effects == (Effect.shutdown,)
    core.on(e.Fired(asked.ticket, e.Result.written))
    old = next(iter(waits(first)))
    core.on(e.DomainSeen(UUID, vm(Domain.restart, owner="hv1"), 2))
    assert fires(core.on(e.Due(old))) == []


def test_a_node_is_not_flushed_while_libvirt_says_nothing():
    core = working()
    core.on(e.HypervisorLost())
    assert fires(core.on(e.NodeSeen("hv1", node("hv1", flush=Flush.flush), 9))) == []
    assert [asked.move.row.trigger for asked in fires(core.on(e.Inventory({}, {}, frozenset())))] == ["flushed"]


def test_a_node_is_not_flushed_while_nobody_knows_what_became_of_its_guest():
    """Libvirt was lost while it dropped a copy: a job that is over says nothing of the copy."""
    core = working()
    core.on(e.Inventory({UUID: Guest.held}, {}, frozenset({UUID})))
    core.on(e.NodeSeen("hv1", node("hv1", flush=Flush.flush), 9))
    core.on(e.DomainSeen(UUID, vm(Domain.start, owner="hv2"), 1))
    assert "flushed" not in [asked.move.row.trigger for asked in fires(core.on(e.JobDone(UUID, Job.destroy, Guest.unknown)))]
    assert "flushed" in [asked.move.row.trigger for asked in fires(core.on(e.GuestSeen(UUID, Guest.absent)))]


def test_a_record_that_cannot_be_read_is_said_and_left_alone_and_counts_for_the_flush():
    core = working()
    answers = core.on(e.DomainSeen(UUID, Unreadable("/domains/x", "it is no JSON", b"?"), 1))
    assert any(isinstance(answer, e.Say) and "/domains/x" in answer.sentence for answer in answers)
    assert fires(answers) == []
    assert core.known.own().holds == (UUID,)
    assert core.known.concerns("hv2")


def test_a_guest_that_nobody_sees_is_unknown_and_nothing_follows_from_it():
    core = working()
    core.on(e.GuestSeen(UUID, Guest.running))
    core.on(e.DomainSeen(UUID, vm(owner="hv1"), 1))
    core.on(e.HypervisorLost())
    assert fires(core.on(e.DomainSeen(UUID, vm(owner="hv1", restarts=1), 2))) == []
    ended = fires(core.on(e.Inventory({})))
    assert [answer.move.row.trigger for answer in ended] == ["ended"]


def test_an_inventory_ends_a_job_that_nobody_reported():
    core = working()
    claim = fires(core.on(e.DomainSeen(UUID, vm(Domain.place, target="hv1"), 1)))[0]
    core.on(e.Fired(claim.ticket, e.Result.written))
    core.on(e.HypervisorLost())
    core.on(e.DomainSeen(UUID, vm(Domain.boot, owner="hv1", epoch=1), 2))
    assert fires(core.on(e.Inventory({UUID: Guest.running}, {UUID: Job.create}))) == []
    started = fires(core.on(e.Inventory({UUID: Guest.running})))
    assert [answer.move.row.trigger for answer in started] == ["started"]


def test_home_comes_first_among_those_that_fit():
    core = working()
    core.on(e.Measured({"hv1": NodeStats(memory_free_mib=2000)}))
    core.on(e.Measured({"hv2": NodeStats(memory_free_mib=9000)}))
    assert core.known.ranking(vm(owner="hv3")).fits[0] == "hv1"


def test_sigterm_leaves_once_and_does_not_join_again():
    core = working()
    leave = fires(core.on(e.StopAsked()))
    assert [answer.move.row.trigger for answer in leave] == ["leave"]
    core.on(e.Fired(leave[0].ticket, e.Result.written))
    assert fires(core.on(e.NodeSeen("hv1", node("hv1", Daemon.stop), 7))) == []


def braked(core, config=CONFIG, old=True):
    core.on(e.ConfigSeen(config, 2))
    core.known.session_is_old = old
    core.on(e.DomainSeen(UUID, vm(owner="hv3"), 3))
    core.on(e.AliveSeen(frozenset({"hv1", "hv2"})))
    return core.known.brake("hv3")


def test_nothing_brakes_a_shot_at_a_lost_node_that_owns_a_vm():
    assert braked(working()) == ""


@pytest.mark.parametrize(
    ("reason", "brake"),
    [
        ("holds the cluster", lambda core: braked(core, replace(CONFIG, hold=Hold(True, "ann", "switch work")))),
        ("full dead time", lambda core: braked(core, old=False)),
        ("no VM names hv2", lambda core: braked(core) or core.known.brake("hv2")),
    ],
)
def test_a_brake_says_why(reason, brake):
    assert reason in brake(working())


def test_a_minority_never_shoots():
    core = working(("hv1", "hv2"))
    core.known.session_is_old = True
    core.on(e.DomainSeen(UUID, vm(owner="hv2"), 3))
    core.on(e.AliveSeen(frozenset({"hv1"})))
    assert "majority" in core.known.brake("hv2")


def test_a_node_that_was_never_seen_alive_has_its_grace():
    core = connected(alive=("hv1", "hv2"))
    core.known.session_is_old = True
    core.on(e.DomainSeen(UUID, vm(owner="hv3"), 3))
    assert "may be booting" in core.known.brake("hv3")
    core.on(e.Due("hv3 grace"))
    assert "may be booting" not in core.known.brake("hv3")


def test_a_vm_that_failed_twice_here_is_tried_elsewhere():
    core = working()
    core.on(e.Measured({"hv2": NodeStats(memory_free_mib=9000)}))
    core.on(e.GuestSeen(UUID, Guest.absent))
    for restarts, target in ((0, "hv1"), (2, "hv2")):
        ended = fires(core.on(e.DomainSeen(UUID, vm(owner="hv1", restarts=restarts), 10 + restarts)))[0]
        assert ended.move.view.choice == target
        core.on(e.Fired(ended.ticket, e.Result.lost))


def test_a_flushed_node_and_one_without_room_are_unfit_with_their_reasons():
    core = working()
    core.on(e.NodeSeen("hv2", node("hv2", flush=Flush.flushed), 9))
    core.on(e.Measured({"hv3": NodeStats(memory_free_mib=512)}))
    ranking = core.known.ranking(vm(owner="hv1"))
    assert ranking.fits == ("hv1",)
    assert dict(ranking.unfit) == {"hv2": "it is flushed", "hv3": "it has 512 MiB free, web needs 1024 MiB"}


def test_a_policy_names_the_nodes_that_are_allowed():
    core = working()
    record = replace(vm(owner="hv1"), policy=Policy(nodes=("hv1", "hv3")))
    assert core.known.ranking(record).fits == ("hv1", "hv3")


def test_a_node_is_chosen_by_fresh_statistics():
    core = working()
    core.on(e.Due("hv1 measured"))
    core.on(e.GuestSeen(UUID, Guest.absent))
    answers = core.on(e.DomainSeen(UUID, vm(owner="hv1"), 1))
    assert (fires(answers), measures(answers)) == ([], [("hv1", "hv2", "hv3")])
    assert measures(core.on(e.DomainSeen(UUID, vm(owner="hv1", restarts=1), 2))) == []  # they are being read
    assert [answer.move.row.trigger for answer in fires(core.on(e.Measured({})))] == ["ended"]


def test_what_is_claimed_counts_before_it_is_measured():
    core = working()
    core.on(e.StatsSeen(NodeStats(tick=1, memory_free_mib=1500)))
    other = replace(vm(Domain.boot, owner="hv1"), uuid=UUID.replace("0", "1"))
    core.on(e.DomainSeen(other.uuid, other, 1))
    answers = fires(core.on(e.DomainSeen(UUID, vm(Domain.place, target="hv1"), 1)))
    assert [answer.move.row.trigger for answer in answers] == ["replace"]


def test_of_two_vms_that_were_promised_the_same_room_one_is_claimed():
    core = working()
    core.on(e.StatsSeen(NodeStats(tick=1, memory_free_mib=1500)))
    first, second = UUID, UUID.replace("0", "1")
    core.on(e.DomainSeen(second, replace(vm(Domain.place, target="hv1"), uuid=second), 1))
    found = fires(core.on(e.DomainSeen(first, vm(Domain.place, target="hv1"), 1)))
    assert [(answer.key, answer.move.row.trigger) for answer in found] == [(f"domain {first}", "claim")]


def test_a_vm_that_waits_for_room_elsewhere_holds_up_no_node_that_takes_vms_again():
    core = working()
    own = replace(node("hv1"), life=NodeLife(Daemon.run, Flush.unflush))
    core.on(e.Due("hv1 measured"))
    core.on(e.DomainSeen(UUID, vm(Domain.place, target="hv2"), 1))
    assert [answer.move.row.trigger for answer in fires(core.on(e.NodeSeen("hv1", own, 7)))] == ["called"]


def test_a_vm_that_comes_back_is_passed_on_again_only_by_newer_statistics():
    core = working()
    core.on(e.StatsSeen(NodeStats(tick=1, memory_free_mib=100)))
    first = fires(core.on(e.DomainSeen(UUID, vm(Domain.place, target="hv1"), 1)))[0]
    core.on(e.Fired(first.ticket, e.Result.written))
    core.on(e.DomainSeen(UUID, vm(Domain.place, target="hv2"), 2))
    core.on(e.DomainSeen(UUID, None))  # it is in the index of this node no more
    assert not fires(core.on(e.DomainSeen(UUID, vm(Domain.place, target="hv1"), 3)))
    assert measures(core.on(e.Due("hv1 measured")))
    assert [answer.move.row.trigger for answer in fires(core.on(e.Measured({})))] == ["replace"]


def test_the_record_of_every_guest_here_is_watched_whatever_the_index_says():
    core = working()
    assert e.Attend(frozenset({UUID})) in core.on(e.GuestSeen(UUID, Guest.running))
    suspend = fires(core.on(e.DomainSeen(UUID, vm(owner="hv2"), 1)))
    assert [answer.move.row.trigger for answer in suspend] == ["suspend_stray"]
    assert e.Attend(frozenset()) in core.on(e.GuestSeen(UUID, Guest.absent))


def test_a_guest_that_has_no_record_and_was_never_claimed_is_left_alone():
    core = working()
    core.on(e.GuestSeen(UUID, Guest.held))
    assert fires(core.on(e.DomainSeen(UUID, None))) == []
    assert core.known.own().holds == ()


def test_a_copy_that_this_node_admitted_goes_when_its_record_is_gone():
    core = working()
    core.on(e.Inventory({UUID: Guest.held}, claimed=frozenset({UUID})))
    assert [answer.move.row.trigger for answer in fires(core.on(e.DomainSeen(UUID, None)))] == ["discard_copy"]


def test_a_flush_moves_only_so_many_guests_at_a_time():
    core = working()
    core.on(e.NodeSeen("hv1", node("hv1", flush=Flush.flush), 7))
    moves = []
    for number in range(4):
        uuid = UUID[:-1] + str(number)
        core.on(e.GuestSeen(uuid, Guest.running))
        found = fires(core.on(e.DomainSeen(uuid, replace(vm(owner="hv1"), uuid=uuid), 1)))
        moves += found
        if found:
            going = replace(vm(Domain.migrate, owner="hv1", target="hv2", phase=Migration.asked), uuid=uuid)
            core.on(e.Fired(found[0].ticket, e.Result.written))
            core.on(e.DomainSeen(uuid, going, 2))
    assert len(moves) == 2
    first = moves[0].key.split()[1]
    core.on(e.GuestSeen(first, Guest.absent))
    done = fires(core.on(e.DomainSeen(first, replace(vm(owner="hv2"), uuid=first), 3)))
    assert [answer.move.row.trigger for answer in done if answer.key.startswith("domain")] == ["evacuate"]


def test_a_job_in_flight_is_not_forgotten_with_the_record():
    """One index loses a VM before another has it: the record seems to be gone for a moment, and the guest is being created."""
    core = working()
    (claim,) = fires(core.on(e.DomainSeen(UUID, vm(Domain.place, target="hv1"), 1)))
    core.on(e.Fired(claim.ticket, e.Result.written))
    core.on(e.DomainSeen(UUID, vm(Domain.boot, owner="hv1"), 2))
    core.on(e.DomainSeen(UUID, None))
    assert fires(core.on(e.DomainSeen(UUID, vm(Domain.boot, owner="hv1"), 2))) == []
    assert core.known.domains[UUID].job is Job.create


@pytest.mark.parametrize(
    ("life", "awaited"),
    [
        ({"state": Domain.migrate, "owner": "hv1", "target": "hv2", "phase": Migration.moving}, True),
        ({"state": Domain.migrate, "owner": "hv2", "target": "hv1", "phase": Migration.moving}, False),
        ({"state": Domain.boot, "owner": "hv2"}, True),
        ({"state": Domain.restart, "owner": "hv1", "target": "hv2"}, True),
        ({"state": Domain.restart, "owner": "hv1"}, False),
        ({"state": Domain.restart, "owner": "hv2", "target": "hv1"}, False),
        ({"state": Domain.place, "target": "hv2"}, True),
        ({"state": Domain.place, "target": "hv9"}, False),
        ({"state": Domain.place, "target": "hv1"}, False),
        ({"state": Domain.start, "owner": "hv2", "request": Request.home}, False),
        ({"state": Domain.start, "owner": "hv1"}, False),
    ],
)
def test_a_node_that_calls_home_waits_for_those_that_are_about_to_be_away(life, awaited):
    core = working()
    core.on(e.NodeSeen("hv1", node("hv1", flush=Flush.unflush), 7))
    core.on(e.DomainSeen(UUID, vm(**life), 1))
    assert core.known.own().uncalled == (("web",) if awaited else ())


def test_a_guest_that_does_not_go_is_asked_again_after_a_while():
    core = working()
    core.on(e.GuestSeen(UUID, Guest.running))
    (ask,) = fires(core.on(e.DomainSeen(UUID, vm(Domain.shutdown, Want.shutdown, owner="hv1"), 1)))
    core.on(e.Fired(ask.ticket, e.Result.written))
    answers = core.on(e.JobDone(UUID, Job.shutdown, Guest.running))
    assert (fires(answers), waits(answers)[f"{UUID} ask"]) == ([], Settings().ask_again_s)
    assert [answer.move.row.trigger for answer in fires(core.on(e.Due(f"{UUID} ask")))] == ["ask_again"]
    core.on(e.GuestSeen(UUID, Guest.absent))
    assert fires(core.on(e.Due(f"{UUID} ask"))) == []
