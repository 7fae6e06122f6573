"""Records in JSON: what is written can be read, what is foreign survives, and what is wrong is named and touched by nobody."""

import json
import time
from dataclasses import replace

import pytest

from pvc.cluster.codec import MAX_DEPTH, MAX_DIGITS
from pvc.cluster.fields import MAX_FOREIGN_BYTES, Unwritable
from pvc.cluster.formats import (
    decode_boot,
    decode_config,
    decode_domain,
    decode_history,
    decode_node,
    decode_stats,
    encode_boot,
    encode_config,
    encode_domain,
    encode_history,
    encode_node,
    encode_stats,
)
from pvc.cluster.records import (
    MAX_HISTORY_BYTES,
    MAX_HISTORY_ENTRIES,
    MAX_RECORD_BYTES,
    MAX_WHY,
    Boot,
    ClusterConfig,
    DomainOutline,
    DomainRecord,
    FenceDetail,
    FenceMethod,
    Fencing,
    History,
    HistoryEntry,
    Hold,
    Machine,
    NodeOutline,
    NodeRecord,
    NodeStats,
    OnPoweroff,
    Policy,
    Unreadable,
)
from pvc.fsm.states import Daemon, Domain, Fence, Flush, Handover, Kind, Migration, Request, Want
from pvc.fsm.views import Life, NodeLife

UUID = "6f1c0a52-8a0e-4c7e-9f60-0d2c5a0b6a11"
PATH = f"/domains/{UUID}"
MOVING = Life(
    *(Domain.migrate, Want.start, Request.cancel, "n1", "n2", "n1", 7, 1, ("n3",)),
    *(Migration.moving, Kind.move, Handover.libvirt, "op-1", "boot-n2"),
)
POLICY = Policy(("n1", "n2"), on_poweroff=OnPoweroff.stay)
VM = DomainRecord(UUID, "web1", "first", MOVING, 1024, 2, POLICY, "n1", "wärum…", "now", "r-1")
NODE = NodeRecord(
    "n1",
    NodeLife(Daemon.dead, Flush.flush, Fence.throws, "n2"),
    "boot-n1",
    Machine(8, 32768, "x86_64", "Debian 12", "6.1", "0.2.0", "9.0.0", "7.2.0"),
    "10.0.0.1",
    Fencing(FenceMethod.ipmi, "10.1.0.1"),
    FenceDetail("now", "no word of it", 2),
    "r-2",
)
ENTRY = HistoryEntry("now", "web1", "domain", "stop", "place", "start", "client", "root", "wanted", "r-3")


def changed(data, **changes):
    """The same JSON with fields set, or deleted with `...`."""
    value = json.loads(data)
    for name, part in changes.items():
        inner, *path = value, *name.split("__")
        for step in path[:-1]:
            inner = inner[step]
        if part is ...:
            del inner[path[-1]]
        else:
            inner[path[-1]] = part
    return json.dumps(value).encode()


def why(data):
    """Why this is no VM."""
    found = decode_domain(UUID, data)
    assert isinstance(found, Unreadable), found
    assert (found.path, found.data) == (PATH, data)
    return found.why


# ---- there and back


def test_a_vm_is_read_as_it_was_written():
    assert decode_domain(UUID, encode_domain(VM)) == VM


def test_an_operation_in_flight_is_an_object_of_its_own():
    value = json.loads(encode_domain(VM))
    assert value["op"] == {
        "id": "op-1",
        "kind": "move",
        "source": "n1",
        "target": "n2",
        "target_boot": "boot-n2",
        "phase": "moving",
        "handover": "libvirt",
    }
    assert (value["state"], value["want"], value["request"], value["owner"], value["target"]) == ("migrate", "start", "cancel", "n1", "n2")


def test_without_an_operation_there_is_none_of_its_words():
    record = replace(VM, life=Life(home="n1", handover=Handover.libvirt), source=None)
    assert json.loads(encode_domain(record))["op"] is None
    assert decode_domain(UUID, encode_domain(record)) == replace(record, life=Life(home="n1"))


def test_a_node_is_read_as_it_was_written():
    assert decode_node("n1", encode_node(NODE)) == NODE


def test_the_rest_is_read_as_it_was_written():
    config = ClusterConfig(UUID, "lab", Hold(True, "root", "work", "now"), Policy(restart_budget=3), ("/srv/shared", "rbd:vms"), "r-4")
    stats, boot, history = NodeStats(9, 8, 7, 6, 5, 0.25, 3, 2), Boot(3, "boot-n1"), History((ENTRY, ENTRY))
    assert decode_config(encode_config(config)) == config
    assert decode_stats("n1", encode_stats("n1", stats)) == stats
    assert decode_boot("n1", encode_boot("n1", boot)) == boot
    assert decode_history("/h", encode_history("/h", history)) == history


def test_records_are_written_in_utf_8():  # H13
    assert "wärum…".encode() in encode_domain(VM)


