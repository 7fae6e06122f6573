"""Whole clusters of real agents over the store in memory: what an admin is promised, told as stories."""

import pytest

from pvc.cluster import znodes
from pvc.cluster.store import ChildrenChanged, Set
from pvc.core import events as e
from pvc.fsm.states import Daemon, Domain, Effect, Fence, Flush, Guest, Job, Migration
from tests.agent.small_cluster import UUIDS, SmallCluster

VM = UUIDS[0]


@pytest.fixture
def cluster():
    return SmallCluster(nodes=3, vms=2)


def started(cluster, uuid=VM, node="hv1"):
    cluster.ask(uuid, "start", node)
    cluster.settle()
    cluster.end_job(node, uuid, ok=True)
    cluster.settle()
    assert cluster.record(uuid).life.state is Domain.start


def power_jobs(cluster):
    return {name: [(node, effect) for node, effect, _ in straw.power_jobs] for name, straw in cluster.straws.items() if straw.power_jobs}


def test_a_node_joins_with_its_proof_of_life_and_works(cluster):
    assert {record.life.daemon for record in cluster.nodes().values()} == {Daemon.run}
    assert cluster.client.children(znodes.ALIVE) == ("hv1", "hv2", "hv3")


def test_a_guest_is_created_only_after_its_node_has_claimed_it(cluster):
    cluster.ask(VM, "start", "hv2")
    assert cluster.record(VM).life.state is Domain.place
    assert cluster.straws["hv2"].jobs == {}
    cluster.settle()
    job, life = cluster.straws["hv2"].jobs[VM]
    assert (job, life.owner, life.epoch) == (Job.create, "hv2", 1)


def test_a_migrated_guest_runs_on_the_word_of_the_record_and_remembers_its_home(cluster):
    started(cluster)
    cluster.ask(VM, "migrate", "hv2")
    cluster.settle()
    cluster.end_job("hv1", VM, ok=True)
    assert cluster.straws["hv2"].guests[VM] is Guest.held
    cluster.settle()
    assert cluster.record(VM).life.phase is Migration.handover
    assert cluster.straws["hv2"].jobs[VM][0] is Job.resume
    cluster.end_job("hv2", VM, ok=True)
    cluster.settle()
    life = cluster.record(VM).life
    assert (life.state, life.owner, life.home, cluster.running(VM)) == (Domain.start, "hv2", "hv1", ["hv2"])


def test_a_guest_whose_start_ends_libvirt_on_every_node_is_given_up(cluster):
    """Three times nobody could know; then each time is a failure, with its back-off, until none is left."""
    cluster.ask(VM, "start", "hv1")
    starts = 0
    while cluster.record(VM).life.state is not Domain.failed:
        for name, straw in cluster.straws.items():
            if straw.jobs.pop(VM, None) is not None:
                starts += 1
                cluster.agents[name].put(e.HypervisorLost())
                cluster.agents[name].put(e.Inventory({}))
        cluster.settle()
        cluster.advance(5)
        assert starts < 20
    record = cluster.record(VM)
    assert (starts, record.life.restarts, record.unheard) == (9, 5, 0)
    assert "Libvirt went away in 4 starts of it in a row" in record.reason


def test_a_migration_that_fails_at_the_switchover_leaves_one_guest_and_no_copy(cluster):
    started(cluster)
    cluster.ask(VM, "migrate", "hv2")
    cluster.settle()
    cluster.end_job("hv1", VM, ok=False, half=True)
    cluster.settle()
    assert cluster.record(VM).life.state is Domain.start
    assert cluster.straws["hv2"].jobs[VM][0] is Job.destroy
    cluster.end_job("hv2", VM, ok=True)
    assert VM not in cluster.straws["hv2"].guests
    assert cluster.running(VM) == ["hv1"]


@pytest.mark.parametrize("wish", [None, "stop", "cancel"])
def test_a_guest_that_was_suspended_by_hand_does_not_migrate_for_ever(cluster, wish):
    started(cluster)
    cluster.ask(VM, "migrate", "hv2")
    cluster.straws["hv1"].guests[VM] = Guest.paused
    cluster.agents["hv1"].put(e.GuestSeen(VM, Guest.paused))
    cluster.settle()
    assert cluster.record(VM).life.state is Domain.migrate
    if wish:
        cluster.ask(VM, wish)
    cluster.advance(0 if wish else 40)
    cluster.settle()
    life = cluster.record(VM).life
    assert (life.state, life.owner) == ((Domain.destroy if wish == "stop" else Domain.start), "hv1")


