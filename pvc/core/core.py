"""The decision maker of a daemon: events in, answers out; no thread, no clock, no I/O.
 It never writes: it decides a transition by the tables (:mod:`pvc.core.decide`) and asks for it to be fired against the version that it
saw. Nothing is decided before every record was read on the present connection, about an object whose last transition has no answer yet, or
from an observation that is older than the daemon's own join. Events are hints about what is; what follows is looked up afresh each time
(H3, H15).
"""

from collections.abc import Iterable

from pvc.cluster.records import DomainRecord, NodeRecord
from pvc.core import events as e
from pvc.core.alarms import WAITING, domain_key, node_key
from pvc.core.decide import RULES, Move, Rules
from pvc.core.facts import JOBS, POWER_JOBS, Self
from pvc.core.intake import Intake
from pvc.core.known import GONE, Known
from pvc.core.objects import NEVER_WRITTEN, KnownDomain, KnownNode
from pvc.core.policy import Ranking
from pvc.core.settings import Settings
from pvc.core.waits import passed_wait
from pvc.fsm.guards import HOME_FITS
from pvc.fsm.row import explain
from pvc.fsm.states import By, Connection, Domain, Effect, Fence, Power
from pvc.fsm.views import DomainView, NodeLife, SessionLife, SessionView

AUTOMATIC = ("evacuate", "go_home")
"""Live migrations that a daemon begins by itself."""

READS = {
    Power.on: "Its power reads on: its daemon is dead, or cut off.",
    Power.silent: "Its fence device is silent.",
}
"""What was read of a node about whom nothing is proven; its alarm says so (H76)."""

TROUBLED = ("ended", "give_up", "migrate_failed", "overdue")
"""Transitions that may follow a job that failed: an admin wants to read what the hypervisor said."""


