"""The cluster as a whole: status, doctor, settings, backup and restore."""

import json
from dataclasses import replace

import pytest

from pvc.cluster import znodes
from pvc.cluster.formats import decode_history, decode_node, encode_history, encode_node
from pvc.cluster.records import FenceMethod, Fencing
from pvc.cluster.store import ANY_VERSION, Create, Delete, Set
from pvc.fsm.states import Daemon, Fence
from tests.client.test_vms import measured


def findings(done):
    """What was found, by what it is about."""
    return {one["about"]: one for one in json.loads(done.out)["attention" if "attention" in json.loads(done.out) else "findings"]}


def test_the_status_of_a_cluster_that_is_well(pvc, world, web1):
    measured(world, hv1=4000, hv2=4000, hv3=4000)
    pvc("vm", "start", web1)
    done = pvc("status")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "Cluster test",
        "3 of 3 nodes answer: 3 run",
        "1 VM: 1 start",
        "Memory: 12000 of 24576 MiB free, 0 MiB promised to VMs",
        "Can it lose a node? yes: all VMs have room without any one node",
        "",
        "Nothing needs attention.",
    ]


def test_the_status_says_whose_loss_would_not_fit(pvc, world, web1):
    pvc("vm", "start", web1, "hv1")
    measured(world, hv1=4000, hv2=100, hv3=100)
    told = json.loads(pvc("status", "-o", "json").out)
    assert {loss["node"]: loss["left"] for loss in told["losses"]} == {"hv1": ["web1"], "hv2": [], "hv3": []}
    assert "its loss would leave 1 VM (512 MiB) without room: web1" in pvc("status").out
    assert "Can it lose a node? no: without hv1 not all VMs have room" in pvc("status").out


def test_whether_a_node_can_be_lost_is_not_known_before_those_left_have_measured(pvc, world, web1):
    pvc("vm", "start", web1, "hv1")
    told = pvc("status").out.splitlines()
    assert "Memory: hv1, hv2, hv3 have not told yet" in told
    assert "Can it lose a node? not known: hv2 has not told yet how much memory is free there" in told
    assert "whether 1 VM would have room is not known: hv2 has not told yet how much memory" in pvc("node", "explain", "hv1").out
    measured(world, hv1=4000, hv2=100)
    told = json.loads(pvc("status", "-o", "json").out)
    assert (told["memory"]["unmeasured"], [loss["unmeasured"] for loss in told["losses"]]) == (["hv3"], [["hv3"], [], []])
    measured(world, hv3=4000)
    assert "Can it lose a node? yes: all VMs have room without any one node" in pvc("status").out


def test_a_cluster_without_vms_can_lose_a_node_whoever_has_measured(pvc, world):
    assert "Can it lose a node? yes" in pvc("status").out


def test_what_waits_for_a_node_needs_room_like_what_runs(pvc, world, web1):
    """hv1 does not answer, and its VM would go to hv2: so there is no room for it once hv2 is lost too."""
    pvc("vm", "start", web1, "hv1")
    measured(world, hv1=4000, hv2=600, hv3=100)
    world.small.kill_daemon("hv1")
    world.small.advance(9)
    assert "Can it lose a node? no: without hv2 not all VMs have room" in pvc("status").out
    told = json.loads(pvc("status", "-o", "json").out)
    assert ([(loss["node"], loss["left"]) for loss in told["losses"]], told["stranded"]) == ([("hv2", ["web1"]), ("hv3", [])], [])
    measured(world, hv2=100)
    assert "Can it lose a node? no: not all VMs have room as it is" in pvc("status").out
    told = json.loads(pvc("status", "-o", "json").out)
    assert ([loss["left"] for loss in told["losses"]], told["stranded"]) == ([[], []], ["web1"])


def test_a_loss_counts_the_room_that_each_vm_takes(pvc, world, web1):
    pvc("vm", "define", pvc.file("web2"), "--home", "hv1")
    for name in (web1, "web2"):
        pvc("vm", "start", name, "hv1")
    measured(world, hv1=4000, hv2=600, hv3=100)
    told = json.loads(pvc("status", "-o", "json").out)["losses"][0]
    assert (told["moved"], told["left"]) == (1, ["web2"])


