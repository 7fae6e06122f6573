"""What an admin may always say: each word that a table does not take any more is missed."""

import pytest

from pvc.check.block import OWNED
from pvc.check.explore import explore
from pvc.check.mutants import Mutant
from pvc.check.space import Size, Space
from pvc.check.wishes import WORDS, unheard
from pvc.core.decide import RULES
from pvc.core.facts import NodeFacts, Options
from pvc.fsm.states import By, Daemon, Domain, Migration, Want
from pvc.fsm.tables import TABLES
from pvc.fsm.views import Life, NodeLife

NODES = {number: NodeFacts(NodeLife(Daemon.run), alive=True) for number in range(2)}
SPOKEN = [row for row in TABLES["domain"].rows if row.by is By.CLIENT]


def missed(life, rules=RULES):
    return unheard(life, NODES, rules.client_moves(life, NODES, Options()))


def test_every_word_is_one_of_the_client():
    assert {"start", "stop", "shutdown", "disable", "undefine", "migrate", "move", "unmigrate", "restart", "cancel"} < WORDS


@pytest.mark.parametrize("row", SPOKEN, ids=str)
def test_every_word_is_missed_somewhere(row):
    """Each row of a client is some word's only one in some state: without it an admin is not heard there."""
    lives = [
        Life(state, want, owner=0 if state in OWNED else None, target=target, home=1, phase=phase)
        for state in Domain
        for want in Want
        for target in (None, 1)
        for phase in Migration
    ]
    rules = Mutant("domain", row).rules()
    assert any(missed(life, rules) is not None and missed(life) is None for life in lives)


def test_a_word_that_is_missed_is_told():
    space = Space(Size(2, 1), Mutant("domain", next(row for row in SPOKEN if row.trigger == "restart")).rules())
    found = explore(space, 0)
    assert found.violation is not None
    assert "an admin may not say 'restart' to a VM in start" in space.verdicts(found.violation)
