"""A VM's transitions as writes: each is one multi which holds all of it, and which nothing that has changed meanwhile lets through."""

from dataclasses import replace

import pytest

from pvc.cluster import znodes
from pvc.cluster.changes import (
    config_change,
    define_change,
    domain_change,
    history_ops,
    index_ops,
    index_repair,
    is_drift,
    named,
    repaired,
    shows,
)
from pvc.cluster.commit import Outcome, commit, settle
from pvc.cluster.evidence import NotRead, Relied, Seen, domain_guards
from pvc.cluster.fields import Unwritable
from pvc.cluster.formats import decode_config, decode_history, encode_domain
from pvc.cluster.records import MAX_HISTORY_ENTRIES, MAX_XML_BYTES, History, HistoryEntry, Hold, Unreadable
from pvc.cluster.store import ANY_VERSION, Check, Create, Delete, NotConnected, OutcomeUnknown, Refused, Set, Why
from pvc.core.facts import Watch
from pvc.fsm.states import Domain, Guest, Migration, Power, Want
from pvc.fsm.tables import TABLES
from tests.cluster.small_cluster import AT, ROOT, UUID, XML, SmallCluster, a_domain


@pytest.fixture
def cluster():
    """Two nodes that work."""
    return SmallCluster("n1", "n2", "n3")


@pytest.fixture
def running(cluster):
    """The same with a VM that runs on n1."""
    cluster.define()
    cluster.ask("start", "n1")
    cluster.move("n1", trigger="claim")
    cluster.move("n1", Guest.running, trigger="started")
    return cluster


@pytest.fixture
def moving(running):
    """The same while libvirt copies the VM to n2."""
    running.ask("migrate", "n2")
    running.move("n2", trigger="accept")
    running.move("n1", Guest.running, trigger="begin")
    return running


def refused(store, change, path):
    """The reason why this change is refused, at this path."""
    with pytest.raises(Refused) as caught:
        commit(store, change)
    assert caught.value.path == path
    return caught.value.why


# ---- the life of a VM


def test_a_vm_lives_and_the_tree_agrees_at_every_step(cluster):
    cluster.define()
    record = cluster.check()
    assert (record.life.state, record.life.home, record.since) == (Domain.stop, "n1", AT)
    steps = [
        (lambda: cluster.ask("start", "n2"), Domain.place, None, {"n1", "n2"}),
        (lambda: cluster.move("n2", trigger="claim"), Domain.boot, "n2", {"n1", "n2"}),
        (lambda: cluster.move("n2", Guest.running, trigger="started"), Domain.start, "n2", {"n1", "n2"}),
        (lambda: cluster.ask("migrate", "n3"), Domain.migrate, "n2", {"n1", "n2", "n3"}),
        (lambda: cluster.move("n3", trigger="accept"), Domain.migrate, "n2", {"n1", "n2", "n3"}),
        (lambda: cluster.move("n2", Guest.running, trigger="begin"), Domain.migrate, "n2", {"n1", "n2", "n3"}),
        (lambda: cluster.move("n2", Guest.absent, trigger="hand_over"), Domain.migrate, "n3", {"n1", "n3"}),
        (lambda: cluster.move("n3", Guest.running, trigger="migrated"), Domain.start, "n3", {"n1", "n3"}),
        (lambda: cluster.ask("unmigrate"), Domain.migrate, "n3", {"n1", "n3"}),
        (lambda: cluster.ask("stop"), Domain.migrate, "n3", {"n1", "n3"}),
        (lambda: cluster.move("n3", Guest.running, trigger="call_off"), Domain.start, "n3", {"n1", "n3"}),
        (lambda: cluster.move("n3", Guest.running, trigger="halt"), Domain.destroy, "n3", {"n1", "n3"}),
        (lambda: cluster.move("n3", Guest.absent, trigger="off"), Domain.stop, None, {"n1"}),
        (lambda: cluster.ask("move", "n2"), Domain.stop, None, {"n2"}),
    ]
    for step, state, owner, index in steps:
        step()
        record = cluster.check()
        assert (record.life.state, record.life.owner, cluster.indexed()) == (state, owner, index)
    entries = cluster.history().value.entries
    assert [entry.trigger for entry in entries][:5] == ["define", "start", "claim", "started", "migrate"]
    assert len(entries) == 1 + len(steps)
    assert (entries[1].source, entries[1].dest, entries[1].by, entries[1].who) == ("stop", "place", "client", ROOT)
    assert (entries[5].machine, entries[5].source, entries[5].dest, entries[5].who) == ("migration", "asked", "accepted", "n3")
    assert entries[-1].request == record.request
    cluster.ask("undefine")
    assert cluster.check() is None
    assert [path for path in cluster.tree() if UUID in path or "web1" in path] == []