def test_a_record_may_leave_out_what_has_a_default():  # H12
    whole = json.loads(encode_domain(VM))
    needed = ("v", "name", "gen", "state", "want", "owner", "target", "home", "epoch", "op", "memory_mib", "vcpus")
    bare = decode_domain(UUID, json.dumps({name: whole[name] for name in needed}).encode())
    assert bare.policy == Policy()
    for name in needed:
        assert why(json.dumps({other: whole[other] for other in needed if other != name}).encode()) == f"{name}: it is missing"


# ---- what is foreign survives


def test_foreign_fields_survive_a_change_at_every_level():
    data = changed(encode_domain(VM), label={"a": [1, {"b": None}]}, policy__affinity="rack", op__note=1.5)
    record = decode_domain(UUID, data)
    again = json.loads(encode_domain(replace(record, life=replace(record.life, want=Want.stop), policy=replace(record.policy, nodes=()))))
    assert (again["label"], again["policy"]["affinity"], again["op"]["note"]) == ({"a": [1, {"b": None}]}, "rack", 1.5)
    assert (again["want"], again["policy"]["nodes"]) == ("stop", [])


def test_foreign_fields_of_an_operation_go_with_it():
    record = decode_domain(UUID, changed(encode_domain(VM), op__note=1))
    over = replace(record, life=Life(home="n1"), source=None)
    assert json.loads(encode_domain(over))["op"] is None
    assert "note" not in encode_domain(over).decode()


def test_foreign_fields_of_each_line_of_history_stay_with_their_line():
    value = json.loads(encode_history("/h", History((ENTRY, ENTRY))))
    value["entries"][1]["ticket"], value["extra"] = 4711, True
    history = decode_history("/h", json.dumps(value).encode())
    longer = json.loads(encode_history("/h", replace(history, entries=(*history.entries, ENTRY))))
    assert [entry.get("ticket") for entry in longer["entries"]] == [None, 4711, None]
    assert longer["extra"] is True


def test_more_foreign_fields_than_there_is_room_for_are_refused_before_they_hinder_a_write():
    assert "at most" in why(changed(encode_domain(VM), label="x" * MAX_FOREIGN_BYTES))
    full = decode_domain(UUID, changed(encode_domain(VM), label="x" * (MAX_FOREIGN_BYTES - 20)))
    crowded = replace(full, reason="€" * MAX_WHY, life=replace(full.life, avoid=tuple(f"{n:063}" for n in range(256))))
    assert len(encode_domain(crowded)) < MAX_RECORD_BYTES


# ---- another version


def test_a_vm_of_a_newer_version_still_shows_its_owner_and_cannot_be_written():  # H87
    data = changed(encode_domain(VM), v=2, state="hibernate", want=17, op="gone", policy=...)
    outline = decode_domain(UUID, data)
    assert outline == DomainOutline(UUID, 2, "web1", "first", "n1", "n2", "n1", 7, 1024, 2)
    with pytest.raises(Unwritable, match="of version 2"):
        encode_domain(outline)


def test_a_node_of_a_newer_version_still_shows_its_fence_and_cannot_be_written():
    outline = decode_node("n1", changed(encode_node(NODE), v=3, machine=[], fencing=..., fence__tries="many"))
    assert outline == NodeOutline("n1", 3, NODE.life, "boot-n1")
    with pytest.raises(Unwritable, match="of version 3"):
        encode_node(outline)


def test_a_newer_version_whose_owner_cannot_be_read_is_unreadable():
    assert why(changed(encode_domain(VM), v=2, owner="No Name")) == "v: it is of version 2, and this PVC knows version 1 alone"


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None])
def test_what_is_no_version_is_unreadable(version):
    assert why(changed(encode_domain(VM), v=version)).startswith("v: ")


def test_other_records_of_a_newer_version_are_unreadable():
    for found in (
        decode_config(changed(encode_config(ClusterConfig(UUID, "lab")), v=2)),
        decode_stats("n1", changed(encode_stats("n1", NodeStats()), v=2)),
        decode_boot("n1", changed(encode_boot("n1", Boot(1, "b")), v=2)),
        decode_history("/h", changed(encode_history("/h", History()), v=2)),
    ):
        assert isinstance(found, Unreadable)
        assert "version 2" in found.why