def test_what_needs_somebody_is_told_with_the_next_step(pvc, world, web1):
    pvc("vm", "set", web1, "--restart-budget", "0")
    world.fails.add("create")
    pvc("vm", "start", web1)
    pvc("hold", "on", "--reason", "new switch")
    pvc("node", "flush", "hv2", "--yes")
    world.small.kill_daemon("hv3")
    world.small.advance(9)
    done = pvc("status", "-o", "json")
    found = findings(done)
    assert done.code == 1
    assert (found["web1"]["level"], found["web1"]["next_step"]) == ("problem", "pvc vm history web1, then pvc vm start web1")
    assert found["cluster"]["next_step"] == "pvc hold off"
    assert found["hv2"]["next_step"] == "pvc node ready hv2"
    assert found["hv3"]["sentence"] == "it is run, its fence is at evidence, and it is not shot: anna@desk holds the cluster: new switch"
    assert json.loads(done.out)["attention"][0]["level"] == "problem"


def test_a_node_that_is_not_proven_off_asks_for_an_operator(pvc, world, web1):
    _life(world, "hv3", daemon=Daemon.unfenced, fence=Fence.failed, by="hv1")
    assert findings(pvc("status", "-o", "json"))["hv3"]["next_step"] == 'look, then pvc node fence hv3 --confirm-off --reason "..."'


def test_a_lost_node_without_a_device_says_that_it_waits_for_somebody(pvc, world, web1):
    _amend(world, "hv1", lambda record: replace(record, fencing=Fencing(FenceMethod.manual)))
    world.small.power_off("hv1")
    world.small.advance(60)
    word = 'only an operator can tell that it is off: look, then pvc node fence hv1 --confirm-off --reason "..."'
    told = "it has no fence device (fence_method = manual); only an operator can tell that it is off"
    (line,) = [line for line in pvc("node", "list").out.splitlines() if line.startswith("hv1")]
    assert word in line
    found = findings(pvc("status", "-o", "json"))["hv1"]
    assert (found["level"], told in found["sentence"], "--confirm-off" in found["next_step"]) == ("problem", True, True)
    explained = json.loads(pvc("node", "explain", "hv1", "-o", "json").out)
    assert explained["not_shot"] == told
    assert {"shoot", "prove"}.isdisjoint(one["trigger"] for one in explained["next"])


def _life(world, name, **changes):
    """A node's record, by hand."""
    _amend(world, name, lambda record: replace(record, life=replace(record.life, **changes)))


def _amend(world, name, change):
    """Another record of a node, by hand."""
    znode = world.small.client.read(znodes.node(name))
    record = change(decode_node(name, znode.data))
    world.small.client.multi([Set(znodes.node(name), encode_node(record), znode.version)])


# ---- doctor


def test_the_doctor_finds_nothing_wrong_but_what_is(pvc, world):
    _amend(world, "hv1", lambda record: replace(record, fencing=Fencing()))
    done = pvc("doctor", "-o", "json")
    found = findings(done)
    assert done.code == 0
    assert (found["configuration"]["level"], found["clocks"]["level"], found["cluster"]["level"]) == ("ok", "ok", "ok")
    assert found["hv1"]["next_step"] == "set fence_method for hv1 in pvcd.conf"


def test_the_doctor_without_an_address_says_what_to_do(pvc, monkeypatch):
    access = pvc.access()
    access.zookeeper, access.user_file = None, pvc.path / "none"
    monkeypatch.setattr(pvc, "access", lambda: access)
    done = pvc("doctor")
    assert (done.code, "nothing says at which ZooKeeper the cluster is" in done.out) == (1, True)


def test_the_doctor_without_a_quorum_ends_with_a_problem(pvc, world):
    access = pvc.access()

    def nobody(options):
        from pvc.cluster.store import NotConnected

        raise NotConnected("no ZooKeeper server answered within 5 s", "start the ensemble")

    access.make_store = nobody
    pvc.access = lambda: access
    done = pvc("doctor", "-o", "json")
    assert (done.code, findings(done)["ZooKeeper"]["level"]) == (1, "problem")


