"""Claims: one small file for each VM that this node claimed or admitted, under one kernel boot.

A hook of libvirt reads them before it lets a guest begin or a migration in, without asking anybody: a host that was fenced and came back
has no claim of its present boot. And a daemon that starts anew reads in them which of its jobs nobody saw end.
"""

import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from pvc.errors import PvcError
from pvc.fsm.states import Job

log = logging.getLogger(__name__)

GONE_KEPT_S = 24 * 3600.0
"""A claim that is over is kept for as long: what waits in a frozen libvirtd must not find a VM that nobody knows."""


class Phase(Enum):
    """How far the guest of a claim is: to be created here, to come as a copy, running or run here, gone."""

    create = "create"
    copy = "copy"
    run = "run"
    gone = "gone"


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim; `job` is in flight, or its end was not seen."""

    boot: str
    epoch: int
    phase: Phase
    job: Job = Job.none

    def text(self) -> str:
        """The file: a word and its value in each line."""
        return f"boot={self.boot}\nepoch={self.epoch}\nphase={self.phase.value}\njob={self.job}\n"


def parse(text: str) -> Claim | None:
    """The claim in such a file; None when it is torn or not one."""
    words = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    try:
        return Claim(words["boot"], int(words["epoch"]), Phase(words["phase"]), Job(words["job"]))
    except (KeyError, ValueError):
        return None


class Claims:
    """The claims of the present boot: kept here, and written through to the directory."""

    def __init__(self, directory: Path, boot: str) -> None:
        self.directory = directory
        self.boot = boot
        self._lock = threading.Lock()
        self._claims: dict[str, Claim] = {}

    def load(self) -> None:
        """Read what an earlier daemon of this boot has left; PvcError when nothing can be kept there."""
        try:
            self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            files = [path for path in self.directory.iterdir() if not path.name.startswith(".")]
            found = {path.name: parse(path.read_text(errors="replace")) for path in files}
        except OSError as error:
            raise PvcError(f"claims cannot be kept in {self.directory}: {error}", "let pvcd write there") from error
        self._claims = {uuid: claim for uuid, claim in found.items() if claim is not None and claim.boot == self.boot}
        self.sweep()

    def of(self, uuid: str) -> Claim | None:
        """The claim of this VM under the present boot."""
        return self._claims.get(uuid)

    def all(self) -> dict[str, Claim]:
        """Every claim of the present boot, those that are over included."""
        with self._lock:
            return dict(self._claims)

    def is_copy(self, uuid: str) -> bool:
        """Whether what is here of this VM came by a migration and has not run here."""
        claim = self._claims.get(uuid)
        return claim is not None and claim.phase is Phase.copy

    def put(self, uuid: str, epoch: int, phase: Phase, job: Job = Job.none) -> None:
        """Claim a VM anew."""
        self._write(uuid, Claim(self.boot, epoch, phase, job))

    def note_job(self, uuid: str, job: Job, epoch: int) -> None:
        """A job begins, or ``none``: its end was seen."""
        claim = self._claims.get(uuid)
        if claim is None and job is not Job.none:
            self._amend(uuid, Claim(self.boot, epoch, Phase.run, job))
        elif claim is not None and claim.job is not job:
            self._amend(uuid, replace(claim, job=job))

    def has_run(self, uuid: str) -> None:
        """The guest was seen running here: from now on it is no copy."""
        claim = self._claims.get(uuid)
        if claim is not None and claim.phase in (Phase.create, Phase.copy):
            self._amend(uuid, replace(claim, phase=Phase.run))

    def is_gone(self, uuid: str) -> None:
        """The guest is gone from here: nothing that was asked for it before may begin any more."""
        claim = self._claims.get(uuid)
        if claim is not None and claim.phase is not Phase.gone:
            self._amend(uuid, replace(claim, phase=Phase.gone, job=Job.none))

    def sweep(self) -> None:
        """Forget what has been over for long, and the files of earlier boots, which deny as well by being absent."""
        now = time.time()
        for uuid in [uuid for uuid, claim in self.all().items() if claim.phase is Phase.gone]:
            with suppress(OSError):
                if now - (self.directory / uuid).stat().st_mtime > GONE_KEPT_S:
                    (self.directory / uuid).unlink()
                    with self._lock:
                        del self._claims[uuid]

    def _amend(self, uuid: str, claim: Claim) -> None:
        """Bring a claim up to date; a disk that is full keeps no guest from being seen, or stopped."""
        try:
            self._write(uuid, claim)
        except PvcError as error:
            log.error("%s", error)
            with self._lock:
                self._claims[uuid] = claim

    def _write(self, uuid: str, claim: Claim) -> None:
        """Replace the file at once: the hook sees the old one or the new one, never half of one."""
        temporary = self.directory / f".{uuid}.{threading.get_ident()}"
        try:
            temporary.write_text(claim.text())
            os.replace(temporary, self.directory / uuid)
        except OSError as error:
            raise PvcError(f"the claim of {uuid} cannot be written: {error}", f"let pvcd write in {self.directory}") from error
        with self._lock:
            self._claims[uuid] = claim
