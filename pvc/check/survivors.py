"""Why the checker does not miss some rows and guards: each survivor of :mod:`pvc.check.mutate`, with the reason."""

SURVIVORS: tuple[tuple[str, frozenset[str]], ...] = ()


def reason_for(name: str) -> str | None:
    """Why this mutant survives; nothing when nobody has said."""
    return next((why for why, names in SURVIVORS if name in names), None)


def stale_reasons(survived: set[str]) -> list[str]:
    """Reasons that are not needed any more, because the mutant is noticed or does not exist."""
    return sorted(f"{name} is excused, and does not survive" for _, names in SURVIVORS for name in names - survived)