def test_an_operation_remembers_where_it_began_until_it_is_over(running):
    running.ask("migrate", "n2")
    assert running.domain().value.source == "n1"
    running.move("n2", trigger="accept")
    running.move("n1", Guest.running, trigger="begin")
    running.move("n1", Guest.absent, trigger="hand_over")
    running.ask("stop")
    assert (running.domain().value.source, running.domain().value.life.owner) == ("n1", "n2")
    running.move("n2", Guest.running, trigger="migrated")
    assert running.domain().value.source is None


def test_why_and_since_when_follow_the_state_and_not_the_wish(running):
    reason = running.domain().value.reason
    assert reason == "The hypervisor shows it running."
    running.ask("stop")
    assert running.domain().value.reason == reason
    running.move("n1", Guest.running, trigger="halt")
    assert running.domain().value.reason == "The admin wants it off at once."


def test_words_from_outside_fit_into_the_record(cluster):
    cluster.define()
    seen = cluster.domain()
    row = next(row for row in TABLES["domain"].rows_for("disable") if Domain.stop in row.source)
    transition = replace(cluster.transition(TABLES["domain"], row, row.by, ROOT * 50), why="no\nway \x1b[2J" * 400)
    life = replace(seen.value.life, state=Domain.disable, want=Want.disable)
    commit(cluster.client, domain_change(seen, life, transition, cluster.relied(), cluster.history()))
    assert cluster.check().reason.startswith("no way [2J")
    assert cluster.history().value.entries[-1].who.startswith(ROOT)


# ---- what a write refuses


def test_a_stale_version_refuses_everything(running):
    first = running.ask_change("stop")
    second = running.ask_change("restart")
    commit(running.client, first)
    before = [(path, running.ensemble.read(path)) for path in running.tree()]
    assert refused(running.client, second, znodes.domain(UUID)) is Why.VERSION
    assert [(path, running.ensemble.read(path)) for path in running.tree()] == before


def test_a_vm_undefined_and_defined_again_is_another_one(cluster):  # H10
    cluster.define()
    stale = cluster.ask_change("start", "n1")
    cluster.ask("undefine")
    cluster.define(a_domain(gen="second", request="define-2"))
    assert stale.primary_op().version == cluster.domain().version  # versions begin anew: only the generation tells
    assert refused(cluster.client, stale, znodes.generation(UUID, "first")) is Why.MISSING


def test_a_stale_undefine_spares_the_successor(cluster):
    cluster.define()
    stale = cluster.ask_change("undefine")
    cluster.ask("undefine")
    cluster.define(a_domain(gen="second", request="define-2"))
    assert refused(cluster.client, stale, znodes.generation(UUID, "first")) is Why.MISSING
    cluster.check()


def test_a_vm_that_was_started_meanwhile_is_not_undefined(cluster):  # H25
    cluster.define()
    stale = cluster.ask_change("undefine")
    cluster.ask("start", "n1")
    assert refused(cluster.client, stale, znodes.domain(UUID)) is Why.VERSION
    assert cluster.check().life.state is Domain.place


def test_a_client_is_refused_when_the_node_it_chose_has_changed(cluster):
    cluster.define()
    change = cluster.ask_change("start", "n2")
    commit(cluster.client, cluster.ask_node("flush", "flush", "n2"))
    assert refused(cluster.client, change, znodes.node("n2")) is Why.VERSION


def test_a_target_that_is_being_flushed_does_not_claim(cluster):
    cluster.define()
    cluster.ask("start", "n2")
    change = cluster.change_by("n2", cluster.move_of("n2", trigger="claim"))
    commit(cluster.client, cluster.ask_node("flush", "flush", "n2"))
    assert refused(cluster.stores["n2"], change, znodes.node("n2")) is Why.VERSION


def test_a_client_is_refused_when_the_cluster_record_has_changed(cluster):
    cluster.define()
    change = cluster.ask_change("start", "n1")
    hold(cluster)
    assert refused(cluster.client, change, znodes.CONFIG) is Why.VERSION


def hold(cluster):
    """Put the hold on."""
    seen = cluster.seen(znodes.CONFIG, decode_config)
    commit(cluster.client, config_change(seen, replace(seen.value, hold=Hold(True, ROOT, "maintenance", AT), request="hold-1")))


