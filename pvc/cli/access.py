"""The way to the cluster: which ZooKeeper, who asks, and a connection for as long as one command needs it.

An address is looked for in this order: -z, the environment's PVC_ZOOKEEPER, the key `zookeeper` in the user's own file, and in
/etc/pvc/pvc.conf. How to log in there stands in the files alone.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from pvc.cli.config_file import read_file, user_file
from pvc.errors import NoQuorum, UsageProblem

if TYPE_CHECKING:
    from pvc.client.cluster import Cluster
    from pvc.client.ear import Ear
    from pvc.cluster.options import Options
    from pvc.cluster.store import Store

CONFIG_FILE = Path("/etc/pvc/pvc.conf")
ENVIRONMENT = "PVC_ZOOKEEPER"
CONNECT_S = 5.0
SESSION_S = 10.0
DEFAULT_PORT = 2181


class Setting(NamedTuple):
    """Where a value may come from, and what stands there."""

    source: str
    value: str | None


@dataclass
class Access:
    """What a command line needs to reach a cluster; tests give it another store, ear or file."""

    zookeeper: str | None = None
    config_file: Path = CONFIG_FILE
    make_store: "Callable[[Options], Store] | None" = None
    make_ear: "Callable[[], Ear] | None" = None
    who: str = field(default_factory=lambda: _who())
    user_file: Path = field(default_factory=user_file)

    def addresses(self) -> Iterator[Setting]:
        """Where an address is looked for, and what is found there, the first that says anything first to count."""
        yield Setting("-z", self.zookeeper)
        yield Setting(ENVIRONMENT, os.environ.get(ENVIRONMENT))
        yield from self.configured("zookeeper")

    def configured(self, name: str) -> Iterator[Setting]:
        """What the files say for a key, the user's own first."""
        for path in (self.user_file, self.config_file):
            yield Setting(str(path), read_file(path).get(name))

    def options(self) -> "Options":
        """The address, parsed; raises UsageProblem when there is none, or a file cannot be used."""
        text = next((setting.value for setting in self.addresses() if setting.value), None)
        if not text:
            raise UsageProblem(
                "nothing says at which ZooKeeper the cluster is",
                f"-z HOST:PORT,HOST:PORT/CHROOT, or {ENVIRONMENT}, or the key zookeeper in {self.user_file} or {self.config_file}",
            )
        from pvc.cluster.login import secured

        return secured(parsed(text), {**read_file(self.config_file), **read_file(self.user_file)})

    @contextmanager
    def cluster(self, *, create_root: bool = False) -> "Iterator[Cluster]":
        """A client, connected until this ends; raises NoQuorum when nobody answers within seconds."""
        _quiet()
        from pvc.client.cluster import Cluster
        from pvc.client.ear import Ear
        from pvc.cluster.store import NotConnected

        options = self.options()
        ear = (self.make_ear or Ear)()
        try:
            store = self._patient_store(options, create_root)
            store.start(ear.hear, CONNECT_S)
        except NotConnected as error:
            step = error.next_step or "start the ensemble, or correct the address with -z"
            raise NoQuorum(error.message, f"{step}; pvc doctor says which server does not answer, and why") from error
        try:
            yield Cluster(store, self.who, ear)
        finally:
            store.close()

    def open(self, timeout_s: float) -> "Store":
        """A store alone, that reports nothing and waits for nothing; raises PvcError when nobody answers in this time."""
        _quiet()
        from pvc.cluster.live import ZooKeeperStore

        store = (self.make_store or ZooKeeperStore)(self.options())
        store.start(lambda event: None, timeout_s)
        return store

    def _patient_store(self, options: "Options", create_root: bool) -> "Store":
        if self.make_store is not None:
            return self.make_store(options)
        from pvc.cluster.live import create_root as create
        from pvc.cluster.patient import PatientStore

        if create_root and options.chroot:
            create(options, CONNECT_S)
        return PatientStore(options)


def access() -> Access:
    """The access of the command that runs now."""
    found = click.get_current_context().find_object(Access)
    return found if found is not None else Access()


def parsed(text: str) -> "Options":
    """A connection string, as every ZooKeeper client writes it: host:port,host:port/chroot."""
    from pvc.cluster.options import Options

    hosts, slash, chroot = text.strip().partition("/")
    named = tuple(_with_port(host.strip()) for host in hosts.split(",") if host.strip())
    return Options(named, f"/{chroot.strip('/')}" if slash and chroot.strip("/") else "", SESSION_S)


def this_host() -> str:
    """The short name of this machine, as its node is called."""
    import socket

    return socket.gethostname().partition(".")[0].lower()


def _with_port(host: str) -> str:
    bare = host.endswith("]") if host.startswith("[") else ":" not in host
    return f"{host}:{DEFAULT_PORT}" if bare else host


def _who() -> str:
    """Who is asking, for the history: the person behind sudo, at this machine."""
    import getpass

    try:
        person = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        person = f"uid{os.getuid()}"
    return f"{person}@{this_host()}"


def _quiet() -> None:
    """A library's log lines are not for a terminal: what matters is in our own sentences."""
    import logging

    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
