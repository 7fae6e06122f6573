"""The nodes of the checked cluster: power, daemon, session, and the protocol's part of their records.

A state of this part is one :class:`Host` per node. What a node's daemon decides comes from :func:`pvc.core.decide.node_moves`, on the real
tables; this module adds what the world does to nodes: power, crashes, cuts, expiries, fence devices. Time is absent: a wait may be over at
any moment.

What is merged, and why that loses nothing: a daemon that is cut off beyond its session, one that crashed, and a machine that is still
booting cannot do anything until they join, and all three keep whatever guests and libvirt jobs the hypervisor has (none after a boot); so
they are one state, ``DOWN``. An order to cut power that executes after its fencer gave up on it is a power loss like any other, which may
happen at any time anyway. :meth:`NodeModel.tidied` drops what no decision can depend on any more.
"""

from collections.abc import Iterator
from dataclasses import replace
from enum import IntEnum
from itertools import product
from typing import NamedTuple

from pvc.check.block import Seen, View
from pvc.core.decide import RULES, Move, Rules
from pvc.core.facts import NodeFacts, Self, Watch
from pvc.fsm.row import Row, Table, enabled, explain
from pvc.fsm.states import By, Daemon, Effect, Fence, Flush, Power
from pvc.fsm.views import NodeLife, NodeView


class Phys(IntEnum):
    """What a machine and its session really are."""

    UP = 0  # powered, daemon joined and connected
    CUT = 1  # powered, daemon joined, not connected (or frozen); its session has not ended
    CRASHED = 2  # powered, daemon not running; its session has not ended
    DOWN = 3  # powered, no session: crashed, cut off for long, or booting
    OFF_S = 4  # no power; its session has not ended
    OFF = 5  # no power, no session


WITH_SESSION = (Phys.UP, Phys.CUT, Phys.CRASHED, Phys.OFF_S)
POWERED = (Phys.UP, Phys.CUT, Phys.CRASHED, Phys.DOWN)


class Host(NamedTuple):
    """One node: the machine, its record, and what its fencer read of its power."""

    phys: Phys = Phys.UP
    life: NodeLife = NodeLife(Daemon.run)
    reading: Power | None = Power.unread  # None: the order to cut its power is under way
    broken: str = ""  # a defect that a step has shown


class Step(NamedTuple):
    """A move of the node part: label, class, the hosts after it, and what it does to the guests."""

    label: tuple[object, ...]
    kind: str  # S system, F fault, L action fails, H healing, C client, T system after a wait
    hosts: tuple[Host, ...]
    clears: int = -1  # this node lost its power: guests and jobs are gone
    joins: int = -1  # this node joined: its record shows the present kernel boot
    unless_held: int = -1  # only while no VM is on, or bound for, this node
    unless_uncalled: int = -1  # only while every VM that belongs to this node is called home


Hosts = tuple[Host, ...]


def facts(hosts: Hosts) -> dict[int, NodeFacts]:
    """What every daemon knows of the nodes: the records and who holds a session."""
    return {i: NodeFacts(host.life, host.phys in WITH_SESSION) for i, host in enumerate(hosts)}


