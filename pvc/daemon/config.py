"""The daemon's configuration: one INI file for the whole cluster, a section for each host over ``[default]``.

The same file may lie on every node: a node finds the fence devices of its peers in the peers' sections. Whatever is wrong is said at once,
not one problem for each start.
"""

import configparser
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pvc.cluster import login as zk_login
from pvc.cluster.ini import parsed_ini
from pvc.cluster.names import NAME_RULE, is_address, is_name, shown
from pvc.cluster.records import FenceMethod, Fencing
from pvc.core.settings import Settings
from pvc.daemon.keys import BY_NAME, KEYS
from pvc.errors import PvcError, unknown

DEFAULT = "default"
WATCHDOG = Path("/dev/watchdog")
LONGEST_SESSION_S = 6.0
"""Unless the file says something else: suspicion is harmless, so it may come soon."""


class BadConfig(PvcError):
    """The configuration cannot be used; ``problems`` are sentences, all of them."""

    def __init__(self, path: Path, problems: Iterable[str], next_step: str | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{path} cannot be used: {'; '.join(self.problems)}", next_step or f"correct {path}")


@dataclass(frozen=True, slots=True)
class FenceAccess:
    """How to reach a node's power from here; the password, or the file that holds it, is never shown."""

    method: FenceMethod = FenceMethod.none
    address: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    cipher_suite: int = 3
    guid: str | None = None
    """The GUID that the BMC has to have; None for that of the node's machine, where that is known."""
    agent: str | None = None
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout_s: float = 10.0
    """Of one question."""
    settle_s: float = 30.0
    """How long the machine may take to go off, or on, after its device was told to."""

    @property
    def published(self) -> Fencing:
        """What the node's record says of it, where everybody can read."""
        return Fencing(self.method, self.address)

    @property
    def secrets(self) -> bool:
        """Whether the configuration itself holds a password for this device."""
        return self.password is not None or any(name.startswith("passw") for name, _ in self.options)


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """What the file says for this node. Times are in the settings, which the Core decides by."""

    path: Path
    node: str
    zookeeper: tuple[str, ...]
    chroot: str
    login: zk_login.Said = field(repr=False)
    settings: Settings
    libvirt_uri: str
    migration_address: str | None
    migration_uri: str
    memory_reserve_mib: int
    state_file: Path
    claims_directory: Path
    metrics_listen: tuple[str, int] | None
    watchdog_device: Path | None
    watchdog_timeout_s: float
    take_home: bool
    file: "ConfigFile" = field(repr=False, compare=False)

    def fence_of(self, node: str) -> FenceAccess:
        """How this node, or a peer, is fenced, as its section of the file says."""
        return self.file.fence_of(node)


class ConfigFile:
    """The file by sections, each with the defaults below it. Everything in it was found to be readable."""

    def __init__(self, path: Path, parser: configparser.ConfigParser) -> None:
        self.path = path
        self._parser = parser

    @property
    def sections(self) -> list[str]:
        """The hosts that have a section."""
        return self._parser.sections()

    def section_of(self, node: str) -> str:
        """The section of this node, by its full name or by its short one; the defaults where it has none."""
        by_name = {section.lower(): section for section in self.sections}
        short = {name.partition(".")[0]: section for name, section in by_name.items() if "." not in name or "." not in node}
        return by_name.get(node) or short.get(node.partition(".")[0]) or DEFAULT

    def values(self, node: str) -> dict[str, Any]:
        """Every key for this node, read; None where nothing is said and there is no default."""
        section = self._parser[self.section_of(node)]
        return {key.name: None if (text := _text(section, key.name)) is None else key.read(text) for key in KEYS}

    def fence_of(self, node: str) -> FenceAccess:
        """How this node is fenced."""
        values, section = self.values(node), self.section_of(node)
        method, times = values["fence_method"], {"timeout_s": values["fence_timeout"], "settle_s": values["fence_settle"]}
        if method is FenceMethod.agent:
            options = values["fence_agent_options"] or ()
            address = next((value for name, value in options if name in ("ip", "ipaddr") and is_address(value)), None)
            return FenceAccess(method, address, agent=values["fence_agent"], options=options, **times)
        if method is not FenceMethod.ipmi:
            return FenceAccess(method)
        return FenceAccess(
            method,
            values["ipmi_hostname"] or lights_out_name(node if section == DEFAULT or "." in node else section.lower()),
            values["ipmi_username"],
            values["ipmi_password"],
            values["ipmi_password_file"],
            values["ipmi_cipher_suite"],
            values["ipmi_guid"],
            **times,
        )

    def problems(self, node: str) -> Iterator[str]:
        """Everything that is wrong with this file, for this node or for any."""
        yield from self._mistakable(node)
        wrong = list(dict.fromkeys(self._misread()))
        yield from wrong
        missing = list(self._missing(node))
        yield from missing
        if not wrong and not missing:
            values = self.values(node)
            yield from zk_login.problems(values)
            yield from _disorder(settings_of(values))
            yield from _hasty(values)

    def _mistakable(self, node: str) -> Iterator[str]:
        """Where hosts go by short names, two sections of one short name would be each other's: the fence device too."""
        names = [section.lower() for section in self.sections]
        shorts = Counter(name.partition(".")[0] for name in names)
        for short, count in shorts.items() if "." not in node else ():
            if count > 1 and short not in names:
                yield f"{count} sections are those of a host called {short}, and hosts have short names here: which of them is meant?"

    def _misread(self) -> Iterator[str]:
        for section in (DEFAULT, *self.sections):
            inherited = self._parser.defaults() if section != DEFAULT else {}
            for name, text in self._parser[section].items():
                if name in inherited and inherited[name] == text:
                    continue  # said once, complained about once
                if name not in BY_NAME:
                    yield f"[{section}] has {unknown('key', name, BY_NAME)}"
                    continue
                try:
                    BY_NAME[name].read(text) if text else None
                except ValueError as error:
                    yield f"[{section}] {name}: {error}"

    def _missing(self, node: str) -> Iterator[str]:
        section = self._parser[self.section_of(node)]
        where = f"neither [{section.name}] nor [{DEFAULT}] says" if section.name != DEFAULT else f"[{DEFAULT}] does not say"
        required = ["zookeeper"]
        method = _text(section, "fence_method")
        if method == FenceMethod.ipmi:
            required.append("ipmi_username")
            if _text(section, "ipmi_password_file") is None:
                required.append("ipmi_password")
        elif method == FenceMethod.agent:
            required += ["fence_agent", "fence_agent_options"]
        for name in required:
            if _text(section, name) is None:
                hint = " (or set fence_method = none: then nothing that runs here is ever recovered)" if name != "zookeeper" else ""
                yield f"{where} {name}, which is required{hint}"


def read_config(path: Path, hostname: str) -> DaemonConfig:
    """Read the file for the node of this name; raises `BadConfig` with everything that is wrong."""
    node = hostname.lower()
    named = [] if is_name(node) else [f"this host is called {shown(hostname)}, which cannot be the name of a node: it is {NAME_RULE}"]
    file = ConfigFile(path, _parsed(path))
    problems = [*named, *file.problems(node)]
    if problems:
        raise BadConfig(path, problems)
    values = file.values(node)
    return DaemonConfig(
        path=path,
        node=node,
        zookeeper=values["zookeeper"],
        chroot=values["chroot"],
        login={name: values[name] for name in zk_login.KEYS},
        settings=settings_of(values),
        libvirt_uri=values["libvirt_uri"],
        migration_address=values["migration_address"],
        migration_uri=values["migration_uri"],
        memory_reserve_mib=values["memory_reserve_mib"],
        state_file=values["state_file"],
        claims_directory=values["claims_directory"],
        metrics_listen=values["metrics_listen"],
        watchdog_device=values["watchdog_device"] or (WATCHDOG if values["fence_method"] is FenceMethod.watchdog else None),
        watchdog_timeout_s=values["watchdog_timeout"],
        take_home=values["take_home"],
        file=file,
    )


def settings_of(values: Mapping[str, Any]) -> Settings:
    """The times and limits that the Core decides by."""
    dead_s = values["dead_ticks"] * values["keepalive_interval"]
    return Settings(
        keepalive_interval_s=values["keepalive_interval"],
        dead_ticks=values["dead_ticks"],
        throws_ticks=values["throws_ticks"],
        session_timeout_s=values["session_timeout"] or min(LONGEST_SESSION_S, dead_s / 2),
        boot_grace_s=values["boot_grace"],
        migration_timeout_s=values["migration_timeout"],
        power_back=values["power_back"],
        parallel_migrations=values["parallel_migrations"],
        parallel_shots=values["parallel_shots"],
    )


def lights_out_name(node: str) -> str:
    """What a node's BMC is called when nobody says: hv1.example.org has hv1-lom.example.org."""
    short, dot, domain = node.partition(".")
    return f"{short}-lom{dot}{domain}"


def _disorder(settings: Settings) -> Iterator[str]:
    """Times that contradict each other: each of these would let a living node be taken for dead."""
    dead_s = settings.dead_ticks * settings.keepalive_interval_s
    if settings.session_timeout_s >= dead_s:
        yield (
            f"session_timeout {settings.session_timeout_s:g} s must be less than the dead time"
            f" of dead_ticks x keepalive_interval = {dead_s:g} s"
        )
    if settings.boot_grace_s < dead_s:
        yield f"boot_grace {settings.boot_grace_s:g} s must not be less than the dead time of {dead_s:g} s, or a booting node is shot"


def _hasty(values: Mapping[str, Any]) -> Iterator[str]:
    """A watchdog that bites where a session lives on: a moment without ZooKeeper would reset every node."""
    session_s, timeout_s = settings_of(values).session_timeout_s, values["watchdog_timeout"]
    guarded = values["watchdog_device"] is not None or values["fence_method"] is FenceMethod.watchdog
    if guarded and timeout_s < 2 * session_s:
        yield f"watchdog_timeout {timeout_s:g} s must not be less than two session timeouts of {session_s:g} s"


def _parsed(path: Path) -> configparser.ConfigParser:
    try:
        return parsed_ini(path.read_text(encoding="utf-8"), DEFAULT)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadConfig(path, [f"{why}"], "write one; pvcd.conf.sample explains every key") from error
    except ValueError as error:
        raise BadConfig(path, [str(error)]) from error


def _text(section: configparser.SectionProxy, name: str) -> str | None:
    """What the file says for this key, else its default; a key without a value says nothing."""
    return section.get(name, "") or BY_NAME[name].default
