"""Whether ZooKeeper has gone back to an earlier state while this daemon ran: restored from a snapshot, or replaced.

Its servers refuse a session that has seen more than they have, again and again, and say nothing about why. So a daemon that has been
without its session for long looks with another one, which has seen nothing yet.
"""

from pathlib import Path

from pvc.agent.remembered import Remembered, objection, seen_now
from pvc.cluster import znodes
from pvc.cluster.formats import decode_config
from pvc.cluster.live import ZooKeeperStore
from pvc.cluster.options import Options
from pvc.cluster.records import ClusterConfig
from pvc.cluster.store import StoreError
from pvc.errors import PvcError

LOOK_S = 5.0
"""For how long servers are tried."""


def gone_back(own: ZooKeeperStore, options: Options, node: str, before: Remembered, path: Path) -> PvcError | None:
    """Why the ZooKeeper that answers a newcomer is not the one that this daemon has known; None when it is, when none answers, and while
    this daemon may still have its session.
    """
    if own.connected or own.lease_age_s() < 2 * own.session_timeout_s:
        return None
    wrong = _wrong(options, node, before, path)
    return None if own.connected else wrong


def _wrong(options: Options, node: str, before: Remembered, path: Path) -> PvcError | None:
    store = ZooKeeperStore(options)
    try:
        store.start(lambda event: None, LOOK_S)
        config, boot, stats = store.read_many([znodes.CONFIG, znodes.boot(node), znodes.stats(node)], sync=True).values()
        cluster = None if config is None else decode_config(config.data)
        if not isinstance(cluster, ClusterConfig):
            return PvcError("the record of the cluster is gone from ZooKeeper", "restore it; guests run on meanwhile")
        return objection(before, seen_now(cluster.id, boot, stats, store.last_zxid), path)
    except StoreError:
        return None
    finally:
        store.close()
