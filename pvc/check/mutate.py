"""Whether the checker notices when a row or a guard is missing: each is taken out, one by one, and small worlds are checked again.

The worlds are tried in the order in which they answer fastest, up to the first that notices. Each exact one was explored with the whole
tables first, and its moves are kept but for those states in which a decision hangs on the row or guard alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pvc.check.coarse import LEFT_OPEN
from pvc.check.explore import Exploration, depth, explore
from pvc.check.guests import GuestModel
from pvc.check.hypervisor import Hypervisor
from pvc.check.liveness import settle
from pvc.check.mutants import Mutant, with_rows
from pvc.check.nodes import NodeModel
from pvc.check.space import Size, Space
from pvc.check.watching import Watcher, watch, watched
from pvc.check.wishes import WORDS
from pvc.core.decide import RULES, Rules
from pvc.core.facts import Options
from pvc.fsm.row import TableError
from pvc.fsm.states import By, Handover

MOVES = frozenset({"start", "stop", "migrate", "resolve_keep"})
ENDS = frozenset({"start", "shutdown", "disable", "undefine", "restart", "resolve_keep"})
RESOLVES = frozenset({"start", "stop", "disable", "resolve_keep", "resolve_stop"})
"""What admins say in worlds where they say little; a conflict never comes up, and without a word for it the tables would be unsound."""
MOST = 2  # a world that grows beyond so many times its size is given up


@dataclass(frozen=True, slots=True)
class World:
    """A small model that is checked: its size, its bound on faults, what an admin says in it, and how hypervisors behave.

    In a ``hard`` world a migration to hv2 always fails, in an ``endless`` one nothing that a guest should do by itself ever ends, and in
    one that is ``by_hand`` somebody may start guests past PVC. Where VMs are ``persistent``, they never use up their restarts; where they
    are ``cold``, their policies are to be shut down and started elsewhere rather than moved, and to stay off when they power themselves
    off. An admin ``flushes`` nodes, or does not.
    """

    name: str
    size: Size
    faults: int | None = None
    settles: bool = True
    heard: frozenset[str] = WORDS
    hard: bool = False
    endless: bool = False
    by_hand: bool = False
    flushes: bool = True
    persistent: bool = False
    cold: bool = False

    def rules(self, rules: Rules) -> Rules:
        """The tables, without what no admin says here."""
        if self.heard is WORDS:
            return rules
        heard = tuple(row for row in rules.tables["domain"].rows if row.by is not By.CLIENT or row.trigger in self.heard)
        return Rules(with_rows({"domain": heard}, rules.tables))

    def space(self, rules: Rules) -> Space:
        """The space of this world, under these tables."""
        if not self.size.exact:
            return Space(self.size, rules)
        handover = self.size.handover
        stubborn = frozenset({1} if self.hard else ())
        guests = GuestModel(
            self.size.nodes,
            handover,
            rules,
            Hypervisor(handover, stubborn=stubborn, endless=self.endless, by_hand=self.by_hand),
            budgets=(1,) if self.persistent else (1, 0),
            calm=self.faults == 0,
            heard=self.heard,
            options=Options(live=not self.cold, cold=self.cold, stays_off=self.cold, caretaker=True),
        )
        return Space(self.size, rules, NodeModel(rules, flushes=self.flushes), guests)


PAUSED, LIBVIRT = Handover.paused, Handover.libvirt
WORLDS = (
    World("nodes alone, any faults", Size(2, 0), None),
    World("three nodes alone, one fault", Size(3, 0), 1),
    World("coarse, any faults, paused", Size(2, 1, PAUSED, exact=False), None, settles=False),
    World("coarse, any faults, libvirt", Size(2, 1, LIBVIRT, exact=False), None, settles=False),
    World("moves, no fault, libvirt", Size(2, 1, LIBVIRT), 0, heard=MOVES),
    World("moves, no fault, a target that always fails", Size(2, 1, PAUSED, symmetry=False), 0, heard=MOVES, hard=True),
    World("the other policies, one fault", Size(2, 1, PAUSED), 1, heard=MOVES - {"migrate"}, cold=True),
    World("guests started by hand, one fault", Size(2, 1, PAUSED), 1, heard=RESOLVES, persistent=True, by_hand=True, flushes=False),
    World("no fault, nothing ends by itself", Size(2, 1, PAUSED), 0, heard=MOVES | ENDS, endless=True),
    World("ends, one fault, nothing ends by itself", Size(2, 1, PAUSED), 1, heard=ENDS | {"stop"}, endless=True, flushes=False),
    World("all that an admin says, no fault", Size(2, 1, PAUSED), 0),
    World("moves, one fault, paused", Size(2, 1, PAUSED), 1, heard=MOVES),
    World("moves, one fault, libvirt", Size(2, 1, LIBVIRT), 1, heard=MOVES),
    World("ends, one fault, restarts unlimited", Size(2, 1, PAUSED), 1, heard=ENDS - {"shutdown", "restart"}, persistent=True),
    World("moves, two faults, paused, rest not asked", Size(2, 1, PAUSED), 2, settles=False, heard=MOVES),
)


@dataclass(frozen=True, slots=True)
class Notice:
    """How a mutant was noticed: in which world, by which property, and how many moves away from the start."""

    world: str
    what: str
    moves: int = 0

    def __str__(self) -> str:
        return f"noticed: {self.what}" + (f", {self.moves} moves from the start" if self.moves else "") + f" ({self.world})"

    def as_dict(self) -> dict[str, Any]:
        """The notice for a program."""
        return asdict(self)


class Judge:
    """The worlds, explored with the whole tables, in which mutants are looked at."""

    def __init__(self, worlds: Iterable[World] = WORLDS) -> None:
        self.worlds = [(world, *self._sound(world)) for world in worlds]

    def _sound(self, world: World) -> tuple[Exploration, Watcher]:
        watcher = Watcher()
        rules = world.rules(RULES)
        space = watch(world.space(watched(rules, watcher) if world.size.exact else rules), watcher)
        found = explore(space, world.faults)
        wrong = judged(found, world)
        assert wrong is None, f"{world.name}: {wrong}"
        return found, watcher

    def judge(self, mutant: Mutant) -> Notice | None:
        """The first notice that is taken of this mutant; nothing when it survives."""
        try:
            rules = mutant.rules()
        except TableError as error:
            return Notice("the table's own proof", str(error).partition(": ")[2])
        for world, sound, watcher in self.worlds:
            # Safety alone is asked of a coarse world, and a row less only takes moves away.
            open_there = mutant.guard is None or mutant.guard in LEFT_OPEN
            matters = watcher.decides(mutant.missing) if world.size.exact else not open_there
            notice = self._look(world, sound, watcher, mutant, rules) if matters else None
            if notice is not None:
                return notice
        return None

    def _look(self, world: World, sound: Exploration, watcher: Watcher, mutant: Mutant, rules: Rules) -> Notice | None:
        space = world.space(world.rules(rules))
        try:
            if world.size.exact and _same(space, sound.space, *watcher.where(mutant.missing)):
                return None
            return judged(explore(space, world.faults, most=MOST * sound.states + 10_000), world)
        except LookupError as error:
            return Notice(world.name, f"a joint finds no partner: {error}")


def _same(space: Space, base: Space, guests: set[int], nodes: set[int]) -> bool:
    """Let a space go on from what another has computed; whether it moves alike even where decisions differ."""
    space.inherit(base, guests, nodes)
    return space.guest_rows.agrees(base.guest_rows, guests) and space.node_rows.agrees(base.node_rows, nodes)


def judged(found: Exploration, world: World) -> Notice | None:
    """What is wrong in an explored world, or nothing."""
    if found.violation is not None:
        said = {verdict for verdict in found.space.verdicts(found.violation) if verdict}
        return Notice(world.name, " and ".join(sorted(said)), depth(found, found.violation))
    if not world.settles or not found.complete:
        return None
    verdicts = settle(found)
    worst = {
        "nothing leads to rest any more": verdicts.stuck,
        "the system alone does not settle": verdicts.unsettled,
        "the system may go round for ever": [state for ring in verdicts.cycles for state in ring],
    }
    for what, states in worst.items():
        if states:
            return Notice(world.name, what, min(depth(found, state) for state in states[:100]))
    return None


def judge_all(mutants: Iterable[Mutant]) -> Iterator[tuple[Mutant, Notice | None]]:
    """Every mutant and how it was noticed, as soon as it is known."""
    judge = Judge()
    for mutant in mutants:
        yield mutant, judge.judge(mutant)
