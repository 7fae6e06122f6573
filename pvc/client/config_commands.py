"""The cluster's own record: made once, held, and changed by admins alone."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from pvc.client.snapshot import Reader
from pvc.client.writing import Overtaken, Writer, insist
from pvc.cluster import znodes
from pvc.cluster.changes import config_change, create_cluster
from pvc.cluster.formats import decode_config
from pvc.cluster.names import checked_name, clipped
from pvc.cluster.records import MAX_WHY, MAX_WORDS, ClusterConfig, Hold, Policy, Unreadable
from pvc.cluster.store import Znode
from pvc.errors import NotFound, Refused, UsageProblem, unknown


class ConfigCommands:
    """What one client does with the cluster as a whole."""

    def __init__(self, reader: Reader, writer: Writer, who: str, now: Callable[[], str]) -> None:
        self.reader = reader
        self.writer = writer
        self.who = who
        self.now = now

    def init(self, name: str) -> ClusterConfig:
        """Create the cluster; raises Refused where there is one."""
        config = ClusterConfig(str(uuid4()), checked_name("cluster", name), request=f"init-{uuid4().hex[:12]}")
        try:
            self.writer.write(create_cluster(config), _shows(config.request))
        except Overtaken as overtaken:
            present = self.reader.store.read(znodes.CONFIG, sync=True)
            if present is None:
                where = overtaken.refused.path if overtaken.refused else "something"
                why = f"a cluster needs a place of its own, and here {where} exists"
                raise Refused(why, "choose another chroot: -z HOSTS/pvc") from overtaken
            found = decode_config(present.data)
            called = "whose record cannot be read" if isinstance(found, Unreadable) else f'called "{found.name}"'
            raise Refused(f"there is a cluster {called} here already; nothing was changed", "pvc node list") from overtaken
        return config

    def hold(self, on: bool, why: str) -> Hold:
        """Turn the hold on or off; raises Refused where it is so already."""

        def held(config: ClusterConfig) -> ClusterConfig:
            if config.hold.on is on:
                raise Refused(f"the hold is {'on' if on else 'off'} already" + (f": {_held(config.hold)}" if on else ""))
            return replace(config, hold=Hold(on, clipped(self.who, MAX_WORDS), clipped(why, MAX_WHY), self.now()))

        return self._change(held).hold

    def set(self, locks: tuple[str, ...] | None, defaults: Mapping[str, Any]) -> ClusterConfig:
        """Other locks, or other defaults; raises UsageProblem for a lock that is neither a path nor `rbd:pool`, NotFound for a node."""
        wrong = [lock for lock in locks or () if not lock.startswith("/") and not (lock.startswith("rbd:") and len(lock) > len("rbd:"))]
        if wrong:
            raise UsageProblem(f"{', '.join(wrong)}: storage with locks is a path, or rbd:POOL", "pvc cluster set --lock /srv/shared")
        nodes = self.reader.snapshot().nodes if defaults.get("nodes") else {}
        for node in defaults.get("nodes", ()):
            if node not in nodes:
                raise NotFound(unknown("node", node, nodes), "pvc node list")

        def changed(config: ClusterConfig) -> ClusterConfig:
            policy: Policy = replace(config.defaults, **defaults)
            return replace(config, defaults=policy, locks=config.locks if locks is None else tuple(dict.fromkeys(locks)))

        return self._change(changed)

    def _change(self, changed: Callable[[ClusterConfig], ClusterConfig]) -> ClusterConfig:
        def attempt() -> ClusterConfig:
            seen = self.reader.config()
            config = replace(changed(seen.value), request=f"cli-{uuid4().hex[:16]}")
            self.writer.write(config_change(seen, config), _shows(config.request))
            return config

        return insist(attempt, lambda: "somebody else changed the cluster's record meanwhile")


def _held(hold: Hold) -> str:
    return f"by {hold.by} since {hold.since}" + (f", because {hold.why}" if hold.why else "")


def _shows(request: str) -> Callable[[Znode], bool]:
    def applied(znode: Znode) -> bool:
        config = decode_config(znode.data)
        return isinstance(config, ClusterConfig) and config.request == request

    return applied
