"""`pvc node`, `pvc init` and `pvc hold`: what is printed, what is asked, and how it ends."""

import json
from dataclasses import replace

import pytest

from pvc.cluster import znodes
from pvc.cluster.formats import decode_node, encode_node
from pvc.cluster.records import FenceMethod, Fencing
from pvc.cluster.store import Set
from pvc.core import events as e
from tests.client.test_fences import daemons_answer
from tests.client.world import World


def test_list_and_info_of_nodes(pvc, world):
    head, *rows = (line.split() for line in pvc("node", "list").out.splitlines())
    assert (head[:4], [row[:3] for row in rows]) == (["NODE", "STATE", "TAKES", "VMS"], [[f"hv{n}", "run", "ready"] for n in (1, 2, 3)])
    assert pvc("node", "list", "-o", "name").out == "hv1\nhv2\nhv3\n"
    found = json.loads(pvc("node", "list", "-o", "json").out)
    assert (found["version"], found["hold"], found["nodes"][0]["name"], found["nodes"][0]["alive"]) == (1, False, "hv1", True)
    pvc("vm", "define", pvc.file("web1"), "--home", "hv1")
    info = json.loads(pvc("node", "info", "hv1", "-o", "json").out)["node"]
    assert (info["owns"], info["home_of"], info["fence"]["phase"]) == ([], ["web1"], "none")
    assert "home of" in pvc("node", "info", "hv1").out


def test_a_node_that_is_away_is_shown(pvc, world):
    world.small.power_off("hv2")
    world.small.ensemble.advance(60)
    assert "it does not answer" in pvc("node", "list").out
    assert pvc("node", "flush", "hv2", "--yes").code == 1


def test_a_flush_is_asked_waited_for_and_undone(pvc, world):
    pvc("vm", "define", pvc.file("web1"), "--home", "hv1")
    pvc("vm", "start", "web1")
    assert pvc("node", "flush", "hv1").code == 2
    assert pvc("node", "flush", "hv1", typed="n\n").code == 1
    done = pvc("node", "flush", "hv1", "--reason", "new disks", typed="y\n")
    assert (done.code, done.out.splitlines()[-1]) == (0, "hv1 is flushed.")
    assert "1 VM will leave it" in done.err
    done = pvc("node", "flush", "hv1", "--yes")
    assert (done.code, done.err.splitlines()[0]) == (1, "hv1: the node is flushed: it is being flushed already, or is empty")
    assert pvc("node", "unflush", "hv1").out.splitlines()[-1] == "hv1 is ready."


def test_a_flush_that_is_stuck_says_why(pvc, world):
    pvc("vm", "define", pvc.file("web1"), "--home", "hv1", "--node", "hv1")
    pvc("vm", "start", "web1")
    done = pvc("node", "flush", "hv1", "--yes", "--timeout", "30")
    assert done.code == 4
    assert "web1 cannot leave: hv2: the VM's policy does not allow it; hv3: the VM's policy does not allow it" in done.out
    assert done.err == "hv1 is not flushed yet: it goes on; left: web1\nNext: pvc node info hv1\n"
    assert json.loads(pvc("node", "ready", "hv1", "-o", "json").out)["node"]["flush"] == "ready"


def test_ctrl_c_in_a_flush_says_how_to_undo_it(pvc, world):
    def interrupt():
        raise KeyboardInterrupt

    world.idles = [interrupt]
    done = pvc("node", "flush", "hv1", "--yes")
    assert (done.code, done.err.splitlines()[-1]) == (130, "Next: to undo it: pvc node ready hv1")


def test_without_a_name_it_is_this_host(pvc, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "HV2.example.org")
    assert pvc("node", "info").out.splitlines()[0].split() == ["node", "hv2"]
    monkeypatch.setattr("socket.gethostname", lambda: "desk")
    done = pvc("node", "flush", "--yes")
    assert (done.code, 'no node called "desk"' in done.err) == (3, True)


def test_a_node_is_forgotten_only_when_it_is_gone(pvc, world):
    assert pvc("node", "remove", "hv3", "--yes").code == 1
    world.small.agents["hv3"].put(e.StopAsked())
    world.small.settle()
    world.small.stores["hv3"].close()
    del world.small.agents["hv3"]
    assert pvc("node", "remove", "hv3").code == 2
    assert pvc("node", "remove", "hv3", typed="y\n").out.splitlines()[-1] == "hv3 is forgotten."
    assert pvc("node", "list", "-o", "name").out == "hv1\nhv2\n"


