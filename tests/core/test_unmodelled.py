"""What the checker leaves out of its models, asked of the Core: policies, strays, waits that count, the ways of a fence device."""

from dataclasses import replace

import pytest

from pvc.cluster.records import Method, OnPoweroff, Policy
from pvc.core import events as e
from pvc.core.settings import Settings
from pvc.fsm.states import Daemon, Domain, Effect, Fence, Flush, Guest, Job, Migration, Power, Request, Want
from tests.core.test_core import UUID, connected, fires, node, vm, waits, working


def triggers(answers, key=f"domain {UUID}"):
    """What is fired about one object, and where it leads."""
    return [(fire.move.row.trigger, fire.move.row.dest) for fire in fires(answers) if fire.key == key]


def seen(core, record, version=1):
    """What the Core fires when it reads this record."""
    return triggers(core.on(e.DomainSeen(UUID, record, version)))


# ---- policies


@pytest.mark.parametrize(
    ("method", "fired"),
    [(Method.live, [("evacuate", Domain.migrate)]), (Method.cold, [("relocate", Domain.restart)]), (Method.none, [])],
)
def test_a_vm_leaves_a_flushed_node_in_the_way_of_its_policy_or_stays(method, fired):
    core = working()
    core.on(e.NodeSeen("hv1", node("hv1", flush=Flush.flush), 7))
    core.on(e.GuestSeen(UUID, Guest.running))
    assert seen(core, replace(vm(owner="hv1"), policy=Policy(migration=method))) == fired


@pytest.mark.parametrize(
    ("method", "fired"), [(Method.live, [("call_home", None)]), (Method.cold, [("call_home", None)]), (Method.none, [])]
)
def test_only_a_vm_that_may_leave_its_node_is_called_home_and_waited_for(method, fired):
    core = working()
    core.on(e.NodeSeen("hv1", node("hv1", flush=Flush.unflush), 7))
    assert seen(core, replace(vm(owner="hv2"), policy=Policy(migration=method))) == fired
    assert bool(core.known.own().uncalled) == bool(fired)


def test_a_node_is_ready_when_all_its_vms_are_called():
    core = working()
    core.on(e.DomainSeen(UUID, vm(owner="hv2"), 1))
    calling = core.on(e.NodeSeen("hv1", node("hv1", flush=Flush.unflush), 7))
    assert (triggers(calling, "node hv1"), triggers(calling)) == ([], [("call_home", None)])
    assert triggers(core.on(e.DomainSeen(UUID, vm(owner="hv2", request=Request.home), 2)), "node hv1") == [("called", Flush.ready)]


@pytest.mark.parametrize(
    ("method", "fired"),
    [(Method.live, [("go_home", Domain.migrate)]), (Method.cold, [("go_home", Domain.restart)]), (Method.none, [])],
)
def test_a_vm_answers_its_home_in_the_way_of_its_policy_or_stays(method, fired):
    """Also where the policy is younger than the call."""
    core = working()
    core.on(e.GuestSeen(UUID, Guest.running))
    away = replace(vm(owner="hv1", request=Request.home), policy=Policy(migration=method))
    assert seen(core, replace(away, life=replace(away.life, home="hv2"))) == fired


@pytest.mark.parametrize(
    ("on_poweroff", "by_itself", "fired"),
    [
        (OnPoweroff.stay, True, ("ended", Domain.stop)),
        (OnPoweroff.stay, False, ("ended", Domain.place)),
        (OnPoweroff.restart, True, ("ended", Domain.place)),
    ],
)
def test_a_guest_that_powers_itself_off_stays_off_where_its_policy_says_so(on_poweroff, by_itself, fired):
    core = working()
    core.on(e.GuestSeen(UUID, Guest.running))
    core.on(e.DomainSeen(UUID, replace(vm(owner="hv1"), policy=Policy(on_poweroff=on_poweroff)), 1))
    assert triggers(core.on(e.GuestSeen(UUID, Guest.absent, by_itself=by_itself))) == [fired]


def test_a_vm_that_was_shut_down_to_be_started_elsewhere_goes_where_it_was_told():
    core = working()
    ended = fires(core.on(e.DomainSeen(UUID, vm(Domain.restart, owner="hv1", target="hv3"), 1)))
    assert [(fire.move.row.trigger, fire.move.row.dest) for fire in ended] == [("again", Domain.place)]
    assert core.rules.after(ended[0].move).target == "hv3"


# ---- guests that nobody expects


@pytest.mark.parametrize("guest", [Guest.running, Guest.paused])
@pytest.mark.parametrize("state", [Domain.stop, Domain.disable, Domain.failed, Domain.place])
def test_a_guest_that_nobody_owns_is_a_conflict(state, guest):
    core = working()
    core.on(e.GuestSeen(UUID, guest))
    target = "hv2" if state is Domain.place else None
    assert seen(core, vm(state, Want.stop, target=target)) == [("collide", Domain.conflict)]


