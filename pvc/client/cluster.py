"""A cluster as a program uses it: one method per thing that an admin can do.

    ear = Ear()
    store.start(ear.hear)
    cluster = Cluster(store, "anna@desk", ear)
    print(cluster.wait_for(cluster.start("web1"), print))
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pvc.client.config_commands import ConfigCommands
from pvc.client.crossing import ShowProgress
from pvc.client.deciding import Possibility, possibilities
from pvc.client.device_tests import DeviceTesting, Tested
from pvc.client.ear import Ear
from pvc.client.fence_commands import FenceCommands
from pvc.client.fence_wait import ShotWait
from pvc.client.flush_wait import FlushWait
from pvc.client.goals import Asked, Goal, Verdict, goal_of
from pvc.client.node_commands import Left, NodeCommands, Told, left_on
from pvc.client.snapshot import NodeNow, Reader, Snapshot, Vm, readable
from pvc.client.vm_commands import VmCommands
from pvc.client.waiting import Show, Waiting
from pvc.client.writing import Writer
from pvc.cluster.domain_xml import LIMITS, XmlLimits
from pvc.cluster.evidence import Seen
from pvc.cluster.records import ClusterConfig, DomainRecord, History, HistoryEntry, Hold, Policy
from pvc.cluster.store import Store
from pvc.errors import Refused


def wall_clock() -> str:
    """Now, for people alone; in UTC as the daemons write it, or one history would tell of two times."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Cluster:
    """One client of one cluster; its store was started with `ear.hear`, or is not waited on.

    Every method raises PvcError with what, why and the next step.
    """

    def __init__(
        self,
        store: Store,
        who: str = "client",
        ear: Ear | None = None,
        *,
        now: Callable[[], str] = wall_clock,
        limits: XmlLimits = LIMITS,
        reader: Reader | None = None,
    ) -> None:
        self.store = store
        self.who = who
        self.now = now
        self.ear = ear or Ear()
        self.reader = reader or Reader(store)
        self.writer = Writer(store, self.ear)
        self.waiting = Waiting(store, self.ear, self.reader)
        self.vms = VmCommands(self.reader, self.writer, who, now, limits)
        self.admin = ConfigCommands(self.reader, self.writer, who, now)
        self.machines = NodeCommands(self.reader, self.writer, who, now)
        self.fences = FenceCommands(self.reader, self.writer, who, now)

    # ---- the cluster

    def init(self, name: str) -> ClusterConfig:
        """Create the cluster; raises Refused where there is one."""
        return self.admin.init(name)

    def config(self) -> ClusterConfig:
        """The cluster's record."""
        return self.reader.config().value

    def hold(self, on: bool, why: str = "") -> Hold:
        """While the hold is on, no node is shot."""
        return self.admin.hold(on, why)

    def set_cluster(self, *, locks: tuple[str, ...] | None = None, **defaults: Any) -> ClusterConfig:
        """Other storage that has locks across hosts, or other values for the policy of VMs that are defined without one."""
        return self.admin.set(locks, defaults)

    # ---- reads

    def snapshot(self) -> Snapshot:
        """Everything: nodes with their statistics, and all VMs."""
        return self.reader.snapshot(stats=True, domains=True)

    def nodes(self) -> Mapping[str, NodeNow]:
        """All nodes, with what their daemons last measured."""
        return self.reader.snapshot(stats=True).nodes

    def node(self, name: str) -> NodeNow:
        """One node."""
        return self.reader.node(name)

    def domains(self) -> Mapping[str, Seen[Vm]]:
        """All VMs by UUID, also those whose records cannot be read."""
        return self.reader.snapshot(domains=True).domains

    def domain(self, name: str) -> DomainRecord:
        """One VM, by name or UUID."""
        return readable(self.reader.domain(self.reader.uuid_of(name)), name).value

    def history(self, name: str) -> tuple[HistoryEntry, ...]:
        """The last transitions of a VM, oldest first."""
        history = self.reader.history(self.reader.uuid_of(name))
        return history.value.entries if isinstance(history, Seen) else History().entries

    def node_history(self, name: str) -> tuple[HistoryEntry, ...]:
        """The last transitions of a node, oldest first."""
        events = self.reader.events(self.reader.node(name).name)
        return events.value.entries if isinstance(events, Seen) else ()

    def dump(self, name: str) -> bytes:
        """The XML of a VM."""
        return self.reader.xml(self.reader.uuid_of(name)).value

    def possibilities(self, name: str) -> tuple[DomainRecord, tuple[Possibility, ...], Snapshot]:
        """A VM, every command with what the table says to it now, and what that was read from."""
        record, snapshot = self.domain(name), self.snapshot()
        return record, tuple(possibilities(record, snapshot)), snapshot

    # ---- VMs

    def define(self, xml: bytes, home: str | None = None, policy: Mapping[str, Any] | None = None, why: str = "") -> DomainRecord:
        """A new VM, off; `policy` holds the fields that differ from the cluster's defaults."""
        return self.vms.define(xml, home, policy, why)

    def modify(self, name: str, xml: bytes, why: str = "") -> DomainRecord:
        """Other XML for a VM, from its next start on."""
        return self.vms.modify(name, xml, why)

    def set_policy(self, name: str, why: str = "", **policy: Any) -> DomainRecord:
        """Other values for fields of a VM's policy."""
        unknown_fields = policy.keys() - Policy.__dataclass_fields__.keys()
        assert not unknown_fields, f"a policy has no {', '.join(sorted(unknown_fields))}"
        return self.vms.set_policy(name, policy, why)

    def undefine(self, name: str, why: str = "") -> Asked:
        """Remove a VM, once its guest is off."""
        return self.vms.fire(name, "undefine", why=why)

    def start(self, name: str, target: str | None = None, why: str = "") -> Asked:
        """Start a VM, on this node or the best one."""
        return self.vms.fire(name, "start", target, why)

    def stop(self, name: str, why: str = "") -> Asked:
        """Cut a VM's power."""
        return self.vms.fire(name, "stop", why=why)

    def shutdown(self, name: str, why: str = "") -> Asked:
        """Ask a guest to power itself off; its power is cut when it does not in its time."""
        return self.vms.fire(name, "shutdown", why=why)

    def restart(self, name: str, why: str = "") -> Asked:
        """Shut a guest down and start it again."""
        return self.vms.fire(name, "restart", why=why)

    def disable(self, name: str, why: str = "") -> Asked:
        """Shut a VM down, to stay off."""
        return self.vms.fire(name, "disable", why=why)

    def enable(self, name: str, why: str = "") -> Asked:
        """Let a disabled VM be started again."""
        return self.vms.fire(name, "enable", why=why)

    def migrate(self, name: str, target: str | None = None, why: str = "") -> Asked:
        """Move a guest live, for a while: its home stays."""
        return self.vms.fire(name, "migrate", target, why)

    def unmigrate(self, name: str, why: str = "") -> Asked:
        """Move a guest live, back to its home."""
        return self.vms.fire(name, "unmigrate", why=why)

    def move(self, name: str, target: str | None = None, why: str = "") -> Asked:
        """Move a VM for good: live when it runs, and its home with it."""
        return self.vms.fire(name, "move", target, why)

    def stay(self, name: str, why: str = "") -> Asked:
        """Let a VM's home be where it runs."""
        return self.vms.fire(name, "stay", why=why)

    def cancel(self, name: str, why: str = "") -> Asked:
        """Call a migration off."""
        return self.vms.fire(name, "cancel", why=why)

    def resolve(self, name: str, keep: bool, why: str = "") -> Asked:
        """End a conflict: the guest that was found is the right one, or has to go."""
        return self.vms.fire(name, "resolve_keep" if keep else "resolve_stop", why=why)

    # ---- nodes

    def flush(self, name: str, why: str = "") -> Told:
        """Empty a node: its VMs leave, and none comes."""
        return self.machines.fire(name, "flush", why)

    def ready(self, name: str, why: str = "") -> Told:
        """Give a node back: it calls home what left it, and takes VMs again. Also calls a flush off."""
        return self.machines.fire(name, "ready", why)

    def order_shot(self, name: str, why: str = "") -> Told:
        """Have a lost node shot now, whatever brakes others."""
        return self.fences.order(name, why)

    def test_devices(self, name: str | None = None, timeout_s: float = 60.0) -> tuple[Tested, ...]:
        """Have every daemon read the power of this node, or of all, by its device; nothing is switched."""
        return DeviceTesting(self.reader, self.waiting).test(name, timeout_s)

    def confirm_off(self, name: str, why: str) -> Told:
        """Give one's word that a node is off; what it owned is recovered."""
        return self.fences.confirm_off(name, why)

    def remove_node(self, name: str) -> None:
        """Forget a node that is gone for good and that no VM names."""
        self.machines.remove(name)

    def left_on(self, name: str) -> tuple[Left, ...]:
        """The VMs that keep this node from being empty."""
        return tuple(left_on(name, self.snapshot()))

    # ---- waiting

    def wait_for(
        self, asked: Asked, show: Show | None = None, timeout_s: float | None = None, progress: ShowProgress | None = None
    ) -> str:
        """Wait until a command is done; returns how it ended, raises Refused when it failed, and TimedOut.

        `progress` is told how far a migration is, as often as its node publishes it, and in the end for how long its guest stood still.
        """
        if asked.silent is not None and show is not None:
            show(f"{asked.name}: {asked.silent} does not answer: this goes on when it is back, or proven off")
        goal = goal_of(asked)
        verdict = self.waiting.for_domain(asked.before, goal, version=asked.version, show=show, timeout_s=timeout_s, progress=progress)
        return _ended(verdict, asked.name)

    def wait_until(
        self, name: str, goal: Goal, show: Show | None = None, timeout_s: float | None = None, awaited: str = "what is waited for"
    ) -> str:
        """Wait until a VM is as this goal says; `awaited` is that in words."""
        record = self.domain(name)
        verdict = self.waiting.for_domain(record, goal, show=show, timeout_s=timeout_s, late=f"not {awaited}")
        return _ended(verdict, record.name)

    def wait_for_shot(self, told: Told, show: Show | None = None, timeout_s: float | None = None) -> str:
        """Wait until a node whose shot was ordered is proven off; raises Refused when the shot proved nothing."""
        return ShotWait(self.reader, self.waiting, told, show).run(timeout_s)

    def wait_for_node(self, told: Told, trigger: str, show: Show | None = None, timeout_s: float | None = None) -> str:
        """Wait until a node is empty, or ready again; tells which VMs are left, and what holds them."""
        return FlushWait(self.reader, self.waiting, told, trigger, show).run(timeout_s)


def _ended(verdict: Verdict, name: str) -> str:
    if not verdict.ok:
        raise Refused(verdict.sentence, f"pvc vm history {name}")
    return verdict.sentence
