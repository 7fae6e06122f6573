"""Who lets a migrated guest run."""

import pytest

from pvc.cluster.domain_xml import Disk
from pvc.cluster.handover import all_locked, handover_of, why_handover
from pvc.cluster.records import HandoverPolicy
from pvc.fsm.states import Handover


def disk(source, kind="file", read_only=False, shareable=False):
    return Disk("vda", "disk", kind, source, read_only, shareable)


@pytest.mark.parametrize(
    ("disks", "locked"),
    [
        ([disk("/srv/shared/a.qcow2")], True),
        ([disk("/srv/shared/a.qcow2"), disk("/var/lib/b.qcow2")], False),
        ([disk("/srv/shared/a.qcow2"), disk("/iso/b.iso", read_only=True)], True),
        ([disk("/srv/shared/../b.qcow2")], False),
        ([disk("/srv/shared2/a.qcow2")], False),
        ([disk("/srv/shared/a.qcow2", shareable=True)], False),
        ([disk("vms/a", "network")], True),
        ([disk("others/a", "network")], False),
        ([disk("/iso/b.iso", read_only=True)], False),
        ([], False),
    ],
)
def test_every_disk_that_is_written_to_must_have_a_lock(disks, locked):
    assert all_locked(disks, ("/srv/shared", "rbd:vms")) is locked


@pytest.mark.parametrize(
    ("policy", "locked", "handover"),
    [
        (HandoverPolicy.auto, True, Handover.libvirt),
        (HandoverPolicy.auto, False, Handover.paused),
        (HandoverPolicy.paused, True, Handover.paused),
        (HandoverPolicy.libvirt, False, Handover.libvirt),
    ],
)
def test_the_policy_decides_and_leaves_it_to_the_locks_when_it_says_auto(policy, locked, handover):
    assert handover_of(policy, locked) is handover
    assert why_handover(policy, locked)
