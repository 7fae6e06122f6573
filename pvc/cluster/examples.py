"""Examples of every record, for `docs/znodes.md`, and a program in it that does without PVC: both are tried by tests."""

from pvc.cluster.device_tests import DeviceTest, DeviceTests
from pvc.cluster.progress import Leaving, Progress
from pvc.cluster.records import (
    Boot,
    ClusterConfig,
    DomainRecord,
    FenceMethod,
    Fencing,
    History,
    HistoryEntry,
    Machine,
    NodeRecord,
    NodeStats,
)
from pvc.fsm.states import Daemon, Domain, Handover, Kind, Migration, Power, Want
from pvc.fsm.views import Life, NodeLife

UUID = "6f1c0a52-8a0e-4c7e-9f60-0d2c5a0b6a11"
KERNEL = "0b1f7c1e-5d0e-4a53-9d0b-3f4f0c7f9a01"
OTHER_KERNEL = "c2a9a7d4-77f0-4e6b-8a39-51c7a2f0e802"
AT = "2026-03-01T08:30:00+00:00"

CONFIG = ClusterConfig("d3b07384-d9a0-4c3b-9f2a-1a2b3c4d5e6f", "office", request="init-5e1f")
BOOT = Boot(7, KERNEL)
STATS = NodeStats(48211, 64205, 31890, 32315, 24576, 1.37, 14, 6)
NODE = NodeRecord(
    name="node1",
    life=NodeLife(Daemon.run),
    boot=KERNEL,
    machine=Machine(16, 64205, "x86_64", "Debian GNU/Linux 12", "6.1.0-28-amd64", "0.2.0", "9.0.0", "7.2.15", 5.0, 6.0, 6, 3, 600.0),
    migration_address="10.20.0.1",
    fencing=Fencing(FenceMethod.ipmi, "10.30.0.1"),
    request="node1-7-2",
)
DOMAIN = DomainRecord(
    uuid=UUID,
    name="web1",
    gen="4d5e6f",
    life=Life(
        state=Domain.migrate,
        want=Want.start,
        owner="node1",
        target="node2",
        home="node1",
        epoch=3,
        phase=Migration.moving,
        kind=Kind.migrate,
        handover=Handover.paused,
        op_id="op-77ab",
        target_boot=OTHER_KERNEL,
    ),
    memory_mib=4096,
    vcpus=2,
    source="node1",
    reason="Away for a while; its home is remembered.",
    since=AT,
    request="node1-7-118",
)
HISTORY = History(
    (
        HistoryEntry(AT, "web1", "domain", "start", "migrate", "migrate", "client", "anna@node1", "the rack is moved", "cli-9c21"),
        HistoryEntry(AT, "web1", "migration", "asked", "accepted", "accept", "target", "node2", "It has room.", "node2-4-51"),
    )
)
TESTS = DeviceTests(
    "ann-3f", "ann-3f", "2026-11-22T09:15:00+00:00",
    (DeviceTest("node1", FenceMethod.ipmi, Power.on), DeviceTest("node2", FenceMethod.ipmi, Power.silent)),
)  # fmt: skip
PROGRESS = Progress((Leaving(UUID, "op-77ab", 4.2, 4112, 980, 701.5, 2, 0, 140),))
XML = "<domain type='kvm'>…</domain>"

STOP_PROGRAM = '''\
import json
import sys
import uuid

from kazoo.client import KazooClient

# The states in which a daemon owns the VM: a client writes a wish there, and the owner acts on it.
OWNED = {owned}


def stop(zk, name):
    """Ask for a VM to be switched off."""
    vm = zk.get(f"/names/{name}")[0].decode()
    config = zk.get("/config")[1]
    data, stat = zk.get(f"/domains/{vm}")
    record = json.loads(data)
    if record["v"] != 1:
        return f"{name} is of version {record['v']}, which this program must not write"
    if record["state"] not in OWNED or record["want"] == "stop":
        return f"{name} is {record['state']}, and wanted {record['want']}: nothing to do here"
    record["want"] = "stop"  # nothing else of it: the owner sees it, and moves the state
    record["request_id"] = f"example-{uuid.uuid4()}"
    write = zk.transaction()
    write.check("/config", config.version)
    write.check(f"/domains/{vm}/g-{record['gen']}", -1)
    write.set_data(f"/domains/{vm}", json.dumps(record, ensure_ascii=False).encode(), stat.version)
    if any(isinstance(answer, Exception) for answer in write.commit()):  # kazoo raises none of them
        return f"{name} has changed meanwhile: read it again, and decide again"
    return f"{name} is wanted stop"


if __name__ == "__main__":
    client = KazooClient(sys.argv[1])  # with the chroot: zk1:2181,zk2:2181,zk3:2181/pvc
    client.start()
    print(stop(client, sys.argv[2]))
    client.stop()
'''