def test_a_move_that_nobody_asked_for_does_not_overtake_the_hold(running):
    commit(running.client, running.ask_node("flush", "flush", "n1"))
    change = running.change_by("n1", running.move_of("n1", Guest.running, trigger="evacuate"))
    hold(running)
    assert refused(running.stores["n1"], change, znodes.CONFIG) is Why.VERSION


def test_the_hold_stops_no_daemon_from_finishing_what_an_admin_asked_for(moving):
    change = moving.change_by("n1", moving.move_of("n1", Guest.absent, trigger="hand_over"))
    hold(moving)
    commit(moving.stores["n1"], change)
    assert moving.check().life.phase is Migration.handover


def test_a_daemon_does_not_write_as_its_former_self(running):
    running.ask("stop")
    change = running.change_by("n1", running.move_of("n1", Guest.running, trigger="halt"))
    old = running.stores["n1"]
    running.join("n1")
    assert refused(old, change, znodes.boot("n1")) is Why.VERSION


def test_a_victim_does_not_write_once_its_death_is_proven(running):
    running.ask("stop")
    change = running.change_by("n1", running.move_of("n1", Guest.running, trigger="halt"))
    running.die("n1")
    prove_off(running, "n1")
    assert refused(running.session(), change, znodes.boot("n1")) is Why.VERSION


def prove_off(cluster, victim, fencer="n2"):
    """Read its power as off, and say so."""
    cluster.move_node(fencer, victim, watch=Watch(concerns=True))
    cluster.move_node(fencer, victim, watch=Watch(reading=Power.off))
    assert cluster.node(victim).value.life.daemon == "fenced"


def test_what_a_dead_node_owned_is_recovered_only_while_it_is_dead(running):
    running.die("n1")
    prove_off(running, "n1")
    change = running.change_by("n2", running.move_of("n2", trigger="recover", choice="n3"))
    assert {znodes.node("n1"), znodes.boot("n1"), znodes.CONFIG, znodes.boot("n2")} <= {guard.path for guard in change.guards}
    running.join("n1")
    assert refused(running.stores["n2"], change, znodes.node("n1")) is Why.VERSION


def test_recovery_checks_the_boot_token_that_the_proof_left(running):
    running.die("n1")
    prove_off(running, "n1")
    change = running.change_by("n2", running.move_of("n2", trigger="recover", choice="n3"))
    znode = running.client.read(znodes.boot("n1"))
    running.client.multi([Set(znodes.boot("n1"), znode.data, znode.version)])
    assert refused(running.stores["n2"], change, znodes.boot("n1")) is Why.VERSION


def test_a_recovered_vm_is_placed_and_leaves_the_dead_nodes_index(running):
    running.ask("move", "n2")
    running.move("n2", trigger="accept")
    running.move("n1", Guest.running, trigger="begin")
    running.move("n1", Guest.absent, trigger="hand_over")
    running.move("n2", Guest.running, trigger="migrated")
    running.die("n2")
    prove_off(running, "n2", "n3")
    running.move("n3", trigger="recover", choice="n1")
    record = running.check()
    assert (record.life.state, record.life.target, running.indexed()) == (Domain.place, "n1", {"n1", "n2"})


def test_a_second_vm_of_the_same_name_is_refused(cluster):  # H30
    cluster.define()
    other = replace(a_domain(), uuid="7" + UUID[1:], request="define-2")
    change = define_change(other, XML, cluster.relied(), ROOT, AT)
    assert refused(cluster.client, change, znodes.name("web1")) is Why.EXISTS


def test_a_second_vm_of_the_same_uuid_is_refused(cluster):
    cluster.define()
    change = define_change(a_domain(name="web2", gen="second"), XML, cluster.relied(), ROOT, AT)
    assert refused(cluster.client, change, znodes.domain(UUID)) is Why.EXISTS


@pytest.mark.parametrize(
    ("changes", "xml"),
    [
        ({}, b""),
        ({}, b"x" * (MAX_XML_BYTES + 1)),
        ({"life": replace(a_domain().life, state=Domain.place)}, XML),
        ({"vcpus": 0}, XML),
    ],
)
def test_a_vm_that_could_not_be_read_again_is_not_defined(cluster, changes, xml):
    with pytest.raises(Unwritable):
        define_change(a_domain(**changes), xml, cluster.relied(), ROOT, AT)