def test_power_loss_is_proven_by_reading_and_recovered_without_a_shot(cluster):
    started(cluster)
    cluster.power_off("hv1")
    cluster.advance(8)
    assert power_jobs(cluster) == {"hv2": [("hv1", Effect.read_power)]}
    cluster.end_power_job("hv2", ok=True)
    cluster.settle()
    assert cluster.nodes()["hv1"].life.daemon is Daemon.fenced
    life = cluster.record(VM).life
    assert life.state is Domain.boot
    assert life.owner in ("hv2", "hv3")


def watch(cluster, seconds, until=lambda: False):
    """Time passes, and fence devices answer at once, but for an order to cut power."""
    for _ in range(seconds):
        for name, jobs in power_jobs(cluster).items():
            for _, effect in jobs:
                if effect is Effect.read_power:
                    cluster.end_power_job(name, ok=True)
        cluster.settle()
        if until():
            return
        cluster.advance(1)


def test_a_node_that_is_cut_off_is_shot_after_its_throws_and_recovered_after_proof(cluster):
    started(cluster)
    cluster.stores["hv1"].disconnect()
    watch(cluster, 60)
    fencer = cluster.nodes()["hv1"].life.by
    assert (cluster.nodes()["hv1"].life.daemon, cluster.nodes()["hv1"].life.fence) == (Daemon.fencing, Fence.shot)
    assert cluster.running(VM) == ["hv1"]
    assert cluster.record(VM).life.owner == "hv1"
    while cluster.nodes()["hv1"].life.daemon is not Daemon.fenced:
        cluster.end_power_job(fencer, ok=True)
        cluster.settle()
    assert cluster.running(VM) == []
    assert cluster.record(VM).life.owner != "hv1"


def test_without_proof_nothing_is_recovered_however_long_it_takes(cluster):
    started(cluster)
    cluster.stores["hv1"].disconnect()
    for _ in range(40):
        cluster.advance(30)
        for name in ("hv2", "hv3"):
            while cluster.straws[name].power_jobs:
                cluster.end_power_job(name, ok=False)
        cluster.settle()
    assert cluster.nodes()["hv1"].life.daemon in (Daemon.unfenced, Daemon.fencing)
    assert (cluster.record(VM).life.owner, cluster.running(VM)) == ("hv1", ["hv1"])


def test_with_two_nodes_nobody_is_ever_shot():
    cluster = SmallCluster(nodes=2, vms=1)
    started(cluster)
    cluster.stores["hv1"].disconnect()
    watch(cluster, 600)
    assert cluster.nodes()["hv1"].life.fence is Fence.throws
    assert not any(effect is Effect.power_off for _, effect in power_jobs(cluster).get("hv2", []))


def test_a_node_that_comes_back_within_its_throws_is_left_alone(cluster):
    started(cluster)
    cluster.stores["hv1"].disconnect()
    watch(cluster, 60, until=lambda: cluster.nodes()["hv1"].life.daemon is Daemon.dead)
    assert cluster.nodes()["hv1"].life.fence is Fence.throws
    cluster.stores["hv1"].reconnect()
    cluster.settle()
    assert (cluster.nodes()["hv1"].life.daemon, cluster.nodes()["hv1"].life.fence) == (Daemon.run, Fence.none)
    assert (cluster.record(VM).life.owner, cluster.running(VM)) == ("hv1", ["hv1"])


def test_a_daemon_that_is_killed_and_started_adopts_its_guests(cluster):
    started(cluster)
    cluster.kill_daemon("hv1")
    cluster.ask(VM, "stop")
    cluster.start_daemon("hv1")
    cluster.settle()
    assert cluster.straws["hv1"].jobs[VM][0] is Job.destroy
    cluster.end_job("hv1", VM, ok=True)
    cluster.settle()
    assert (cluster.record(VM).life.state, cluster.record(VM).life.owner) == (Domain.stop, None)


def test_a_flushed_node_is_empty_and_gets_its_guests_back_when_it_is_ready(cluster):
    started(cluster)
    cluster.tell_node("hv1", "flush")
    cluster.settle()
    assert cluster.nodes()["hv1"].life.flush is Flush.flush
    cluster.end_job("hv1", VM, ok=True)
    cluster.settle()
    target = cluster.record(VM).life.owner
    cluster.end_job(target, VM, ok=True)
    cluster.settle()
    assert cluster.nodes()["hv1"].life.flush is Flush.flushed
    cluster.tell_node("hv1", "ready")
    cluster.settle()
    assert cluster.nodes()["hv1"].life.flush is Flush.ready
    cluster.end_job(target, VM, ok=True)
    cluster.settle()
    cluster.end_job("hv1", VM, ok=True)
    cluster.settle()
    assert (cluster.record(VM).life.owner, cluster.running(VM)) == ("hv1", ["hv1"])


