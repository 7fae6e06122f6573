"""The rules themselves: a ledger that overlooks what is forbidden would let every test of a fault pass. No lab is needed for these."""

import json
import struct
import zlib
from dataclasses import dataclass, field

import pytest

from lab.journal import Transaction, Write, read
from tests.lab.ledger import Ledger

HOSTS = ("hv1", "hv2", "hv3")
SESSIONS = {name: number for number, name in enumerate(HOSTS, 1)}
CLIENT = 9


@dataclass
class Machine:
    """A host and its device in one."""

    power: list = field(default_factory=lambda: [(0.0, True)])
    given: list = field(default_factory=list)

    def power_history(self):
        return self.power

    def orders(self):
        return self.given


class Rack:
    def __init__(self):
        self.hosts = self.bmcs = {name: Machine() for name in HOSTS}

    def __getitem__(self, name):
        return self.hosts[name]


class Story:
    """Transactions, one a second, of a cluster in which hv1 owns a VM and dies."""

    def __init__(self):
        self.lab, self.all, self.hold = Rack(), [], False
        self.tell(CLIENT, config(False), opens=True)
        for name in HOSTS:
            self.tell(SESSIONS[name], opens=True)
            self.tell(SESSIONS[name], put(f"/boots/{name}"), node(name), Write("create", f"/alive/{name}", ephemeral=True))
        self.daemon("hv1", vm("hv1", 1))

    def tell(self, session, *writes, opens=False):
        number = len(self.all)
        if opens:
            self.all.append(Transaction(number, float(number), session, opens=2.0))
        if writes:
            self.all.append(Transaction(number, 100.0 + number, session, tuple(writes)))

    def daemon(self, name, *writes):
        self.tell(SESSIONS[name], Write("check", f"/boots/{name}"), *writes)

    def dies(self, name):
        self.tell(0, Write("delete", f"/alive/{name}"))
        self.lab[name].power.append((100.0 + len(self.all) - 0.5, False))

    def fence(self, name, phase, daemon, by="hv2"):
        self.daemon(by, node(name, phase, by, daemon))

    def complaints(self):
        return Ledger(self.lab, dead_s=6).take(self.all).complaints


def put(path, value=None):
    return Write("set", path, json.dumps(value or {}).encode())


def config(hold):
    return Write("create", "/config", json.dumps({"hold": {"on": hold}}).encode())


def node(name, phase="none", by=None, daemon="run"):
    return put(f"/nodes/{name}", {"daemon": daemon, "fence": {"phase": phase, "by": by}})


def vm(owner, epoch):
    return put("/domains/a", {"name": "web", "owner": owner, "epoch": epoch})


@pytest.fixture
def story():
    return Story()


def test_a_recovery_after_proof_breaks_no_rule(story):
    story.dies("hv1")
    story.fence("hv1", "evidence", "run")
    story.fence("hv1", "proven", "fenced")
    story.daemon("hv2", vm(None, 1))
    story.daemon("hv3", vm("hv3", 2))
    assert story.complaints() == []


def test_a_shot_by_the_rules_breaks_none(story):
    story.tell(0, Write("delete", "/alive/hv1"))
    story.fence("hv1", "throws", "dead")
    story.fence("hv1", "shot", "fencing")
    story.lab["hv1"].given.append((100.5 + len(story.all), "off"))
    story.lab["hv1"].power.append((100.6 + len(story.all), False))
    story.all.append(Transaction(500, 200.0, SESSIONS["hv2"], (Write("check", "/boots/hv2"), node("hv1", "proven", "hv2", "fenced"))))
    assert story.complaints() == []


def test_an_owner_that_gives_its_vm_away_breaks_none(story):
    story.daemon("hv1", vm("hv2", 2))
    assert story.complaints() == []


def recovered_without_proof(story):
    story.dies("hv1")
    story.fence("hv1", "throws", "dead")
    story.daemon("hv2", vm(None, 1))


def taken_by_a_client(story):
    story.tell(CLIENT, vm("hv2", 2))


def proven_with_power(story):
    story.tell(0, Write("delete", "/alive/hv1"))
    story.fence("hv1", "proven", "fenced")


def proven_with_a_session(story):
    story.lab["hv1"].power.append((105.0, False))
    story.fence("hv1", "proven", "fenced")


