"""Commands on VMs: done by the tables, refused with their reasons, chosen by the policy."""

import pytest

from pvc.cluster import znodes
from pvc.cluster.commit import commit
from pvc.cluster.domain_xml import BadXml
from pvc.cluster.formats import decode_domain
from pvc.cluster.node_changes import keepalive
from pvc.cluster.records import HandoverPolicy, Method, NodeStats, Selector
from pvc.cluster.store import Set
from pvc.core import events as e
from pvc.errors import NotFound, Refused, UsageProblem
from pvc.fsm.states import Domain, Guest, Handover, Want
from tests.client.world import xml

UUID = "6f1c0a52-8a0e-4c7e-9f60-0d2c5a0b6a11"


def measured(world, **free_mib):
    """Every node says how much memory it has left."""
    for name, free in free_mib.items():
        store = world.small.stores[name]
        path = znodes.stats(name)
        stats = NodeStats(tick=1, memory_total_mib=8192, memory_free_mib=free, load=free / 1000, vcpus=free, domains=free)
        token = store.read(znodes.boot(name)).version
        commit(store, keepalive(name, stats, store.read(path).version, token))


def done(cluster, asked):
    """Wait for what follows a command."""
    return cluster.wait_for(asked, timeout_s=120)


# ---- definitions


def test_a_vm_is_defined_off_with_what_its_xml_says(cluster, world):
    record = cluster.define(xml("web1", 700), home="hv2")
    assert cluster.domain("web1") == cluster.domain(record.uuid) == cluster.domain(record.uuid.upper())
    seen = cluster.domain("web1")
    assert (seen.life.state, seen.life.home, seen.memory_mib, seen.vcpus) == (Domain.stop, "hv2", 700, 2)
    assert record.uuid.encode() in cluster.dump("web1")
    assert [(entry.trigger, entry.who) for entry in cluster.history("web1")] == [("define", "anna@desk")]


def test_xml_with_a_uuid_is_kept_byte_for_byte(cluster):
    data = xml("web1").replace(b"<name>", f"<uuid>{UUID.upper()}</uuid><name>".encode())
    assert cluster.define(data).uuid == UUID
    assert cluster.dump("web1") == data


def test_a_name_or_uuid_that_is_taken_is_refused_and_nothing_is_left(cluster):
    data = xml("web1").replace(b"<name>", f"<uuid>{UUID}</uuid><name>".encode())
    cluster.define(data)
    with pytest.raises(Refused, match='there is a VM called "web1" already'):
        cluster.define(xml("web1"))
    with pytest.raises(Refused, match=f"the UUID {UUID} belongs to web1"):
        cluster.define(data.replace(b"web1", b"web2"))
    assert [seen.value.name for seen in cluster.domains().values()] == ["web1"]


def test_bad_xml_is_refused_before_anything_is_read(cluster):
    cluster.store.disconnect()
    with pytest.raises(BadXml, match="not well-formed"):
        cluster.define(b"<domain")


def test_a_policy_begins_with_the_clusters_defaults(cluster):
    record = cluster.define(xml("web1"), policy={"nodes": ("hv2", "hv3"), "handover": HandoverPolicy.libvirt})
    assert (record.policy.nodes, record.policy.selector, record.life.home in ("hv2", "hv3")) == (("hv2", "hv3"), Selector.mem, True)
    assert cluster.domain("web1").life.handover is Handover.libvirt
    with pytest.raises(NotFound, match='no node called "hv4"; did you mean'):
        cluster.define(xml("web2"), policy={"nodes": ("hv4",)})
    with pytest.raises(UsageProblem, match="its policy does not allow that node"):
        cluster.define(xml("web2"), home="hv1", policy={"nodes": ("hv2",)})


def test_a_vm_belongs_where_most_memory_is_left(cluster, world):
    measured(world, hv1=100, hv2=4000, hv3=2000)
    assert cluster.define(xml("web1")).life.home == "hv2"
    assert cluster.define(xml("web2"), policy={"selector": Selector.load}).life.home == "hv3"  # hv1 has no room