@pytest.mark.parametrize("path", [znodes.CONFIG, znodes.node("n1")])
def test_a_vm_is_not_defined_when_what_its_definition_rests_on_has_changed(cluster, path):
    change = define_change(a_domain(), XML, cluster.relied(), ROOT, AT)
    znode = cluster.client.read(path)
    cluster.client.multi([Set(path, znode.data, znode.version)])
    assert refused(cluster.client, change, path) is Why.VERSION


def test_a_vm_is_not_defined_on_a_node_that_nobody_read(cluster):
    with pytest.raises(Unwritable, match="n9"):
        define_change(a_domain(life=replace(a_domain().life, home="n9")), XML, cluster.relied(), ROOT, AT)


def test_a_decision_on_more_than_was_read_is_not_written(running):
    flushed = running.ask_node("flush", "flush", "n1")
    commit(running.client, flushed)
    move = running.move_of("n1", Guest.running, trigger="evacuate", choice="n2")
    whole = running.relied("n1")
    for missing in ({"token": None}, {"config": None}, {"nodes": {"n1": 1}}, {"nodes": {"n2": 1}}):
        with pytest.raises(NotRead):
            running.change_by("n1", move, relied=replace(whole, **missing))
    assert running.change_by("n1", move, relied=whole)


def test_a_recovery_without_the_victims_boot_token_is_not_written(running):
    running.die("n1")
    prove_off(running, "n1")
    move = running.move_of("n2", trigger="recover", choice="n3")
    with pytest.raises(NotRead, match="boot record of owner n1"):
        running.change_by("n2", move, relied=replace(running.relied("n2"), boots={}))


def test_an_order_is_not_written(running):
    running.ask("shutdown")
    running.move("n1", Guest.running, trigger="ask_off")
    move = running.move_of("n1", Guest.running, trigger="ask_again")
    with pytest.raises(ValueError, match="only gives orders"):
        running.change_by("n1", move)


def test_who_did_not_join_is_nobodys_daemon():
    row = next(row for row in TABLES["domain"].rows if row.trigger == "started")
    cluster = SmallCluster("n1")
    with pytest.raises(NotRead, match="boot token"):
        domain_guards(a_domain().life, cluster.transition(TABLES["domain"], row, row.by, "n1"), Relied())


# ---- history


def test_history_keeps_the_last_transitions(cluster):
    cluster.define()
    for _ in range(MAX_HISTORY_ENTRIES):
        cluster.ask("move", "n2")
        cluster.ask("move", "n1")
    entries = cluster.history().value.entries
    assert len(entries) == MAX_HISTORY_ENTRIES
    assert {entry.trigger for entry in entries} == {"move"}


def test_what_led_nowhere_is_forgotten_before_what_an_admin_wants_to_know(cluster):
    """A silent device has its fence passed on and adopted every minute; who shot must be there in the morning."""
    path = "/nodes/n1/events"

    def entry(trigger, source, dest, by="fencer"):
        return HistoryEntry(AT, "n1", "fence", source, dest, trigger, by, "n2")

    wished = entry("order", "evidence", "evidence", "client")
    story = (entry("suspect", "none", "evidence", "peer"), wished, entry("shoot", "throws", "shot"))
    entries = (entry("adopt", "failed", "failed", "peer"), *story)
    for _ in range(MAX_HISTORY_ENTRIES):
        history = Seen(History(entries), 0)
        (op,) = history_ops(path, history, entry("pass_on", "failed", "failed"), entry("adopt", "failed", "failed", "peer"))
        entries = decode_history(path, op.data).entries
    assert len(entries) == MAX_HISTORY_ENTRIES
    assert entries[:3] == story
    assert entries[-1].trigger == "adopt"


def test_a_history_that_cannot_be_read_is_left_alone_and_stops_nothing(cluster):
    cluster.define()
    path = znodes.history(UUID)
    cluster.client.multi([Set(path, b"mine, not yours", 0)])
    assert isinstance(cluster.history(), Unreadable)
    cluster.ask("start", "n1")
    assert cluster.check().life.state is Domain.place
    assert cluster.client.read(path).data == b"mine, not yours"


def test_a_history_that_is_gone_begins_again(cluster):
    cluster.define()
    cluster.client.multi([Delete(znodes.history(UUID), ANY_VERSION)])
    cluster.ask("start", "n1")
    assert [entry.trigger for entry in cluster.history().value.entries] == ["start"]


def test_undefining_takes_along_what_others_put_below(cluster):
    cluster.define()
    cluster.client.multi([Create(f"{znodes.domain(UUID)}/notes", b"of a newer version")])
    cluster.ask("undefine")
    assert cluster.domain() is None


# ---- the index


