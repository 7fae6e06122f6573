"""What an admin does about a node that is lost: having it shot at once, or giving their word that it is off."""

from collections.abc import Callable
from uuid import uuid4

from pvc.client.node_commands import Told, readable_node, written_node
from pvc.client.snapshot import Reader
from pvc.client.writing import Writer, insist
from pvc.cluster import znodes
from pvc.cluster.evidence import Seen, Transition
from pvc.cluster.node_changes import node_change
from pvc.core.brakes import unshootable
from pvc.errors import PvcError, Refused, UsageProblem
from pvc.fsm.fence import FENCE
from pvc.fsm.fire import after
from pvc.fsm.row import explain
from pvc.fsm.states import By
from pvc.fsm.views import NodeLife, NodeView


class FenceCommands:
    """What one client does with fences."""

    def __init__(self, reader: Reader, writer: Writer, who: str, now: Callable[[], str]) -> None:
        self.reader = reader
        self.writer = writer
        self.who = who
        self.now = now

    def order(self, name: str, why: str) -> Told:
        """Have a node shot by whoever can reach its device: without any wait, and whatever brakes others.

        Raises Refused while it holds its session, when it was stopped cleanly, and when there is no device to shoot it with.
        """
        record = readable_node(self.reader.node(name))
        if brake := unshootable(record.fencing):
            raise Refused(f"{name} cannot be shot: {brake}", f"look, then give your word: pvc node fence {name} --confirm-off --reason ...")
        return self._insist(name, "order", f"{self.who} ordered it to be shot{f': {why}' if why.strip() else ''}")

    def confirm_off(self, name: str, why: str) -> Told:
        """Give one's word that a node is off, so that what it owned is recovered; `why` says how that is known.

        Raises Refused while it holds its session: then it is not off.
        """
        if not why.strip():
            raise UsageProblem("a word that a node is off needs a reason: how is it known?", 'repeat it with --reason "..."')
        return self._insist(name, "confirm", f"{self.who} gave their word that it is off: {why}")

    def _insist(self, name: str, trigger: str, why: str) -> Told:
        self.reader.node(name)
        return insist(lambda: self._fire(name, trigger, why), lambda: self._changed(name))

    def _fire(self, name: str, trigger: str, why: str) -> Told:
        node = self.reader.node(name)
        record = readable_node(node)
        view = NodeView(record.life, name, alive=node.alive)
        answer = explain(FENCE, record.life.fence, trigger, By.CLIENT, view)
        if answer.row is None:
            raise Refused(f"{name}: {answer.reason}", f"pvc node info {name}")
        life = after(FENCE, answer.row, view)
        assert isinstance(life, NodeLife)
        boot = self.reader.store.read(znodes.boot(name), sync=True)
        if boot is None:
            raise PvcError(f"{name} has no boot record", "repair the cluster by hand: that record is never deleted")
        transition = Transition("fence", answer.row, By.CLIENT, self.who, f"cli-{uuid4().hex[:16]}", self.now(), why)
        relied, events = self.reader.snapshot().relied(), self.reader.events(name)
        change = node_change(Seen(record, node.version), life, transition, relied, Seen(boot.data, boot.version), events)
        version = self.writer.write(change, written_node(name, transition.request))
        return Told(name, record.life, version, node.alive)

    def _changed(self, name: str) -> str:
        life = readable_node(self.reader.node(name)).life
        return f"somebody else changed {name} meanwhile: it is now {life.daemon}, its fence {life.fence}"
