"""The watcher itself: it sees a guest that runs twice, and takes no hand-over for that, however late it looks. No test here needs a lab."""

import os
from types import SimpleNamespace

import pytest

from lab import watch
from lab.host import Guest
from lab.watch import Watcher, processor_time_ns

SOURCE, TARGET = Guest(1, "u", "web", "hv1"), Guest(2, "u", "web", "hv2")
MOMENT_NS = 50_000_000


class Machine:
    """Two copies of a guest; what happens between two readings of one look is in `meanwhile`."""

    def __init__(self):
        self.used_ns, self.meanwhile = {SOURCE.pid: 0, TARGET.pid: 0}, []

    def guests(self):
        return [SOURCE, TARGET]

    def runs(self, *copies):
        for copy in copies:
            self.used_ns[copy.pid] += MOMENT_NS

    def read(self, pid):
        used = self.used_ns[pid]
        if pid == SOURCE.pid and used is not None and self.meanwhile:
            self.runs(*self.meanwhile.pop())
        return used


@pytest.fixture
def machine(monkeypatch):
    machine = Machine()
    clock = iter(range(1000))
    monkeypatch.setattr(watch, "processor_time_ns", machine.read)
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    return machine


@pytest.fixture
def watcher(machine):
    watcher = Watcher(machine)
    watcher.sample()
    return watcher


def look_after(watcher, machine, *copies):
    machine.runs(*copies)
    watcher.sample()


def test_a_hand_over_between_two_looks_is_none_twice(machine, watcher):
    for copy in (SOURCE, SOURCE, TARGET, TARGET):
        look_after(watcher, machine, copy)
    assert watcher.twice() == []


def test_nor_is_one_in_the_middle_of_a_look(machine, watcher):
    """The source was read, went on, gave over, and then the target was read: by the next look both have run since the last."""
    look_after(watcher, machine, SOURCE)
    machine.meanwhile = [(SOURCE, TARGET)]
    for copy in (SOURCE, TARGET, TARGET):
        look_after(watcher, machine, copy)
    assert watcher.twice() == []


def test_a_reading_that_fails_is_no_time(machine, watcher):
    for copy in (SOURCE, TARGET):
        look_after(watcher, machine, copy)
    used, machine.used_ns[SOURCE.pid] = machine.used_ns[SOURCE.pid], None
    look_after(watcher, machine, TARGET)
    machine.used_ns[SOURCE.pid] = used
    for _ in range(2):
        look_after(watcher, machine, TARGET)
    assert watcher.twice() == []


@pytest.mark.parametrize("order", [(SOURCE, TARGET), (TARGET, SOURCE)], ids=["source first", "target first"])
def test_two_that_run_in_turns_are_seen(machine, watcher, order):
    for copy in 3 * order:
        look_after(watcher, machine, copy)
    assert watcher.twice()


def test_two_that_run_at_the_same_time_are_seen(machine, watcher):
    for _ in range(3):
        look_after(watcher, machine, SOURCE, TARGET)
    assert watcher.twice()


def test_a_thread_that_ends_while_it_is_read_makes_no_time(monkeypatch):
    """As threads of a QEMU do at the end of a migration: what the others have used is not known then, and is not nothing."""
    pid = os.getpid()
    for threads, used in (([str(pid)], 0), ([str(pid), "ended"], None)):
        monkeypatch.setattr(watch, "os", SimpleNamespace(listdir=lambda path, threads=threads: threads))
        assert processor_time_ns(pid) == used