def test_the_doctor_repairs_an_index_that_has_drifted(pvc, world, web1):
    uuid = json.loads(pvc("vm", "info", web1, "-o", "json").out)["vm"]["uuid"]
    world.small.client.multi([Delete(znodes.index_entry("hv1", uuid), ANY_VERSION), Create(znodes.index_entry("hv3", uuid))])
    done = pvc("doctor", "-o", "json")
    assert (done.code, findings(done)["web1"]["next_step"]) == (1, "pvc doctor --repair")
    assert findings(pvc("doctor", "--repair", "-o", "json"))["web1"]["sentence"] == "its index was corrected"
    assert "web1" not in findings(pvc("doctor", "-o", "json"))
    assert world.small.client.children(znodes.index("hv3")) == ()


def test_the_doctor_finds_what_contradicts_itself(pvc, world, web1):
    uuid = json.loads(pvc("vm", "info", web1, "-o", "json").out)["vm"]["uuid"]
    version = world.small.client.read(znodes.domain(uuid)).version
    world.small.client.multi([Create(znodes.name("ghost"), b"nothing"), Set(znodes.domain(uuid), b"{}", version)])
    found = findings(pvc("doctor", "-o", "json"))
    assert found["ghost"]["next_step"] == "delete /names/ghost by hand"
    assert (found[uuid]["level"], found[uuid]["next_step"]) == ("problem", "repair that znode by hand")


def test_the_doctor_names_clocks_that_are_ahead(pvc, world):
    path = znodes.events("hv1")
    znode = world.small.client.read(path)
    history = decode_history(path, znode.data)
    late = replace(history, entries=tuple(replace(entry, time="2099-01-01 00:00:00+0000") for entry in history.entries))
    world.small.client.multi([Set(path, encode_history(path, late), znode.version)])
    assert "its clock is ahead" in "".join(one["sentence"] for one in json.loads(pvc("doctor", "-o", "json").out)["findings"])


# ---- settings


def test_locks_are_set_shown_and_taken_away(pvc):
    assert pvc("cluster", "set", "--lock", "/srv/shared", "--lock", "rbd:vms").code == 0
    assert json.loads(pvc("cluster", "info", "-o", "json").out)["cluster"]["locks"] == ["/srv/shared", "rbd:vms"]
    assert pvc("cluster", "set", "--lock", "none").code == 0
    assert json.loads(pvc("cluster", "info", "-o", "json").out)["cluster"]["locks"] == []
    assert pvc("cluster", "set", "--lock", "shared").code == 2
    assert pvc("cluster", "set").code == 2


def test_a_vm_is_defined_with_the_clusters_defaults(pvc):
    assert pvc("cluster", "set", "--selector", "load", "--node", "hv2").code == 0
    pvc("vm", "define", pvc.file("web7"))
    policy = json.loads(pvc("vm", "info", "web7", "-o", "json").out)["vm"]["policy"]
    assert (policy["selector"], policy["nodes"]) == ("load", ["hv2"])
    assert pvc("cluster", "set", "--node", "hv9").code == 3


def test_config_show_says_where_each_value_comes_from(pvc, monkeypatch):
    told = json.loads(pvc("config", "show", "-o", "json").out)["settings"]
    assert (told[0]["value"], told[0]["source"]) == ("zk1:2181/pvc", "-z")
    access = pvc.access()
    access.zookeeper, access.user_file = None, pvc.path / "user.conf"
    access.user_file.write_text("zookeeper = mine:2181\n")
    access.config_file.write_text("zookeeper = theirs:2181\n")
    monkeypatch.setattr(pvc, "access", lambda: access)
    assert json.loads(pvc("config", "show", "-o", "json").out)["settings"][0]["value"] == "mine:2181"
    monkeypatch.setenv("PVC_ZOOKEEPER", "environment:2181")
    assert json.loads(pvc("config", "show", "-o", "json").out)["settings"][0]["source"] == "PVC_ZOOKEEPER"


