"""Records as JSON, with whatever a record may hold and whatever somebody may have put in its place."""

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pvc.cluster import formats
from pvc.cluster.fields import Unwritable
from pvc.cluster.handover import handover_of
from pvc.cluster.names import is_line, is_name
from pvc.cluster.records import (
    MAX_WHY,
    MAX_WORDS,
    Boot,
    ClusterConfig,
    DomainOutline,
    DomainRecord,
    FenceDetail,
    FenceMethod,
    Fencing,
    HandoverPolicy,
    History,
    HistoryEntry,
    Hold,
    Machine,
    Method,
    NodeOutline,
    NodeRecord,
    NodeStats,
    OnPoweroff,
    Policy,
    Selector,
    Unreadable,
)
from pvc.fsm.domain import OWNED
from pvc.fsm.states import Daemon, Domain, Fence, Flush, Handover, Kind, Migration, Request, Want
from pvc.fsm.views import Life, NodeLife

UUID = "6f1c0a52-8a0e-4c7e-9f60-0d2c5a0b6a11"

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,10}", fullmatch=True).filter(is_name)
tokens = st.from_regex(r"[A-Za-z0-9_:-]{1,20}", fullmatch=True)
numbers = st.integers(0, 10**12)
maybe_names = st.none() | names


def lines(limit):
    """What people write."""
    return st.text(max_size=limit).filter(is_line)


words, sentences = lines(MAX_WORDS), lines(MAX_WHY)
policies = st.builds(
    Policy,
    nodes=st.lists(names, max_size=4).map(tuple),
    selector=st.sampled_from(Selector),
    migration=st.sampled_from(Method),
    handover=st.sampled_from(HandoverPolicy),
    shutdown_timeout_s=st.integers(1, 86400),
    restart_budget=st.integers(0, 100),
    on_poweroff=st.sampled_from(OnPoweroff),
)


@st.composite
def lives(draw):
    """What the tables can make of a VM, and more."""
    state = draw(st.sampled_from([state for state in Domain if state is not Domain.delete]))
    moving = state is Domain.migrate
    return Life(
        state=state,
        want=draw(st.sampled_from(Want)),
        request=draw(st.sampled_from(Request)),
        owner=draw(names) if state in OWNED else None,
        target=draw(names if moving else maybe_names),
        home=draw(names),
        epoch=draw(numbers),
        restarts=draw(numbers),
        avoid=tuple(draw(st.lists(names, max_size=3))),
        phase=draw(st.sampled_from(list(Migration)[1:])) if moving else Migration.none,
        kind=draw(st.sampled_from(list(Kind)[1:])) if moving else Kind.none,
        handover=draw(st.sampled_from(Handover)) if moving else Handover.paused,
        op_id=draw(tokens) if moving else None,
        target_boot=draw(st.none() | tokens) if moving else None,
    )


@st.composite
def domains(draw):
    """VMs."""
    life = draw(lives())
    source = draw(maybe_names) if life.state is Domain.migrate else None
    memory, vcpus = draw(st.integers(1, 10**12)), draw(st.integers(1, 10_000))
    shown = draw(sentences), draw(words), draw(words)
    policy, locked = draw(policies), draw(st.booleans())
    if life.state is not Domain.migrate:
        life = replace(life, handover=handover_of(policy.handover, locked))  # without an operation it is what the next one will do
    return DomainRecord(UUID, draw(names), draw(tokens), life, memory, vcpus, policy, source, *shown, locked=locked)


addresses = st.none() | st.from_regex(r"[A-Za-z0-9.:\[\]_-]{1,40}", fullmatch=True)
nodes = st.builds(
    NodeRecord,
    st.just("n1"),
    st.builds(NodeLife, st.sampled_from(Daemon), st.sampled_from(Flush), st.sampled_from(Fence), maybe_names),
    st.none() | tokens,
    st.builds(Machine, numbers, numbers, words, words, words, words, words, words),
    addresses,
    st.builds(Fencing, st.sampled_from(FenceMethod), addresses),
    st.builds(FenceDetail, words, sentences, numbers),
    words,
)
entries = st.builds(HistoryEntry, words, words, words, words, words, words, words, words, sentences, words)
histories = st.builds(History, st.lists(entries, max_size=4).map(tuple))
holds = st.builds(Hold, st.booleans(), words, sentences, words)
configs = st.builds(ClusterConfig, st.just(UUID), names, holds, policies, st.lists(words, max_size=4).map(tuple), words)
loads = st.floats(0, 10**6) | st.integers(0, 1000).map(float)
stats = st.builds(NodeStats, numbers, numbers, numbers, numbers, numbers, loads, numbers, numbers)
boots = st.builds(Boot, numbers, tokens)