def test_modify_takes_new_sizes_and_refuses_another_identity(cluster):
    uuid = cluster.define(xml("web1")).uuid
    record = cluster.modify("web1", xml("web1", 2048), "more users")
    assert (record.memory_mib, cluster.domain("web1").memory_mib) == (2048, 2048)
    assert f"<uuid>{uuid}</uuid>".encode() in cluster.dump("web1")
    assert (cluster.history("web1")[-1].trigger, cluster.history("web1")[-1].why) == ("modify", "more users")
    other = xml("web2").replace(b"<name>", f"<uuid>{UUID}</uuid><name>".encode())
    with pytest.raises(BadXml, match=r'its name is "web2".*its UUID is') as caught:
        cluster.modify("web1", other)
    assert len(caught.value.problems) == 2


def test_a_policy_is_changed_field_by_field_while_the_guest_runs(cluster):
    cluster.define(xml("web1"), policy={"shutdown_timeout_s": 300})
    done(cluster, cluster.start("web1"))
    cluster.set_policy("web1", migration=Method.cold, nodes=("hv1",))
    record = cluster.domain("web1")
    assert (record.policy.migration, record.policy.nodes, record.policy.shutdown_timeout_s) == (Method.cold, ("hv1",), 300)
    assert record.life.state is Domain.start


# ---- off and on


def test_start_chooses_the_best_node_and_waits_until_it_runs(cluster, world):
    measured(world, hv1=100, hv2=4000, hv3=2000)
    cluster.define(xml("web1"), home="hv1")
    asked = cluster.start("web1")
    assert (asked.life.state, asked.life.target) == (Domain.place, "hv2")
    assert done(cluster, asked) == "web1 runs on hv2"
    assert world.small.running(asked.before.uuid) == ["hv2"]


def test_room_is_counted_for_vms_that_are_on_their_way(cluster, world):
    measured(world, hv1=100, hv2=1000, hv3=900)
    for name in ("web1", "web2", "web3"):
        cluster.define(xml(name, 600), home="hv1")
    assert [cluster.start(name).life.target for name in ("web1", "web2")] == ["hv2", "hv3"]
    with pytest.raises(Refused, match="hv2: it has 400 MiB free, web3 needs 600 MiB; hv3: it has 300 MiB free"):
        cluster.start("web3")


def test_a_named_node_that_cannot_is_refused_with_every_reason(cluster, world):
    measured(world, hv1=4000, hv2=100, hv3=4000)
    cluster.define(xml("web1"), policy={"nodes": ("hv1",)})
    cluster.flush("hv2")
    with pytest.raises(Refused) as caught:
        cluster.start("web1", "hv2")
    assert str(caught.value) == (
        "web1 cannot be started: hv2 cannot take it: it is flush, and the VM's policy does not allow it, "
        "and it has 100 MiB free, web1 needs 512 MiB"
    )
    assert caught.value.next_step == "pvc node list"


def test_no_node_at_all_is_refused_with_the_reason_of_each(cluster, world):
    cluster.define(xml("web1"))
    for name in ("hv1", "hv2", "hv3"):
        world.small.power_off(name)
    world.small.ensemble.advance(60)
    with pytest.raises(Refused, match="no node can take it; hv1: it does not answer; hv2: it does not answer; hv3: it does not answer"):
        cluster.start("web1")


def test_what_the_table_refuses_is_refused_with_its_reason(cluster):
    cluster.define(xml("web1"))
    with pytest.raises(Refused, match="web1 cannot be stopped: it is stop: it is off already"):
        cluster.stop("web1")
    with pytest.raises(Refused, match="web1 cannot migrate: it is stop: only a guest that runs undisturbed can move live"):
        cluster.migrate("web1")
    done(cluster, cluster.start("web1"))
    with pytest.raises(Refused, match="web1 cannot be started: it is wanted start already"):
        cluster.start("web1")
    with pytest.raises(Refused, match="web1 cannot go home: it is at home on"):
        cluster.unmigrate("web1")


