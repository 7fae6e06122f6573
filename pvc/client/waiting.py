"""Waiting for what follows a command: by a watch on the record, with each transition told as it happens.

An event only says that something is different now, and what lay in between is lost with it. So what happened is read from the history, and
whether it is over is judged by the record.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from pvc.client.crossing import Crossing, ShowProgress
from pvc.client.ear import Ear
from pvc.client.goals import Goal, Verdict
from pvc.client.snapshot import Reader
from pvc.cluster import znodes
from pvc.cluster.evidence import Seen
from pvc.cluster.formats import decode_domain
from pvc.cluster.records import DomainRecord, HistoryEntry
from pvc.cluster.store import Broken, Changed, Connection, Event, State, Store, StoreError
from pvc.errors import NoQuorum, PvcError, TimedOut

Show = Callable[[str], None]
"""Takes a sentence about what happens, for whoever watches."""

FOREVER_S = 10**9
LAST_WORD_S = 1.5
"""How long the word of the node that a guest has left is waited for: it writes it at once, and not at all where it died."""
TELLING = frozenset({"ended", "give_up", "migrate_failed", "call_off", "overdue", "recover", "collide", "replace"})
"""Transitions whose reason an admin wants to read at once."""


def sentence(entry: HistoryEntry) -> str:
    """One transition, for somebody who watches."""
    machine = "" if entry.machine == "domain" else f"{entry.machine} "
    stays = f"{entry.trigger}, it stays {machine}{entry.dest}"
    what = stays if entry.source == entry.dest else f"{machine}{entry.source or '-'} -> {entry.dest}"
    why = f": {entry.why}" if entry.trigger in TELLING and entry.why else ""
    by = f"by {entry.who}" if entry.source == entry.dest else f"{entry.trigger} by {entry.who}"
    return f"{entry.of}: {what} ({by}){why}"


class Teller:
    """Tells each transition of one VM once, beginning after the one that this request made."""

    def __init__(self, reader: Reader, uuid: str, show: Show, since: str) -> None:
        self.reader = reader
        self.uuid = uuid
        self.show = show
        self.since = since

    def tell(self) -> None:
        """Tell what is new; without a connection that is for later."""
        try:
            history = self.reader.history(self.uuid)
        except StoreError:
            return
        if isinstance(history, Seen):
            for entry in _after(self.since, history.value.entries):
                self.show(sentence(entry))
                self.since = entry.request


class Waiting:
    """Waits on the watches of one store."""

    def __init__(self, store: Store, ear: Ear, reader: Reader) -> None:
        self.store = store
        self.ear = ear
        self.reader = reader

    def for_domain(
        self,
        before: DomainRecord,
        goal: Goal,
        *,
        version: int = 0,
        show: Show | None = None,
        timeout_s: float | None = None,
        progress: ShowProgress | None = None,
        late: str = "it goes on",
    ) -> Verdict:
        """Wait until this goal judges a record of at least this version, and tell what has followed `before`; raises TimedOut, which says
        `late`.
        """
        name, uuid = before.name, before.uuid
        path, teller = znodes.domain(uuid), Teller(self.reader, uuid, show, before.request) if show else None
        crossing, state = Crossing(before, progress, self.ear.clock), "there"
        with self.watching(path, *crossing.paths):
            for event in self.events(timeout_s, show):
                if event is None:
                    raise TimedOut(f"{name} is still {state}: {late}", f"pvc vm info {name}")
                if isinstance(event, Changed) and event.path in crossing.paths:
                    crossing.published(event)
                if not isinstance(event, Changed) or event.path != path:
                    continue
                record = self._record(uuid, event)
                if record is not None and event.znode is not None and record.gen == before.gen and event.znode.version < version:
                    continue  # what was there before the command
                if teller:
                    teller.tell()
                state = str(record.life.state) if record else "gone"
                if record is not None and event.znode is not None:
                    crossing.seen(record, event.znode.version, event.noticed_at)
                verdict = goal(record)
                if verdict is not None:
                    self._last_word(crossing)
                    return verdict
        raise AssertionError("unreachable")

    def _last_word(self, crossing: Crossing) -> None:
        """Tell for how long the guest of a migration that is over stood still."""
        with suppress(NoQuorum):  # what was asked for is done all the same
            for event in self.events(LAST_WORD_S, None) if crossing.lacks else ():
                if isinstance(event, Changed) and event.path in crossing.paths:
                    crossing.published(event)
                if event is None or not crossing.lacks:
                    break
        crossing.end()

    def _record(self, uuid: str, event: Changed) -> DomainRecord | None:
        record = None if event.znode is None else decode_domain(uuid, event.znode.data)
        if record is None or isinstance(record, DomainRecord):
            return record
        raise PvcError(f"the record of {uuid} cannot be read any more: {record}", "repair that znode by hand")

    @contextmanager
    def watching(self, *paths: str, children: Iterable[str] = ()) -> Iterator[None]:
        """Watch these paths, and the children of those, for as long as this lasts."""
        names = tuple(children)
        self.ear.forget()
        for path in paths:
            self.store.watch(path)
        for path in names:
            self.store.watch_children(path)
        try:
            yield
        finally:
            for path in paths:
                self.store.unwatch(path)
            for path in names:
                self.store.unwatch_children(path)

    def events(self, timeout_s: float | None, show: Show | None, every_s: float | None = None) -> Iterator[Event | None]:
        """What happens, without an end: None when the time is over, and with `every_s` also when that long nothing happens.

        A connection that is gone is told and waited for. Raises NoQuorum when the store gives up.
        """
        deadline = self.ear.clock() + (FOREVER_S if timeout_s is None else timeout_s)
        while True:
            left = deadline - self.ear.clock()
            event = self.ear.next(min(left, FOREVER_S if every_s is None else every_s)) if left > 0 else None
            if isinstance(event, Broken):
                raise NoQuorum(f"the connection to ZooKeeper is gone: {event.why}", "the operation goes on; look with pvc vm info")
            if isinstance(event, Connection):
                self._tell(event, show)
            elif event is not None or every_s is not None or deadline - self.ear.clock() <= 0:
                yield event

    def _tell(self, event: Connection, show: Show | None) -> None:
        if show and event.state is State.SUSPENDED:
            show("ZooKeeper does not answer: waiting for it; the operation itself does not depend on this")


def _after(request: str, entries: Sequence[HistoryEntry]) -> Sequence[HistoryEntry]:
    known = [number for number, entry in enumerate(entries) if entry.request == request]
    return entries[known[-1] + 1 :] if known else entries
