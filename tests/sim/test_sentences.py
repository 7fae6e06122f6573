"""What each sentence of `expect_always` means: traces that keep it, and traces that break it, at which time."""

import pytest

from pvc.sim.sentences import Bench, understood

NODE = {"daemon": "run", "flush": "ready"}


def begin(vm="web", node="hv1"):
    """How things are at 0 s: one VM runs."""
    lines = [{"event": "session", "node": name, "state": "connected"} for name in ("hv1", "hv2")]
    lines += [record("node", name, **NODE) for name in ("hv1", "hv2")]
    lines += [record("vm", vm, state="start", owner=node), {"event": "guest_start", "vm": vm, "node": node, "why": ""}]
    return [{"t": 0.0, "initial": True, **line} for line in lines]


def record(kind, name, by="hv1", trigger="", source="", **fields):
    """A write."""
    said = {"kind": kind, "name": name, "from": source, "by": by, "trigger": trigger}
    return {"event": "record", **said, "fields": {"owner": None, "target": None, **fields}}


def at(t, line):
    """The line at its time."""
    return {"t": float(t), **line}


def starts(t, node="hv2"):
    return at(t, {"event": "guest_start", "vm": "web", "node": node, "why": ""})


def ends(t, node="hv1"):
    return at(t, {"event": "guest_end", "vm": "web", "node": node, "why": "it died"})


def moves(t, source="hv1", target="hv2"):
    return at(t, {"event": "guest_handover", "vm": "web", "from": source, "to": target})


def tried(t, ok=False):
    return at(t, {"event": "start_attempt", "vm": "web", "node": "hv1", "ok": ok})


def fence(t, result, node="hv1"):
    return at(t, {"event": "fence", "node": node, "by": "hv2", "result": result})


def power(t, on, node="hv1"):
    return at(t, {"event": "power", "node": node, "on": on})


def session(t, state, node="hv1"):
    return at(t, {"event": "session", "node": node, "state": state})


def claimed(t, node):
    return at(t, record("vm", "web", node, "claim", "place", state="boot", owner=node))


def flushed(t, node="hv2"):
    return at(t, record("node", node, daemon="run", flush="flush"))


def broken_at(words, *lines, end=100.0):
    """When this sentence is broken by these lines; None when it holds."""
    bench = Bench([understood(words)])
    for line in (*begin(), *lines):
        bench.take(line)
    bench.end(end)
    return bench.breaches[0].at if bench.breaches else None


def synced(t, requests=20, node="hv1"):
    return at(t, {"event": "synced", "node": node, "requests": requests, "took_s": 0.1})


def says(t, sentence, node="hv1"):
    return at(t, {"event": "say", "node": node, "sentence": sentence})


OFF_FIRST = "a VM of an unreachable node starts elsewhere only after that node is confirmed off"
KNOWS = "every daemon knows everything again within 5 s"
FEW = "every daemon knows everything again with at most 50 requests"
PLACES = "the system places no VM on a node that is not run+ready"