def test_a_guest_that_keeps_failing_ends_in_failed_with_its_wish_kept(cluster):
    cluster.ask(VM, "start", "hv1")
    for _ in range(80):
        cluster.advance(20)
        for name, straw in cluster.straws.items():
            if VM in straw.jobs:
                cluster.end_job(name, VM, ok=False)
        cluster.settle()
    life = cluster.record(VM).life
    assert (life.state, life.want.value, life.restarts) == (Domain.failed, "start", 5)


def test_a_lost_reply_is_read_again_not_guessed(cluster):
    cluster.ask(VM, "start", "hv1")
    cluster.stores["hv1"].lose_next_reply(applied=True)
    cluster.settle()
    assert cluster.record(VM).life.state is Domain.boot
    assert cluster.straws["hv1"].jobs == {}
    cluster.stores["hv1"].reconnect()
    cluster.advance(5)
    assert cluster.straws["hv1"].jobs[VM][0] is Job.create


def test_what_was_decided_on_an_earlier_connection_is_not_written_on_the_next(cluster):
    store, agent = cluster.stores["hv1"], cluster.agents["hv1"]
    cluster.ask(VM, "start", "hv1")
    store.deliver()
    store.disconnect()
    store.reconnect()
    while agent.step():
        pass
    assert cluster.record(VM).life.state is Domain.place
    cluster.advance(5)
    assert cluster.record(VM).life.state is Domain.boot


def test_a_record_that_nobody_can_read_is_left_alone_and_the_rest_goes_on(cluster):
    other = UUIDS[1]
    garbage = b'{"v": 1, "state": "strat"}'
    version = cluster.client.read(znodes.domain(VM)).version
    cluster.client.multi([Set(znodes.domain(VM), garbage, version)])
    cluster.settle()
    started(cluster, other, "hv2")
    assert cluster.client.read(znodes.domain(VM)).data == garbage
    assert any(znodes.domain(VM) in sentence for sentence in cluster.straws["hv1"].said)


def test_an_undefined_vm_leaves_nothing_behind(cluster):
    started(cluster)
    cluster.ask(VM, "undefine")
    cluster.settle()
    cluster.end_job("hv1", VM, ok=True)
    cluster.settle()
    assert cluster.client.read(znodes.domain(VM)) is None
    assert cluster.client.read(znodes.name("vm1")) is None
    assert all(VM not in cluster.client.children(znodes.index(name)) for name in cluster.straws)


def test_a_hypervisor_that_does_not_answer_is_unknown_not_gone(cluster):
    started(cluster)
    cluster.agents["hv1"].put(e.HypervisorLost())
    cluster.advance(120)
    assert cluster.record(VM).life.state is Domain.start


def test_a_daemon_that_may_not_join_says_why_and_says_it_once(cluster):
    cluster.power_off("hv3")
    cluster.power_on("hv3")  # its old session is still there
    for _ in range(3):
        cluster.advance(1)
    said = [sentence for sentence in cluster.straws["hv3"].said if "another kernel boot" in sentence]
    assert said == ["hv3: 'join' is refused: hv3 is alive under another kernel boot"]


def test_the_vms_of_a_node_are_watched_while_it_is_lost_and_no_longer(cluster):
    """Otherwise each daemon would watch every VM there is, once all nodes were away for a moment, as in an upgrade."""
    started(cluster)

    def watching():
        agent = cluster.agents["hv2"]
        paths = [path for paths in agent.feed.watched.values() for path in paths]
        return VM in agent.core.known.domains, znodes.domain(VM) in paths, znodes.index("hv1") in agent.feed.followed

    assert watching() == (False, False, False)
    for _ in range(2):
        cluster.kill_daemon("hv1")
        cluster.advance(10)
        assert watching() == (True, True, True)
        cluster.start_daemon("hv1")
        cluster.settle()
        assert watching() == (False, False, False)
    assert cluster.record(VM).life.state is Domain.start


def test_an_index_that_was_on_its_way_when_its_node_came_back_is_left_alone(cluster):
    started(cluster)
    agent = cluster.agents["hv2"]
    agent.put(ChildrenChanged(znodes.index("hv1"), (VM,), agent.feed.generation))
    cluster.settle()
    assert VM not in agent.core.known.domains
