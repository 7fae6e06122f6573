"""The hypervisor port over libvirt, as the daemon holds it; and who answers at a URI, for the preflight."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pvc.cluster.domain_xml import check_domain_xml
from pvc.core import events as e
from pvc.errors import PvcError
from pvc.fsm.states import Effect
from pvc.fsm.views import Life
from pvc.hypervisor.claims import Claims
from pvc.hypervisor.jobs import CheckXml, Jobs
from pvc.hypervisor.keeper import Keeper
from pvc.hypervisor.ledger import Ledger
from pvc.hypervisor.library import Session, names
from pvc.hypervisor.options import GuestFigures, HypervisorFacts, HypervisorOptions, MigrationProgress
from pvc.hypervisor.sight import Sight

PROBE_TIMEOUT_S = 10.0


class LibvirtHypervisor:
    """One node's guests. `report` and `say` must only enqueue; `xml_of` and `address_of` may wait, and raise PvcError."""

    def __init__(
        self,
        options: HypervisorOptions,
        *,
        xml_of: Callable[[str], bytes],
        address_of: Callable[[str], str],
        report: Callable[[e.Event], None],
        say: Callable[[str], None],
        check_xml: CheckXml = check_domain_xml,
    ) -> None:
        self._claims = Claims(options.claims_directory, options.boot)
        ledger = Ledger(report)
        sight = Sight(ledger, self._claims)
        self._jobs = Jobs(options, ledger, sight, xml_of=xml_of, address_of=address_of, say=say, check_xml=check_xml)
        self._keeper = Keeper(options, ledger, sight, self._jobs, say)

    # ---- what the daemon calls, none of which waits for libvirt

    def start(self) -> None:
        """Begin to connect; raises PvcError where libvirt-python is missing or claims cannot be kept."""
        names()
        self._claims.load()
        self._keeper.start()

    def order(self, uuid: str, effect: Effect, life: Life) -> None:
        """Begin this order for a VM; it ends with a ``JobDone`` event, or with the next ``Inventory`` when the connection breaks."""
        self._jobs.order(uuid, effect, life)

    def close(self) -> None:
        """Report nothing more, and let go; guests and migrations go on."""
        self._keeper.close()

    def figures(self) -> GuestFigures:
        """What the guests that are here take together, as last seen."""
        return self._keeper.figures()

    def progress(self, uuid: str) -> MigrationProgress | None:
        """How far the migration of this VM from here is; None when none is under way, or nothing is known of it yet."""
        return self._jobs.moves.progress.get(uuid)

    def halted(self, uuid: str) -> float | None:
        """When this guest halted for the end of its migration from here, on the monotonic clock; None when that was not heard."""
        session = self._jobs.session
        return None if session is None else session.halted.get(uuid)

    def abort_precopy(self) -> None:
        """Break off every migration whose guest still runs here: without ZooKeeper nobody could decide who owns it afterwards."""
        session = self._jobs.session
        if session is not None:
            self._jobs.moves.abort_precopy(session)


def probe(uri: str, timeout_s: float = PROBE_TIMEOUT_S) -> HypervisorFacts:
    """Ask libvirt at this URI who it is; raises PvcError when nobody answers in time, or libvirt-python is missing."""
    names()
    answers: queue.Queue[HypervisorFacts | PvcError] = queue.Queue()
    threading.Thread(target=_ask, args=(uri, answers), name="libvirt-probe", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise PvcError(f"libvirt at {uri} has not answered for {timeout_s:g} s", "look at libvirtd: does it hang?") from None
    if isinstance(answer, PvcError):
        raise PvcError(f"libvirt at {uri} cannot be asked: {answer}", "start libvirtd, and let it listen where libvirt_uri says")
    return answer


def _ask(uri: str, answers: queue.Queue[HypervisorFacts | PvcError]) -> None:
    try:
        options = replace(HypervisorOptions("", "", Path()), uri=uri)
        session = Session(options, lambda uuid, by_itself: None, lambda why: None)
        try:
            answers.put(session.facts())
        finally:
            session.close()
    except PvcError as error:
        answers.put(error)