@pytest.mark.parametrize(
    ("words", "lines", "when"),
    [
        ("no VM runs on two nodes", [starts(10)], 10.0),
        ("no VM runs on two nodes", [moves(10), starts(20, "hv1")], 20.0),
        ("no VM runs on two nodes", [ends(10), starts(10)], None),
        (OFF_FIRST, [ends(60), power(60, False), starts(70)], 70.0),
        (OFF_FIRST, [ends(60), power(60, False), fence(65, "confirmed"), starts(70)], None),
        (OFF_FIRST, [ends(60), session(61, "expired"), starts(70)], None),  # it had ended before
        (OFF_FIRST, [session(61, "expired"), ends(62), starts(70)], 70.0),
        (OFF_FIRST, [ends(60), power(60, False), session(65, "connected"), starts(70)], None),  # it is back
        (OFF_FIRST, [fence(5, "confirmed"), session(6, "connected"), session(67, "expired"), ends(68), starts(70)], 70.0),
        (OFF_FIRST, [ends(60), power(60, False), starts(70, "hv1")], None),
        (PLACES, [claimed(10, "hv2")], None),
        (PLACES, [flushed(5), claimed(10, "hv2")], 10.0),
        ("nobody is fenced", [fence(10, "confirmed")], None),
        ("nobody is fenced", [fence(10, "begun")], 10.0),
        ("node hv1 is fenced at most once", [fence(10, "begun"), fence(20, "confirmed")], None),
        ("node hv1 is fenced at most once", [fence(10, "begun"), fence(20, "failed"), fence(30, "begun")], 30.0),
        ("node hv2 is fenced at most once", [fence(10, "begun"), fence(30, "begun")], None),
        ("node hv1 is fenced at most 2 times", [fence(10, "begun"), fence(20, "begun"), fence(30, "begun")], 30.0),
        ("no session is lost", [session(10, "suspended"), session(12, "connected"), session(20, "closed")], None),
        ("no session is lost", [session(10, "suspended"), session(20, "lost")], 20.0),
        ("no session is lost after 30", [session(20, "expired")], None),
        (KNOWS, [session(10, "connected"), synced(15)], None),
        (KNOWS, [session(10, "connected"), synced(15.1)], 10.0),
        (KNOWS, [session(10, "connected")], 10.0),
        (KNOWS, [session(10, "connected"), session(12, "suspended"), session(14, "connected"), synced(16)], None),
        (KNOWS, [session(10, "connected"), power(12, False)], None),
        (FEW, [session(10, "connected"), synced(11, 50)], None),
        (FEW, [session(10, "connected"), synced(11, 51)], 11.0),
        (f"{FEW} after 20", [session(10, "connected"), synced(11, 51)], None),
        ("node hv1 says it is late", [says(10, "hello: it is late now")], None),
        ("node hv1 says it is late", [says(10, "it is early"), says(11, "it is late", "hv2")], 100.0),
        ("node hv1 says it is late between 20 and 30", [says(10, "it is late")], 100.0),
        ("vm web runs continuously", [moves(10)], None),
        ("vm web runs continuously", [ends(10), starts(10)], 10.0),
        ("vm web runs continuously after 50", [ends(10), starts(20)], None),
        ("vm web runs continuously after 50", [ends(10)], 50.0),
        ("vm web runs continuously between 20 and 30", [ends(10), starts(15), ends(40, "hv2")], None),
        ("vm web runs continuously between 20 and 30", [ends(10), starts(25)], 20.0),
        ("vm web never runs", [], 0.0),
        ("vm web never runs after 20", [ends(20)], None),
        ("vm web never runs after 20", [ends(21)], 20.0),
        ("vm web never runs between 20 and 30", [ends(10), starts(30.5)], None),
        ("vm web never runs between 20 and 30", [ends(10), starts(29)], 29.0),
        ("vm web never runs on hv2", [], None),
        ("vm web never runs on hv2", [moves(10)], 10.0),
        ("vm web never runs on hv1 after 10", [moves(10)], None),
        ("vm web never starts after 20", [ends(10), starts(15)], None),
        ("vm web never starts after 20", [ends(10), starts(25)], 25.0),
        ("vm web never starts between 20 and 30", [ends(10), starts(31)], None),
        ("vm web starts at most 1 times after 5", [ends(10), starts(15)], None),
        ("vm web starts at most 1 times after 5", [ends(10), starts(15), ends(20, "hv2"), starts(25)], 25.0),
        ("vm web is attempted at most 2 times", [tried(10), tried(11)], None),
        ("vm web is attempted at most 2 times", [tried(10), tried(11), tried(12)], 12.0),
    ],
)  # fmt: skip
def test_a_sentence_holds_or_is_broken_at_its_time(words, lines, when):
    assert broken_at(words, *lines) == when


@pytest.mark.parametrize(
    "words", ["vm web runs", "vm web never runs on", "node hv1 is fenced", "no vm runs on two nodes", "vm web starts at most times"]
)
def test_what_has_none_of_the_forms_is_not_understood(words):
    assert understood(words) is None


def test_each_sentence_is_told_broken_once_and_the_others_are_still_watched():
    bench = Bench([understood("vm web never runs on hv2"), understood("vm web runs continuously")])
    for line in (*begin(), moves(10), moves(11, "hv2", "hv1"), moves(12), ends(20, "hv2")):
        bench.take(line)
    told = [(breach.at, breach.sentence) for breach in bench.breaches]
    assert told == [(10.0, "vm web never runs on hv2"), (20.0, "vm web runs continuously")]
