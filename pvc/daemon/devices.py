"""Whether a fence device is the right one: it answers, and it is part of the machine that it is said to be part of.

A device that is another machine's is worse than none: by it a healthy node is shot, and the proof is of the wrong machine. So one that says
anything wrong is not believed at all. One that says nothing is only silent.
"""

from dataclasses import dataclass

from pvc.daemon.config import FenceAccess
from pvc.daemon.fencers import Fencer, same_machine
from pvc.fsm.states import Power

ANY = "any"
"""In place of a GUID: nothing is compared."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a device showed: its reading, and why it is not to be believed, empty when it is."""

    reading: Power
    fault: str = ""


def wanted_guid(access: FenceAccess, known: str | None) -> str | None:
    """What a node's device has to tell: what the file says, else the UUID of its machine where that is known; None where nothing counts."""
    wanted = access.guid or known
    return None if wanted == ANY else wanted


def stranger(fencer: Fencer, wanted: str | None) -> str:
    """Why this device is another machine's than the one with this GUID; empty where it is not, or where one of them is not known."""
    told = fencer.guid() if wanted is not None else None
    if told is None or wanted is None or same_machine(told, wanted):
        return ""
    return f"it is part of {told}, and the node is {wanted}: it is another machine's"


def look_at(fencer: Fencer, wanted: str | None, *, lives: bool) -> Look:
    """Look at the device of a node, which ``lives``, as far as is known; ``wanted`` is the GUID that it has to tell, if it tells one."""
    reading = fencer.read()
    if reading is Power.silent:
        return Look(reading)
    if fault := stranger(fencer, wanted):
        return Look(reading, fault)
    if lives and reading is Power.off and fencer.read() is Power.off:
        return Look(reading, "it reads off while the node lives: it is another machine's")
    return Look(reading)
