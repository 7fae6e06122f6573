"""What an admin writes beside the tables, as writes: nothing moves by it, and no node is forgotten that may be there."""

from dataclasses import replace

import pytest

from pvc.cluster import znodes
from pvc.cluster.admin_changes import amend_change, remove_change
from pvc.cluster.commit import commit
from pvc.cluster.evidence import Seen
from pvc.cluster.fields import Unwritable
from pvc.cluster.records import MAX_XML_BYTES, HistoryEntry, Policy
from pvc.cluster.store import Create, Refused, Set, Why
from pvc.core.facts import Self
from pvc.errors import Refused as RefusedByRule
from pvc.fsm.states import Domain
from pvc.fsm.views import Life
from tests.cluster.small_cluster import AT, UUID, XML, SmallCluster

ENTRY = HistoryEntry(AT, "web1", "domain", "stop", "stop", "set", "client", "anna", "", "set-1")


@pytest.fixture
def cluster():
    """Two nodes that work, and a VM."""
    cluster = SmallCluster("n1", "n2")
    cluster.define()
    return cluster


def amended(cluster, xml=None, **changes):
    """The change that gives the VM these fields."""
    seen = cluster.domain()
    config = cluster.client.read(znodes.CONFIG).version
    present = None if xml is None else (xml, cluster.client.read(znodes.xml(UUID)).version)
    record = replace(seen.value, **{"request": "set-1", **changes})
    return amend_change(seen, record, ENTRY, config, xml=present, history=cluster.history())


def refused(store, change):
    """Where and why this is refused."""
    with pytest.raises(Refused) as caught:
        commit(store, change)
    return caught.value.path, caught.value.why


def test_policy_sizes_and_xml_are_one_write_with_a_line_of_history(cluster):
    commit(cluster.client, amended(cluster, b"<domain/>", memory_mib=2048, policy=Policy(restart_budget=9)))
    record = cluster.check()
    assert (record.memory_mib, record.policy.restart_budget) == (2048, 9)
    assert cluster.client.read(znodes.xml(UUID)).data == b"<domain/>"
    assert cluster.history().value.entries[-1] == ENTRY


@pytest.mark.parametrize(
    "changes", [{"life": Life(Domain.disable, home="n1")}, {"life": Life(home="n2")}, {"name": "web2"}, {"gen": "second"}, {"reason": "so"}]
)
def test_what_is_a_matter_of_the_table_is_not_amended(cluster, changes):
    with pytest.raises(Unwritable, match="its life is a matter of its table"):
        amended(cluster, **changes)


@pytest.mark.parametrize("xml", [b"", b" " * (MAX_XML_BYTES + 1)])
def test_xml_that_cannot_be_kept_is_not_written(cluster, xml):
    with pytest.raises(Unwritable, match="bytes, it may have"):
        amended(cluster, xml)


@pytest.mark.parametrize("path", [znodes.CONFIG, znodes.domain(UUID), znodes.xml(UUID)])
def test_an_amendment_of_what_has_changed_is_refused(cluster, path):
    change, znode = amended(cluster, XML), cluster.client.read(path)
    cluster.client.multi([Set(path, znode.data, znode.version)])
    assert refused(cluster.client, change) == (path, Why.VERSION)


# ---- the end of a node


def removal(cluster, name="n2"):
    """The change that forgets a node."""
    boot = cluster.client.read(znodes.boot(name))
    children = cluster.client.children(znodes.node(name))
    config = cluster.client.read(znodes.CONFIG).version
    return remove_change(cluster.node(name), children, Seen(boot.data, boot.version), config, "remove-1")


@pytest.fixture
def stopped(cluster):
    """The same with n2 stopped, and its session still there."""
    cluster.move_node("n2", "n2", own=Self(joined=True, stopping=True))
    return cluster


def test_a_stopped_node_goes_with_all_that_is_below_it_and_its_token_is_taken(stopped):
    stopped.die("n2")
    before = stopped.client.read(znodes.boot("n2"))
    commit(stopped.client, removal(stopped))
    after = stopped.client.read(znodes.boot("n2"))
    assert [path for path in stopped.tree() if path.startswith(znodes.node("n2"))] == []
    assert (after.data, after.version) == (before.data, before.version + 1)
    stopped.check()


def test_a_node_with_a_session_is_not_forgotten(stopped):
    assert refused(stopped.client, removal(stopped)) == (znodes.alive("n2"), Why.EXISTS)


def test_a_node_that_a_vm_names_is_not_forgotten(stopped):
    stopped.die("n2")
    change = removal(stopped)
    stopped.client.multi([Create(znodes.index_entry("n2", UUID))])
    assert refused(stopped.client, change)[1] is Why.NOT_EMPTY


def test_a_node_whose_record_or_token_has_changed_is_not_forgotten(stopped):
    stopped.die("n2")
    for path in (znodes.node("n2"), znodes.boot("n2"), znodes.CONFIG):
        change, znode = removal(stopped), stopped.client.read(path)
        stopped.client.multi([Set(path, znode.data, znode.version)])
        assert refused(stopped.client, change) == (path, Why.VERSION)


def test_a_node_that_is_not_known_to_be_off_is_not_forgotten(cluster):
    cluster.die("n2")
    with pytest.raises(RefusedByRule, match="it is run, and only a node that was stopped or is proven off is gone"):
        removal(cluster)