def shot_under_a_hold(story):
    story.tell(CLIENT, put("/config", {"hold": {"on": True}}))
    story.tell(0, Write("delete", "/alive/hv1"))
    story.fence("hv1", "shot", "fencing")


def shot_by_a_minority(story):
    for name in ("hv1", "hv3"):
        story.tell(0, Write("delete", f"/alive/{name}"))
    story.fence("hv1", "shot", "fencing")


def shot_by_a_newcomer(story):
    story.tell(0, Write("delete", "/alive/hv1"))
    story.all.append(Transaction(400, 150.0, SESSIONS["hv2"], opens=2.0))
    story.all.append(Transaction(401, 151.0, SESSIONS["hv2"], (Write("check", "/boots/hv2"), node("hv1", "shot", "hv2", "fencing"))))


def shot_by_another_than_its_fencer(story):
    story.tell(0, Write("delete", "/alive/hv1"))
    story.daemon("hv3", node("hv1", "shot", "hv2", "fencing"))


def shot_while_it_lives(story):
    story.fence("hv1", "shot", "fencing")


def ordered_before_it_was_written(story):
    story.tell(0, Write("delete", "/alive/hv1"))
    story.fence("hv1", "throws", "dead")
    story.lab["hv1"].given.append((300.0, "off"))


def the_same_epoch_again(story):
    story.daemon("hv1", vm(None, 1))
    story.daemon("hv2", vm("hv2", 1))


def written_without_token(story):
    story.tell(SESSIONS["hv1"], vm("hv1", 1))


BROKEN = {
    recovered_without_proof: "I2",
    taken_by_a_client: "I2",
    proven_with_power: "I2",
    proven_with_a_session: "I2",
    shot_under_a_hold: "I3",
    shot_by_a_minority: "I3",
    shot_by_a_newcomer: "I3",
    shot_by_another_than_its_fencer: "I3",
    shot_while_it_lives: "I3",
    ordered_before_it_was_written: "I3",
    the_same_epoch_again: "I4",
    written_without_token: "I5",
}


@pytest.mark.parametrize(("breaks", "rule"), BROKEN.items(), ids=[breaks.__name__ for breaks in BROKEN])
def test_what_is_forbidden_is_told(story, breaks, rule):
    breaks(story)
    assert [complaint[:2] for complaint in story.complaints()] == [rule]


def test_a_log_that_is_torn_off_is_read_up_to_there(tmp_path):
    file = tmp_path / "log.1"
    for data in (b"", b"ZKLG", b"ZKLG" + bytes(12), b"ZKLG" + bytes(500), b"something else"):
        file.write_bytes(data)
        assert list(read(file)) == []


def put_part(path=b"/nodes/hv1", data=b"{}", version=3):
    return 5, struct.pack(">i", len(path)) + path + struct.pack(">i", len(data)) + data + struct.pack(">i", version)


def multi(*parts):
    """A transaction as a server logs it."""
    inside = b"".join(struct.pack(">ii", kind, len(part)) + part for kind, part in parts)
    one = struct.pack(">qiqqi", 1, 1, 7, 1500, 14) + struct.pack(">i", len(parts)) + inside
    return struct.pack(">qi", zlib.adler32(one), len(one)) + one + b"B"


def test_of_a_write_that_was_refused_nothing_counts(tmp_path):
    """The log of a multi holds the parts before the one that failed, as if they had been done."""
    failed = -1, struct.pack(">i", -101)
    file = tmp_path / "log.1"
    file.write_bytes(b"ZKLG" + bytes(12) + multi(put_part(), put_part()) + multi(put_part(), failed) + bytes(100))
    (one,) = read(file)
    assert one.writes == (Write("set", "/nodes/hv1", b"{}", 3),) * 2
    assert (one.zxid, one.at) == (7, 1.5)


def test_what_is_half_written_is_not_read(tmp_path):
    """A server has written as much as its buffer held, in a file that was made longer before; the rest is still zeros."""
    file, whole = tmp_path / "log.1", multi(put_part(data=b"{" + b" " * 9000 + b"}"))
    for written in range(1, len(whole), 100):
        file.write_bytes(b"ZKLG" + bytes(12) + multi(put_part()) + whole[:written] + bytes(20000))
        assert [len(one.writes[0].data) for one in read(file)] == [2]
