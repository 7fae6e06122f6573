"""How far a live migration is, in words: what libvirt measured, and what follows from it."""

from pvc.cluster.progress import Leaving

PASSES = 6
"""After so many passes over its memory a guest changes it faster than it is sent, unless the rest is small."""
SMALL = 0.05


def percent(told: Leaving) -> int:
    """How much of the guest's memory is on the other side, while it goes on changing it."""
    return 0 if not told.total_mib else max(0, min(100, 100 - 100 * told.remaining_mib // told.total_mib))


def eta_s(told: Leaving) -> float | None:
    """Seconds until this pass over its memory ends; None while nothing is sent."""
    return told.remaining_mib / told.rate_mib_s if told.rate_mib_s >= 1 else None


def converges(told: Leaving) -> bool:
    """Whether it comes to an end, as far as one can see."""
    return told.iteration < PASSES or told.remaining_mib <= SMALL * told.total_mib


def standstill(stood_ms: int) -> str:
    """For how long a guest stood still, from its pause on the one node until it ran on the other."""
    return f"its guest stood still for {stood_ms} ms at most"


def words(told: Leaving) -> str:
    """The same in one line."""
    return ", ".join(parts(told))


def parts(told: Leaving) -> list[str]:
    """The same piece by piece, what matters most first."""
    found = [f"{percent(told)} % migrated", f"{told.rate_mib_s:.0f} MiB/s"]
    left = eta_s(told)
    if not converges(told):
        found.append(f"not converging, pass {told.iteration}")
    elif left is not None:
        found.append(f"{left:.0f} s left" if told.iteration <= 1 else f"pass {told.iteration}, {left:.0f} s left")
    found += [f"guest slowed by {told.throttle} %"] if told.throttle else []
    return [*found, f"libvirt expects {told.downtime_ms} ms of standstill"] if told.downtime_ms else found
