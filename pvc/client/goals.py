"""When a command is done, and when it has failed: what the record of the VM must say, one small function each."""

from collections.abc import Callable
from dataclasses import dataclass

from pvc.cluster.records import DomainRecord
from pvc.fsm.domain import OFF
from pvc.fsm.states import Domain, Want
from pvc.fsm.views import Life


@dataclass(frozen=True, slots=True)
class Asked:
    """A command that is written: the VM before it, its life after it, and the version of the record that says so.

    `silent` is the node that has to act on it now and does not answer.
    """

    trigger: str
    before: DomainRecord
    life: Life
    version: int
    silent: str | None = None

    @property
    def name(self) -> str:
        """The VM's name."""
        return self.before.name


@dataclass(frozen=True, slots=True)
class Verdict:
    """How it ended, as a sentence."""

    ok: bool
    sentence: str


Goal = Callable[[DomainRecord | None], Verdict | None]
"""What a record, None once it is gone, means for somebody who waits; None: it goes on."""


def goal_of(asked: Asked) -> Goal:
    """What is waited for after this command."""
    judge = GOALS[asked.trigger]

    def goal(record: DomainRecord | None) -> Verdict | None:
        if record is not None and record.gen != asked.before.gen:
            return Verdict(False, f"{asked.name} was undefined and defined again meanwhile")
        if record is not None and record.life.state is Domain.conflict:
            return Verdict(False, f"{asked.name} has a conflict: a guest of it runs on {record.life.target}, which does not own it")
        return judge(asked, record)

    return goal


def _up(asked: Asked, record: DomainRecord | None) -> Verdict | None:
    if record is None:
        return Verdict(False, f"{asked.name} was undefined meanwhile")
    life = record.life
    if life.state is Domain.failed:
        return Verdict(False, f"{asked.name} failed: {record.reason}")
    if life.want is not Want.start:
        return Verdict(False, f"somebody wants {asked.name} {life.want} now")
    if life.state in OFF:
        return Verdict(False, f"{asked.name} is {life.state}: {record.reason}")
    return Verdict(True, f"{asked.name} runs on {life.owner}") if life.state is Domain.start else None


def _restarted(asked: Asked, record: DomainRecord | None) -> Verdict | None:
    verdict = _up(asked, record)
    # Only a claim makes a new epoch: without one it still runs as before.
    again = record is not None and record.life.epoch > asked.before.life.epoch
    return verdict if verdict is None or again or not verdict.ok else None


def _off(asked: Asked, record: DomainRecord | None) -> Verdict | None:
    if record is None:
        return Verdict(asked.trigger == "undefine", f"{asked.name} is undefined")
    if record.life.want is Want.start:
        return Verdict(False, f"somebody wants {asked.name} up again")
    if record.life.state not in OFF:
        return None
    return Verdict(asked.trigger != "undefine", f"{asked.name} is off ({record.life.state})")


def _moved(asked: Asked, record: DomainRecord | None) -> Verdict | None:
    if asked.before.life.state in OFF:
        return Verdict(True, f"{asked.name} is off, and at home on {asked.life.home} from now on")
    if record is None or record.life.state is not Domain.start:
        going = record is not None and record.life.state is Domain.migrate
        return None if going else _up(asked, record)
    if record.life.owner == asked.life.target:
        return Verdict(True, f"{asked.name} runs on {record.life.owner}")
    return Verdict(False, f"{asked.name} stays on {record.life.owner}: {record.reason}")


def _cancelled(asked: Asked, record: DomainRecord | None) -> Verdict | None:
    verdict = None if record is not None and record.life.state is Domain.migrate else _up(asked, record)
    if verdict is None or not verdict.ok or record is None or record.life.owner == asked.before.life.owner:
        return verdict
    return Verdict(False, f"{asked.name} had arrived on {record.life.owner} already")


def _enabled(asked: Asked, record: DomainRecord | None) -> Verdict:
    return Verdict(record is not None, f"{asked.name} is {'gone' if record is None else record.life.state}")


def _stayed(asked: Asked, record: DomainRecord | None) -> Verdict:
    return Verdict(record is not None, f"{asked.name} is {'gone' if record is None else f'at home on {record.life.home}'}")


GOALS: dict[str, Callable[[Asked, DomainRecord | None], Verdict | None]] = {
    "start": _up,
    "restart": _restarted,
    "stop": _off,
    "shutdown": _off,
    "disable": _off,
    "undefine": _off,
    "enable": _enabled,
    "stay": _stayed,
    "migrate": _moved,
    "unmigrate": _moved,
    "move": _moved,
    "cancel": _cancelled,
    "resolve_keep": _up,
    "resolve_stop": _off,
}
"""Every command, and who judges how it went."""