def test_a_stray_is_suspended_and_dropped_once_the_owner_runs_the_guest():
    core = working()
    core.on(e.GuestSeen(UUID, Guest.running))
    (suspend,) = fires(core.on(e.DomainSeen(UUID, vm(Domain.boot, owner="hv2"), 1)))
    assert suspend.move.row.effects == (Effect.suspend,)
    core.on(e.Fired(suspend.ticket, e.Result.written))
    assert triggers(core.on(e.JobDone(UUID, Job.suspend, Guest.paused))) == []
    (drop,) = fires(core.on(e.DomainSeen(UUID, vm(owner="hv2"), 2)))
    assert drop.move.row.effects == (Effect.discard,)


def test_a_suspended_guest_that_an_admin_keeps_is_resumed():
    core = working()
    core.on(e.GuestSeen(UUID, Guest.paused))
    (resume,) = fires(core.on(e.DomainSeen(UUID, vm(Domain.boot, owner="hv1"), 1)))
    assert resume.move.row.effects == (Effect.resume,)
    core.on(e.Fired(resume.ticket, e.Result.written))
    assert triggers(core.on(e.JobDone(UUID, Job.resume, Guest.running))) == [("started", Domain.start)]


@pytest.mark.parametrize(("guest", "fired"), [(Guest.paused, []), (Guest.absent, [("accept", Migration.accepted)])])
def test_a_node_with_a_suspended_stray_of_a_vm_does_not_accept_it(guest, fired):
    core = working()
    core.on(e.GuestSeen(UUID, guest))
    assert seen(core, vm(Domain.migrate, owner="hv2", target="hv1", phase=Migration.asked)) == fired


@pytest.mark.parametrize(("want", "state"), [(Want.stop, Domain.stop), (Want.disable, Domain.disable), (Want.start, Domain.place)])
def test_a_conflict_ends_as_is_wanted_when_its_guest_is_gone_or_its_node_is_proven_off(want, state):
    core = working()
    core.on(e.GuestSeen(UUID, Guest.running))
    assert seen(core, vm(Domain.conflict, want, target="hv1")) == []
    assert triggers(core.on(e.GuestSeen(UUID, Guest.absent))) == [("cleared", state)]
    core = working()
    assert seen(core, vm(Domain.conflict, want, target="hv3")) == []
    core.on(e.AliveSeen(frozenset({"hv1", "hv2"})))
    fenced = core.on(e.NodeSeen("hv3", node("hv3", Daemon.fenced, fence=Fence.proven, by="hv1"), 9))
    assert triggers(fenced) == [("cleared", state)]


@pytest.mark.parametrize(
    "record",
    [
        vm(want=Want.shutdown, owner="hv1"),
        vm(owner="hv1", request=Request.restart),
        replace(vm(owner="hv1"), policy=Policy(migration=Method.cold)),
        vm(owner="hv1"),
    ],
)
def test_a_guest_that_libvirt_paused_is_left_alone_until_it_is_wanted_off_at_once(record):
    core = working()
    core.on(e.NodeSeen("hv1", node("hv1", flush=Flush.flush), 7))
    core.on(e.GuestSeen(UUID, Guest.paused))
    assert seen(core, record) == []
    assert seen(core, vm(want=Want.stop, owner="hv1"), 2) == [("halt", Domain.destroy)]


# ---- waits that count


def test_a_vm_that_failed_waits_before_it_is_claimed_again():
    core = working()
    answers = core.on(e.DomainSeen(UUID, vm(Domain.place, target="hv1", restarts=2), 1))
    assert triggers(answers) == []
    (wait,) = (wait for wait in waits(answers) if wait.startswith(UUID))
    assert triggers(core.on(e.Due(wait))) == [("claim", Domain.boot)]


@pytest.mark.parametrize(("state", "want", "job"), [(Domain.shutdown, Want.shutdown, Job.shutdown), (Domain.destroy, Want.stop, Job.none)])
def test_a_guest_has_its_time_before_its_power_is_cut_and_cut_again(state, want, job):
    core = working()
    core.on(e.GuestSeen(UUID, Guest.running))
    core.known.domains[UUID].job = job
    answers = core.on(e.DomainSeen(UUID, vm(state, want, owner="hv1"), 1))
    assert triggers(answers) == []
    (wait,) = (wait for wait in waits(answers) if wait.startswith(UUID))
    (cut,) = fires(core.on(e.Due(wait)))
    assert (cut.move.row.trigger, cut.move.row.effects) == ("overdue", (Effect.destroy,))


