"""The five phases of a daemon, as a process on a real ZooKeeper. Each test names the promise that it holds the daemon to."""

import json
import os
import shutil
from dataclasses import replace

import pytest

from pvc.client.cluster import Cluster
from pvc.cluster import znodes
from pvc.cluster.changes import define_change
from pvc.cluster.commit import commit
from pvc.cluster.evidence import Relied
from pvc.cluster.formats import decode_boot, decode_domain, decode_history, decode_stats, encode_config, encode_domain
from pvc.cluster.records import DomainRecord
from pvc.cluster.store import Delete, Set
from pvc.fsm.states import Domain, Want
from pvc.fsm.views import Life
from tests.daemon.conftest import CONT, HASTY, INT, QUIT, STOP, TERM, TICK_S

pytestmark = pytest.mark.ensemble

VM = "00000000-0000-4000-8000-000000000001"
SHORT_S = 8


def stats(world, holds=lambda stats: True):
    """The statistics of hv1, once this holds for them."""
    znode = world.client.until(lambda found: found is not None and holds(decode_stats("hv1", found.data)), znodes.stats("hv1"))
    return decode_stats("hv1", znode.data)


def until_joined(world, times):
    """Wait until hv1 has joined so often, or oftener on a busy machine; its record may still be that of the time before."""
    world.client.until(lambda found: found is not None and decode_boot("hv1", found.data).incarnation >= times, znodes.boot("hv1"))


def define(world, state=Domain.stop):
    """A VM that is off, or on its way to hv1."""
    versions = {"hv1": world.client.store.read(znodes.node("hv1")).version}
    relied = Relied(nodes=versions, config=world.client.store.read(znodes.CONFIG).version)
    record = DomainRecord(VM, "web1", "g1", Life(home="hv1"), memory_mib=64, vcpus=1, request="define")
    commit(world.client.store, define_change(record, b"<domain/>", relied, "test", ""))
    if state is Domain.place:
        placed = DomainRecord(VM, "web1", "g1", Life(home="hv1", state=state, want=Want.start, target="hv1"), 64, 1, request="start")
        world.client.store.multi([Set(znodes.domain(VM), encode_domain(placed), 0)])


def until_domain(world, state):
    znode = world.client.until(lambda found: str(decode_domain(VM, found.data).life.state) == state, znodes.domain(VM))
    return decode_domain(VM, znode.data)


# ---- 1. Preflight


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_without_libvirt_it_ends_and_says_so(world, arguments):
    """ "Terminates if the connection fails"."""
    world.create()
    daemon = world.daemon()
    daemon.straw(no_libvirt=True)
    code, said = daemon.run(*arguments)
    assert code == 1
    assert "libvirt does not answer at qemu+tcp://127.0.0.1:16509/system" in said
    assert "systemctl start libvirtd" in said


def test_without_zookeeper_it_ends_and_says_so(own_world):
    """ "Terminates if the connection fails"."""
    own_world.create()
    daemon = own_world.daemon()
    own_world.ensemble.kill()
    code, said = daemon.run()
    assert code == 1
    assert "no ZooKeeper server answered within 10 s" in said
    assert "start the ensemble, or correct the list of hosts" in said


def test_without_a_cluster_it_ends_and_says_so(world):
    code, said = world.daemon().run()
    assert code == 1
    assert "run `pvc init` once" in said


def test_the_check_says_line_by_line_what_is_well_and_ends_well(world):
    world.create()
    code, said = world.daemon().run("--check")
    assert code == 0
    verdicts = [line.split()[0] for line in said.splitlines()]
    assert set(verdicts) == {"ok", "warning", "next"}
    assert world.client.store.children(znodes.NODES) == ()


def test_the_check_speaks_alone_where_nobody_answers(world):
    """kazoo would repeat each failed try on standard error."""
    code, said = world.daemon(zookeeper="127.0.0.1:1").run("--check")
    assert code == 1
    assert {line.split()[0] for line in said.splitlines()} <= {"ok", "warning", "next", "problem"}, said


# ---- 2. Initialisation


def test_a_node_that_was_never_here_is_created_with_its_static_facts(world):
    """ "If it does not, it adds the required keys for the new node"."""
    world.create()
    world.daemon(migration_address="10.9.9.1").start()
    record = world.client.until_node("hv1", "run")
    assert record.machine.cpus == os.cpu_count()
    assert record.machine.kernel == os.uname().release
    assert record.migration_address == "10.9.9.1"
    assert world.client.store.children(znodes.index("hv1")) == ()


