"""What would happen: a recorded cluster is played on in virtual time, by the code that would decide for real, until nothing moves any more.

How long things take is a guess, and chance decides who is faster; what is allowed, where there is room, and in which order things go is
not.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pvc.cluster.records import DomainRecord
from pvc.fsm.states import Daemon, Domain, Want
from pvc.sim.kinds import Said
from pvc.sim.scenario_file import scenario_of
from pvc.sim.stage import Line, Stage
from pvc.sim.witness import Happening

QUIET_S = 120.0
"""After how long without anything happening it is over: longer than any wait of a fence but the one for a planned reboot."""
LIMIT_S = 3600.0
FENCES = {"begun": "its power is cut", "confirmed": "its power is proven off", "failed": "there is no proof that it is off"}
NODE_MOVES = ("node", "flush")


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that would happen, so many seconds after the beginning."""

    at: float
    what: str


@dataclass(frozen=True, slots=True)
class Fate:
    """What would become of a VM: where it ran and would run, None for nowhere, in which state, and why it is down or not where it was."""

    vm: str
    before: str | None
    after: str | None
    state: str
    why: str


@dataclass(frozen=True, slots=True)
class Left:
    """What a node would have in the end."""

    node: str
    daemon: str
    flush: str
    vms: int
    memory_free_mib: int
    alive: bool


@dataclass(slots=True)
class Foresight:
    """Everything that would happen; ``refused`` says why the command would be refused."""

    moments: list[Moment] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    nodes: list[Left] = field(default_factory=list)
    refused: str = ""
    down: list[str] = field(default_factory=list)


def foresee(said: Said, step: Said, seed: int = 0, show: Callable[[str], None] = lambda how_far: None) -> Foresight:
    """Do this step in that recorded cluster, and see what follows; raises PvcError where no cluster can be as the record says.

    ``show`` is told again and again how far it is.
    """
    seen, last = Foresight(), [0.0]
    ready: list[Stage] = []

    def tell(line: Line) -> None:
        words = _words(line) if ready else ""
        if words:
            last[0] = line["t"]
            if words is not True:
                seen.moments.append(Moment(line["t"], str(words)))

    steps = [*said["steps"], {**step, "at": 1.0}]
    scenario, up = scenario_of({**said, "steps": steps, "end": LIMIT_S}, Path(str(said["name"]))), Counter[str]()

    def prepared(happening: Happening) -> None:
        up[happening.event] += 1
        show(f"a cluster like it is simulated: {up['guest_start']} of {len(scenario.vms)} VMs started")

    stage = Stage(scenario, seed, tell, prepared=prepared)
    before = {record.name: _runs(stage, record) for record in stage.cluster.witness.domains.values()}
    ready.append(stage)
    for one in stage.scenario.steps:
        stage.cluster.run(stage.trace.began + one.at - stage.cluster.now)
        stage.do(one)
    while stage.now < min(last[0] + QUIET_S, LIMIT_S):
        stage.cluster.run(1.0)
        show(f"{stage.now:.0f} s of its time are simulated")
    seen.refused = next((moment.what for moment in seen.moments if " is refused: " in moment.what), "")
    _conclude(seen, stage, before)
    return seen


def _words(line: Line) -> str | bool:
    """A line for people; True where something happens that is not told, and False where nothing does."""
    match line["event"]:
        case "guest_start":
            return f"{line['vm']} starts on {line['node']}"
        case "guest_handover":
            return f"{line['vm']} moves live from {line['from']} to {line['to']}"
        case "guest_end":
            return f"{line['vm']} ends on {line['node']}: {line['why']}"
        case "fence":
            return f"{line['node']}: {FENCES[line['result']]}"
        case "refused":
            return f"{line['command']} is refused: {line['why']}"
        case "record" if line["kind"] == "node" and line["machine"] in NODE_MOVES and line["from"] != line["to"]:
            return f"{line['name']} is {line['to']}"
        case "record":
            return bool(line["from"] != line["to"])
    return False


def _runs(stage: Stage, record: DomainRecord) -> str | None:
    return stage.cluster.witness.ran.get(record.uuid)


def _conclude(seen: Foresight, stage: Stage, before: dict[str, str | None]) -> None:
    witness = stage.cluster.witness
    snapshot = stage.admin.snapshot()
    for record in sorted(witness.domains.values(), key=lambda one: one.name):
        after = _runs(stage, record)
        why = _why_down(record, snapshot) if record.life.want is Want.start else ""
        wrong = after is None or record.life.state is not Domain.start or record.life.owner != after or _is_lost(witness.nodes, after)
        if not wrong:
            why = ""
        elif record.life.want is Want.start:
            seen.down.append(record.name)
        seen.fates.append(Fate(record.name, before.get(record.name), after, str(record.life.state), why))
    for name, node in sorted(snapshot.nodes.items()):
        life, owned = witness.nodes[name].life, sum(record.life.owner == name for record in witness.domains.values())
        free = node.stats.memory_free_mib if node.alive and node.stats is not None else 0
        seen.nodes.append(Left(name, str(life.daemon), str(life.flush), owned, free, node.alive))


def _is_lost(nodes: Any, node: str) -> bool:
    return node in nodes and nodes[node].life.daemon not in (Daemon.run, Daemon.stop)


def _why_down(record: DomainRecord, snapshot: Any) -> str:
    life = record.life
    owner = snapshot.nodes.get(str(life.owner))
    lost = owner is not None and not owner.alive
    if lost and owner.record.life.daemon is not Daemon.fenced:
        return f"{life.owner} is not proven off, so nothing of it may be started elsewhere"
    if lost or life.state is Domain.place:
        unfit: Callable[[tuple[str, str]], str] = ": ".join
        return "no node can take it: " + "; ".join(map(unfit, snapshot.ranking(record).unfit))
    return record.reason