# ---- what is wrong is named


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"state": "strat"}, 'state: no word called "strat"; did you mean "start" or "restart"? Known: boot, conflict,'),
        ({"policy__selector": "memory"}, 'policy.selector: no word called "memory"; did you mean "mem"? Known: load, mem, vcpus, vms'),
        ({"state": "delete"}, 'state: no word called "delete"'),
        ({"want": None}, "want: None is not a string"),
        ({"owner": "n+1"}, "owner: 'n+1' is not a name: 1 to 63 of"),
        ({"owner": ""}, "owner: '' is not a name"),
        ({"home": None}, "home: None is not a string"),
        ({"gen": "a/b"}, "gen: 'a/b' is not an id"),
        ({"epoch": -1}, "epoch: -1 is not between 0"),
        ({"epoch": 1.0}, "epoch: 1.0 is not an integer"),
        ({"epoch": True}, "epoch: True is not an integer"),
        ({"vcpus": 0}, "vcpus: 0 is not between 1"),
        ({"avoid": "n1"}, "avoid: 'n1' is not a list"),
        ({"avoid": ["n1", 2]}, "avoid[1]: 2 is not a string"),
        ({"avoid": ["n1"] * 300}, "avoid: it has 300 entries, at most 256 are read"),
        ({"policy": []}, "policy: [] is not an object"),
        ({"reason": "x" * (MAX_WHY + 1)}, f"reason: it has {MAX_WHY + 1} characters"),
        ({"reason": "a\nb"}, "reason: 'a\\nb' is not one line"),
        ({"op__phase": "none"}, 'op.phase: no word called "none"'),
        ({"op__target": "n3"}, "op.target: it is n3, and the record's target is n2"),
        ({"op": None}, "op: the state is migrate and there is no operation"),
        ({"state": "start"}, "op: the state is start and there is an operation"),
        ({"owner": None}, "owner: the state is migrate and the owner is None"),
        ({"state": "stop", "op": None}, "owner: the state is stop and the owner is n1"),
    ],
)
def test_what_is_wrong_is_named(change, reason):
    assert why(changed(encode_domain(VM), **change)).startswith(reason)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is not JSON"),
        (b"null", "it is None, not an object"),
        (b"[]", "it is [], not an object"),
        (b'{"v":1', "it is not JSON"),
        (b'{"v":1}{}', "it is not JSON"),
        (b'{"v":1,"v":2}', "'v': it is there twice"),
        (b'{"x":NaN}', "NaN is not a number that JSON knows"),
        (b'{"x":-Infinity}', "-Infinity is not a number"),
        (b'{"x":1e999}', "'1e999' is not finite"),
        (b'{"x":' + b"9" * (MAX_DIGITS + 1) + b"}", "'9999999999999999999' has more than 18 digits"),
        (b'{"x":' + b"9" * 5000 + b"}", "has more than 18 digits"),
        (b'{"x":' + b"[" * 60000 + b"]}", f"it is nested deeper than {MAX_DEPTH} levels"),
        (b'{"x":"\\ud800"}', "it holds half of a surrogate pair"),
        (b'{"x":"\xff"}', "it is not UTF-8 at byte 6"),
        (b"\xef\xbb\xbf{}", "it is not JSON"),
        (b"{" + b" " * MAX_RECORD_BYTES + b"}", f"it has {MAX_RECORD_BYTES + 2} bytes, at most {MAX_RECORD_BYTES} are read"),
        (b'{"x":"' + b'\\"' * 30000, "it is not JSON"),
    ],
)
def test_what_is_no_sound_json_is_named(data, reason):
    assert reason in why(data)


def test_hostile_json_costs_no_more_than_other_json():
    began = time.process_time()
    why(b'{"x":"' + b'\\"' * 30000 + b"[" * 2 * MAX_DEPTH)  # by a careless pattern 14 s, not 4 ms
    assert time.process_time() - began < 2


def test_brackets_in_words_are_no_nesting():
    record = replace(VM, reason="[{" * 50 + '"\\' * 10)
    assert decode_domain(UUID, encode_domain(record)) == record


def test_a_fence_address_holds_no_password():  # H88
    for address in ("root:secret@10.0.0.1", "10.0.0.1/x", "ipmi 10.0.0.1"):
        assert isinstance(decode_node("n1", changed(encode_node(NODE), fencing__address=address)), Unreadable)


def test_an_unreadable_record_says_where_and_why():
    assert str(decode_domain(UUID, b"?")).startswith(f"{PATH} cannot be read: it is not JSON")


# ---- nothing is written that could not be read


@pytest.mark.parametrize(
    "record",
    [
        replace(VM, vcpus=0),
        replace(VM, name="_web"),
        replace(VM, reason="two\nlines"),
        replace(VM, life=replace(VM.life, op_id=None)),
        replace(VM, life=replace(VM.life, home=None)),
        replace(VM, life=replace(VM.life, owner=None)),
        replace(VM, life=Life(Domain.delete, home="n1")),
    ],
)
def test_a_record_that_could_not_be_read_again_is_not_written(record):
    with pytest.raises(Unwritable, match=f"{PATH} would not be readable"):
        encode_domain(record)


def test_history_drops_its_oldest_lines_when_it_is_full():
    long = replace(ENTRY, why="€" * MAX_WHY, who="€" * 64, time="€" * 64, trigger="€" * 64, foreign=f'{{"x":"{"y" * 2000}"}}')
    entries = (*(replace(long, of=f"vm{number}") for number in range(MAX_HISTORY_ENTRIES + 5)), ENTRY)
    data = encode_history("/h", History(entries))
    kept = decode_history("/h", data).entries
    assert len(data) <= MAX_HISTORY_BYTES
    assert 5 < len(kept) < MAX_HISTORY_ENTRIES
    assert kept == entries[-len(kept) :]
