"""libvirt's numbers as names: our tables are written in its words, and need no libvirt to be read."""

from types import ModuleType
from typing import Any

from pvc.hypervisor.guests import Shown
from pvc.hypervisor.troubles import CallFailed, trouble_of, words_of

STATES = ("NOSTATE", "RUNNING", "BLOCKED", "PAUSED", "SHUTDOWN", "SHUTOFF", "CRASHED", "PMSUSPENDED")


class Names:
    """libvirt-python, with its numbers as names."""

    def __init__(self, library: ModuleType) -> None:
        self.library: Any = library
        self._domains = self._table("VIR_FROM_")
        self._codes = self._table("VIR_ERR_", without=("VIR_ERR_NONE", "VIR_ERR_WARNING", "VIR_ERR_ERROR"))
        self._states = {getattr(library, f"VIR_DOMAIN_{name}"): name for name in STATES}
        self._reasons = {name: self._table(f"VIR_DOMAIN_{name}_") for name in STATES}

    def _table(self, prefix: str, without: tuple[str, ...] = ()) -> dict[int, str]:
        names = [name for name in dir(self.library) if name.startswith(prefix) and not name.endswith("_LAST") and name not in without]
        return {getattr(self.library, name): name.removeprefix(prefix) for name in names}

    def shown(self, state: int, reason: int, persistent: bool = False) -> Shown:
        """A state of libvirt by its names; what is newer than this libvirt-python keeps its number."""
        name = self._states.get(state, str(state))
        return Shown(name, self._reasons.get(name, {}).get(reason, str(reason)), persistent)

    def failure(self, error: Any) -> CallFailed:
        """An error of libvirt as one of ours."""
        domain = self._domains.get(error.get_error_domain(), "?")
        code = self._codes.get(error.get_error_code(), "?")
        return CallFailed(trouble_of(domain, code), f"{words_of(str(error.get_error_message() or error))} ({domain} {code})")
