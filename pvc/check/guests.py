"""One VM of the checked cluster: what clients and daemons do with it.

What they decide comes from :mod:`pvc.core.decide`, on the real tables; what the hypervisors do is in :mod:`pvc.check.hypervisor`. Decision
and write are one step here, because a row that writes is refused when the record has changed since it was read; :mod:`pvc.check.slow` takes
them apart, to show on small cases that this changes no verdict.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product

from pvc.check.blame import blame, blame_loss, blame_order, blame_policy, blame_record, blame_wish
from pvc.check.block import FRESH, Block, Seen, Slot, View, bounded, copies, held, with_slot
from pvc.check.hypervisor import Hypervisor, Step
from pvc.check.wishes import WORDS, Word, unheard
from pvc.core.decide import RULES, Move, Rules
from pvc.core.facts import JOBS, Local, NodeFacts, Nodes, Options
from pvc.fsm.row import Row
from pvc.fsm.states import Daemon, Effect, Fence, Flush, Handover, Job
from pvc.fsm.views import DomainView, Life, NodeLife


def facts(view: View) -> Nodes:
    """What every daemon knows of the nodes, as far as a decision about a VM can depend on it."""
    return {i: _facts(seen) for i, seen in enumerate(view)}


def _facts(seen: Seen) -> NodeFacts:
    daemon = Daemon.fenced if seen.fenced else Daemon.run if seen.works else Daemon.init
    life = NodeLife(daemon, seen.flush or Flush.ready, Fence.proven if seen.fenced else Fence.none, seen.by)
    return NodeFacts(life, seen.alive, FRESH)


class GuestModel:
    """All moves of one VM among ``nodes`` nodes.

    ``budgets`` are the numbers of restarts that may be left at any decision, ``options`` are the VM's policies. Where it is ``calm``,
    nothing ever fails, so no guest may be lost. Of what an admin may say, the words that are ``heard`` have to be. Where the ``hypervisor``
    lets guests be started by hand, who runs what is not judged, only what follows.
    """

    hypervisors: type[Hypervisor] = Hypervisor

    def __init__(
        self,
        nodes: int,
        handover: Handover = Handover.paused,
        rules: Rules = RULES,
        hypervisor: Hypervisor | None = None,
        budgets: tuple[int, ...] = (1, 0),
        calm: bool = False,
        heard: frozenset[str] = WORDS,
        options: Options = Options(caretaker=True),  # noqa: B008 - frozen
    ) -> None:
        self.nodes = nodes
        self.rules = rules
        self.handover = handover
        self.budgets = budgets
        self.calm = calm
        self.heard = heard
        self.options = options
        self.hypervisor = hypervisor or self.hypervisors(handover)

    def initial(self) -> Block:
        """A VM that is off, at home on the first node."""
        return Block(self.bounded(Life(home=0, handover=self.handover)), (Slot(),) * self.nodes)

    def steps(self, view: View, block: Block) -> Iterator[Step]:
        """Every move of this VM while the nodes look like this."""
        nodes = facts(view)
        moves = tuple(self._client_moves(block.life, nodes))
        for move in moves:
            yield Step(("client", move.row.trigger, chosen(move)), "C", self._written(block, move))
        word = self.unheard(block.life, nodes, moves)
        if word is not None:
            yield Step(("client", *word), "C", block._replace(broken=f"an admin may not say '{word[0]}' to a VM in {block.life.state}"))
        for i, seen in enumerate(view):
            if seen.acts:
                yield from self._decide(nodes, block, i)
            if seen.powered:
                yield from self.hypervisor.steps(view, block, i)

    def unheard(self, life: Life, nodes: Nodes, moves: Iterable[Move]) -> Word | None:
        """A word that an admin should be able to say here, and is not."""
        return unheard(life, nodes, moves, self.heard)

    def bounded(self, life: Life) -> Life:
        """The same record without what no guard reads in its state."""
        return bounded(life)

    def blame(self, block: Block, move: Move, life: Life) -> str:
        """What is wrong with a write, in words; empty when nothing is."""
        lost = blame_loss(move, life) if self.calm else ""
        twice = "" if self.hypervisor.by_hand else blame(block, move, life)
        return twice or blame_wish(move, life) or blame_policy(move, life) or blame_record(block, move, life) or lost

    def verdict(self, block: Block) -> str:
        """What is wrong with this VM, in words; empty when nothing is."""
        if block.broken:
            return block.broken
        return "two guests of one VM run" if copies(block) > 1 and not self.hypervisor.by_hand else ""

    def held(self, block: Block) -> int:
        """What a node's flush asks of this VM: bit i, it is on node i; bit nodes + i, it is to be called home to node i."""
        bits = held(block)
        return bits if self.options.live or self.options.cold else bits & ((1 << self.nodes) - 1)

    def blame_order(self, block: Block, i: int, move: Move, job: Job) -> str:
        """What is wrong with an order to a hypervisor, in words; empty when nothing is."""
        return blame_order(block, i, move, job)

    def job_of(self, effect: Effect) -> Job:
        """The job that an order puts in flight."""
        return JOBS[effect]

    def _client_moves(self, life: Life, nodes: Nodes) -> Iterable[Move]:
        return self.rules.client_moves(life, nodes, Options())

    def _decide(self, nodes: Nodes, block: Block, i: int) -> Iterator[Step]:
        """What node ``i`` may do: at once, or after a wait; with restarts left, or used up."""
        local = Local(*block.slots[i][:2])
        known: set[tuple[Row, int | None]] = set()
        for due, budget in product((False, True), self.budgets):
            for move in self.rules.domain_moves(i, block.life, local, nodes, replace(self.options, budget=budget, due=due)):
                key = (move.row, chosen(move))
                if key not in known:
                    known.add(key)
                    yield from self._fire(block, i, move, "T" if due else "S")

    def _fire(self, block: Block, i: int, move: Move, kind: str) -> Iterator[Step]:
        label = (move.row.trigger, i, chosen(move))
        written = self._written(block, move)
        said = [self.blame_order(block, i, move, self.job_of(effect)) for effect in move.row.effects if effect in JOBS]
        ordered = self._ordered(written, i, move.row)
        ordered = ordered._replace(broken=next(filter(None, [ordered.broken, *said]), ""))
        yield Step(label, kind, ordered)
        if said and move.row.writes:
            yield Step((*label, "reply lost"), "F", written)

    def _ordered(self, block: Block, i: int, row: Row) -> Block:
        for effect in row.effects:
            if effect in JOBS:
                block = with_slot(block, i, block.slots[i]._replace(job=self.job_of(effect)))
        return block

    def _written(self, block: Block, move: Move) -> Block:
        life = self.rules.after(move)
        assert isinstance(life, Life)
        return block._replace(life=self.bounded(life), broken=block.broken or self.blame(block, move, life))


def chosen(move: Move) -> int | None:
    """The node that was chosen for a move of a VM."""
    assert isinstance(move.view, DomainView)
    return move.view.choice