# Each kind of record: what there may be, how it is written, and how it is read.
KINDS = {
    "domain": (domains(), formats.encode_domain, lambda data: formats.decode_domain(UUID, data)),
    "node": (nodes, formats.encode_node, lambda data: formats.decode_node("n1", data)),
    "config": (configs, formats.encode_config, formats.decode_config),
    "boot": (boots, lambda record: formats.encode_boot("n1", record), lambda data: formats.decode_boot("n1", data)),
    "stats": (stats, lambda record: formats.encode_stats("n1", record), lambda data: formats.decode_stats("n1", data)),
    "history": (histories, lambda record: formats.encode_history("/h", record), lambda data: formats.decode_history("/h", data)),
}
OUTLINES = (DomainOutline, NodeOutline)



def around(inner):
    """Lists and objects of these."""
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)


finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | finite | st.text(max_size=20)
values = st.recursive(scalars, around, max_leaves=8)
shallow = scalars | around(scalars)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_what_is_written_is_read_again(kind, data):
    records, encode, decode = KINDS[kind]
    record = data.draw(records)
    assert decode(encode(record)) == record


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.binary(max_size=200))
@example(b"[" * 200_000)
@example(b'{"a":' * 50_000)
@example(b"9" * 200_000)
@example(b'{"v":' + b"9" * 60_000 + b"}")
@example(b'{"v":1e400}')
@example(b'{"v":"\\udc80"}')
@example(b'"' * 60_000)
@example(b'"\\' * 30_000)
def test_no_bytes_make_a_reader_raise(kind, data):
    found = KINDS[kind][2](data)
    assert isinstance(found, Unreadable)
    assert found.data == data
    assert len(found.why) < 1000


@pytest.mark.parametrize("kind", KINDS)
@given(value=st.dictionaries(st.sampled_from(["v", "op", "policy", "entries", "fence", "hold"]) | st.text(max_size=6), values, max_size=6))
def test_no_json_makes_a_reader_raise(kind, value):
    found = KINDS[kind][2](json.dumps(value).encode())
    assert isinstance(found, (Unreadable, *OUTLINES))


def places(value, at=()):
    """Every place in a JSON value, as the way to it."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*at, key))


def put(value, place, part):
    """Replace what is in this place."""
    if not place:
        return part
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = put(copy[place[0]], place[1:], part)
    return copy


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_record_with_something_else_in_one_place_is_read_or_refused_and_what_is_read_can_be_written(kind, data):
    records, encode, decode = KINDS[kind]
    value = json.loads(encode(data.draw(records)))
    spoiled = put(value, data.draw(st.sampled_from(list(places(value)))), data.draw(shallow))
    found = decode(json.dumps(spoiled).encode())
    if not isinstance(found, (Unreadable, *OUTLINES)):
        assert decode(encode(found)) == found


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_cutting_a_record_off_makes_it_unreadable(kind, data):
    records, encode, decode = KINDS[kind]
    whole = encode(data.draw(records))
    assert isinstance(decode(whole[: data.draw(st.integers(0, len(whole) - 1))]), Unreadable)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_unknown_fields_survive_in_every_object(kind, data):
    records, encode, decode = KINDS[kind]
    value = json.loads(encode(data.draw(records)))
    objects = [place for place in places(value) if isinstance(look(value, place), dict)]
    for place in data.draw(st.lists(st.sampled_from(objects), min_size=1, unique=True)):
        key = "x-" + data.draw(st.text(max_size=8))
        value = put(value, place, {**look(value, place), key: data.draw(shallow)})
    found = decode(json.dumps(value).encode())
    assert not isinstance(found, Unreadable), found.why
    assert json.loads(encode(found)) == value


def look(value, place):
    """What is in this place."""
    for key in place:
        value = value[key]
    return value


@given(record=domains(), version=st.integers(2, 1000), junk=st.dictionaries(st.text(max_size=5), shallow, max_size=3))
def test_a_newer_version_shows_its_owner_and_is_never_written(record, version, junk):
    stable = {name: getattr(record.life, name) for name in ("owner", "target", "home", "epoch")}
    stable |= {name: getattr(record, name) for name in ("name", "gen", "memory_mib", "vcpus")}
    found = formats.decode_domain(UUID, json.dumps({**junk, **stable, "v": version}).encode())
    assert found == DomainOutline(UUID, version, **stable)
    with pytest.raises(Unwritable):
        formats.encode_domain(found)


@given(record=nodes, version=st.integers(2, 1000))
def test_a_newer_version_shows_its_fence_and_is_never_written(record, version):
    value = json.loads(formats.encode_node(record))
    found = formats.decode_node("n1", json.dumps({**value, "v": version, "machine": None}).encode())
    assert found == NodeOutline("n1", version, record.life, record.boot)
    with pytest.raises(Unwritable):
        formats.encode_node(found)


@given(record=domains(), reason=st.text(max_size=400), vcpus=st.integers(-3, 20_000), name=st.text(max_size=70))
def test_what_is_written_can_always_be_read(record, reason, vcpus, name):
    changed = replace(record, reason=reason, vcpus=vcpus, name=name)
    try:
        data = formats.encode_domain(changed)
    except Unwritable:
        return
    assert formats.decode_domain(UUID, data) == changed
