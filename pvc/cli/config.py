"""`pvc config`: what this client is told, and by whom."""

import os
from typing import Any

import click

from pvc.cli.access import Setting, access
from pvc.cli.group import Group
from pvc.cli.output import answer, output, print_table


@click.group(cls=Group, short_help="Show what this client is configured with, and where that stands.")
def config() -> None:
    """Show what this client is configured with, and where that stands.

    \b
    pvc config show
    """


@config.command()
@output()
def show(form: str) -> None:
    """Show each setting, its value, and where it comes from; the first that says anything counts.

    \b
    pvc config show
    """
    from pvc.cluster.login import KEYS, SECRETS

    way = access()
    login = [_setting(name, list(way.configured(name)), secret=name in SECRETS) for name in KEYS]
    settings = [_setting("zookeeper", list(way.addresses())), *login, _setting("color", _colours())]
    rows = [(one["name"], one["value"] or "-", one["source"] or "nobody says", ", ".join(one["asked"])) for one in settings]
    heads = ("SETTING", "VALUE", "FROM", "IN THIS ORDER")
    answer(form, {"settings": settings}, [one["name"] for one in settings], lambda wide: print_table(heads, rows, ""))


def _setting(name: str, found: list[Setting], *, secret: bool = False) -> dict[str, Any]:
    first = next((setting for setting in found if setting.value), Setting("", None))
    value = "(not shown)" if secret and first.value else first.value
    return {"name": name, "value": value, "source": first.source or None, "asked": [setting.source for setting in found]}


def _colours() -> list[Setting]:
    asked = click.get_current_context().color
    return [
        Setting("--color", None if asked is None else "always" if asked else "never"),
        Setting("NO_COLOR", "never" if os.environ.get("NO_COLOR") else None),
        Setting("TERM", "never" if os.environ.get("TERM") == "dumb" else None),
        Setting("default", "auto"),
    ]
