"""Two clients want different things of one VM at the same moment: one wins, the other is told, and there is never more than one guest."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from pvc.errors import PvcError, Refused
from pvc.fsm.states import Domain, Migration, Want
from tests.lab.admin import NODES, PATIENCE_S, Admin
from tests.lab.holds import Holds

pytestmark = pytest.mark.lab
ROUNDS = 20


class Rivals:
    """Two clients with a session each, who give their commands at the same moment."""

    def __init__(self, admins):
        self.admins = admins
        self.start = threading.Barrier(len(admins))
        self.held = Holds(admins[0].lab, "web")
        self.pool = ThreadPoolExecutor(len(admins))

    def race(self, *commands):
        """What became of each command: what was asked, or the error; its place says whose it was.

        However late one of them comes, no guest has moved by then: where it would go, libvirt is held.
        """
        with ExitStack() as held:
            for host in NODES:
                held.enter_context(self.held.gate(host, "migrate"))
            results = list(self.pool.map(self._act, self.admins, commands))
        for admin in self.admins:
            admin.catch_up()
        return results

    def _act(self, admin, command):
        verb, name, *words = command
        self.start.wait(PATIENCE_S)
        try:
            return getattr(admin.client, verb)(name, *words)
        except PvcError as error:
            return error


@pytest.fixture
def rivals(admin):
    other = Admin(admin.lab, admin.watcher)
    rivals = Rivals((admin, other))
    yield rivals
    rivals.pool.shutdown()
    other.close()


def one_won(results):
    """Whose command was accepted, when it was one, and what the other was told."""
    refused = [result for result in results if isinstance(result, Exception)]
    assert len(refused) == 1, f"not one of two won: {results}"
    assert isinstance(refused[0], Refused), f"the other was not told why: {refused[0]!r}"
    (winner,) = (number for number, result in enumerate(results) if not isinstance(result, Exception))
    return winner, str(refused[0])


def test_of_two_starts_on_different_nodes_one_wins(admin, rivals):
    admin.define("web")
    wins = [0, 0]
    for number in range(ROUNDS):
        targets = (NODES[number % 3], NODES[(number + 1) % 3])
        winner, told = one_won(rivals.race(*(("start", "web", target) for target in targets)))
        assert told.startswith(("web cannot be started", "somebody else changed web meanwhile")), told
        assert targets[winner] in told or "wanted start already" in told
        admin.reach_state("web", Domain.start)
        assert admin.life("web").owner == targets[winner]
        assert admin.copies("web") == [targets[winner]]
        wins[winner] += 1
        admin.do("stop", "web")
    assert sum(wins) == ROUNDS


def test_of_two_migrations_to_different_targets_one_wins(admin, rivals):
    admin.up("web")
    here = "hv1"
    for _ in range(ROUNDS):
        targets = [name for name in NODES if name != here]
        winner, told = one_won(rivals.race(*(("migrate", "web", target) for target in targets)))
        assert "only a guest that runs undisturbed can move live" in told
        admin.reach("web", "arrived", lambda record: record.life.state is Domain.start and record.life.phase is Migration.none)
        here = targets[winner]
        assert (admin.life("web").owner, admin.copies("web")) == (here, [here])
    admin.ticks_on("web", here)
    assert len(admin.boots("web")) == 1
    assert admin.life("web").home == "hv1"


def test_of_stop_and_start_the_later_word_counts(admin, rivals):
    """Both may be legal, one after the other; then whoever was first is told by the end of the wait, and the record says who was last."""
    admin.define("web")
    for _ in range(ROUNDS):
        results = rivals.race(("stop", "web"), ("start", "web"))
        refused = [result for result in results if isinstance(result, Exception)]
        assert len(refused) < 2
        assert all(isinstance(error, Refused) and "web cannot be st" in str(error) for error in refused), refused
        last = [trigger for trigger in admin.triggers("web") if trigger in ("stop", "start")][-1]
        if refused:
            assert last == ("stop" if refused[0] is results[1] else "start")
        up = last == "start"
        admin.reach_state("web", Domain.start if up else Domain.stop)
        assert admin.life("web").want is (Want.start if up else Want.stop)
        assert len(admin.copies("web")) == up