@pytest.mark.parametrize("verb", ["stop", "shutdown", "disable", "undefine"])
def test_off_is_waited_for_until_the_guest_is_gone(cluster, world, verb):
    uuid = cluster.define(xml("web1")).uuid
    done(cluster, cluster.start("web1"))
    assert done(cluster, getattr(cluster, verb)("web1")) in ("web1 is off (stop)", "web1 is off (disable)", "web1 is undefined")
    assert world.small.running(uuid) == []
    if verb == "undefine":
        with pytest.raises(NotFound):
            cluster.domain("web1")
        assert cluster.store.read(znodes.domain(uuid)) is None


def test_restart_is_over_when_the_guest_was_started_anew(cluster, world):
    uuid = cluster.define(xml("web1")).uuid
    done(cluster, cluster.start("web1"))
    epoch = cluster.domain("web1").life.epoch
    said = []
    cluster.wait_for(cluster.restart("web1", why="new kernel"), said.append, 120)
    assert cluster.domain("web1").life.epoch == epoch + 1
    assert [line.partition(" (")[0] for line in said] == [
        "web1: restart, it stays start",
        "web1: start -> restart",
        "web1: restart -> place",
        "web1: place -> boot",
        "web1: boot -> start",
    ]
    assert "new kernel" in [entry.why for entry in cluster.history(uuid)]


def test_a_guest_that_does_not_stay_up_ends_as_a_failure_with_its_reason(cluster, world):
    cluster.define(xml("web1"), policy={"restart_budget": 2})
    world.fails.add("create")
    with pytest.raises(Refused, match="web1 failed: Its restarts are used up"):
        done(cluster, cluster.start("web1"))
    world.fails.clear()
    assert done(cluster, cluster.start("web1")).startswith("web1 runs on")


def test_disabled_stays_off_until_enabled(cluster):
    cluster.define(xml("web1"))
    done(cluster, cluster.disable("web1"))
    assert cluster.domain("web1").life.state is Domain.disable
    assert done(cluster, cluster.enable("web1")) == "web1 is stop"


# ---- elsewhere


def test_migrate_and_back_and_for_good(cluster, world):
    uuid = cluster.define(xml("web1"), home="hv1").uuid
    done(cluster, cluster.start("web1"))
    assert done(cluster, cluster.migrate("web1", "hv3")) == "web1 runs on hv3"
    assert cluster.domain("web1").life.home == "hv1"
    assert done(cluster, cluster.unmigrate("web1")) == "web1 runs on hv1"
    assert done(cluster, cluster.move("web1", "hv2")) == "web1 runs on hv2"
    assert (cluster.domain("web1").life.home, world.small.running(uuid)) == ("hv2", ["hv2"])


def test_a_vm_may_stay_where_it_was_brought(cluster):
    cluster.define(xml("web1"), home="hv1")
    done(cluster, cluster.start("web1"))
    with pytest.raises(Refused, match="web1 cannot stay: it is at home on hv1"):
        cluster.stay("web1")
    done(cluster, cluster.migrate("web1", "hv3"))
    assert done(cluster, cluster.stay("web1")) == "web1 is at home on hv3"
    with pytest.raises(Refused, match="web1 cannot go home: it is at home on hv3"):
        cluster.unmigrate("web1")


def test_migrate_without_a_node_leaves_its_own(cluster, world):
    measured(world, hv1=8000, hv2=1000, hv3=2000)
    cluster.define(xml("web1"), home="hv1")
    done(cluster, cluster.start("web1"))
    assert cluster.migrate("web1").life.target == "hv3"


def test_a_vm_that_is_off_moves_by_its_home(cluster):
    cluster.define(xml("web1"), home="hv1")
    assert done(cluster, cluster.move("web1", "hv3")) == "web1 is off, and at home on hv3 from now on"
    with pytest.raises(Refused, match="its home is hv3 already"):
        cluster.move("web1", "hv3")


def test_a_migration_that_fails_says_so_and_the_guest_stays(cluster, world):
    uuid = cluster.define(xml("web1"), home="hv1").uuid
    done(cluster, cluster.start("web1"))
    world.fails.add("migrate")
    with pytest.raises(Refused, match="web1 stays on hv1: The guest is still here; the target is avoided for a while"):
        done(cluster, cluster.migrate("web1", "hv2"))
    assert (cluster.domain("web1").life.avoid, world.small.running(uuid)) == (("hv2",), ["hv1"])
    assert cluster.migrate("web1").life.target == "hv3"