class Core(Intake):
    """One daemon's decisions. ``on`` takes what happened and returns what is to be done, in order."""

    def __init__(self, me: str, settings: Settings | None = None, rules: Rules = RULES) -> None:
        super().__init__(Known(me, settings or Settings()))
        self.rules = rules
        self.session = SessionLife()
        self.tickets = 0
        self.asked: dict[int, tuple[str, Move]] = {}

    def on(self, event: e.Event) -> list[e.Answer]:
        """Take one event, look at whatever it may concern, and return what is to be done."""
        self.answers = []
        self._look(self._take(event))
        answers, self.answers = self.answers, []
        return answers

    # ---- taking events: what is known changes, and some keys have to be looked at

    def _take(self, event: e.Event) -> Iterable[str]:
        match event:
            case e.Opened() | e.Connected() | e.Disconnected() | e.Synced() | e.StopAsked():
                return self._take_session(event)
            case e.AliveSeen() | e.NodeSeen() | e.StatsSeen() | e.Measured() | e.ConfigSeen() | e.PowerRead():
                return self._take_cluster(event)
            case e.DomainSeen():
                return self._domain_seen(event)
            case e.Inventory() | e.HypervisorLost() | e.GuestSeen() | e.JobDone():
                return self._take_hypervisor(event)
            case e.Fired():
                return self._fired(event)
            case e.Due():
                return self._due(event.wait)

    def _take_session(self, event: e.Opened | e.Connected | e.Disconnected | e.Synced | e.StopAsked) -> Iterable[str]:
        match event:
            case e.Opened():
                self._move_session("open")
            case e.Connected(new_session=new):
                self._move_session("connected")
                if new:
                    self._forget_session()
                self._forget_tickets()
                self._count_anew()
            case e.Disconnected(expired=expired):
                self._move_session("expired" if expired else "suspended")
                if expired:
                    self._forget_session()
            case e.Synced():
                self._move_session("synced")
                mine = self._node(self.me)
                if mine.record is None:  # this node was never here: its first join creates the record
                    mine.record, mine.version, self.known.held = NodeRecord(self.me, NodeLife()), NEVER_WRITTEN, None
                return self._everything()
            case e.StopAsked():
                self.known.stopping = True
                return [node_key(self.me)]
        return ()

    def _move_session(self, trigger: str) -> None:
        table = self.rules.tables["connection"]
        answer = explain(table, self.session.state, trigger, By.SESSION | By.OWNER, SessionView(self.session))
        if answer.row is None:
            self._say(f"'{trigger}' of the ZooKeeper connection is ignored: {answer.reason}")
        elif answer.row.dest is not None:
            self.session = SessionLife(Connection(answer.row.dest))

    def _forget_session(self) -> None:
        """What was read of the power of others in another session counts for nothing."""
        self.known.joined = False
        for node in self.known.nodes.values():
            node.reading, node.readings, node.asked, node.stale = Power.unread, 0, None, False
            node.claims, node.resetting, node.reset = node.claims + 1, False, False

    def _count_anew(self) -> None:
        """Who was not connected could not see anybody live: the absence of others counts from now, and shots wait (H60)."""
        self.known.session_is_old = False
        for node in self.known.nodes.values():
            node.away = node.dead = node.long_dead = False
        self.answers.append(e.Wait(f"{self.me} session", self.known.settings.dead_s + self.known.settings.session_timeout_s))

    def _forget_tickets(self) -> None:
        """On a new connection every record is read again, which answers every transition whose answer was lost."""
        self.asked.clear()
        self.known.measuring = False
        for node in self.known.nodes.values():
            node.ticket = None
        for domain in self.known.domains.values():
            domain.ticket = None

    def _fired(self, event: e.Fired) -> Iterable[str]:
        key, move = self.asked.pop(event.ticket, (None, None))
        if key is None or move is None:
            return ()
        known = self._of(key)
        if event.result is not e.Result.written:
            known.refused = known.version  # the ticket stays: nothing is decided until the record was read again
            self.answers.append(e.Reread(key))
            return ()
        self._ordered(known, move, event.ticket)
        if move.row.trigger == "replace":
            self.known.passed_on.add(key.partition(" ")[2])
        if isinstance(known, KnownDomain):
            known.trouble = ""  # told, or overcome
        if key == node_key(self.me) and move.row.trigger == "join":
            self.known.joined = True
        if isinstance(known, KnownNode) and move.row.trigger == "pass_on":
            known.passed, known.resting = known.passed + 1, True
            self._wait(passed_wait(key.partition(" ")[2], known.passed, self.known.settings))
        if move.row.writes:
            return ()  # the ticket stays until the record is seen as it was written
        known.ticket = None
        return [key]

    def _ordered(self, known: KnownDomain | KnownNode, move: Move, ticket: int) -> None:
        for effect in move.row.effects:
            if isinstance(known, KnownDomain) and effect in JOBS:
                known.job = JOBS[effect]
                known.answered = known.answered and effect is not Effect.create
            elif isinstance(known, KnownNode) and effect in POWER_JOBS:
                known.asked, known.reading = ticket, Power.unread
                known.readings = known.readings if effect is Effect.read_power else 0
                if effect is Effect.power_on:
                    known.switched, known.wait, known.due = known.switched + 1, "", False

    # ---- looking: what is known decides

    def _look(self, keys: Iterable[str]) -> None:
        if self.session.state is not Connection.live:
            return
        known = self.known
        takes_work = known.takes_work()
        for key in dict.fromkeys(keys):
            kind, _, name = key.partition(" ")
            if kind == "node":
                if takes_work or name == self.me:
                    self._look_at_node(name)
            elif takes_work and known.inventory:
                self._look_at_domain(name)

    def _look_at_node(self, name: str) -> None:
        node, facts = self.known.nodes.get(name), self.known.facts()
        if node is None or node.ticket is not None or not isinstance(node.record, NodeRecord) or self.me not in facts:
            return
        self._rewait_fence(name, node)
        self._tell_brake(name, node)
        if name != self.me and facts[name].alive and self.rules.lets_live(node.record.life):
            return  # as nearly all of a large cluster
        for move in self.rules.node_moves(self.me, name, facts, self.known.watch(name), self._own(name))[:1]:
            if not (node.resting and move.row.trigger == "adopt" and node.record.life.fence is not Fence.proven):
                self._fire(node_key(name), node, move)

    def _own(self, name: str) -> Self:
        """What this daemon knows of itself, which counts only where it looks at itself."""
        return self.known.own() if name == self.me else _ANOTHER

    def _tell_brake(self, name: str, node: KnownNode) -> None:
        """Say, once, why a node is not shot whose time is over."""
        assert isinstance(node.record, NodeRecord)
        life = node.record.life
        waits = life.by == self.me and life.fence in (Fence.throws, Fence.failed) and self.known.fence_is_due(node)
        brake = self.known.brake(name) if waits else ""
        if brake and brake != node.braked:
            self._say(f"{name} is not shot: {brake}")
        node.braked = brake

    def _look_at_domain(self, uuid: str) -> None:
        known = self.known.domains.get(uuid)
        if known is None or known.ticket is not None or (known.record is not None and not isinstance(known.record, DomainRecord)):
            return
        self._rewait_domain(known)
        record = known.record
        if record is None and not (known.read and known.ours):
            return  # not read yet, or a guest of somebody else's
        life = GONE if record is None else record.life
        if life.owner is not None and not self.rules.has_role(self.me, life, known.local, self.known.facts()):
            return  # wherever there is room for it
        ranking = Ranking((), ()) if record is None else self.known.ranking(record)
        ticket = f"{self.me}-{self.tickets + 1}"
        if record is None:
            options = self.known.options(uuid, _NOBODY, ranking, ticket)
        else:
            options = self.known.options(uuid, record, ranking, ticket)
        moves = self.rules.domain_moves(self.me, life, known.local, self.known.facts(), options, ranking.fits)
        if not self._needs_measuring(record, moves, ranking) and not self._too_many(moves) and not self._came_back(uuid, moves):
            for move in moves[:1]:
                assert isinstance(move.view, DomainView)
                known.choice = move.view.choice if move.row.chooses else None
                self._fire(domain_key(uuid), known, move)

    def _needs_measuring(self, record: DomainRecord | None, moves: tuple[Move, ...], ranking: Ranking) -> bool:
        """Whether a node is about to be chosen by statistics that are old; then they are read first."""
        known = self.known
        if moves:
            chosen = moves[0].row.chooses or HOME_FITS in moves[0].row.guards
        else:
            chosen = record is not None and ranking.full and (record.life.state in WAITING or self._is_off(record.life.owner))
        if not chosen or known.measured:
            return False
        if not known.measuring:
            known.measuring = True
            self.answers.append(e.Measure(tuple(sorted(name for name, facts in known.facts().items() if facts.alive))))
        return True

    def _came_back(self, uuid: str, moves: tuple[Move, ...]) -> bool:
        """Whether this node would give a VM another target once more, by the statistics by which it did before.

        Two nodes that are full, and by those statistics not, would pass it to each other as fast as they can write.
        """
        return bool(moves) and moves[0].row.trigger == "replace" and uuid in self.known.passed_on

    def _too_many(self, moves: tuple[Move, ...]) -> bool:
        """Whether this would be one live migration too many at a time that nobody asked for by name."""
        if not moves or moves[0].row.trigger not in AUTOMATIC:
            return False
        asked = sum(move.row.trigger in AUTOMATIC for _, move in self.asked.values())
        return asked + self.known.leaving() >= self.known.settings.parallel_migrations

    def _fire(self, key: str, known: KnownDomain | KnownNode, move: Move) -> None:
        self.tickets += 1
        known.ticket = self.tickets
        self.asked[self.tickets] = (key, move)
        self.answers.append(e.Fire(self.tickets, key, move, known.version, _why(known, move)))


def _why(known: KnownDomain | KnownNode, move: Move) -> str:
    if isinstance(known, KnownNode) and known.reset and move.row.trigger == "prove":
        return f"{move.row.why} Its watchdog has reset it: the time that it announced is over."
    if isinstance(known, KnownNode):
        return f"{move.row.why} {READS[known.reading]}" if move.row.trigger in ("declare", "miss") and known.reading in READS else ""
    if move.row.trigger not in TROUBLED:
        return ""
    if isinstance(move.view, DomainView) and move.view.unanswered:
        return "Nobody heard how its start ended, and no guest is there: that is no failure, it is started again."
    if isinstance(known.record, DomainRecord) and known.record.life.state is Domain.boot and not known.answered:
        return f"{move.row.why} Libvirt went away in {known.record.unheard + 1} starts of it in a row: it may be this start that ends it."
    return f"{move.row.why} The hypervisor said: {known.trouble}" if known.trouble else ""


_ANOTHER = Self()
_NOBODY = DomainRecord(uuid="", name="", gen="", life=GONE, memory_mib=0, vcpus=0)