def test_a_node_that_was_here_gets_its_static_facts_anew(world):
    """ "If it does, it updates the static data and continues"."""
    world.create()
    daemon = world.daemon().start()
    assert world.client.until_node("hv1", "run").migration_address is None
    daemon.send(TERM).ended()
    path = daemon.folder / "pvcd.conf"
    path.write_text(path.read_text() + "migration_address = 10.9.9.2\n")
    daemon.start()
    assert world.client.until_node("hv1", "run").migration_address == "10.9.9.2"
    until_joined(world, 2)


def test_the_static_facts_are_in_the_log(world):
    """ "The daemon outputs this information to the log console for administrator reference"."""
    world.create()
    daemon = world.daemon().start()
    daemon.until_says(f"node hv1: {os.cpu_count()} CPUs")
    daemon.until_says(f"kernel {os.uname().release}")
    daemon.until_says("libvirt 9.0.0, QEMU 7.2.0")


# ---- 3. Instances: join and run


def test_it_reaches_run_over_init_and_the_first_keepalive_comes_with_the_proof_of_life(world):
    """ "The thread starts and the node sets its daemon status to `run`"."""
    world.create()
    daemon = world.daemon().start()
    world.client.until_alive("hv1")
    found = stats(world)
    assert found.libvirt
    assert found.memory_total_mib > 0
    first, life = (world.client.store.read(path, sync=True) for path in (znodes.stats("hv1"), znodes.alive("hv1")))
    assert first.czxid == life.czxid, "one transaction has written both"
    world.client.until_node("hv1", "run")
    daemon.until_says("hv1: node stop -> init (join)")
    daemon.until_says("hv1: node init -> run (ready)")


# ---- 4. Normal operation


def test_it_sends_keepalives_at_its_interval(world):
    """ "the daemon sends keepalives every few seconds"."""
    world.create()
    world.daemon().start()
    stats(world, lambda found: found.tick >= 4)


def test_a_vm_that_is_placed_here_is_claimed_created_and_told_in_the_log(world):
    """ "performs actions based on the target VM state and hypervisor"."""
    world.create()
    daemon = world.daemon().start()
    world.client.until_node("hv1", "run")
    define(world, Domain.place)
    assert until_domain(world, "start").life.owner == "hv1"
    assert (daemon.folder / "guests" / VM).read_bytes() == b"<domain/>"
    daemon.until_says("web1: domain place -> boot (claim): ")
    daemon.until_says("web1: domain boot -> start (started): ")
    assert stats(world, lambda found: found.domains == 1).memory_allocated_mib == 64


def test_a_migration_goes_to_the_address_that_its_target_publishes(world):
    world.create()
    source = world.daemon().start()
    world.daemon("hv2", migration_address="10.9.9.2").start()
    world.client.until_node("hv1", "run")
    world.client.until_node("hv2", "run")
    define(world, Domain.place)
    until_domain(world, "start")
    Cluster(world.client.store).migrate("web1", "hv2")
    source.until_says(f"{VM} goes to 10.9.9.2")


def test_that_libvirt_is_lost_is_told_at_once(world):
    """Not with the next keepalive, which is due in a minute."""
    world.create()
    daemon = world.daemon(keepalive_interval=60, dead_ticks=4, boot_grace=3600)
    (daemon.folder / "lose-libvirt").touch()
    daemon.start()
    world.client.until_node("hv1", "run")
    define(world, Domain.place)
    assert not stats(world, lambda stats: not stats.libvirt).libvirt


def test_a_keepalive_that_hangs_ends_the_daemon(world):
    world.create()
    daemon = world.daemon(**HASTY).start()
    world.client.until_node("hv1", "run")
    (daemon.folder / "hang-figures").touch()
    assert daemon.ended() == 1
    daemon.until_says("the keepalive has stood still for 3 s: this daemon ends itself, its guests run on")


def test_a_core_loop_that_hangs_ends_the_daemon(world):
    world.create()
    daemon = world.daemon(**HASTY).start()
    world.client.until_node("hv1", "run")
    (daemon.folder / "hang-create").touch()
    define(world, Domain.place)
    assert daemon.ended() == 1
    daemon.until_says("the core loop has stood still for 3 s")


