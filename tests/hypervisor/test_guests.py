"""Every state and every reason that libvirt knows has a row, and what is doubtful is never called absent."""

import pytest

from pvc.fsm.states import Guest
from pvc.hypervisor.constants import STATES
from pvc.hypervisor.guests import ROWS, Shown, guest_of

TABLE = {(row.state, reason): row for row in ROWS for reason in row.reasons}
NEVER_RUNS = {"SHUTOFF", "NOSTATE"}


def constants():
    """Every pair of state and reason of the libvirt-python that is installed."""
    libvirt = pytest.importorskip("libvirt")
    # Flags of the call that asks a guest to shut down share the prefix of a state's reasons.
    flags = {"DEFAULT", "ACPI_POWER_BTN", "GUEST_AGENT", "INITCTL", "SIGNAL", "PARAVIRT"}
    for state in STATES:
        prefix = f"VIR_DOMAIN_{state}_"
        for name in dir(libvirt):
            reason = name.removeprefix(prefix)
            if name.startswith(prefix) and reason != "LAST" and not (state == "SHUTDOWN" and reason in flags):
                yield state, reason


def test_every_state_and_reason_of_libvirt_has_a_row():
    assert [pair for pair in constants() if pair not in TABLE] == []


def test_every_state_of_libvirt_is_known_by_name():
    libvirt = pytest.importorskip("libvirt")
    assert sorted(getattr(libvirt, f"VIR_DOMAIN_{state}") for state in STATES) == list(range(len(STATES)))


def test_no_pair_has_two_rows():
    assert sum(len(row.reasons) for row in ROWS) == len(TABLE)


@pytest.mark.parametrize("copy", [False, True])
def test_absent_is_said_of_nothing_but_a_definition_without_a_guest(copy):
    for state, reason in TABLE:
        for persistent in (False, True):
            guest = guest_of(Shown(state, reason, persistent), copy=copy)
            assert (guest is Guest.absent) == (state == "SHUTOFF" and persistent), (state, reason, persistent)
    assert guest_of(None, copy=copy) is Guest.absent


def test_a_copy_is_complete_only_where_libvirt_says_so():
    held = [pair for pair in TABLE if guest_of(Shown(*pair), copy=True) is Guest.held]
    assert held == [("PAUSED", "USER")]
    assert not any(guest_of(Shown(*pair), copy=False) in (Guest.held, Guest.incoming) for pair in TABLE)


@pytest.mark.parametrize(
    ("shown", "guest"),
    [
        (Shown("PAUSED", "99"), Guest.paused),
        (Shown("RUNNING", "99"), Guest.running),
        (Shown("SHUTOFF", "99", True), Guest.unknown),
        (Shown("9", "1"), Guest.unknown),
    ],
)
def test_what_is_newer_than_the_table_is_never_absent(shown, guest):
    assert guest_of(shown, copy=False) is guest


def test_a_new_reason_does_not_make_a_copy_complete():
    assert guest_of(Shown("PAUSED", "99"), copy=True) is Guest.unknown


def test_whatever_may_run_by_itself_counts_as_running():
    for state in ("RUNNING", "BLOCKED", "PMSUSPENDED", "SHUTDOWN"):
        assert guest_of(Shown(state, "UNKNOWN"), copy=False) is Guest.running
