"""A trace in words: each move as one sentence that says who did what; nodes are called hv1, hv2, …, VMs vm1, vm2, …"""

from collections.abc import Iterator, Mapping, Sequence

from pvc.check.nodes import Host, Phys
from pvc.check.space import State
from pvc.fsm.states import Guest, Job

Label = tuple[object, ...]

JOBS = tuple(job for job in Job if job not in (Job.none, Job.migrate, Job.abort))

WORLD: Mapping[str, str] = {
    "power lost": "{0} loses its power",
    "boots": "{0} boots",
    "cut off": "{0} is cut off from ZooKeeper",
    "session expires while connected": "the session of {0} ends although {0} is connected",
    "daemon crashes": "the daemon of {0} crashes",
    "reconnects": "{0} reconnects within its session",
    "session expires": "the session of {0} ends",
    "power is cut": "the fence device cuts the power of {0}",
    "power order fails": "the order to cut the power of {0} fails",
    "power reads": "the fencer of {0} reads its power: {1}",
    "power order times out": "the fence device of {0} does not answer",
    "power order lies": "the fence device says that {0} is off, which is a lie",
    "is stopped": "an admin stops the daemon of {0}",
}
"""What the world does to a node."""

ABOUT_NODE: Mapping[str, str] = {
    "join": "{0} joins",
    "ready": "{0} is ready for work",
    "suspect": "{0} suspects {1} and reads its power",
    "adopt": "{0} takes over the fence of {1}",
    "read": "{0} reads the power of {1} again",
    "pass_on": "{0} passes on the fence of {1}",
    "prove": "{0} holds {1} to be proven off",
    "declare": "{0} declares {1} dead",
    "shoot": "{0} orders the power of {1} to be cut",
    "miss": "{0} records that the shot at {1} missed",
    "power_on": "{0} switches {1} on again",
    "flushed": "{0} records that it is empty",
    "called": "{0} records that it has called all its VMs home",
}
"""What a daemon does about a node, itself included."""

ADMIN_NODE: Mapping[str, str] = {
    "flush": "an admin flushes {0}",
    "ready": "an admin gives {0} back",
    "order": "an operator wants {0} to be shot",
    "confirm": "an operator gives their word that {0} is off",
}

ABOUT_VM: Mapping[str, str] = {
    "collide": "{0} reports a guest of {vm} that nobody owns",
    "claim": "{0} claims {vm} and creates the guest",
    "replace": "{0} places {vm} on another node",
    "off": "{0} sees that {vm} is off and releases it",
    "again": "{0} sees that {vm} is off and places it again",
    "ended": "{0} sees that {vm} has ended",
    "give_up": "{0} gives {vm} up",
    "started": "{0} sees that {vm} runs",
    "unpause": "{0} resumes the guest of {vm} that was found suspended",
    "halt": "{0} cuts the power of {vm}",
    "ask_off": "{0} asks {vm} to power itself off",
    "ask_again": "{0} asks {vm} once more to power itself off",
    "overdue": "{0} waited long enough and cuts the power of {vm}",
    "reboot": "{0} asks {vm} to power itself off, to start it again",
    "go_home": "{0} begins to move {vm} home",
    "evacuate": "{0} begins to move {vm} away",
    "relocate": "{0} shuts {vm} down, to start it elsewhere",
    "forget": "{0} forgets old failures of {vm}",
    "call_home": "{0} calls {vm} home",
    "migrated": "{0} records that {vm} has arrived",
    "call_off": "{0} calls the migration of {vm} off",
    "migrate_failed": "{0} records that the migration of {vm} failed",
    "cleared": "{0} records that the conflict about {vm} is over",
    "suspend_stray": "{0} suspends a stray guest of {vm}",
    "discard_stray": "{0} drops a suspended stray of {vm}",
    "discard_copy": "{0} drops its copy of {vm}",
    "recover": "{0} recovers {vm} from its owner, which is proven off",
    "accept": "{0} accepts {vm}",
    "begin": "{0} begins to copy {vm}",
    "abort": "{0} aborts the copying of {vm}",
    "hand_over": "{0} hands {vm} over",
    "wake": "{0} resumes {vm}, which libvirt left paused",
    "yield": "{0} drops {vm}, which libvirt left paused",
    "entrust": "{0} entrusts {vm} to the target, because its owner is proven off",
    "resume": "{0} lets its copy of {vm} run",
    "guest is started by hand": "somebody starts a guest of {vm} on {0} by hand",
    "guest dies": "the guest of {vm} on {0} dies",
    "migrate done": "libvirt completes the migration of {vm} from {0} to {1}",
    "migrate shows": "{vm} has arrived on {1}, and libvirt on {0} has not returned yet",
    "migrate fails": "libvirt's migration of {vm} on {0} fails",
    "migrate leaves the source paused": "libvirt copies {vm} to {1} and leaves it paused on {0}",
    "migrate fails at the switchover": "libvirt reports a failure, with {vm} running on {0} and a complete copy on {1}",
    "write is lost": "the write of {0} about {vm} is lost",
    "write lands": "the write of {0} about {vm} lands: {1}",
    **{f"{job} done": f"the {job} job of {{vm}} on {{0}} is done" for job in JOBS},
    **{f"{job} fails": f"the {job} job of {{vm}} on {{0}} fails" for job in JOBS},
    **{f"{job} shows": f"the {job} job of {{vm}} on {{0}} has done its work, and has not returned yet" for job in JOBS},
}
"""What daemons, hypervisors and libvirt do with a VM."""