def test_failures_are_forgotten_after_a_while_and_not_before():
    core = working()
    core.on(e.GuestSeen(UUID, Guest.running))
    answers = core.on(e.DomainSeen(UUID, vm(owner="hv1", restarts=2), 1))
    assert triggers(answers) == []
    ((wait, seconds),) = ((wait, seconds) for wait, seconds in waits(answers).items() if wait.startswith(UUID))
    assert seconds == Settings().steady_s
    assert triggers(core.on(e.Due(wait))) == [("forget", None)]


# ---- nodes and fences


def test_a_node_takes_work_only_when_its_guests_are_counted():
    core = connected()
    core.on(e.HypervisorLost())
    (join,) = fires(core.on(e.Synced()))
    core.on(e.Fired(join.ticket, e.Result.written))
    joined = core.on(e.NodeSeen("hv1", node("hv1", Daemon.init), 6))
    assert triggers(joined, "node hv1") == []
    assert triggers(core.on(e.Inventory({})), "node hv1") == [("ready", Daemon.run)]


def test_a_node_that_was_stopped_cleanly_and_that_no_vm_names_is_not_even_suspected():
    core = working()
    core.on(e.NodeSeen("hv3", node("hv3", Daemon.stop), 7))
    assert triggers(core.on(e.AliveSeen(frozenset({"hv1", "hv2"}))), "node hv3") == []
    assert triggers(core.on(e.DomainSeen(UUID, vm(owner="hv3"), 3)), "node hv3") == [("suspect", Fence.evidence)]


@pytest.mark.parametrize("daemon", [Daemon.init, Daemon.run])
def test_a_node_that_went_without_a_word_is_suspected_although_no_vm_names_it(daemon):
    core = working()
    core.on(e.NodeSeen("hv3", node("hv3", daemon), 7))
    assert triggers(core.on(e.AliveSeen(frozenset({"hv1", "hv2"}))), "node hv3") == [("suspect", Fence.evidence)]


def test_a_node_that_was_lost_before_this_daemon_began_is_followed_like_any_other():
    core = connected(names=("hv1", "hv2"))
    assert e.Follow("hv3") in core.on(e.NodeSeen("hv3", node("hv3", Daemon.stop), 1))


def fencing(fence, daemon):
    """A Core that holds the fence of hv3, which a VM names, and has asked for its power; the answer to give, and the events it led to."""
    core = working()
    core.known.session_is_old = True
    core.on(e.DomainSeen(UUID, vm(owner="hv3"), 3))
    core.on(e.AliveSeen(frozenset({"hv1", "hv2"})))
    ticket = next(ticket for ticket, (key, _) in core.asked.items() if key == "node hv3")
    core.on(e.Fired(ticket, e.Result.written))
    answers = core.on(e.NodeSeen("hv3", node("hv3", daemon, fence=fence, by="hv1"), 7))
    return core, ticket, answers


@pytest.mark.parametrize(
    ("daemon", "fence"),
    [(Daemon.run, Fence.evidence), (Daemon.dead, Fence.throws), (Daemon.fencing, Fence.shot), (Daemon.unfenced, Fence.failed)],
)
def test_who_holds_a_fence_recovers_nothing_before_the_proof(daemon, fence):
    core, _, answers = fencing(fence, daemon)
    assert triggers(answers) == []
    proven = core.on(e.NodeSeen("hv3", node("hv3", Daemon.fenced, fence=Fence.proven, by="hv1"), 8))
    assert triggers(proven) == [("recover", Domain.place)]


def test_a_fence_whose_device_is_silent_is_passed_on():
    core, ticket, _ = fencing(Fence.evidence, Daemon.run)
    assert triggers(core.on(e.PowerRead("hv3", ticket, Power.silent)), "node hv3") == [("pass_on", None)]


def test_a_fence_is_left_to_its_holder_while_that_works():
    core = working()
    core.on(e.DomainSeen(UUID, vm(owner="hv3"), 3))
    core.on(e.AliveSeen(frozenset({"hv1", "hv2"})))
    core.on(e.Fired(next(iter(core.asked)), e.Result.lost))
    held = core.on(e.NodeSeen("hv3", node("hv3", fence=Fence.evidence, by="hv2"), 7))
    assert triggers(held, "node hv3") == []
    assert triggers(core.on(e.AliveSeen(frozenset({"hv1"}))), "node hv3") == [("adopt", None)]


def test_a_daemon_that_is_stopped_before_it_has_joined_just_goes():
    core = connected()
    core.on(e.StopAsked())
    assert fires(core.on(e.Synced())) == []


