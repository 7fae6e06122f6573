"""The progress of migrations: who writes it, how often, and what it is never in the way of."""

import threading
from dataclasses import replace

import pytest

from pvc.agent.ports import Moved
from pvc.cluster import znodes
from pvc.cluster.ensemble import MemoryEnsemble
from pvc.cluster.examples import DOMAIN
from pvc.cluster.formats import decode_progress, encode_boot
from pvc.cluster.memory import MemoryStore
from pvc.cluster.progress import MAX_LEAVING, Leaving
from pvc.cluster.records import Boot, DomainRecord
from pvc.cluster.store import Create, Set
from pvc.daemon import progress
from pvc.daemon.progress import LINGER_S, ProgressWriter
from pvc.fsm.states import Migration
from pvc.hypervisor.options import MigrationProgress

BOOT = encode_boot("node1", Boot(1, "boot-1"))


class Writing:
    """A writer whose libvirt and records a test sets."""

    def __init__(self):
        self.store = MemoryStore(MemoryEnsemble(tick_s=0.5), session_timeout_s=6.0)
        self.store.start(lambda event: None)
        self.store.multi([*(Create(path) for path in ("/nodes", "/nodes/node1", "/boots")), Create(znodes.boot("node1"), BOOT)])
        self.token, self.records = 0, {DOMAIN.uuid: DOMAIN}
        self.figures = {DOMAIN.uuid: MigrationProgress(1.5, 4112, 980, 701.5, 2, 10, 140)}
        self.halted, self.now = {}, 100.0
        self.writer = ProgressWriter(
            "node1",
            self.store,
            token=lambda: self.token,
            records=lambda: self.records,
            figures=lambda uuid: self.figures.get(uuid),
            halted=lambda uuid: self.halted.get(uuid),
            clock=lambda: self.now,
        )

    def tick(self):
        return self.writer.tick()

    def seen(self):
        znode = self.store.read(znodes.progress("node1"))
        return None if znode is None else decode_progress("node1", znode.data).migrations


@pytest.fixture
def writing():
    return Writing()


def test_what_libvirt_tells_is_published_with_the_operation_it_is_about(writing):
    assert writing.tick()
    assert writing.seen() == (Leaving(DOMAIN.uuid, "op-77ab", 1.5, 4112, 980, 701.5, 2, 10, 140),)


def test_a_look_is_at_most_one_write_and_none_without_news(writing):
    assert [writing.tick() for _ in range(3)] == [True, False, False]
    writing.figures[DOMAIN.uuid] = replace(writing.figures[DOMAIN.uuid], seconds=2.5)
    assert writing.tick()
    assert writing.store.read(znodes.progress("node1")).version == 1


def test_the_end_is_told_once_and_then_nothing(writing):
    writing.tick()
    writing.figures.clear()
    assert [writing.tick() for _ in range(3)] == [True, False, False]
    assert writing.seen() == ()


def test_a_node_that_nothing_leaves_writes_nothing(writing):
    for life in (replace(DOMAIN.life, owner="node2"), replace(DOMAIN.life, phase=Migration.accepted)):
        writing.records = {DOMAIN.uuid: replace(DOMAIN, life=life)}
        assert not writing.tick()
    assert writing.seen() is None


def hand_over(of="web1"):
    return Moved(of, "migration", "moving", "handover", "hand_over", "Gone from here.")


def test_how_long_a_guest_stood_still_here_is_told_when_it_is_given_away_and_for_some_seconds(writing):
    writing.tick()
    writing.halted[DOMAIN.uuid] = 99.75
    writing.writer.moved(hand_over("another"))
    assert not writing.tick(), "that was another VM's"
    writing.writer.moved(hand_over(DOMAIN.name))
    assert writing.tick(), "although its record has not been read anew"
    assert [(one.of, one.op, one.stood_ms) for one in writing.seen()] == [(DOMAIN.uuid, "op-77ab", 250)]
    writing.figures.clear()
    writing.now += LINGER_S
    assert writing.tick()
    assert writing.seen() == ()


def test_nobody_is_told_of_a_standstill_that_was_not_heard_to_begin(writing):
    writing.tick()
    writing.writer.moved(hand_over(DOMAIN.name))
    writing.figures.clear()
    writing.tick()
    assert writing.seen() == ()


def test_the_end_is_not_told_with_the_next_look_but_at_once(writing, monkeypatch):
    monkeypatch.setattr(progress, "INTERVAL_S", 3600.0)
    writing.halted[DOMAIN.uuid] = 99.75
    looked = threading.Event()
    writing.writer.tick = looked.set
    writing.writer.start()
    writing.writer.moved(hand_over(DOMAIN.name))
    assert looked.wait(60.0)
    writing.writer.close(60.0)


def test_there_is_a_limit(writing):
    uuids = [f"00000000-0000-4000-8000-{number:012}" for number in range(MAX_LEAVING + 5)]
    writing.records = {uuid: replace(DOMAIN, uuid=uuid) for uuid in uuids}
    writing.figures = dict.fromkeys(uuids, MigrationProgress(1, 4112, 980, 701.5, 2, 10))
    assert writing.tick()
    assert len(writing.seen()) == MAX_LEAVING


def test_a_daemon_that_was_replaced_or_has_not_joined_writes_nothing(writing):
    writing.token = None
    assert not writing.tick()
    writing.token = 0
    writing.store.multi([Set(znodes.boot("node1"), BOOT, 0)])
    assert not writing.tick()
    assert writing.seen() is None
    writing.token = 1
    assert writing.tick()


def test_no_connection_and_another_writer_are_gone_through(writing):
    writing.tick()
    writing.figures[DOMAIN.uuid] = replace(writing.figures[DOMAIN.uuid], seconds=2.5)
    writing.store.disconnect()
    assert not writing.tick()
    writing.store.reconnect()
    writing.store.multi([Set(znodes.progress("node1"), b"{}", 0)])
    assert writing.tick()
    assert writing.seen()[0].seconds == 2.5


def test_a_record_that_cannot_be_read_is_no_migration(writing):
    assert isinstance(DOMAIN, DomainRecord)
    writing.records = {DOMAIN.uuid: None}
    assert not writing.tick()