def test_a_word_that_a_node_is_off_is_typed_and_kept(pvc, world):
    pvc("vm", "define", pvc.file("web1"), "--home", "hv2")
    pvc("vm", "start", "web1")
    assert pvc("node", "fence", "hv2").code == 2
    assert pvc("node", "fence", "hv2", "--yes").code == 1  # it answers
    assert pvc("node", "fence", "hv2", "--confirm-off", "--reason", "dark", "--yes").code == 1
    world.small.power_off("hv2")
    world.small.ensemble.advance(60)
    world.quiet(3)
    (held,) = [line for line in pvc("node", "info", "hv2").out.splitlines() if line.startswith("fenced by")]
    by = json.loads(pvc("node", "info", "hv2", "-o", "json").out)["node"]["fence"]["by"]
    assert f"{by}, evidence since " in held
    assert held.endswith(", 0 shots; each step: pvc node history hv2")
    assert pvc("node", "fence", "hv2", "--no-wait", typed="hv2\n").out.splitlines()[-1] == "hv2 will be shot."
    assert pvc("node", "fence", "hv2", "--yes", "--timeout", "0").code == 1  # it is ordered already
    shown = pvc("node", "fence", "hv2", "--confirm-off", "--dry-run")
    assert (shown.code, shown.out.splitlines()[1:]) == (0, ["  hv2: it is taken for off, unseen, and recovered", "  web1: started on hv1"])
    dry = json.loads(pvc("node", "fence", "hv2", "--dry-run", "-o", "json").out)["dry_run"]
    assert (dry["possible"], dry["steps"][1], len(dry["blockers"])) == (False, "web1: started on hv1", 1), "a shot is ordered already"
    assert pvc("node", "fence", "hv2", "--confirm-off", "--reason", "dark").code == 2
    assert pvc("node", "fence", "hv2", "--confirm-off", "--reason", "dark", typed="hv1\n").code == 1
    assert pvc("node", "fence", "hv2", "--confirm-off", typed="hv2\n").code == 2
    done = pvc("node", "fence", "hv2", "--confirm-off", "--reason", "dark", typed="hv2\n")
    assert (done.code, done.out.splitlines()[-1]) == (0, "hv2 is taken for off, on your word; look with pvc vm list.")
    assert "If hv2 is not off, they will run twice" in done.err
    kept = json.loads(pvc("node", "info", "hv2", "-o", "json").out)["node"]["fence"]["reason"]
    assert "anna@desk gave their word that it is off: dark" in kept


def test_a_fence_that_is_not_possible_says_everything_in_its_way_at_once(pvc, world):
    znode = world.small.client.read(znodes.node("hv2"))
    record = decode_node("hv2", znode.data)
    bare = replace(record, fencing=Fencing(FenceMethod.none))
    world.small.client.multi([Set(znodes.node("hv2"), encode_node(bare), znode.version)])
    done = pvc("node", "fence", "hv2", "--dry-run", "-o", "json")
    blockers = json.loads(done.out)["dry_run"]["blockers"]
    assert (done.code, len(blockers)) == (1, 2)
    assert "has no fence device" in blockers[1]
    assert pvc("node", "fence", "hv2", "--confirm-off", "--dry-run").code == 1, "it answers"
    assert json.loads(pvc("node", "explain", "hv2", "-o", "json").out)["commands"]["fence"]["blockers"] == blockers
    assert pvc("node", "fence", "hv9", "--dry-run").code == 3


def test_a_test_of_the_devices_says_who_could_fence_whom(pvc, world):
    world.idles = [lambda: daemons_answer(world, "hv1", "hv2", "hv3", works=False)]
    shown = pvc("node", "fence-test", "hv2")
    assert (shown.code, shown.out.splitlines()[1].split()[:4]) == (1, ["hv2", "hv1", "ipmi", "silent"])
    for look in (("node", "list"), ("node", "info", "hv2"), ("status",)):
        assert "it could not be fenced from hv1, hv3" in pvc(*look).out
    world.idles = [lambda: daemons_answer(world, "hv1", "hv2", "hv3", works=True)]
    found = pvc("node", "fence-test", "-o", "json")
    assert (found.code, [one["works"] for one in json.loads(found.out)["tests"]]) == (0, [True] * 6)


# ---- the cluster


def test_the_hold_is_shown_where_it_matters(pvc):
    assert pvc("hold", "on", "--reason", "new switch").code == 0
    assert pvc("hold", "on").code == 1
    assert pvc("node", "list").out.splitlines()[0] == "The hold is on, by anna@desk: new switch."
    assert json.loads(pvc("node", "list", "-o", "json").out)["hold"] is True
    assert pvc("hold", "off").code == 0
    assert "The hold" not in pvc("node", "list").out


def test_init_never_touches_a_cluster_that_is_there(pvc):  # H78
    for arguments in (("--yes",), ()):
        done = pvc("init", "office", *arguments, typed="office\n")
        assert (done.code, 'there is a cluster called "test" here already; nothing was changed' in done.err) == (1, True)
    assert pvc("node", "list", "-o", "name").out == "hv1\nhv2\nhv3\n"


@pytest.fixture
def empty(pvc):
    """A place without a cluster."""
    pvc.world = World(nodes=0)
    pvc.world.small.ensemble = type(pvc.world.small.ensemble)(tick_s=0.5)
    return pvc


def test_where_no_cluster_is_every_command_says_so(empty):
    for arguments in (("vm", "list"), ("node", "list"), ("vm", "start", "web1"), ("hold", "on"), ("node", "info", "hv1")):
        done = empty(*arguments)
        assert (done.code, done.err.splitlines()[0]) == (3, "there is no PVC cluster at this address")


@pytest.mark.parametrize(("typed", "code"), [("office\n", 0), ("n\n", 1), ("\n", 1), ("y\n", 1), ("Office\n", 1)])
def test_init_wants_the_name_typed(empty, typed, code):
    assert empty("init", "office", typed=typed).code == code
    assert (empty("node", "list").code == 0) == (code == 0)


def test_init_without_anybody_to_ask_needs_yes(empty):
    assert empty("init", "office").code == 2
    assert empty("init", "office", "--yes").out == "The cluster office is there. Next: start pvcd on its nodes.\n"
    assert empty("node", "list").out == "No node has joined this cluster yet. Next: start pvcd on one.\n"


@pytest.mark.parametrize("name", ["", "a/b", "..", "Büro", "x" * 64])
def test_init_refuses_what_is_no_name(empty, name):
    assert empty("init", "--yes", "--", name).code == 2
