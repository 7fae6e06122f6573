"""Watching for the one thing that must never be: a guest that runs twice.

Which copy runs is asked of nobody, neither libvirt nor PVC: it is measured, as the time that the kernel gives to the threads
of each QEMU that are the guest's processors. In a paused copy, such as one that waits for a migration to end, they get none.
"""

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from lab.guests import Tick
from lab.host import Guest
from lab.lab import Lab
from lab.wait import wait_until

INTERVAL_S = 0.1
# In one interval. A tick of the idlest guest takes several times as much; to be created, paused or ended, a fraction.
RAN_NS = 2_000_000
# A flag of the kernel's (PF_EXITING, in the ninth field of /proc/PID/stat): the thread is being taken down.
EXITING = 0x4
# A guest ticks each second, so in this time one that runs has been seen to.
SEEN_WITHIN_S = 2.0
# On a machine that has little left, a guest may stand still for a while.
RUNS_S = 60.0


@dataclass
class Copy:
    """One QEMU process, and when it ran, on the monotonic clock: by `first` it had begun to, and it still did at some time after `last`.

    Readings are taken one after the other, with anything in between on a busy machine: only what lies between two of them is known.
    """

    guest: Guest
    used_ns: int
    read_at: float
    first: float | None = None
    last: float = 0.0
    seen_at: float = 0.0
    there: bool = True


@dataclass
class Twice:
    """Two copies of a guest that ran in turns, or at the same time."""

    vm: str
    hosts: tuple[str, str]
    at: float = field(default_factory=time.time)

    def __str__(self) -> str:
        return f"{self.vm} ran on {self.hosts[0]} and {self.hosts[1]}, seen at {time.strftime('%T', time.localtime(self.at))}"


class Watcher:
    """Samples every guest of a lab, all the time. As a context manager: watches inside, and `verify`s at the end."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._copies: dict[tuple[int, str], Copy] = {}
        self._twice: dict[tuple[int, int], Twice] = {}
        self._went_back: set[str] = set()
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="lab-watcher", daemon=True)
        self._failure: BaseException | None = None

    def __enter__(self) -> "Watcher":
        self.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.stop()
        if kind is None:
            self.verify()

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; what was seen is kept."""
        self._ending.set()
        self._thread.join()

    def verify(self) -> None:
        """AssertionError if ever a guest ran twice since this began to watch, as measured or by its own ticks."""
        if self._failure is not None:
            raise self._failure
        found = [str(twice) for twice in self.twice()] + self._ticks_of_two()
        assert not found, "; ".join(found)

    def twice(self) -> list[Twice]:
        """Every case of two running copies so far."""
        with self._lock:
            return list(self._twice.values())

    def running(self, vm: str) -> list[Guest]:
        """The copies of a guest that ran within the last two seconds and are there."""
        since = time.monotonic() - SEEN_WITHIN_S
        with self._lock:
            copies = list(self._copies.values())
        return [copy.guest for copy in copies if copy.guest.name == vm and copy.there and copy.seen_at > since]

    def goes_back(self, vm: str) -> None:
        """Forget what ended copies of a guest did, and its ticks: it may go on from a moment before they began."""
        there = {(guest.pid, guest.uuid) for guest in self._lab.guests()}
        with self._lock:
            self._went_back.add(vm)
            self._copies = {key: copy for key, copy in self._copies.items() if copy.guest.name != vm or key in there}

    # -- Measuring -----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        try:
            while not self._ending.wait(INTERVAL_S):
                self.sample()
        except BaseException as error:
            self._failure = error
            raise

    def sample(self) -> None:
        """Look once at every guest."""
        guests = self._lab.guests()
        with self._lock:
            there = {(guest.pid, guest.uuid) for guest in guests}
            for key, copy in self._copies.items():
                copy.there = key in there
            for guest in guests:
                self._measure(guest)

    def _measure(self, guest: Guest) -> None:
        begun_at = time.monotonic()
        used = processor_time_ns(guest.pid)
        if used is None:
            return
        copy = self._copies.setdefault((guest.pid, guest.uuid), Copy(guest, used, begun_at))
        ran, since = used - copy.used_ns > RAN_NS, copy.read_at
        copy.used_ns, copy.read_at = used, begun_at
        if not ran:
            return
        copy.seen_at = time.monotonic()
        copy.first, copy.last = copy.seen_at if copy.first is None else copy.first, since
        for other in self._copies.values():
            if other.guest.uuid == guest.uuid and other is not copy and _in_turns(copy, other):
                hosts = (other.guest.host, guest.host)
                self._twice.setdefault((other.guest.pid, guest.pid), Twice(guest.name, hosts))

    def _ticks_of_two(self) -> list[str]:
        names = {copy.guest.name for copy in self._copies.values()} - self._went_back
        twice = ((name, tick) for name in sorted(names) for tick in repeated(self._lab.ticks(name)))
        return [f"{name}: tick {tick.number} of boot {tick.boot} was printed twice" for name, tick in twice]


def repeated(ticks: list[Tick]) -> list[Tick]:
    """Ticks that are there twice: a guest counts on where it was moved to, so only a second copy prints one again."""
    seen: set[tuple[str, int]] = set()
    twice = []
    for tick in ticks:
        if (tick.boot, tick.number) in seen:
            twice.append(tick)
        seen.add((tick.boot, tick.number))
    return twice


def processor_time_ns(pid: int) -> int | None:
    """How long the processors of the guest in this QEMU have run so far; None when that cannot be read, or it is about to be gone.

    What the kernel has to do to take a process down, its memory and all, counts as time of the thread that happens to end last.
    """
    total = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            place = Path(f"/proc/{pid}/task/{thread}")
            if (place / "comm").read_text().startswith("CPU "):
                total += int((place / "schedstat").read_text().split()[0])
                if int((place / "stat").read_text().rpartition(")")[2].split()[6]) & EXITING:
                    return None
    except (OSError, ValueError):  # some thread of it has just ended, and the next look will tell
        return None
    return total


def _in_turns(one: Copy, other: Copy) -> bool:
    """Whether each certainly ran after the other had begun; else it is a hand-over."""
    if one.first is None or other.first is None:
        return False
    return one.first <= other.last and other.first <= one.last


def running_copies(lab: Lab, vm: str) -> list[Guest]:
    """The copies of a guest whose processors run, measured over two seconds, or until one is seen to."""
    watcher = Watcher(lab)
    with watcher:
        time.sleep(SEEN_WITHIN_S)
        return wait_until(lambda: watcher.running(vm), RUNS_S, f"{vm} runs")