class NodeModel:
    """All moves of the node part, an admin's that ``flushes`` included; ``lies`` plants a fence device that confirms what it did not do."""

    def __init__(self, rules: Rules = RULES, lies: bool = False, flushes: bool = True) -> None:
        self.rules = rules
        self.lies = lies
        self.flushes = flushes

    def verdict(self, hosts: Hosts) -> str:
        """What is wrong with the nodes, in words: a fence is about whoever holds no session, and ends with the write that begins one."""
        shown = next((host.broken for host in hosts if host.broken), "")
        return shown or ("a node that holds its session is under a fence" if any(map(_suspected, hosts)) else "")

    def steps(self, hosts: Hosts) -> Iterator[Step]:
        """Every move of the node part from here."""
        for i, host in enumerate(hosts):
            yield from self._world(hosts, i, host)
            yield from self._power_job(hosts, i, host)
            if host.phys is Phys.UP:
                for j in range(len(hosts)):
                    yield from self._decide(hosts, i, j)
            elif host.phys in (Phys.CRASHED, Phys.DOWN):
                yield from self._join(hosts, i)
            yield from self._client(hosts, i)

    def _world(self, hosts: Hosts, i: int, host: Host) -> Iterator[Step]:
        def to(phys: Phys, label: str, kind: str, clears: int = -1) -> Step:
            return Step((label, i), kind, put(hosts, i, host._replace(phys=phys)), clears=clears)

        phys = host.phys
        if phys in POWERED:
            yield to(Phys.OFF if phys is Phys.DOWN else Phys.OFF_S, "power lost", "F", clears=i)
        else:
            yield to(Phys.DOWN if phys is Phys.OFF else Phys.CRASHED, "boots", "H")
        if phys is Phys.UP:
            yield to(Phys.CUT, "cut off", "F")
            yield to(Phys.DOWN, "session expires while connected", "F")
        if phys in (Phys.UP, Phys.CUT):
            yield to(Phys.CRASHED, "daemon crashes", "F")
        if phys is Phys.CUT:
            yield to(Phys.UP, "reconnects", "H")
        if phys in (Phys.CUT, Phys.CRASHED):
            yield to(Phys.DOWN, "session expires", "S")
        if phys is Phys.OFF_S:
            yield to(Phys.OFF, "session expires", "S")

    def _power_job(self, hosts: Hosts, i: int, host: Host) -> Iterator[Step]:
        """What happens to node ``i`` by the hand of whoever shoots it."""
        if host.reading is not None:
            return
        if host.phys in POWERED:
            off = Phys.OFF if host.phys is Phys.DOWN else Phys.OFF_S
            yield Step(("power is cut", i), "S", put(hosts, i, host._replace(phys=off)), clears=i)
            yield Step(("power order fails", i), "L", put(hosts, i, host._replace(reading=Power.on)))
        else:
            yield Step(("power reads", i, Power.off), "S", put(hosts, i, host._replace(reading=Power.off)))
        yield Step(("power order times out", i), "L", put(hosts, i, host._replace(reading=Power.silent)))
        if self.lies:
            yield Step(("power order lies", i), "F", put(hosts, i, host._replace(reading=Power.off)))

    def _readings(self, host: Host) -> Iterator[tuple[Power, str]]:
        on = host.phys in POWERED
        yield Power.on if on else Power.off, "S"
        yield Power.silent, "L"
        if on and self.lies:
            yield Power.off, "F"

    def _join(self, hosts: Hosts, i: int) -> Iterator[Step]:
        for move in self.rules.node_moves(i, i, facts(hosts), Watch(), Self(joined=False)):
            life = self._after(move)
            kind = "C" if hosts[i].life.daemon is Daemon.stop else "S"  # a daemon that was stopped is started by hand
            new = Host(Phys.UP, life)
            yield Step((move.row.trigger, i), kind, put(hosts, i, new), joins=i)

    def _decide(self, hosts: Hosts, me: int, node: int) -> Iterator[Step]:
        known, host = facts(hosts), hosts[node]
        seen: set[Row] = set()
        for stale, due in product((False, True), repeat=2):
            watch = Watch(host.reading or Power.unread, busy=host.reading is None, stale=stale, due=due, concerns=True)
            for move in self.rules.node_moves(me, node, known, watch, Self(joined=True, inventory=True)):
                if move.row not in seen:
                    seen.add(move.row)
                    yield from self._fire(hosts, me, node, move, "T" if stale or due else "S")
        if node == me and host.life.daemon in (Daemon.init, Daemon.run):
            told = self.rules.node_moves(me, me, known, Watch(), Self(joined=True, stopping=True))
            leaves = [self._after(move) for move in told if move.row.trigger == "leave"]
            stopped = host._replace(phys=Phys.DOWN, life=leaves[0]) if leaves else host._replace(broken="a daemon may not be stopped")
            yield Step(("is stopped", me), "C", put(hosts, me, stopped))

    def _fire(self, hosts: Hosts, me: int, node: int, move: Move, kind: str) -> Iterator[Step]:
        host, label = hosts[node], (move.row.trigger, me, node)
        life = self._after(move)
        claimed = Effect.read_power in move.row.effects or life.by is None
        fresh = Power.unread if claimed else host.reading
        left = life.daemon is Daemon.stop and host.life.daemon is not Daemon.stop
        new = host._replace(life=life, reading=fresh, broken="a daemon stops that nobody told to" if left else "")
        if move.row.trigger == "flushed":
            yield Step(label, kind, put(hosts, node, new), unless_held=node if _asks(move) else -1)
        elif move.row.trigger == "called":
            yield Step(label, kind, put(hosts, node, new), unless_uncalled=node if _asks(move) else -1)
        elif Effect.power_off in move.row.effects:
            yield Step(label, kind, put(hosts, node, new._replace(reading=None)))
            yield Step((*label, "reply lost"), "F", put(hosts, node, new._replace(reading=Power.unread)))
        elif Effect.read_power in move.row.effects:
            for reading, how in self._readings(host):
                yield Step((*label, reading), kind if how == "S" else how, put(hosts, node, new._replace(reading=reading)))
        else:
            yield Step(label, kind, put(hosts, node, new))

    def _client(self, hosts: Hosts, i: int) -> Iterator[Step]:
        host, flush, fence = hosts[i], self.rules.tables["flush"], self.rules.tables["fence"]
        view = NodeView(host.life, i, alive=host.phys in WITH_SESSION)
        for row in enabled(flush, host.life.flush, By.CLIENT, view) if self.flushes else ():
            yield Step((row.trigger, i), "C", put(hosts, i, host._replace(life=self._told(flush, row, view))))
        for row in enabled(fence, host.life.fence, By.CLIENT, view):
            # Whoever confirms looks before; whoever orders a shot may not.
            if row.trigger != "confirm" or host.phys in (Phys.OFF, Phys.OFF_S):
                yield Step((row.trigger, i), "C", put(hosts, i, host._replace(life=self._told(fence, row, view), reading=Power.unread)))
        confirmed = explain(fence, host.life.fence, "confirm", By.CLIENT, view)
        if not confirmed and host.phys is Phys.OFF and host.life.fence is not Fence.proven:
            yield Step(("confirm", i), "C", put(hosts, i, host._replace(broken="an operator may not say that a node is off")))

    def _after(self, move: Move) -> NodeLife:
        life = self.rules.after(move)
        assert isinstance(life, NodeLife)
        return life

    def _told(self, table: Table, row: Row, view: NodeView) -> NodeLife:
        return self._after(Move(table, row, view, By.CLIENT))

    def tidied(self, hosts: Hosts) -> Hosts:
        """The same hosts without what no decision can depend on any more.

        A reading lives in its fencer's memory: it is gone with the daemon that made it, and counts for nothing once the fence is proven.
        Without a session, ``init`` and ``run`` differ in nothing that any row reads. An order to shoot only ends waits and lifts brakes,
        which are open here anyway.
        """
        return tuple(_tidied(hosts, host) for host in hosts)