LATER = {"reply lost": ", and dies before it gives the order", "is decided": ": decided, and not written yet"}


def node(i: object) -> str:
    """The name of a node; anything but a number stays as it is."""
    return f"hv{i + 1}" if isinstance(i, int) else str(i)


def sentence(label: Label) -> str:
    """One move in words."""
    first, *rest = label
    tail = next((LATER[word] for word in rest if isinstance(word, str) and word in LATER), "")
    names = [node(part) for part in rest if not (isinstance(part, str) and part in LATER)]
    if isinstance(first, str) and first.startswith("vm"):
        return _about_vm(f"vm{int(first[2:]) + 1}", rest, names) + tail
    what = str(first)
    if what in WORLD:
        return WORLD[what].format(*names)
    alone = len(names) == 1 and what in ADMIN_NODE
    text = (ADMIN_NODE if alone else ABOUT_NODE)[what].format(*names)
    return text + (f": {names[2]}" if len(names) > 2 else "") + tail


def _about_vm(vm: str, parts: Sequence[object], names: Sequence[str]) -> str:
    what = str(parts[0])
    if what == "client":
        where = "" if parts[2] is None else f" on {names[2]}"
        return f"an admin says '{parts[1]}' about {vm}{where}"
    text = ABOUT_VM[what].format(*names[1:], vm=vm)
    chose = len(parts) > 2 and isinstance(parts[2], int) and "{1}" not in ABOUT_VM[what]
    return text + (f", choosing {names[2]}" if chose else "")


def story(moves: Sequence[tuple[Label, State]]) -> Iterator[str]:
    """A trace, one numbered line for each move."""
    for number, (label, _) in enumerate(moves, 1):
        yield f"{number:3}. {sentence(label)}"


def situation(state: State) -> Iterator[str]:
    """One state, one line for each VM and for each node that is not simply at work."""
    for i, host in enumerate(state.hosts):
        if host != Host():
            power = "without power" if host.phys in (Phys.OFF, Phys.OFF_S) else "powered"
            yield f"{node(i)}: record says {host.life.daemon}, fence {host.life.fence}; {power}"
    for d, block in enumerate(state.blocks):
        life = block.life
        phase = f", {life.phase} to {node(life.target)}" if life.target is not None else ""
        there = "; ".join(f"{node(i)}: {slot.guest}" for i, slot in enumerate(block.slots) if slot.guest is not Guest.absent)
        yield f"vm{d + 1}: record says {life.state}, owner {node(life.owner) if life.owner is not None else 'nobody'}{phase}; " + (
            f"guests {there}" if there else "no guest anywhere"
        )
