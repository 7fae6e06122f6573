"""What a domain of libvirt shows, in the words of the tables: every state, with every reason, in one table (I12).

A domain that is paused can be our own guest, or a copy that a migration brought and that never ran here. libvirt calls both paused; which
it is says the claim under which it came.
"""

from typing import NamedTuple

from pvc.fsm.states import Guest

ABSENT, INCOMING, HELD, RUNNING, PAUSED, UNKNOWN = (
    Guest.absent, Guest.incoming, Guest.held, Guest.running, Guest.paused, Guest.unknown
)  # fmt: skip


class Shown(NamedTuple):
    """What libvirt shows of a domain: its state and the reason for it, named as libvirt names its constants."""

    state: str
    reason: str
    persistent: bool = False


class Row(NamedTuple):
    """One state of libvirt: what it means for a guest of ours, and for a copy that has not run here."""

    state: str
    reasons: tuple[str, ...]
    own: Guest
    copy: Guest
    why: str


# fmt: off
ROWS = (
    Row("RUNNING", ("UNKNOWN", "BOOTED", "MIGRATED", "RESTORED", "FROM_SNAPSHOT", "UNPAUSED", "MIGRATION_CANCELED", "SAVE_CANCELED",
                    "WAKEUP", "CRASHED", "POSTCOPY", "POSTCOPY_FAILED"), RUNNING, RUNNING, "Its vCPUs run."),
    Row("BLOCKED", ("UNKNOWN",), RUNNING, RUNNING, "It waits for something, and goes on by itself."),
    Row("PMSUSPENDED", ("UNKNOWN", "DISK_UNKNOWN"), RUNNING, RUNNING, "It sleeps, and can wake up by itself at any moment."),
    Row("SHUTDOWN", ("UNKNOWN", "USER"), RUNNING, RUNNING, "It is powering itself off: until QEMU is gone it may still write."),
    Row("PAUSED", ("USER",), PAUSED, HELD, "Of a copy: it is complete, and waits for the record's word."),
    Row("PAUSED", ("MIGRATION",), PAUSED, INCOMING, "Of our own: libvirt has stopped it, and with no job under way left it so."),
    Row("PAUSED", ("UNKNOWN",), PAUSED, INCOMING, "A copy counts as complete only where libvirt says so."),
    Row("PAUSED", ("STARTING_UP",), UNKNOWN, INCOMING, "QEMU starts: whether a guest comes of it shows in a moment."),
    Row("PAUSED", ("SHUTTING_DOWN",), RUNNING, RUNNING, "It is powering itself off: until QEMU is gone it may still write."),
    Row("PAUSED", ("SAVE", "DUMP", "IOERROR", "WATCHDOG", "FROM_SNAPSHOT", "SNAPSHOT", "CRASHED", "POSTCOPY", "POSTCOPY_FAILED",
                   "API_ERROR"), PAUSED, PAUSED, "It is here, and does not run until somebody resumes it."),
    Row("CRASHED", ("UNKNOWN", "PANICKED"), PAUSED, PAUSED, "QEMU keeps it for somebody to look at; it will not run again."),
    Row("SHUTOFF", ("UNKNOWN", "SHUTDOWN", "DESTROYED", "CRASHED", "MIGRATED", "SAVED", "FAILED", "FROM_SNAPSHOT", "DAEMON"),
                   ABSENT, ABSENT, "A definition without a guest; a domain that has none is on its way in or out, and unknown."),
    Row("NOSTATE", ("UNKNOWN",), UNKNOWN, UNKNOWN, "libvirt does not know either."),
)
# fmt: on

_BY_REASON = {(row.state, reason): row for row in ROWS for reason in row.reasons}


def guest_of(shown: Shown | None, *, copy: bool) -> Guest:
    """The guest that libvirt shows; `copy` when it came by a migration and has not run here.

    A reason that is newer than this table is paused where the state is, and unknown elsewhere: never absent.
    """
    if shown is None:
        return Guest.absent
    row = _BY_REASON.get((shown.state, shown.reason))
    if row is None:
        return Guest.paused if shown.state == "PAUSED" and not copy else Guest.running if shown.state == "RUNNING" else Guest.unknown
    if row.own is Guest.absent and not shown.persistent:
        return Guest.unknown
    return row.copy if copy else row.own
