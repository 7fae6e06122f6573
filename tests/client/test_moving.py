"""How far a migration is: in words, in lists, and while somebody waits."""

from dataclasses import replace

import pytest

from pvc.client.crossing import Crossing
from pvc.client.moving import converges, eta_s, percent, words
from pvc.cluster import znodes
from pvc.cluster.formats import encode_progress
from pvc.cluster.progress import Leaving, Progress
from pvc.cluster.store import Changed, Create, Set, Znode
from pvc.fsm.states import Domain, Migration
from tests.client.world import xml

TOLD = Leaving("00000000-0000-4000-8000-000000000000", "op-1", 4.0, 4000, 1000, 500.0, 1, 0, 0)


def test_percent_rate_and_what_is_left_are_told():
    assert words(TOLD) == "75 % migrated, 500 MiB/s, 2 s left"
    later = words(replace(TOLD, iteration=3, downtime_ms=140))
    assert later == "75 % migrated, 500 MiB/s, pass 3, 2 s left, libvirt expects 140 ms of standstill"


def test_one_that_does_not_converge_is_said_not_to():
    told = replace(TOLD, iteration=9, throttle=30)
    assert not converges(told)
    assert words(told) == "75 % migrated, 500 MiB/s, not converging, pass 9, guest slowed by 30 %"
    assert converges(replace(told, remaining_mib=100))


NOTHING = [replace(TOLD, total_mib=0, remaining_mib=0, rate_mib_s=0.0), replace(TOLD, remaining_mib=9000, rate_mib_s=0.4)]


@pytest.mark.parametrize("told", NOTHING)
def test_what_says_little_is_no_error(told):
    assert 0 <= percent(told) <= 100
    assert eta_s(told) is None
    assert words(told)


def publish(world, node, *migrations, version=None):
    """What a node's daemon would write."""
    path, data = znodes.progress(node), encode_progress(node, Progress(migrations))
    world.small.client.multi([Create(path, data) if version is None else Set(path, data, version)])


def test_who_waits_is_told_of_this_operation_alone(cluster, world):
    cluster.define(xml("web1"), home="hv1")
    cluster.wait_for(cluster.start("web1", "hv1"), timeout_s=60)
    world.lazy = True
    asked = cluster.migrate("web1", "hv2")
    world.quiet(3)
    record = cluster.domain("web1")
    mine = replace(TOLD, of=record.uuid, op=str(record.life.op_id))
    world.idles = [
        lambda: None,
        lambda: publish(world, "hv1", replace(mine, op="op-before"), replace(mine, of=TOLD.of)),
        lambda: publish(world, "hv1", mine, version=0),
        lambda: publish(world, "hv1", replace(mine, remaining_mib=10), version=1),
        lambda: setattr(world, "lazy", False),
    ]
    told = []
    assert cluster.wait_for(asked, timeout_s=60, progress=told.append) == "web1 runs on hv2"
    assert [one.remaining_mib for one in told] == [1000, 10]


@pytest.fixture
def moving(cluster, world):
    """A migration of web1 that was asked for; nothing ends until the world is told to be busy."""
    cluster.define(xml("web1"), home="hv1")
    cluster.wait_for(cluster.start("web1", "hv1"), timeout_s=60)
    world.lazy = True
    return cluster.migrate("web1", "hv2")


def give_away(world, cluster):
    """Copy until the record gives the guest to the target, where it has yet to run."""
    for _ in range(20):
        if cluster.domain("web1").life.phase is Migration.handover:
            return
        world.work()
    raise AssertionError("it is not given away")


def tell_stood(world, record, stood_ms):
    """What the source's daemon writes at the end."""
    publish(world, "hv1", replace(TOLD, of=record.uuid, op=str(record.life.op_id), stood_ms=stood_ms))


def test_the_standstill_is_the_sum_of_what_the_old_node_tells_and_what_this_client_sees(cluster, world, moving):
    world.idles = [
        lambda: give_away(world, cluster),
        lambda: tell_stood(world, cluster.domain("web1"), 250),
        lambda: world.small.advance(2),
        lambda: setattr(world, "lazy", False),
    ]
    told = []
    assert cluster.wait_for(moving, timeout_s=60, progress=told.append) == "web1 runs on hv2"
    assert [one.stood_ms for one in told] == [3250], "a second passes at a turn without news"


def test_the_word_of_the_old_node_may_come_last(cluster, world, moving):
    record = []
    world.idles = [lambda: give_away(world, cluster), lambda: record.append(cluster.domain("web1")), lambda: setattr(world, "lazy", False)]
    world.idles.append(lambda: tell_stood(world, record[0], 250))
    told = []
    assert cluster.wait_for(moving, timeout_s=60, progress=told.append) == "web1 runs on hv2"
    assert [one.stood_ms for one in told] == [1250]
    assert world.idles == [], "it was told after the end"


def test_a_standstill_of_which_a_part_is_unknown_is_not_told_and_not_waited_for_long(cluster, world, moving):
    world.lazy = False
    told = []
    assert cluster.wait_for(moving, timeout_s=60, progress=told.append) == "web1 runs on hv2"
    assert told == []


def passed(cluster, *, between=0, noticed_at=7.0, owner="hv2"):
    """What a client tells that read the record while the guest was copied, and again when it ran: noticed at 7 s, read at 7.04 s."""
    told, record = [], cluster.domain("web1")
    crossing = Crossing(record, told.append, lambda: 7.04)
    crossing.seen(replace(record, life=replace(record.life, phase=Migration.moving)), 10, None)
    runs = replace(record, life=replace(record.life, state=Domain.start, phase=Migration.none, owner=owner))
    crossing.seen(runs, 12 + between, noticed_at)
    left = Progress((replace(TOLD, of=record.uuid, op=str(record.life.op_id), stood_ms=250),))
    crossing.published(Changed(znodes.progress("hv1"), Znode(encode_progress("hv1", left), 1), 1))
    crossing.end()
    return [one.stood_ms for one in told]


def test_a_hand_over_that_was_not_read_is_counted_from_when_it_was_noticed(cluster, moving):
    assert passed(cluster) == [290]


@pytest.mark.parametrize("what", [{"between": 1}, {"noticed_at": None}, {"owner": "hv1"}])
def test_what_may_have_been_something_else_is_not_told(cluster, moving, what):
    assert passed(cluster, **what) == []


def test_lists_and_data_say_how_far_it_is_and_nothing_of_an_earlier_operation(cluster, world):
    cluster.define(xml("web1"), home="hv1")
    cluster.wait_for(cluster.start("web1", "hv1"), timeout_s=60)
    world.lazy = True
    cluster.migrate("web1", "hv2")
    world.quiet(3)
    record = cluster.domain("web1")
    assert cluster.snapshot().leaving(record) is None
    publish(world, "hv1", replace(TOLD, of=record.uuid, op="op-before"))
    assert cluster.snapshot().leaving(record) is None
    publish(world, "hv1", replace(TOLD, of=record.uuid, op=str(record.life.op_id)), version=0)
    assert cluster.snapshot().leaving(record).remaining_mib == 1000