@pytest.mark.parametrize("drift", ["an entry too many", "an entry too few", "a node without index"])
def test_index_drift_is_repaired_and_blocks_no_vm(running, drift):
    entry = znodes.index_entry("n2", UUID)
    if drift == "an entry too many":
        running.client.multi([Create(entry)])
        change = running.ask_change("migrate", "n2")
    elif drift == "an entry too few":
        running.ask("move", "n2")
        running.client.multi([Delete(entry, ANY_VERSION)])
        running.ask("stop")
        change = running.change_by("n1", running.move_of("n1", Guest.running, trigger="call_off"))
    else:
        change = running.ask_change("migrate", "n2")
        running.client.multi([Delete(znodes.index("n2"), ANY_VERSION)])
    with pytest.raises(Refused) as caught:
        commit(running.stores["n1"], change)
    assert is_drift(caught.value)
    commit(running.stores["n1"], repaired(running.client, change))
    if drift == "a node without index":
        running.client.multi([Create(znodes.index("n2")), Create(entry)])
    running.check()


def test_a_lost_race_is_not_taken_for_drift(running):
    first, second = running.ask_change("stop"), running.ask_change("migrate", "n2")
    commit(running.client, first)
    with pytest.raises(Refused) as caught:
        commit(running.client, second)
    assert not is_drift(caught.value)


def test_repairing_leaves_everything_else_of_a_change(running):
    change = running.ask_change("migrate", "n2")
    assert repaired(running.client, change) == change


def test_an_index_without_a_change_to_come_is_corrected_too(running):
    seen = running.domain()
    assert index_repair(seen, ["n1"], ["n1", "n2", "n3"]) == ()
    ops = index_repair(seen, ["n2", "gone"], ["n1", "n2", "n3"])
    assert ops[2:] == (Create(znodes.index_entry("n1", UUID)), Delete(znodes.index_entry("n2", UUID), ANY_VERSION))
    running.client.multi([Delete(znodes.index_entry("n1", UUID), ANY_VERSION), Create(znodes.index_entry("n2", UUID))])
    running.client.multi(ops)
    running.check()


def test_an_index_is_corrected_only_for_the_record_that_was_read(running):
    ops = index_repair(running.domain(), ["n1", "n2"], ["n1", "n2"])
    running.ask("migrate", "n2")
    with pytest.raises(Refused) as caught:
        running.client.multi(ops)
    assert caught.value.path == znodes.domain(UUID)


def test_the_index_follows_owner_target_and_home():
    life = replace(a_domain().life, owner="n2", target="n3")
    assert named(life) == {"n1", "n2", "n3"}
    assert index_ops(UUID, {"n1"}, {"n1"}) == ()


# ---- outcome


def test_a_write_whose_reply_was_lost_is_recognised_by_its_request(running):
    change = running.ask_change("stop")
    running.client.lose_next_reply(applied=True)
    with pytest.raises(OutcomeUnknown):
        commit(running.client, change)
    with pytest.raises(NotConnected):
        running.client.read(znodes.domain(UUID))
    running.client.reconnect()
    assert settle(running.client, change, shows(UUID, change.request)) is Outcome.APPLIED
    assert settle(running.client, replace(change, request="another"), shows(UUID, "another")) is Outcome.NOT_APPLIED


def test_what_cannot_be_read_shows_no_request(running):
    znode = running.client.read(znodes.domain(UUID))
    assert shows(UUID, running.domain().value.request)(znode)
    assert not shows(UUID, running.domain().value.request)(replace(znode, data=b"?"))


# ---- size


def test_the_largest_change_stays_far_below_the_limit(running):
    commit(running.client, running.ask_node("flush", "flush", "n1"))
    change = running.change_by("n1", running.move_of("n1", Guest.running, trigger="evacuate", choice="n2"))
    assert len(change.guards) + len(change.ops) <= 12


def test_generation_is_checked_whatever_the_transition(moving):
    for me, guest in (("n1", Guest.absent), ("n1", Guest.running)):
        move = moving.move_of(me, guest, due=True)
        assert Check(znodes.generation(UUID, "first"), ANY_VERSION) in moving.change_by(me, move).guards


def test_a_record_of_a_newer_version_is_never_written(running):
    seen = running.domain()
    data = encode_domain(seen.value).replace(b'"v":1', b'"v":2')
    running.client.multi([Set(znodes.domain(UUID), data, seen.version)])
    outline = running.domain()
    assert outline.value.owner == "n1"
    with pytest.raises(Unwritable):
        encode_domain(outline.value)
    assert Seen(outline.value, outline.version) == outline
