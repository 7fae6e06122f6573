"""What the contract suite needs of a world with two hosts, each with a hypervisor port: real libvirtds, or simulated ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from pvc.core import events as e
from pvc.fsm.states import Effect, Guest, Handover, Job
from pvc.fsm.views import Life

HV1, HV2 = "hv1", "hv2"
SOON_S = 60.0
"""For what takes moments, on a machine that has little left; whoever waits so long waits in vain."""


class World(Protocol):
    """Two hosts with a port each, and what may befall them."""

    def wait(self, host: str, condition: Callable[[list[e.Event]], object], seconds: float, why: str) -> None:
        """Let time pass until this holds of the events that the host's port has reported; fails, with the reason, after so long."""

    def events(self, host: str) -> list[e.Event]:
        """What the port of this host has reported, since it was last started."""

    def order(self, host: str, uuid: str, effect: Effect, life: Life) -> None:
        """Give an order, as a Core does that has read everything reported."""

    def define(self, *, heeds: bool = True, slow: bool = False) -> str:
        """A new VM that every host can start; its UUID. `heeds`: it powers off when asked. `slow`: copying it outlasts any test."""

    def kill_guest(self, host: str, uuid: str) -> None:
        """Its QEMU dies."""

    def guest_powers_off(self, host: str, uuid: str) -> None:
        """The guest powers itself off, unasked."""

    def freeze(self, host: str) -> AbstractContextManager[None]:
        """Inside, the libvirtd of this host does not answer; afterwards it does, and goes on where it was."""

    def kill_libvirtd(self, host: str) -> None:
        """It dies, and is started again; guests go on."""

    def restart_port(self, host: str) -> None:
        """The daemon of this host dies without a word, and a new one starts on the same boot."""

    def reboot_id(self, host: str) -> None:
        """What the host claimed or admitted so far was under an earlier boot."""

    def running_on(self, uuid: str) -> list[str]:
        """The hosts on which vCPUs of this VM run, asked past the ports."""


class Script:
    """What tests say to a world, in words of theirs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.epoch = 0

    def life(self, **changes: object) -> Life:
        self.epoch += 1
        return Life(**{"epoch": self.epoch, "handover": Handover.paused, **changes})  # type: ignore[arg-type]

    def counted(self, host: str, seconds: float = SOON_S) -> e.Inventory:
        self.world.wait(host, inventories, seconds, f"the guests of {host} are counted")
        return inventories(self.world.events(host))[-1]

    def give(self, host: str, uuid: str, effect: Effect, **life: object) -> int:
        """Give an order; what was reported before it."""
        before = len(self.world.events(host))
        self.world.order(host, uuid, effect, self.life(**life))
        return before

    def do(self, host: str, uuid: str, effect: Effect, job: Job, seconds: float = SOON_S, **life: object) -> Guest:
        """Give an order, and wait for the end of its job; the guest that it reports."""
        before = self.give(host, uuid, effect, **life)
        return self.done(host, uuid, job, before, seconds)

    def done(self, host: str, uuid: str, job: Job, since: int = 0, seconds: float = SOON_S) -> Guest:
        self.world.wait(host, lambda events: jobs_done(events[since:], uuid, job), seconds, f"the {job} of {uuid} on {host} ends")
        return jobs_done(self.world.events(host)[since:], uuid, job)[-1].guest

    def create(self, host: str, **options: bool) -> str:
        uuid = self.world.define(**options)
        assert self.do(host, uuid, Effect.create, Job.create) is Guest.running
        return uuid

    def shows(self, host: str, uuid: str, guest: Guest, seconds: float = SOON_S) -> None:
        self.world.wait(host, lambda events: last(events, uuid) is guest, seconds, f"{uuid} is {guest} on {host}")

    def admit(self, host: str, uuid: str) -> None:
        self.world.order(host, uuid, Effect.admit, self.life())


def inventories(events: list[e.Event]) -> list[e.Inventory]:
    return [event for event in events if isinstance(event, e.Inventory)]


def jobs_done(events: list[e.Event], uuid: str, job: Job) -> list[e.JobDone]:
    return [event for event in events if isinstance(event, e.JobDone) and event.uuid == uuid and event.job is job]


def last(events: list[e.Event], uuid: str) -> Guest:
    """What a Core that has taken these events believes of a guest."""
    guest = Guest.unknown
    for event in events:
        match event:
            case e.Inventory(guests=guests):
                guest = guests.get(uuid, Guest.absent)
            case e.HypervisorLost():
                guest = Guest.unknown
            case e.GuestSeen(uuid=one, guest=seen) | e.JobDone(uuid=one, guest=seen) if one == uuid:
                guest = seen
    return guest


def until(condition: Callable[[], object], seconds: float, why: str) -> None:
    """Poll for what has no event."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {why}"
        time.sleep(0.02)