def test_a_daemon_that_was_frozen_past_its_session_joins_anew(world):
    world.create()
    daemon = world.daemon(**HASTY).start()
    world.client.until_node("hv1", "run")
    daemon.send(STOP)
    world.client.until_alive()
    daemon.send(CONT)
    until_joined(world, 2)
    world.client.until_node("hv1", "run")
    assert daemon.process.poll() is None


def test_an_outage_of_zookeeper_ends_no_daemon_and_breaks_off_what_still_copies(own_world):
    own_world.create()
    daemon = own_world.daemon(**HASTY).start()
    own_world.client.until_node("hv1", "run")
    (server,) = own_world.ensemble.servers
    server.freeze()
    daemon.until_says("ZooKeeper: not connected; guests run on, nothing is decided")
    daemon.until_says("ZooKeeper: away for 2 s; a migration that still copies is broken off")
    daemon.until_says("the straw breaks off")
    daemon.until_says("the session has ended or may have")
    server.thaw()
    until_joined(own_world, 2)
    own_world.client.until_node("hv1", "run")
    assert daemon.process.poll() is None
    assert daemon.send(TERM).ended() == 0


def test_a_zookeeper_that_was_restored_while_the_daemon_runs_ends_it_with_an_alarm(own_world):
    """Its servers refuse the daemon's session for ever, because it has seen more than they have."""
    own_world.create()
    (server,) = own_world.ensemble.servers
    own_world.ensemble.kill()
    snapshot = own_world.folder / "snapshot"
    shutil.copytree(server.directory / "data", snapshot)
    own_world.ensemble.start()
    daemon = own_world.daemon(**HASTY).start()
    daemon.until_says("init -> run")
    own_world.ensemble.kill()
    shutil.rmtree(server.directory / "data")
    shutil.copytree(snapshot, server.directory / "data")
    own_world.ensemble.start()
    assert daemon.ended() == 1
    daemon.until_says("nothing is automated on this node")
    assert daemon.start().ended() == 1


def test_a_short_outage_breaks_nothing_off(own_world):
    own_world.create()
    daemon = own_world.daemon(session_timeout=2.5)
    daemon.straw(precopy_s=SHORT_S)  # a busy machine may take its time to thaw the server
    daemon.start()
    own_world.client.until_node("hv1", "run")
    (server,) = own_world.ensemble.servers
    server.freeze()
    daemon.until_says("ZooKeeper: not connected")
    server.thaw()
    number = stats(own_world).tick
    stats(own_world, lambda found: found.tick > number + SHORT_S / TICK_S)  # so many seconds later
    assert not any("breaks off" in line for line in daemon.lines)


def test_a_cluster_that_is_wiped_or_replaced_ends_the_daemon(world):
    cluster = world.create()
    first = world.daemon().start()
    world.client.until_node("hv1", "run")
    other = encode_config(replace(cluster, id=VM))
    world.client.store.multi([Set(znodes.CONFIG, other, 0)])
    assert first.ended() == 1
    first.until_says(f"ZooKeeper holds another cluster now: {VM} instead of")
    world.client.store.multi([Set(znodes.CONFIG, encode_config(cluster), 1)])
    second = world.daemon("hv2").start()
    world.client.until_node("hv2", "run")
    world.client.store.multi([Delete(znodes.CONFIG, 2)])
    assert second.ended() == 1
    second.until_says("the record of the cluster is gone from ZooKeeper")


# ---- 5. Termination


@pytest.mark.parametrize("number", [TERM, INT, QUIT])
def test_on_a_signal_it_says_stop_and_ends_its_session_last(world, number):
    """ "On shutdown, the daemon performs a cleanup, sets its daemon state to `stop`, and terminates the Zookeeper connection"."""
    world.create()
    daemon = world.daemon().start()
    world.client.until_node("hv1", "run")
    assert daemon.send(number).ended() == 0
    assert world.client.store.children(znodes.ALIVE, sync=True) == ()
    world.client.until_node("hv1", "stop")
    assert (daemon.folder / "closed").exists()
    assert daemon.lines[-1].endswith("the session is closed")