def _asks(move: Move) -> bool:
    """Whether a row asks for the absence of VMs; which there are, only the whole state knows."""
    assert isinstance(move.view, NodeView)
    return move.row.refuse(replace(move.view, holds=("a VM",), uncalled=("a VM",))) is not None


def _suspected(host: Host) -> bool:
    return host.phys in WITH_SESSION and host.life.fence is not Fence.none


def put(hosts: Hosts, i: int, host: Host) -> Hosts:
    """The same hosts with one of them changed."""
    return (*hosts[:i], host, *hosts[i + 1 :])


def _tidied(hosts: Hosts, host: Host) -> Host:
    life = host.life
    if life.ordered:
        life = replace(life, ordered=False)
        host = host._replace(life=life)
    if life.daemon is Daemon.init and host.phys not in WITH_SESSION:
        host = host._replace(life=NodeLife(Daemon.run, life.flush, life.fence, life.by))
    if host.reading is not Power.unread:
        holder = hosts[life.by].phys if life.by is not None else Phys.OFF
        if life.fence is Fence.proven or holder not in (Phys.UP, Phys.CUT):
            host = host._replace(reading=Power.unread)
    return host


def view(hosts: Hosts, exact: bool) -> View:
    """What VM moves read of the nodes."""
    return tuple(_seen(host, exact) for host in hosts)


def _seen(host: Host, exact: bool) -> Seen:
    alive = host.phys in WITH_SESSION
    works = alive and host.life.daemon is Daemon.run
    fenced = host.life.daemon is Daemon.fenced
    return Seen(
        powered=host.phys in POWERED,
        alive=alive,
        works=works,
        acts=works and host.phys is Phys.UP,
        flush=host.life.flush if works else None,
        fenced=fenced,
        by=host.life.by if fenced else None,
        stopped=exact and host.life.daemon is Daemon.stop,
    )


_FIELDS = (tuple(Daemon), tuple(Flush), tuple(Fence))


def order_key(host: Host, rank: dict[int | None, int]) -> tuple[int, ...]:
    """A key that orders hosts, used to choose one of several states that differ in node names alone."""
    life = host.life
    reading = -1 if host.reading is None else tuple(Power).index(host.reading)
    parts = (_FIELDS[0].index(life.daemon), _FIELDS[1].index(life.flush), _FIELDS[2].index(life.fence))
    return (int(host.phys), *parts, -1 if life.by is None else rank[life.by], reading)


def permuted(hosts: Hosts, perm: tuple[int, ...]) -> Hosts:
    """The same cluster under other node names: node ``i`` becomes ``perm[i]``."""
    new: list[Host] = [hosts[0]] * len(hosts)
    for i, host in enumerate(hosts):
        by = host.life.by
        life = host.life if by is None else NodeLife(host.life.daemon, host.life.flush, host.life.fence, perm[by])
        new[perm[i]] = host._replace(life=life)
    return tuple(new)
