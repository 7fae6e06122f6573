"""One node's agent: events in a queue, one at a time through the Core, its answers carried out. The loop that the daemon runs and the
simulator steps.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from pvc.agent.executor import Executor
from pvc.agent.feed import Feed
from pvc.agent.ports import Hypervisor, Log, PowerSwitch, Timer
from pvc.cluster.node_changes import Joining
from pvc.cluster.store import Event as StoreEvent
from pvc.cluster.store import Store
from pvc.core import events as e
from pvc.core.core import Core
from pvc.core.decide import RULES, Rules
from pvc.core.settings import Settings, published


class Agent:
    """A Core with its senses and hands. Whatever happens is put into the inbox; ``step`` takes one event out of it."""

    def __init__(
        self,
        me: str,
        store: Store,
        joining: Joining,
        *,
        hypervisor: Hypervisor,
        power: PowerSwitch,
        timer: Timer,
        log: Log,
        now: Callable[[], str],
        settings: Settings | None = None,
        rules: Rules = RULES,
        look_back: Callable[[], None] = lambda: None,
    ) -> None:
        self.core = Core(me, settings, rules)
        joining = replace(joining, machine=published(joining.machine, self.core.known.settings))
        self.feed = Feed(store, me, look_back)
        self.executor = Executor(store, self.core.known, joining, hypervisor, power, now, lambda: self.feed.generation)
        self.timer = timer
        self.log = log
        self.objection = ""
        self.inbox: deque[e.Event | StoreEvent] = deque()

    def begin(self) -> None:
        """Start to watch, and to decide once everything was read."""
        self.inbox.append(e.Opened())
        self.feed.begin()

    def put(self, event: e.Event | StoreEvent) -> None:
        """Something happened."""
        self.inbox.append(event)

    def step(self) -> bool:
        """Take one event; returns whether there was one."""
        if not self.inbox:
            return False
        event = self.inbox.popleft()
        for one in [event] if isinstance(event, e.Event) else self.feed.take(event):
            self._decide(one)
        return True

    def _decide(self, event: e.Event) -> None:
        for answer in self.core.on(event):
            self._carry_out(answer)

    def _tell(self) -> None:
        """Log what was fired, or why it was refused: the latter once, however often it is tried again."""
        if self.executor.moved is not None:
            self.log.moved(self.executor.moved)
        if self.executor.objection not in ("", self.objection):
            self.log.say(self.executor.objection)
        self.objection = self.executor.objection or self.objection

    def _carry_out(self, answer: e.Answer) -> None:
        match answer:
            case e.Fire():
                fired, *seen = self.executor.fire(answer)
                orders = self.executor.taken_orders()
                self._tell()
                self._decide(fired)  # before any of its orders can report
                self.inbox.extend(seen)
                self.executor.give(answer, orders)
            case e.Reread(key=key):
                self.inbox.extend(self.executor.reread(key))
            case e.Wait(wait=name, seconds=seconds):
                self.timer.wait(name, seconds)
            case e.Follow(node=node):
                self.feed.follow(node)
            case e.Attend(uuids=uuids):
                self.inbox.extend(self.feed.attend(uuids))
            case e.Measure(nodes=nodes):
                self.inbox.extend(self.executor.measure(nodes))
            case e.Say(sentence=sentence):
                self.log.say(sentence)
