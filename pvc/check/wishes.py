"""What an admin may always say of a VM, whatever state it is in: a promise of the client, stated apart from the rows that keep it."""

from collections.abc import Iterable, Iterator

from pvc.check.block import OWNED
from pvc.core.decide import Move
from pvc.core.facts import Nodes, eligible
from pvc.fsm.states import By, Domain, Migration, Request, Want
from pvc.fsm.tables import TABLES
from pvc.fsm.views import DomainView, Life

Word = tuple[str, int | None]
"""A trigger of a client, and the node that is named with it."""

OFF = (Domain.stop, Domain.failed, Domain.disable)
BEFORE_HANDOVER = (Migration.asked, Migration.accepted, Migration.moving)


WORDS = frozenset(row.trigger for row in TABLES["domain"].rows if row.by is By.CLIENT)
"""All that an admin says about VMs."""


def unheard(life: Life, nodes: Nodes, moves: Iterable[Move], words: frozenset[str] = WORDS) -> Word | None:
    """One of these words that an admin may not say here, although it would change something and nothing speaks against it."""
    heard = set()
    for move in moves:
        assert isinstance(move.view, DomainView)
        heard.add((move.row.trigger, move.view.choice))
    return next((word for word in _promised(life, nodes) if word[0] in words and word not in heard), None)


def _promised(life: Life, nodes: Nodes) -> Iterator[Word]:
    fits = sorted(eligible(nodes))
    yield from _up_or_down(life, fits)
    if life.state in OFF:
        yield from (("move", node) for node in fits if node != life.home)
    if life.state is Domain.migrate and life.phase in BEFORE_HANDOVER and life.request is not Request.cancel:
        yield "cancel", None
    if life.state is Domain.start and life.want is Want.start and life.request is not Request.restart:
        yield "restart", None
        if life.owner is not None and nodes[life.owner].alive:
            if life.owner != life.home and life.request is Request.none:
                yield "stay", None
            yield from ((verb, node) for verb in ("migrate", "move") for node in fits if node != life.owner)
            if life.home in fits and life.home != life.owner:
                yield "unmigrate", None


def _up_or_down(life: Life, fits: list[int]) -> Iterator[Word]:
    """Up, off at once, off in its own time, off for good, gone: each from wherever it is not the case or wanted already."""
    owned, placed = life.state in OWNED, life.state is Domain.place
    if life.state in OFF or (placed and life.target not in fits):
        yield from (("start", node) for node in fits)
    if owned and life.want is not Want.start:
        yield "start", None
    if placed or life.state is Domain.failed or (owned and life.want is not Want.stop):
        yield "stop", None
    if placed or (owned and life.want not in (Want.stop, Want.shutdown)):
        yield "shutdown", None
    if placed or life.state in (Domain.stop, Domain.failed) or (owned and life.want is not Want.disable):
        yield "disable", None
    if placed or life.state in OFF or (owned and life.want is not Want.delete):
        yield "undefine", None
    if life.state is Domain.disable:
        yield "enable", None
    if life.state is Domain.conflict:
        yield from (("resolve_keep", None), ("resolve_stop", None))