def test_a_migration_is_called_off(cluster, world):
    cluster.define(xml("web1"), home="hv1")
    done(cluster, cluster.start("web1"))
    world.lazy = True
    migration = cluster.migrate("web1", "hv2")
    world.quiet(3)
    cancelled = cluster.cancel("web1")
    world.fails.update(("migrate", "abort"))
    world.lazy = False
    assert done(cluster, cancelled) == "web1 runs on hv1"
    with pytest.raises(Refused, match="web1 stays on hv1"):
        done(cluster, migration)


def test_no_migration_to_where_it_is_or_to_nowhere(cluster):
    cluster.define(xml("web1"), home="hv1")
    done(cluster, cluster.start("web1"))
    with pytest.raises(Refused, match="it is on hv1 already"):  # H40
        cluster.migrate("web1", "hv1")
    with pytest.raises(NotFound, match='no node called "hv11"; did you mean "hv1"'):
        cluster.migrate("web1", "hv11")
    cluster.set_policy("web1", nodes=("hv1",))
    with pytest.raises(Refused, match="no node can take it; hv1: it is there already; hv2: the VM's policy does not allow it"):
        cluster.migrate("web1")


# ---- names, and what cannot be read


@pytest.mark.parametrize("name", ["wbe1", "../alive", "web1/xml", "", "WEB1", "6f1c0a52-8a0e-4c7e-9f60-0d2c5a0b6a12", "web\n1"])
def test_an_unknown_vm_is_told_with_the_nearest(cluster, name):
    cluster.define(xml("web1"))
    with pytest.raises(NotFound) as caught:
        cluster.start(name)
    if name in ("wbe1", "WEB1"):
        assert 'did you mean "web1"?' in str(caught.value)


def test_a_record_that_cannot_be_read_is_left_alone_and_named(cluster):
    uuid = cluster.define(xml("web1")).uuid
    path = znodes.domain(uuid)
    cluster.store.multi([Set(path, b'{"v": 1, "state": "strat"}', 0)])
    with pytest.raises(Exception, match=f"web1: {path} cannot be read"):
        cluster.start("web1")
    assert cluster.store.read(path).version == 1
    (seen,) = cluster.domains().values()
    assert "cannot be read" in str(seen.value)


def test_a_record_of_a_newer_version_is_left_alone(cluster):
    uuid = cluster.define(xml("web1")).uuid
    znode = cluster.store.read(znodes.domain(uuid))
    cluster.store.multi([Set(znodes.domain(uuid), znode.data.replace(b'"v":1', b'"v":2', 1), 0)])
    with pytest.raises(Exception, match="version 2 of its format"):
        cluster.stop("web1")


def test_everything_possible_is_told_with_its_reason(cluster):
    cluster.define(xml("web1"), home="hv1")
    record, possible, _ = cluster.possibilities("web1")
    by_trigger = {one.trigger: one for one in possible}
    assert record.life.want is Want.stop
    assert by_trigger["start"].targets == ("hv1", "hv2", "hv3")
    assert by_trigger["move"].targets == ("hv2", "hv3")
    assert "only a guest that runs undisturbed" in by_trigger["migrate"].reason
    assert all(one.reason or cluster.vms.fire("web1", one.trigger) for one in possible if one.trigger == "disable")


def test_a_conflict_is_resolved_by_an_admin(cluster, world):
    uuid = cluster.define(xml("web1"), home="hv1").uuid
    world.small.straws["hv2"].guests[uuid] = Guest.running
    world.small.agents["hv2"].put(e.GuestSeen(uuid, Guest.running))
    world.small.settle()
    assert cluster.domain("web1").life.state is Domain.conflict
    with pytest.raises(Refused, match="web1 cannot be started: it is conflict"):
        cluster.start("web1")
    assert done(cluster, cluster.resolve("web1", keep=True)) == "web1 runs on hv2"
    assert decode_domain(uuid, cluster.store.read(znodes.domain(uuid)).data).life.owner == "hv2"
