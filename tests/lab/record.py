"""What the record of one VM says, kept up to date by a watch."""

import threading
from collections.abc import Callable

from lab import Lab
from lab.services import CHROOT, CLIENT_PORT
from pvc.client.cluster import Cluster
from pvc.client.ear import Ear
from pvc.cluster import znodes
from pvc.cluster.formats import decode_domain
from pvc.cluster.options import Options
from pvc.cluster.patient import PatientStore
from pvc.cluster.store import Changed, Event
from pvc.fsm.views import Life

REACH_S = 60


class Record:
    """What the record of one VM says, kept up to date by a watch."""

    def __init__(self, lab: Lab, uuid: str) -> None:
        self._uuid, self._path = uuid, znodes.domain(uuid)
        self._changed = threading.Condition()
        self._life: Life | None = None
        self._version = -1
        self._ear = Ear()
        hosts = tuple(f"{host.address}:{CLIENT_PORT}" for host in lab.servers.values())
        self._store = PatientStore(Options(hosts, CHROOT))
        self._store.start(self._hear)
        self._store.watch(self._path)
        self.client = Cluster(self._store, "test", self._ear)

    def _hear(self, event: Event) -> None:
        self._ear.hear(event)
        if isinstance(event, Changed) and event.path == self._path:
            record = None if event.znode is None else decode_domain(self._uuid, event.znode.data)
            with self._changed:
                self._life = None if record is None else record.life
                self._version = -1 if event.znode is None else event.znode.version
                self._changed.notify_all()

    @property
    def life(self) -> Life | None:
        """As last seen; None when there is no record."""
        with self._changed:
            return self._life

    def reach(self, what: str, condition: Callable[[Life | None], bool], timeout_s: float = REACH_S) -> None:
        """Return as soon as the record is so."""
        with self._changed:
            reached = self._changed.wait_for(lambda: condition(self._life), timeout_s)
            assert reached, f"it never came to {what}: {self._life}"

    def catch_up(self, version: int) -> None:
        """Return when this version, or a later one, has been seen: what is read after a command must not be older than that."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._version >= version, REACH_S), f"version {version} was never seen"

    def close(self) -> None:
        """End the session."""
        self._store.close()
