"""Two clients at once: one wins, the other decides again, or is told."""

import pytest

from pvc.cluster import znodes
from pvc.cluster.records import DomainRecord
from pvc.cluster.store import Create
from pvc.errors import Refused
from pvc.fsm.states import Domain, Flush
from tests.client.world import xml


@pytest.fixture
def other(world):
    """Somebody else."""
    return world.client("ben@hall")


def overtaken(cluster, *acts):
    """Let somebody else act just before this client's next writes arrive."""
    waiting, send = list(acts), cluster.store.multi

    def multi(ops):
        if waiting:
            waiting.pop(0)()
        return send(ops)

    cluster.store.multi = multi


def test_the_slower_start_is_told_how_it_is_now(cluster, other):
    cluster.define(xml("web1"), home="hv1")
    overtaken(cluster, lambda: other.start("web1", "hv2"))
    with pytest.raises(Refused) as caught:
        cluster.start("web1", "hv3")
    assert str(caught.value) == (
        "somebody else changed web1 meanwhile: it is now place, wanted start, on its way to hv2; "
        "web1 cannot be started: hv2 is about to take it"
    )
    assert cluster.domain("web1").life.target == "hv2"


def test_a_command_that_is_still_possible_is_decided_again(cluster, other):
    cluster.define(xml("web1"), home="hv1")
    overtaken(cluster, lambda: other.set_policy("web1", nodes=("hv3",)))
    assert cluster.start("web1").life.target == "hv3"


def test_a_node_that_is_flushed_in_between_is_not_chosen(cluster, other):
    cluster.define(xml("web1"), home="hv1")
    overtaken(cluster, lambda: other.flush("hv1"))
    assert cluster.start("web1").life.target == "hv2"


def test_a_named_node_that_is_flushed_in_between_is_refused(cluster, other):
    cluster.define(xml("web1"), home="hv1")
    overtaken(cluster, lambda: other.flush("hv1"))
    with pytest.raises(Refused, match="hv1 cannot take it: it is flush"):
        cluster.start("web1", "hv1")


def test_whoever_is_always_slower_gives_up_and_says_so(cluster, other):
    cluster.define(xml("web1"), home="hv1")
    overtaken(cluster, *(lambda second=second: other.set_policy("web1", shutdown_timeout_s=second) for second in (61, 62, 63)))
    with pytest.raises(Refused, match="somebody else changed web1 meanwhile: it is now stop"):
        cluster.start("web1")
    assert cluster.domain("web1").life.state is Domain.stop


def test_a_vm_that_was_undefined_in_between_is_gone(cluster, other):
    cluster.define(xml("web1"), home="hv1")
    overtaken(cluster, lambda: other.undefine("web1"))
    with pytest.raises(Exception, match="web1 is gone"):
        cluster.start("web1")


def test_a_vm_that_was_defined_anew_in_between_is_left_alone(cluster, other):
    cluster.define(xml("web1"), home="hv1")
    data = cluster.dump("web1")

    def replaced():
        other.undefine("web1")
        other.define(data)

    overtaken(cluster, replaced)
    with pytest.raises(Refused, match="undefined and defined again"):
        cluster.start("web1")
    assert cluster.domain("web1").life.state is Domain.stop


def test_two_that_define_the_same_name_do_not_both(cluster, other):
    overtaken(cluster, lambda: other.define(xml("web1")))
    with pytest.raises(Refused, match='there is a VM called "web1" already'):
        cluster.define(xml("web1"))
    assert len(cluster.domains()) == 1


def test_two_that_modify_do_not_lose_one_another(cluster, other):
    cluster.define(xml("web1"))
    overtaken(cluster, lambda: other.set_policy("web1", shutdown_timeout_s=99))
    cluster.modify("web1", xml("web1", 2048))
    record = cluster.domain("web1")
    assert (record.memory_mib, record.policy.shutdown_timeout_s) == (2048, 99)


def test_an_index_that_has_drifted_is_no_obstacle(cluster, world):
    uuid = cluster.define(xml("web1"), home="hv1").uuid
    cluster.store.multi([Create(znodes.index_entry("hv2", uuid))])
    assert cluster.wait_for(cluster.start("web1", "hv2"), timeout_s=60) == "web1 runs on hv2"


def test_a_node_that_is_given_back_while_it_is_flushed(cluster, other):
    told = cluster.flush("hv1")
    assert told.before.flush is Flush.ready
    other.ready("hv1")
    with pytest.raises(Refused, match="somebody else decided otherwise: hv1 is"):
        cluster.wait_for_node(told, "flush", timeout_s=60)


def test_two_that_create_a_cluster_do_not_both(world, cluster):
    with pytest.raises(Refused, match='there is a cluster called "test" here already; nothing was changed'):
        cluster.init("office")
    assert cluster.config().name == "test"


def test_a_hold_is_set_once(cluster, other):
    other.hold(True, "new switch")
    with pytest.raises(Refused, match=r"the hold is on already: by ben@hall since .*, because new switch"):
        cluster.hold(True)
    cluster.hold(False)
    assert not cluster.config().hold.on


def test_a_hold_that_comes_in_between_does_not_lose_a_command_by_name(cluster, other):
    cluster.define(xml("web1"), home="hv1")
    overtaken(cluster, lambda: other.hold(True))
    assert isinstance(cluster.start("web1").before, DomainRecord)