def test_a_loss_that_needs_an_operator_is_said_beside_whether_there_is_room(pvc, world):
    assert "No device can fence" not in pvc("status").out
    store = world.small.client
    for name in ("hv1", "hv3"):
        znode = store.read(znodes.node(name))
        bare = replace(decode_node(name, znode.data), fencing=Fencing(FenceMethod.none))
        store.multi([Set(znodes.node(name), encode_node(bare), znode.version)])
    assert "No device can fence hv1, hv3: what runs there would wait for an operator, were it lost." in pvc("status").out
    assert json.loads(pvc("status", "-o", "json").out)["unfenceable"] == ["hv1", "hv3"]


# ---- backup and restore


@pytest.fixture
def backup(pvc, web1):
    """A backup of two VMs, one of them wanted up, and one node that takes none."""
    pvc("cluster", "set", "--lock", "/srv/shared", "--selector", "load")
    pvc("vm", "define", pvc.file("web2"), "--home", "hv2", "--node", "hv2", "--node", "hv3")
    pvc("vm", "start", web1)
    pvc("node", "flush", "hv3", "--yes")
    file = pvc.path / "office.json"
    assert pvc("cluster", "backup", str(file)).out == f"2 VMs are saved in {file}.\n"
    return file


def test_a_backup_holds_what_is_wanted_and_nothing_of_what_is(backup):
    text = backup.read_text()
    document = json.loads(text)
    assert (document["kind"], document["version"], document["flushed"]) == ("pvc backup", 1, ["hv3"])
    assert [(vm["name"], vm["home"], vm["want"]) for vm in document["vms"]] == [("web1", "hv1", "start"), ("web2", "hv2", "stop")]
    assert not {"owner", "state", "epoch", "fence", "boot"} & set(document["vms"][0])
    assert backup.stat().st_mode & 0o077 == 0


def test_a_backup_goes_round_what_cannot_be_read_names_it_and_does_not_end_well(pvc, world, web1, backup):
    pvc("vm", "define", pvc.file("web3"))
    uuids = {vm["name"]: vm["uuid"] for vm in json.loads(pvc("vm", "list", "-o", "json").out)["vms"]}
    store = world.small.client
    for path, data in ((znodes.domain(uuids["web1"]), b"{not json"), (znodes.xml(uuids["web2"]), b"<domain/>")):
        store.multi([Set(path, data, store.read(path).version)])
    done = pvc("cluster", "backup", str(backup), "-o", "json")
    told = json.loads(done.out)
    assert (done.code, told["vms"], told["left_out"]) == (1, 1, sorted([uuids["web1"], "web2"]))
    assert [vm["name"] for vm in json.loads(backup.read_text())["vms"]] == ["web3"]
    assert "web2 is left out: the XML cannot be used" in told["problems"][1] + told["problems"][0]
    done = pvc("cluster", "backup", "-")
    assert done.code == 1
    assert f"{uuids['web1']} is left out: {znodes.domain(uuids['web1'])} cannot be read" in done.err
    assert [vm["name"] for vm in json.loads(done.out)["vms"]] == ["web3"]
    assert pvc("cluster", "restore", str(backup), "--dry-run").code == 1, "its record is in the way"


def test_a_backup_is_not_restored_where_something_runs(pvc, backup):
    before = pvc("vm", "list", "-o", "json").out
    done = pvc("cluster", "restore", str(backup), "--yes", "-o", "json")
    assert (done.code, "web1 may run" in json.loads(done.out)["dry_run"]["blockers"][0]) == (1, True)
    assert pvc("vm", "list", "-o", "json").out == before


