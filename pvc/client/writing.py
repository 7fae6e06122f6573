"""How a client's change gets into the cluster: repaired where only the index stands in its way, decided again where somebody was faster,
and looked up where no answer came.
"""

from collections.abc import Callable
from typing import TypeVar

from pvc.client.ear import Ear
from pvc.cluster.changes import is_drift, repaired
from pvc.cluster.commit import Change, Outcome, commit, settle
from pvc.cluster.store import Broken, NotConnected, OutcomeUnknown, Refused, SessionLost, Store, Why, Znode, version_after
from pvc.errors import NoQuorum
from pvc.errors import Refused as RefusedByRule

T = TypeVar("T")

TRIES = 3
"""How often a command is decided: each time somebody else has written in between."""

SETTLE_S = 30.0
"""How long an answer is waited for that was lost with the connection."""

CHANGED = (Why.VERSION, Why.EXISTS, Why.MISSING, Why.NOT_EMPTY)
"""Refusals that say that the cluster is not as it was read."""


class Overtaken(Exception):
    """Nothing was written: what the decision relied on has changed."""

    def __init__(self, refused: Refused | None = None) -> None:
        super().__init__(str(refused))
        self.refused = refused


class Writer:
    """Commits the changes of one client."""

    def __init__(self, store: Store, ear: Ear) -> None:
        self.store = store
        self.ear = ear

    def write(self, change: Change, applied: Callable[[Znode], bool]) -> int:
        """Write it and return the new version of its primary record; `applied` tells whether a znode shows the request.

        Raises `Overtaken` when nothing was written and it has to be decided again, NoQuorum when nobody can tell what became of it.
        """
        try:
            self._commit(change)
        except SessionLost as lost:
            raise Overtaken from lost
        except OutcomeUnknown:
            self._settle(change, applied)
        return version_after(change.primary_op())

    def _commit(self, change: Change) -> None:
        try:
            try:
                commit(self.store, change)
            except Refused as refused:
                if not is_drift(refused):
                    raise
                commit(self.store, repaired(self.store, change))
        except Refused as refused:
            if refused.why in CHANGED:
                raise Overtaken(refused) from refused
            raise

    def _settle(self, change: Change, applied: Callable[[Znode], bool]) -> None:
        deadline = self.ear.clock() + SETTLE_S
        while (left := deadline - self.ear.clock()) > 0:
            outcome = self._outcome(change, applied)
            if outcome is Outcome.APPLIED:
                return
            if outcome is Outcome.NOT_APPLIED:
                raise Overtaken
            if self.store.connected and outcome is Outcome.UNKNOWN:
                break
            if isinstance(self.ear.next(left), Broken):
                break
        why = "the connection to ZooKeeper went before the answer came: this may have been done, or not"
        raise NoQuorum(why, "look before you repeat it")

    def _outcome(self, change: Change, applied: Callable[[Znode], bool]) -> Outcome:
        try:
            return settle(self.store, change, applied)
        except NotConnected:  # it went again, before `applied` had read all that it needs
            return Outcome.UNKNOWN


def insist(attempt: Callable[[], T], changed: Callable[[], str]) -> T:
    """Decide and write, again when somebody else was faster; `changed` then says how things are now.

    Raises Refused with both: what somebody else has made of it, and why the command is not possible any more.
    """
    overtaken = False
    for _ in range(TRIES):
        try:
            return attempt()
        except Overtaken:
            overtaken = True
        except RefusedByRule as refused:
            if not overtaken:
                raise
            raise RefusedByRule(f"{changed()}; {refused}", refused.next_step) from refused
    raise RefusedByRule(changed(), "look what others are doing, and try again")
