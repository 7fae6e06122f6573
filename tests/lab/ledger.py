"""The rules that must hold whatever fails, checked against every write that ZooKeeper has ever taken, and what the machines did meanwhile.

Nobody is asked: the writes come from ZooKeeper's own logs (`lab/journal.py`), power and orders from the lab. The first word of each
complaint is the invariant, as docs/fault-matrix.md numbers them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from lab import Lab
from lab.journal import Transaction, Write, transactions

SLACK_S = 0.5
"""The leader's clock is the machine's, but it stamps a write before others see it."""
LOCKED = ("none", "evidence", "throws")
"""Phases of a fence in which nobody may have ordered anything."""


@dataclass
class Ledger:
    """What the writes so far amount to, and what is wrong with them; `dead_s` is how long a session lasts before it may lead to a shot."""

    lab: Lab
    dead_s: float
    complaints: list[str] = field(default_factory=list)
    fences: dict[str, list[tuple[float, str, str | None]]] = field(default_factory=dict)
    daemons: dict[str, list[str]] = field(default_factory=dict)
    _nodes: dict[str, dict] = field(default_factory=dict)
    _domains: dict[str, dict] = field(default_factory=dict)
    _alive: dict[str, int] = field(default_factory=dict)
    _daemons: dict[int, str] = field(default_factory=dict)
    _opened: dict[int, float] = field(default_factory=dict)
    _hold: bool = False

    def read(self) -> "Ledger":
        """Take in everything that ZooKeeper has written since the cluster was created, and every order of a device."""
        return self.take(transactions(self.lab))

    def take(self, everything: Sequence[Transaction]) -> "Ledger":
        """The same with these transactions, oldest first."""
        births = [number for number, one in enumerate(everything) if any(_creates_cluster(write) for write in one.writes)]
        for number, one in enumerate(everything):
            if one.opens is not None:
                self._opened[one.session] = one.at
            if births and number >= births[-1]:
                self._take(one)
        self._check_orders()
        return self

    # -- Each transaction ----------------------------------------------------------------------------------------------

    def _take(self, one: Transaction) -> None:
        """One after the other, each against what the earlier ones left."""
        joins = {_name(write.path) for write in one.writes if write.ephemeral and write.path.startswith("/alive/")}
        self._daemons.update(dict.fromkeys([one.session] if joins else [], next(iter(joins), "")))
        self._check_token(one, joins)
        for write in one.writes:
            parts = write.path.strip("/").split("/")
            match write.what, parts:
                case ("create" | "set"), ["config"]:
                    self._hold = json.loads(write.data).get("hold", {}).get("on", False)
                case ("create" | "set"), ["nodes", name]:
                    self._node(one, name, json.loads(write.data))
                case ("create" | "set"), ["domains", uuid]:
                    self._domain(one, uuid, json.loads(write.data))
                case "delete", ["domains", uuid]:
                    self._domains.pop(uuid, None)
                case "create", ["alive", name] if write.ephemeral:
                    self._alive[name] = one.session
                case "delete", ["alive", name]:
                    self._alive.pop(name, None)

    def _check_token(self, one: Transaction, joins: set[str]) -> None:
        """I5: nothing that a daemon writes is taken without its boot token."""
        node = self._daemons.get(one.session)
        written = [write for write in one.writes if write.what != "check"]
        if node is None or joins or one.closes or not written:
            return
        if not any(write.what == "check" and write.path == f"/boots/{node}" for write in one.writes):
            self._complain("I5", one, f"{node} wrote {', '.join(write.path for write in written)} without its boot token")

    def _domain(self, one: Transaction, uuid: str, record: dict) -> None:
        before = self._domains.get(uuid)
        self._domains[uuid] = record
        if before is None or before.get("owner") == record.get("owner"):
            return
        old, new = before.get("owner"), record.get("owner")
        if new is not None and record["epoch"] <= before["epoch"]:
            self._complain("I4", one, f"{record['name']} went to {new} and kept its epoch {record['epoch']}")
        if old is None or self._daemons.get(one.session) == old:
            return
        life = self._nodes.get(old, {})
        if life.get("daemon") != "fenced" or life["fence"]["phase"] != "proven":
            writer = self._daemons.get(one.session, "a client")
            self._complain("I2", one, f"{writer} took {record['name']} from {old}, which was {life.get('daemon')}: no proof that it is off")

    def _node(self, one: Transaction, name: str, record: dict) -> None:
        phase, before = record["fence"]["phase"], self._nodes.get(name, {}).get("fence", {}).get("phase", "none")
        self._nodes[name] = record
        states = self.daemons.setdefault(name, [record["daemon"]])
        if states[-1] != record["daemon"]:
            states.append(record["daemon"])
        self.fences.setdefault(name, [(0.0, "none", None)])
        if self.fences[name][-1][1:] != (phase, record["fence"]["by"]):
            self.fences[name].append((one.at, phase, record["fence"]["by"]))
        if phase == before:
            return
        if phase == "shot":
            self._check_shot(one, name)
        if phase == "proven":
            self._check_proof(one, name)

    def _check_shot(self, one: Transaction, name: str) -> None:
        """I3: who shoots has been in the cluster for the dead time, with a majority, and no brake is on."""
        unproven = {node: record for node, record in self._nodes.items() if record["fence"]["phase"] != "proven"}
        alive = [node for node in unproven if node in self._alive]
        connected_s = one.at - self._opened.get(one.session, 0.0)
        brakes = {
            f"{name} held its session": name in self._alive,
            "the cluster was held": self._hold,
            f"only {len(alive)} of {len(unproven)} nodes were there": 2 * len(alive) <= len(unproven),
            f"its fencer was connected for {connected_s:.1f} s only": connected_s < self.dead_s - SLACK_S,
            "nobody who holds its fence wrote it": self._daemons.get(one.session) != self._nodes[name]["fence"]["by"],
        }
        for brake in (words for words, true in brakes.items() if true):
            self._complain("I3", one, f"{name} was shot although {brake}")

    def _check_proof(self, one: Transaction, name: str) -> None:
        """I2: proof means that the machine was off. An operator's word is theirs."""
        if name in self._alive:
            self._complain("I2", one, f"{name} was proven off while it held its session")
        if one.session in self._daemons and self._was_on(name, one.at):
            self._complain("I2", one, f"{name} was proven off by {self._daemons[one.session]}, and its power was on")

    def _was_on(self, name: str, at: float) -> bool:
        return [on for since, on in self.lab[name].power_history() if since <= at][-1]

    # -- Everything together -------------------------------------------------------------------------------------------

    def _check_orders(self) -> None:
        """I3: no device was told to cut a node's power before that was written."""
        for name in self.lab.hosts:
            for at, order in self.lab.bmcs[name].orders():
                phases = [phase for since, phase, _ in self.fences.get(name, []) if since <= at + SLACK_S] or ["none"]
                if order != "on" and phases[-1] in LOCKED:
                    self.complaints.append(f"I3: the device of {name} was told {order}, and its fence was {phases[-1]}")

    def _complain(self, invariant: str, one: Transaction, sentence: str) -> None:
        self.complaints.append(f"{invariant}: {sentence} (transaction {one.zxid:#x})")


def _creates_cluster(write: Write) -> bool:
    return write.what == "create" and write.path == "/config"


def _name(path: str) -> str:
    return path.rpartition("/")[2]