def test_the_power_of_a_lost_node_is_read_ever_more_slowly():
    core, ticket, _ = fencing(Fence.evidence, Daemon.run)
    for seconds in (5.0, 10.0, 20.0):
        answers = core.on(e.PowerRead("hv3", ticket, Power.on))
        assert triggers(answers, "node hv3") == []
        ((wait, least),) = ((wait, least) for wait, least in waits(answers).items() if wait.startswith("hv3 reading"))
        assert least == seconds
        (again,) = fires(core.on(e.Due(wait)))
        assert again.move.row.trigger == "read"
        ticket = again.ticket
        core.on(e.Fired(ticket, e.Result.written))


def test_a_lost_node_is_declared_dead_after_the_dead_time_and_not_before():
    core, ticket, _ = fencing(Fence.evidence, Daemon.run)
    assert triggers(core.on(e.PowerRead("hv3", ticket, Power.on)), "node hv3") == []
    assert triggers(core.on(e.Due("hv3 absent 1 dead")), "node hv3") == [("declare", Fence.throws)]


def test_the_dead_time_counts_from_when_the_proof_of_life_went_whoever_holds_the_fence():
    core = working()
    assert waits(core.on(e.AliveSeen(frozenset({"hv1", "hv2"}))))["hv3 absent 1 dead"] == Settings().dead_s
    core.on(e.NodeSeen("hv3", node("hv3", fence=Fence.evidence, by="hv2"), 6))
    core.on(e.Due("hv3 absent 1 dead"))
    answers = core.on(e.NodeSeen("hv3", node("hv3", fence=Fence.evidence, by="hv1"), 7))
    assert triggers(answers, "node hv3") == [("declare", Fence.throws)]


def test_a_wait_of_an_absence_that_is_over_declares_nobody_dead():
    core = working()
    core.on(e.AliveSeen(frozenset({"hv1", "hv2"})))
    core.on(e.AliveSeen(frozenset({"hv1", "hv2", "hv3"})))
    assert "hv3 absent 2 dead" in waits(core.on(e.AliveSeen(frozenset({"hv1", "hv2"}))))
    core.on(e.Due("hv3 absent 1 dead"))
    answers = core.on(e.NodeSeen("hv3", node("hv3", fence=Fence.evidence, by="hv1"), 7))
    assert ("declare", Fence.throws) not in triggers(answers, "node hv3")


def test_a_new_session_counts_every_absence_anew():
    core = working()
    core.on(e.AliveSeen(frozenset({"hv1", "hv2"})))
    core.on(e.Disconnected(expired=True))
    core.on(e.Connected(new_session=True))
    core.on(e.Due("hv3 absent 1 dead"))
    assert not core.known.nodes["hv3"].dead
    assert "hv3 absent 2 dead" in waits(core.on(e.AliveSeen(frozenset({"hv1", "hv2"}))))


@pytest.mark.parametrize(("now", "then"), [(Power.off, [("prove", Fence.proven)]), (Power.on, [])])
def test_a_node_that_was_stopped_cleanly_has_the_time_of_a_planned_reboot(now, then):
    core, ticket, _ = fencing(Fence.evidence, Daemon.stop)
    assert triggers(core.on(e.PowerRead("hv3", ticket, Power.off)), "node hv3") == []
    assert triggers(core.on(e.Due("hv3 absent 1 dead")), "node hv3") == []
    (again,) = fires(core.on(e.Due("hv3 absent 1 long")))  # it may boot by now
    assert again.move.row.trigger == "read"
    core.on(e.Fired(again.ticket, e.Result.written))
    assert triggers(core.on(e.PowerRead("hv3", again.ticket, now)), "node hv3") == then


def test_nothing_is_declared_or_shot_while_the_power_is_being_read_nor_before_its_time():
    core, ticket, answers = fencing(Fence.throws, Daemon.dead)
    (throws,) = (wait for wait in waits(answers) if wait.startswith("hv3 throws"))
    assert triggers(core.on(e.Due(throws)), "node hv3") == []
    assert triggers(core.on(e.PowerRead("hv3", ticket, Power.on)), "node hv3") == [("shoot", Fence.shot)]


@pytest.mark.parametrize(("power_back", "fired"), [(True, [("power_on", None)]), (False, [])])
def test_a_fenced_node_is_switched_on_again_after_its_delay_where_that_is_the_policy(power_back, fired):
    core, ticket, _ = fencing(Fence.evidence, Daemon.run)
    core.known.settings = Settings(power_back=power_back)
    (prove,) = fires(core.on(e.PowerRead("hv3", ticket, Power.off)))
    core.on(e.Fired(prove.ticket, e.Result.written))
    answers = core.on(e.NodeSeen("hv3", node("hv3", Daemon.fenced, fence=Fence.proven, by="hv1"), 8))
    assert triggers(answers, "node hv3") == []
    (delay,) = (wait for wait in waits(answers) if wait.startswith("hv3 proven"))
    assert triggers(core.on(e.Due(delay)), "node hv3") == fired
