"""Taking home by configuration what a failover took away: a node that was fenced, and works again, is given back as by `pvc node ready`.

It is an admin's command, given beforehand: the same row in the same role, once for each return, so nothing is decided here that a client
may not decide at any time. A node that an admin flushed stays flushed.
"""

import logging
from collections.abc import Callable

from pvc.agent.ports import Moved
from pvc.cluster import znodes
from pvc.cluster.commit import Change, commit
from pvc.cluster.evidence import Relied, Seen, Transition
from pvc.cluster.formats import decode_history, decode_node
from pvc.cluster.node_changes import node_change
from pvc.cluster.records import History, NodeRecord
from pvc.cluster.store import Check, Store, StoreError, Znode
from pvc.fsm.fire import after
from pvc.fsm.flush import FLUSH
from pvc.fsm.row import explain
from pvc.fsm.states import By, Daemon, Flush
from pvc.fsm.views import NodeLife, NodeView

log = logging.getLogger("pvcd")

WHY = "Its configuration says take_home: what a failover took away comes back."


class Homecoming:
    """Looks now and then, on the caller's thread. ``token`` is the boot token, None before the node has joined; ``now`` is only shown."""

    def __init__(self, node: str, store: Store, token: Callable[[], int | None], now: Callable[[], str]) -> None:
        self._node, self._store, self._token, self._now = node, store, token, now
        self._looked: int | None = None  # the token under which nothing is left to be done
        self._returned = False  # this very daemon

    def moved(self, transition: Moved) -> None:
        """Hear of a transition: after its return this daemon may have lost its session, and joined anew, before the first look."""
        if (transition.of, transition.machine, transition.trigger, transition.source) == (self._node, "node", "join", Daemon.fenced):
            self._returned = True

    def turn(self) -> bool:
        """Look once; returns whether the node was given back in this very turn."""
        token = self._token()
        if token is None or token == self._looked:
            return False
        try:
            return self._look(token)
        except StoreError as error:
            log.info("whether this node is to take its VMs home is looked at again: %s", error)
            return False

    def _look(self, token: int) -> bool:
        paths = (znodes.node(self._node), znodes.events(self._node), znodes.CONFIG)
        node, events, config = self._store.read_many(paths, sync=True).values()
        record = None if node is None else decode_node(self._node, node.data)
        if node is None or config is None or not isinstance(record, NodeRecord) or record.life.daemon is not Daemon.run:
            return False  # not yet
        past = None if events is None else decode_history(paths[1], events.data)
        if record.life.flush is not Flush.ready or not isinstance(past, History) or not returned(past, self._returned):
            self._looked = token
            return False
        told = None if events is None else Seen(past, events.version)
        commit(self._store, self._change(record, node, config, told, token))
        self._looked = token
        log.info("this node was fenced and works again: it takes its VMs home")
        return True

    def _change(self, record: NodeRecord, node: Znode, config: Znode, past: Seen[History] | None, token: int) -> Change:
        view = NodeView(record.life, self._node, alive=True)
        row = explain(FLUSH, record.life.flush, "ready", By.CLIENT, view).row
        assert row is not None  # whatever is ready may be given back
        life = after(FLUSH, row, view)
        assert isinstance(life, NodeLife)
        request = f"{self._node}-{token}-home-{node.version}"
        transition = Transition("flush", row, By.CLIENT, self._node, request, self._now(), WHY)
        change = node_change(Seen(record, node.version), life, transition, Relied(config=config.version), events=past)
        return change.guarded(Check(znodes.boot(self._node), token))


def returned(past: History, known: bool) -> bool:
    """Whether this node last joined as one that was proven off, and was not given back since.

    Where it is ``known`` that the daemon that asks did so, what it joined as after that was only another session.
    """
    for entry in reversed(past.entries):
        if (entry.machine, entry.trigger) == ("flush", "ready"):
            return False
        if (entry.machine, entry.trigger) == ("node", "join") and (entry.source == Daemon.fenced or not known):
            return entry.source == Daemon.fenced
    return False
