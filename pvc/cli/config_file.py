"""The files that tell a client where its cluster is: the user's own, and /etc/pvc/pvc.conf."""

import os
from collections.abc import Mapping
from pathlib import Path

from pvc.errors import UsageProblem, unknown


def read_file(path: Path) -> Mapping[str, str]:
    """Its keys, empty for a file that is not there; raises UsageProblem for one that cannot be used."""
    from pvc.cluster.login import KEYS

    found = _parsed(path)
    for name, text in found.items():
        if name not in ("zookeeper", *KEYS):
            raise UsageProblem(f"{path} has {unknown('key', name, ['zookeeper', *KEYS])}", f"correct {path}")
        try:
            KEYS[name](text) if name in KEYS else None
        except ValueError as error:
            raise UsageProblem(f"{path}: {name}: {error}", f"correct {path}") from error
    return found


def user_file() -> Path:
    """The user's own."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return Path(home) / "pvc" / "pvc.conf"


def _parsed(path: Path) -> dict[str, str]:
    from pvc.cluster.ini import parsed_ini

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageProblem(f"{path} cannot be read: {why}", f"correct {path}") from error
    try:
        parser = parsed_ini(text, headless=True)
    except ValueError as error:
        raise UsageProblem(f"{path} cannot be read: {error}", f"correct {path}: each line is KEY = VALUE") from error
    sections = [parser.defaults(), *(parser[name] for name in parser.sections())]
    return {name: value for section in reversed(sections) for name, value in section.items() if value}