def test_a_backup_comes_back_into_a_cluster_that_lost_everything(pvc, world, backup):
    for name in ("web1", "web2"):
        assert pvc("vm", "undefine", name, "--yes").code == 0
    pvc("node", "ready", "hv3")
    pvc("cluster", "set", "--lock", "none", "--selector", "mem")
    assert pvc("cluster", "restore", str(backup), "--dry-run").code == 0
    assert pvc("vm", "list", "-o", "name").out == ""
    done = pvc("cluster", "restore", str(backup), "--yes", "--start", "--reason", "the disk died")
    assert (done.code, done.err) == (0, "")
    world.quiet()
    vms = {vm["name"]: vm for vm in json.loads(pvc("vm", "list", "-o", "json").out)["vms"]}
    assert (vms["web1"]["state"], vms["web2"]["state"], vms["web2"]["home"]) == ("start", "stop", "hv2")
    assert vms["web2"]["policy"]["nodes"] == ["hv2", "hv3"]
    nodes = {node["name"]: node["flush"] for node in json.loads(pvc("node", "list", "-o", "json").out)["nodes"]}
    assert nodes == {"hv1": "ready", "hv2": "ready", "hv3": "flushed"}
    config = json.loads(pvc("cluster", "info", "-o", "json").out)["cluster"]
    assert (config["locks"], config["defaults"]["selector"]) == (["/srv/shared"], "load")
    again = pvc.path / "again.json"
    pvc("cluster", "backup", str(again))
    assert json.loads(again.read_text())["vms"] == json.loads(backup.read_text())["vms"]


def test_a_vm_that_is_there_gets_its_definition_back(pvc, world, backup):
    pvc("vm", "stop", "web1", "--yes")
    pvc("vm", "modify", "web2", pvc.file("web2", 2048))
    pvc("vm", "set", "web2", "--node", "all")
    assert pvc("cluster", "restore", str(backup), "--yes").code == 0
    vm = json.loads(pvc("vm", "info", "web2", "-o", "json").out)["vm"]
    assert (vm["memory_mib"], vm["policy"]["nodes"]) == (512, ["hv2", "hv3"])


def test_a_restore_names_everything_in_its_way_and_asks(pvc, backup):
    pvc("vm", "stop", "web1", "--yes")
    pvc("vm", "undefine", "web2", "--yes")
    pvc("vm", "define", pvc.file("web2"))  # another VM of that name
    document = json.loads(backup.read_text())
    document["vms"][0]["policy"]["nodes"] = ["hv9"]
    backup.write_text(json.dumps(document))
    blockers = json.loads(pvc("cluster", "restore", str(backup), "--dry-run", "-o", "json").out)["dry_run"]["blockers"]
    assert blockers[0] == "web1: its policy names hv9, which is not in this cluster"
    assert blockers[1].startswith("web2: another VM has this name")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "this is no backup"),
        ("[]", "this is no backup"),
        ("\udcff", "this is no backup"),
        ('{"kind": "pvc backup", "version": 1, "vms": 7}', "vms is of another kind"),
        ('{"kind": "pvc backup", "version": 1, "cluster": []}', "cluster is of another kind"),
        ('{"kind": "pvc backup", "version": 1, "cluster": {"locks": "/srv"}}', "locks is of another kind"),
        ('{"kind": "pvc backup", "version": 2}', "version 2"),
        ('{"kind": "pvc backup", "version": 1, "vms": [{}]}', "VM 1"),
        ('{"kind": "pvc backup", "version": 1, "vms": [7]}', "VM 1"),
        ('{"kind": "pvc backup", "version": 1, "cluster": {"defaults": {"selector": "luck"}}}', "luck"),
    ],
)
def test_a_file_that_is_no_backup_is_refused(pvc, content, says):
    file = pvc.path / "x.json"
    file.write_bytes(content.encode(errors="surrogateescape"))
    done = pvc("cluster", "restore", str(file), "--yes")
    assert (done.code, says in done.err) == (1, True)


def test_a_restore_asks_and_no_changes_nothing(pvc, backup):
    pvc("vm", "stop", "web1", "--yes")
    before = pvc("vm", "list", "-o", "json").out
    assert pvc("cluster", "restore", str(backup), typed="n\n").code == 1
    assert pvc("cluster", "restore", str(backup)).code == 2
    assert pvc("vm", "list", "-o", "json").out == before


# ---- top


def test_top_in_a_log_tells_each_change(pvc, world, web1):
    def interrupt():
        raise KeyboardInterrupt

    world.idles = [*[lambda: None] * 6, lambda: world.client().start("web1", "hv2"), *[lambda: None] * 6, interrupt]
    done = pvc("top")
    assert done.code == 0
    assert done.out.startswith("Cluster test\n")
    assert "owner - -> hv2" in done.out
