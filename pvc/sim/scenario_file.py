"""Reading scenario files: everything that is wrong with one is said at once, each with the nearest word that is known."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pvc.cluster.names import NAME_RULE, is_name, shown
from pvc.errors import UsageProblem, unknown
from pvc.sim import expectations
from pvc.sim.blows import BLOWS, MOMENTS, SIDES
from pvc.sim.crowd import COUNT, count_problems, expanded
from pvc.sim.knobs import fences_of, knob_problems, settings_of
from pvc.sim.machine import Mood
from pvc.sim.policy_fields import policy_problems
from pvc.sim.problems import Problems, Said, is_number
from pvc.sim.scenario import Checkpoint, NodePlan, Scenario, Step, Timing, VmPlan, Wishes
from pvc.sim.sentences import no_sentence, understood
from pvc.sim.verbs import FENCER, NODES, VERBS, WHERE
from pvc.sim.voters import ON_NODES, voter_problems, voters_of
from pvc.sim.world import ANYWHERE

FIELDS = (
    "name", "area", "notes", "nodes", "vms", "zk", "config", "steps", "end", "checkpoints", "expect_final", "expect_always",
    "expect_better", "timing",
)  # fmt: skip
NODE = ("name", "power", "memory_mib", "boot_s", "flushed", "bmc", "watchdog", COUNT)
VM = ("name", "home", "desired", "memory_mib", "migrate_s", "shutdown_s", "policy", "on", COUNT)
BETTER = ("nodes", "vms", "any_of", "always", "checkpoints", "why")
TIMING = ("vm", "fault_at", "must_run_again_within_s")
LONGEST_S = 7 * 86400.0
DESIRED = ("start", "stop", "disable", "failed")
POWER = ("on", "off")
STEP_WORDS = {"mood": tuple(mood.value for mood in Mood), "moment": MOMENTS, "side": SIDES, "blow": tuple(BLOWS)}
"""Fields of steps that are one of some words."""


class BadScenario(UsageProblem):
    """The file cannot be played; ``problems`` are sentences, all of them."""

    def __init__(self, path: Path, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        told = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"{path} cannot be played:{told}", f"correct {path}; docs/scenarios.md says what a scenario file may hold")


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file; raises `BadScenario` with everything that is wrong."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number, object_pairs_hook=_fields)
    except (OSError, UnicodeDecodeError) as error:
        raise BadScenario(path, [(error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8"]) from error
    except ValueError as error:
        raise BadScenario(path, [f"it is no JSON: {error}"]) from error
    except RecursionError as error:
        raise BadScenario(path, ["it is nested too deeply"]) from error
    if not isinstance(said, dict):
        raise BadScenario(path, ["it is no JSON object"])
    return scenario_of(said, path)


def scenario_of(said: Said, path: Path) -> Scenario:
    """A scenario from what a file says; raises `BadScenario`."""
    reading = _Reading(said)
    reading.everything()
    if reading.problems:
        raise BadScenario(path, dict.fromkeys(reading.problems))
    return reading.scenario(path)


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _fields(pairs: list[tuple[str, Any]]) -> Said:
    names = [name for name, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"the field {shown(twice[0])} is there twice in one object")
    return dict(pairs)


class _Reading(Problems):
    """Looks at every part of a file."""

    def __init__(self, said: Said) -> None:
        super().__init__()
        self.problems += count_problems(said)
        self.said = {field: part for field, part in expanded(said).items() if part is not None or field not in FIELDS}
        self.nodes: list[str] = []
        self.vms: list[str] = []
        self.end = float(said["end"]) if is_number(said.get("end")) else float("inf")

    def everything(self) -> None:
        """Look at all parts; names first, because the others use them."""
        said = self.said
        self.keys(said, FIELDS, "the file", needs=("nodes", "end"))
        self._names()
        for number, node in enumerate(self.entries(self.said, "nodes"), 1):
            self._node(node, f"node {number}")
        for number, vm in enumerate(self.entries(self.said, "vms"), 1):
            self._vm(vm, f"vm {number}")
        self.number(said, "end", "the file")
        if LONGEST_S < self.end < float("inf"):
            self.wrong(f"the file: end is {self.end:g} s, and may be {LONGEST_S:g} s at most, which is a week")
        if said.get("nodes") == []:
            self.wrong("nodes is empty: a cluster has one at least")
        self.problems += voter_problems(said.get("zk", ON_NODES), [_node_name(one) for one in self.entries(said, "nodes")])
        self.problems += knob_problems(said.get("config", {}))
        for number, step in enumerate(self.entries(self.said, "steps"), 1):
            self._step(step, f"step {number}")
        self._wishes(said, "")
        self._better(said.get("expect_better"))
        self._timing(said.get("timing"))

    # ---- parts

    def _names(self) -> None:
        nodes = [_node_name(one) for one in self.entries(self.said, "nodes")]
        vms = [one.get("name") if isinstance(one, dict) else None for one in self.entries(self.said, "vms")]
        steps = [one for one in self.entries(self.said, "steps") if isinstance(one, dict)]
        self._twice("node", nodes)
        self._twice("VM", vms)
        nodes += [step.get("node") for step in steps if step.get("do") == "node_add"]
        vms += [step.get("vm") for step in steps if step.get("do") == "vm_define"]
        self.nodes, self.vms = ([one for one in names if isinstance(one, str)] for names in (nodes, vms))
        for kind, names in (("node", self.nodes), ("VM", self.vms)):
            for name in names:
                if not is_name(name):
                    self.wrong(f"{shown(name)} cannot be the name of a {kind}: a name is {NAME_RULE}")

    def _twice(self, kind: str, names: list[Any]) -> None:
        for name in dict.fromkeys(one for one in names if isinstance(one, str) and names.count(one) > 1):
            self.wrong(f'there are two {kind}s called "{name}"')

    def _node(self, said: Any, where: str) -> None:
        if isinstance(said, str) or not self.keys(said, NODE, where, needs=("name",)):
            return
        where = f"{where} ({said.get('name')})"
        self.word(said.get("power", POWER[0]), POWER, f"{where}: power")
        self.number(said, "memory_mib", where, whole=True)
        self.number(said, "boot_s", where)
        self.word(said.get("bmc", Mood.works.value), STEP_WORDS["mood"], f"{where}: bmc")
        for field in ("flushed", "watchdog"):
            if not isinstance(said.get(field, False), bool):
                self.wrong(f"{where}: {field} is {shown(said[field])}, and neither true nor false")

    def _vm(self, said: Any, where: str) -> None:
        if not self.keys(said, VM, where, needs=("name", "home")):
            return
        where = f"{where} ({said.get('name')})"
        for field in ("home", "on"):
            if field in said:
                self.named("node", said[field], self.nodes, f"{where}: {field}")
        self.word(said.get("desired", DESIRED[0]), DESIRED, f"{where}: desired")
        self._guest(said, where)

    def _guest(self, said: Said, where: str) -> None:
        self.number(said, "memory_mib", where, whole=True)
        for field in ("migrate_s", "shutdown_s"):
            self.number(said, field, where)
        self.problems += policy_problems(said.get("policy", {}), f"{where}: policy")

    def _step(self, said: Any, where: str) -> None:
        if not isinstance(said, dict):
            self.wrong(f"{where} is no object")
            return
        do = said.get("do")
        if not isinstance(do, str) or do not in VERBS:
            self.wrong(f'{where}: "do" is missing' if do is None else f"{where}: {unknown('verb', str(do), VERBS)}")
            return
        where, verb = f"{where} ({do})", VERBS[do]
        self.keys(said, ("at", "do", *verb.needs, *verb.may, "fallback"), where, needs=("at", *verb.needs))
        self.number(said, "at", where)
        if is_number(said.get("at")) and said["at"] > self.end:
            self.wrong(f"{where} is at {said['at']:g} s, after the end at {self.end:g} s")
        self._step_fields(said, where)

    def _step_fields(self, said: Said, where: str) -> None:
        for field in NODES:
            anywhere = field == "node" and said["do"] == "start_fail" and said.get(field) == ANYWHERE
            if field in said and not anywhere and not (field == "to" and said[field] is None):
                self._node_word(said[field], f"{where}: {field}")
        if "vm" in said:
            self.named("VM", said["vm"], self.vms, f"{where}: vm")
        if "count" in said and (not isinstance(said["count"], int) or isinstance(said["count"], bool) or said["count"] < -1):
            self.wrong(f"{where}: count is {said['count']!r}, and no whole number from -1 on")
        for field in ("on", "keep", "applied", "paused"):
            if field in said and not isinstance(said[field], bool):
                self.wrong(f"{where}: {field} is {said[field]!r}, and neither true nor false")
        for field in ("boot_s", "for_s"):
            self.number(said, field, where)
        if "xml" in said and not isinstance(said["xml"], str):
            self.wrong(f"{where}: xml is {shown(said['xml'])}, and no string")
        for field, words in STEP_WORDS.items():
            if field in said:
                self.word(said[field], words, f"{where}: {field}")
        if "by_s" in said and not is_number(abs(said["by_s"]) if isinstance(said["by_s"], int | float) else None):
            self.wrong(f"{where}: by_s is {shown(said['by_s'])}, and no number")
        self._guest({"policy": {}, **said}, where)

    def _node_word(self, word: Any, where: str) -> None:
        if isinstance(word, str) and word.startswith(WHERE):
            self.named("VM", word.removeprefix(WHERE), self.vms, where)
        elif isinstance(word, str) and word.startswith("@") and not word.startswith(FENCER):
            self.wrong(f"{where}: {shown(word)} is neither {FENCER}NODE nor {WHERE}VM")
        else:
            self.named("node", word.removeprefix(FENCER) if isinstance(word, str) else word, self.nodes, where)

    def _wishes(self, said: Said, where: str) -> None:
        """What is expected: of a file as a whole, or, with ``where``, of what would be better."""
        if where:
            self.problems += expectations.problems(_states(said), where, self.nodes, self.vms)
        else:
            self.problems += expectations.problems(said.get("expect_final", {}), "expect_final", self.nodes, self.vms)
        for number, one in enumerate(self.entries(said, "checkpoints"), 1):
            self._checkpoint(one, f"{where}{' ' if where else ''}checkpoint {number}")
        for number, words in enumerate(self.entries(said, "always" if where else "expect_always"), 1):
            self._sentence(words, f"{where or 'expect_always'} {number}")

    def _checkpoint(self, said: Any, where: str) -> None:
        if not isinstance(said, dict) or not is_number(said.get("at")):
            self.wrong(f'{where} says not when: "at" is missing, or no number of seconds')
            return
        if said["at"] > self.end:
            self.wrong(f"{where} is at {said['at']:g} s, after the end at {self.end:g} s")
        self.problems += expectations.problems({key: part for key, part in said.items() if key != "at"}, where, self.nodes, self.vms)

    def _sentence(self, words: Any, where: str) -> None:
        sentence = understood(words) if isinstance(words, str) else None
        if sentence is None:
            self.wrong(f"{where}: {no_sentence(words)}")
            return
        if sentence.backwards:
            self.wrong(f'{where} ("{words}"): its time ends before it begins')
        for kind, name, known in (("VM", sentence.vm, self.vms), ("node", sentence.node, self.nodes)):
            if name is not None:
                self.named(kind, name, known, f'{where} ("{words}")')

    def _better(self, said: Any) -> None:
        if said is not None and self.keys(said, BETTER, "expect_better"):
            self._wishes(said, "expect_better")

    def _timing(self, said: Any) -> None:
        if said is None or not self.keys(said, TIMING, "timing", needs=TIMING):
            return
        if "vm" in said:
            self.named("VM", said["vm"], self.vms, "timing: vm")
        self.number(said, "fault_at", "timing")
        self.number(said, "must_run_again_within_s", "timing")
        if is_number(said.get("fault_at")) and said["fault_at"] > self.end:
            self.wrong(f"timing: fault_at is {said['fault_at']:g} s, after the end at {self.end:g} s")

    # ---- the scenario

    def scenario(self, path: Path) -> Scenario:
        """The scenario, where nothing is wrong."""
        said, better = self.said, self.said.get("expect_better")
        timing = said.get("timing")
        return Scenario(
            path=path,
            name=str(said.get("name", path.stem)),
            area=str(said.get("area", "")),
            notes=str(said.get("notes", "")),
            nodes=tuple(_node_plan(one) for one in said["nodes"]),
            vms=tuple(VmPlan(**one) for one in said.get("vms", ())),
            steps=tuple(Step(float(one["at"]), one["do"], one) for one in said.get("steps", ())),
            end=self.end,
            wishes=_wishes_of(said.get("expect_final", {}), said.get("expect_always", ()), said.get("checkpoints", ())),
            better=None if better is None else _wishes_of(_states(better), better.get("always", ()), better.get("checkpoints", ())),
            why_better="" if better is None else str(better.get("why", "")),
            timing=None if timing is None else Timing(timing["vm"], timing["fault_at"], timing["must_run_again_within_s"]),
            voters=voters_of(said.get("zk", ON_NODES), map(_node_name, said["nodes"])),
            settings=settings_of(said.get("config", {})),
            fences=fences_of(said.get("config", {})),
        )


def _states(better: Said) -> Said:
    return {key: part for key, part in better.items() if key in ("nodes", "vms", "any_of")}


def _node_name(said: Any) -> Any:
    return said.get("name") if isinstance(said, dict) else said


def _node_plan(said: Any) -> NodePlan:
    if isinstance(said, str):
        return NodePlan(said)
    return NodePlan(on=said.get("power", "on") == "on", **{key: value for key, value in said.items() if key != "power"})


def _wishes_of(final: Said, always: Iterable[str], checkpoints: Iterable[Said]) -> Wishes:
    sentences = [sentence for words in always if (sentence := understood(words)) is not None]
    return Wishes(tuple(sentences), tuple(Checkpoint(float(one["at"]), one) for one in checkpoints), final)