def test_stopping_leaves_the_guests_and_starting_adopts_them(world):
    """ "It does NOT flush or otherwise modify running VMs by design"."""
    world.create()
    daemon = world.daemon().start()
    world.client.until_node("hv1", "run")
    define(world, Domain.place)
    until_domain(world, "start")
    daemon.send(TERM).ended()
    before = until_domain(world, "start")
    daemon.start()
    world.client.until_node("hv1", "run")
    stats(world, lambda found: found.tick >= 3)
    assert until_domain(world, "start").life == before.life
    assert (daemon.folder / "orders").read_text() == f"create {VM}\n"


def test_killed_and_started_again_it_adopts_its_guests_and_hears_what_was_asked_meanwhile(world):
    world.create()
    daemon = world.daemon().start()
    world.client.until_node("hv1", "run")
    define(world, Domain.place)
    until_domain(world, "start")
    daemon.kill()
    znode = world.client.store.read(znodes.domain(VM), sync=True)
    record = decode_domain(VM, znode.data)
    asked = replace(record, life=replace(record.life, want=Want.stop), request="stop")
    world.client.store.multi([Set(znodes.domain(VM), encode_domain(asked), znode.version)])
    daemon.start()
    until_domain(world, "stop")
    assert (daemon.folder / "orders").read_text() == f"create {VM}\ndestroy {VM}\n"


def test_a_node_that_was_fenced_takes_its_vms_home_where_its_file_says_so(world):
    """How it goes on is in `test_homecoming`."""
    world.create()
    daemon = world.daemon(take_home="yes", **HASTY).start()
    world.client.until_node("hv1", "run")
    daemon.kill()
    world.client.until_alive()
    Cluster(world.client.store, "anna", None, now=lambda: "").confirm_off("hv1", "no light is on")
    daemon.start()
    past = znodes.events("hv1")
    world.client.until(lambda found: any(entry.trigger == "called" for entry in decode_history(past, found.data).entries), past)


def test_a_daemon_that_is_killed_says_nothing_and_its_session_ends_by_itself(world):
    world.create()
    daemon = world.daemon(**HASTY).start()
    world.client.until_node("hv1", "run")
    daemon.kill()
    world.client.until_alive()
    world.client.until_node("hv1", "run")


def test_it_remembers_its_cluster_and_refuses_another(world):
    cluster = world.create()
    daemon = world.daemon().start()
    world.client.until_node("hv1", "run")
    daemon.send(TERM).ended()
    kept = json.loads((daemon.folder / "state.json").read_text())
    assert (kept["cluster"], kept["boot_version"]) == (cluster.id, 0)
    assert kept["zxid"] > 0
    kept["zxid"] *= 2
    (daemon.folder / "state.json").write_text(json.dumps(kept))
    code, said = daemon.run()
    assert code == 1
    assert "ZooKeeper has gone back in time" in said
    world.client.until_node("hv1", "stop")


def test_without_zookeeper_the_end_is_bounded_and_said(own_world):
    own_world.create()
    daemon = own_world.daemon(**HASTY).start()
    own_world.client.until_node("hv1", "run")
    own_world.ensemble.servers[0].freeze()
    daemon.until_says("ZooKeeper: not connected")
    assert daemon.send(TERM).ended() == 1
    daemon.until_says("this node could not write that it stops")


def test_a_second_signal_ends_it_at_once(own_world):
    own_world.create()
    daemon = own_world.daemon(**HASTY)
    daemon.straw(leave_s=600)
    daemon.start()
    own_world.client.until_node("hv1", "run")
    own_world.ensemble.servers[0].freeze()
    daemon.until_says("ZooKeeper: not connected")
    daemon.send(TERM).until_says("SIGTERM: this node leaves")
    assert daemon.send(TERM).ended() == 1
    assert not any("could not write" in line for line in daemon.lines)


def test_a_signal_is_heard_whichever_thread_gets_it(own_world):
    """After SIGCONT the kernel gives a signal to any thread, and the main one may sleep on: 15 of 25 were lost before."""
    own_world.create()
    daemon = own_world.daemon()
    for _ in range(5):
        daemon.start()
        own_world.client.until_node("hv1", "run")
        for number in (STOP, CONT, TERM):
            daemon.send(number)
        assert daemon.ended() == 0
        own_world.client.until_node("hv1", "stop")
