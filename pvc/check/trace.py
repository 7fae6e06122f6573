"""What was recorded, against the tables: every transition of a trace or of histories has to be explained by a row.

A trace (`pvc sim run --trace`) says of each write what the record was afterwards: every field of it is checked. A history of a real cluster
says from which state to which: the row, and that the chain has no gap, are checked. Both may be long and may begin anywhere.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any

from pvc.errors import UsageProblem
from pvc.fsm.replay import Writer, explanations, is_amended, unexplained
from pvc.fsm.row import by_name
from pvc.fsm.states import By, Domain
from pvc.fsm.tables import TABLES
from pvc.fsm.views import Life, NodeLife

AMENDS = ("modify", "set")
"""Commands that change what a record says beside its life."""
DEFINE, REMOVE = "define", "remove"
DAEMONS = By.OWNER | By.TARGET | By.HOME | By.HOST | By.FENCER | By.PEER
LIVES: Mapping[str, Life | NodeLife] = {"vm": Life(), "node": NodeLife()}

Entry = Mapping[str, Any]


@dataclass(slots=True)
class Verdict:
    """How many transitions were looked at, and a sentence for each that nothing explains."""

    looked: int = 0
    fully: int = 0
    """Those of which every field was known."""
    wrong: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.wrong


def entries_of(text: str) -> list[Entry]:
    """The transitions in a file: lines of a trace, lines of histories, or answers of `pvc vm history -o json`, one after the other."""
    found: list[Entry] = []
    for number, value in enumerate(_values(text)):
        value = _object(value, f"entry {number + 1}")
        history = value.get("history", value.get("entries"))
        if isinstance(history, list):
            name = value.get("name") or f"history {number + 1}"
            found += [{"of": name, **_object(entry, f"entry {number + 1}: transition {which + 1}")} for which, entry in enumerate(history)]
        elif value.get("event", "record") == "record":
            found.append(value)
    return found


def _object(value: Any, what: str) -> Entry:
    if not isinstance(value, dict):
        raise UsageProblem(f"{what} is no object, but {json.dumps(value)[:40]}", "give a trace, or histories as JSON")
    return value


def _values(text: str) -> Iterator[Any]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            line = text.count("\n", 0, at) + 1
            raise UsageProblem(f"line {line} is no JSON: {error.msg}", "give a trace, or histories as JSON") from error
        yield from value if isinstance(value, list) else [value]


def verify(entries: Iterable[Entry]) -> Verdict:
    """Replay these transitions, in their order, through the tables."""
    known, verdict = list(entries), Verdict()
    nodes = frozenset(str(entry["name"]) for entry in known if entry.get("kind") == "node" and "name" in entry)
    pasts: dict[tuple[str, str], Past] = {}
    for number, entry in enumerate(known, start=1):
        missing = [word for word in ("trigger", "machine") if not isinstance(entry.get(word), str) and not entry.get("initial")]
        if missing:
            raise UsageProblem(f"transition {number} has no {missing[0]}", "give a trace, or histories as JSON")
        key = (str(entry.get("kind", "vm")), str(entry.get("name", entry.get("of", "?"))))
        past = pasts.setdefault(key, Past(*key, nodes))
        if entry.get("initial"):
            past.begin(entry)
            continue
        verdict.looked += 1
        verdict.fully += past.knows(entry)
        at = f"t = {entry['t']}" if "t" in entry else entry.get("time") or f"transition {number}"
        verdict.wrong += [f"{at}: {sentence}" for sentence in past.take(entry)]
    return verdict


class Past:
    """What is known of one VM or node by now."""

    def __init__(self, kind: str, name: str, nodes: frozenset[str]) -> None:
        self.kind = kind
        self.name = name
        self.nodes = nodes
        self.life: Life | NodeLife | None = None
        self.states: dict[str, frozenset[str]] = {}

    def knows(self, entry: Entry) -> bool:
        """Whether this transition and the one before it said all of the record."""
        return self.life is not None and (entry.get("fields") is not None or not entry.get("to"))

    def begin(self, entry: Entry) -> None:
        """How it was when the trace began."""
        self.life = self._after(entry)

    def take(self, entry: Entry) -> Iterator[str]:
        """Go on to this transition; yields what is wrong with it."""
        after = self._after(entry)
        if after is None:
            yield from self._follow(entry)
            return
        before, self.life = self.life, after
        if entry["trigger"] == DEFINE:
            if not is_amended(Life(home=after.home if isinstance(after, Life) else None), after):
                yield f"{self.name}: it was defined, and is not off and unowned: {after}"
        elif before is not None and not is_amended(before, after):
            yield from self._explain(before, after, entry)
        if isinstance(after, Life) and after.state is Domain.delete:
            self.life = None

    def _explain(self, before: Life | NodeLife, after: Life | NodeLife, entry: Entry) -> Iterator[str]:
        who = entry.get("by")
        me = str(who) if who in self.nodes else None
        writer = Writer(me, DAEMONS if me is not None else By.CLIENT, entry["trigger"])
        if self.kind == "node":
            writer = replace(writer, trigger=None)  # a client's command to a node is named after the state that it leads to
        if not any(explanations(before, after, writer)):
            yield unexplained(self.name, before, after, writer)

    def _after(self, entry: Entry) -> Life | NodeLife | None:
        """The life that this entry says, None when it does not say all of it."""
        told, born = entry.get("fields"), LIVES.get(self.kind)
        if told is None and not entry.get("to") and isinstance(self.life, Life):
            return replace(self.life, state=Domain.delete)
        if born is None or not isinstance(told, Mapping) or not {one.name for one in fields(born)} <= told.keys():
            return None
        return replace(born, **{one.name: _like(getattr(born, one.name), told[one.name]) for one in fields(born)})

    # ---- where only states are known

    def _follow(self, entry: Entry) -> Iterator[str]:
        machine, trigger = entry["machine"], entry["trigger"]
        source, dest = str(entry.get("from", "")), str(entry.get("to", ""))
        if machine not in TABLES:
            yield f"{self.name}: there is no machine {machine}"
            return
        expected = self.states.get(machine)
        self.states[machine] = frozenset({dest})
        if trigger in (DEFINE, REMOVE) or (trigger in AMENDS and source == dest):
            return
        if expected is not None and source not in expected:
            was = " or ".join(sorted(expected))
            yield f"{self.name}: '{trigger}' left {machine} {source}, and it was {was}: something between is missing"
        rows = [row for row in TABLES[machine].rows_for(trigger) if source in row.source and dest in (row.dest or source, "")]
        by = str(entry["by"]).split(" or ") if "who" in entry else None
        rows = [row for row in rows if by is None or set(by) & set(by_name(row.by).split(" or "))]
        if not rows:
            role = f" by {entry['by']}" if by else ""
            yield f"{self.name}: no row of {machine} is called '{trigger}' and leads from {source} to {dest}{role}"
        for row in rows:
            if row.joint is not None and row.joint[0] in self.states:
                partner, its_trigger = row.joint
                dests = {str(one.dest) for one in TABLES[partner].rows_for(its_trigger) if one.dest is not None}
                # Where the partner's own entry of the same write follows, it tells from where that one came.
                self.states[partner] |= dests


def _like(sample: Any, value: Any) -> Any:
    """A value of a trace as a record has it."""
    if isinstance(sample, Enum):
        try:
            return type(sample)(value)
        except ValueError as error:
            raise UsageProblem(f'"{value}" is no {type(sample).__name__.lower()}', "was this trace written by another version?") from error
    return tuple(value) if isinstance(sample, tuple) else value
