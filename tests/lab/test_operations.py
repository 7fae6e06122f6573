"""What an admin does with one VM, on real hosts: each command ends as it promises, and the guest on the console agrees."""

import json
import os
import signal
import time
from xml.etree import ElementTree

import pytest

from lab import wait_until
from lab.watch import repeated
from pvc.cluster.records import OnPoweroff
from pvc.errors import Refused
from pvc.fsm.states import Domain, Migration, Request, Want
from tests.lab.admin import NODES, PATIENCE_S, frozen

pytestmark = pytest.mark.lab
SLOW_MBIT = 4
"""A link at which a migration lasts longer than any test."""


# -- A life ------------------------------------------------------------------------------------------------------------


def test_a_vm_lives_and_leaves_no_znode(admin):
    before = admin.tree()
    admin.up("web", "hv1")

    admin.do("migrate", "web", "hv2")
    admin.ticks_on("web", "hv2")
    assert (admin.life("web").owner, admin.life("web").home) == ("hv2", "hv1"), "a migration remembers its home"
    admin.do("unmigrate", "web")
    admin.ticks_on("web", "hv1")
    admin.do("move", "web", "hv3")
    admin.ticks_on("web", "hv3")
    assert (admin.life("web").owner, admin.life("web").home) == ("hv3", "hv3"), "a move is for good"
    assert len(admin.boots("web")) == 1, "none of this was a reset"
    assert repeated(admin.lab.ticks("web")) == []
    assert admin.copies("web") == ["hv3"]

    admin.do("restart", "web")
    admin.hears("web", boots=2)
    assert len(admin.boots("web")) == 2
    admin.do("shutdown", "web")
    assert "off ." in admin.lab["hv3"].console("web"), "it went in its own time"
    assert "overdue" not in admin.triggers("web")
    admin.do("undefine", "web")
    assert admin.tree() == before
    assert admin.lab.guests() == []


def test_undefine_takes_a_running_guest_and_every_znode(admin):
    before = admin.tree()
    admin.start("web", "hv2")
    assert admin.tree() != before
    admin.do("undefine", "web")
    assert admin.lab.guests() == []
    assert admin.tree() == before


def test_modify_takes_effect_at_the_next_start(admin):
    admin.start("web", "hv1")
    admin.client.modify("web", admin.lab.guest_xml("web", memory_mib=128).encode())
    assert admin.record("web").memory_mib == 128
    assert _memory_mib(admin, "web", "hv1") == 96, "the guest that runs keeps what it was started with"
    admin.do("stop", "web")
    admin.do("start", "web")
    assert _memory_mib(admin, "web", "hv1") == 128


def _memory_mib(admin, name, host):
    return int(ElementTree.fromstring(admin.lab[host].virsh("dumpxml", name)).findtext("memory")) // 1024


def test_a_disabled_vm_stays_off_until_it_is_enabled_or_started(admin):
    admin.up("web", "hv1")
    admin.do("disable", "web")
    assert (admin.life("web").state, admin.lab.guests()) == (Domain.disable, [])
    admin.client.enable("web")
    assert admin.life("web").state is Domain.stop
    admin.do("start", "web")
    assert admin.copies("web") == ["hv1"], "home comes first"


# -- Going off ---------------------------------------------------------------------------------------------------------


def test_a_stubborn_guest_is_cut_after_its_deadline_and_not_before(admin):
    admin.up("deaf", "hv1", {"shutdown_timeout_s": 8}, deaf=True)
    begun, ticks = time.monotonic(), len(admin.lab.ticks("deaf"))
    admin.ask("shutdown", "deaf")
    admin.reach_state("deaf", Domain.stop)
    took_s = time.monotonic() - begun
    assert 8 <= took_s < PATIENCE_S
    assert len(admin.lab.ticks("deaf")) > ticks, "it ticked on"
    assert admin.triggers("deaf")[-3:] == ["ask_off", "overdue", "off"]
    assert admin.lab.guests() == []


def test_a_restart_cuts_a_stubborn_guest_and_starts_it_again(admin):
    admin.up("deaf", "hv1", {"shutdown_timeout_s": 2}, deaf=True)
    admin.do("restart", "deaf")
    wait_until(lambda: len(admin.boots("deaf")) == 2, PATIENCE_S, "it ticks as another boot")
    assert admin.life("deaf").restarts == 0, "what was asked for is no failure"


def test_stop_works_while_it_waits_for_its_node(admin):
    """The daemon that was chosen hangs, so the VM stays where the admin's write alone decides."""
    admin.define("web", "hv2", {"nodes": ("hv2",)})
    with frozen(admin.lab["hv2"], "pvcd"):
        admin.ask("start", "web", "hv2")
        assert admin.life("web").state is Domain.place
        admin.do("stop", "web")
    assert (admin.life("web").epoch, admin.lab.guests()) == (0, []), "nobody ever claimed it"


def test_stop_works_while_it_starts(admin):
    admin.define("web", "hv2")
    with frozen(admin.lab["hv2"], "libvirtd"):
        admin.ask("start", "web", "hv2")
        admin.reach_state("web", Domain.boot)
        admin.ask("stop", "web")
    admin.reach_state("web", Domain.stop)
    assert admin.copies("web") == []


def test_stop_works_while_it_moves(admin):
    admin.up("busy", "hv1", dirty_mib=32)
    admin.lab["hv2"].slow(SLOW_MBIT)
    admin.ask("migrate", "busy", "hv2")
    admin.reach("busy", "moving", lambda record: record.life.phase is Migration.moving)
    admin.do("stop", "busy")
    admin.lab["hv2"].slow(None)
    wait_until(lambda: admin.copies("busy") == [], PATIENCE_S, "no copy is left")
    assert admin.life("busy").phase is Migration.none


@pytest.mark.parametrize(("verb", "state"), [("shutdown", Domain.shutdown), ("restart", Domain.restart), ("disable", Domain.shutdown)])
def test_stop_works_while_it_goes_off_in_its_own_time(admin, verb, state):
    admin.start("deaf", "hv1", deaf=True)
    admin.ask(verb, "deaf")
    admin.reach_state("deaf", state)
    admin.do("stop", "deaf")
    assert (admin.life("deaf").state, admin.copies("deaf")) == (Domain.stop, [])


def test_start_calls_a_shutdown_off(admin):
    """Up after all: the guest that is going comes up again."""
    admin.up("web", "hv1")
    admin.ask("shutdown", "web")
    # Called off before its owner has heard of it, nothing would have happened.
    admin.reach("web", "on its way off", lambda record: record.life.state in (Domain.shutdown, Domain.stop))
    admin.do("start", "web")
    wait_until(lambda: len(admin.boots("web")) == 2, PATIENCE_S, "it ticks as another boot")
    assert admin.life("web").want is Want.start


def test_a_migration_can_be_cancelled(admin):
    admin.up("busy", "hv1", dirty_mib=32)
    admin.lab["hv2"].slow(SLOW_MBIT)
    admin.ask("migrate", "busy", "hv2")
    admin.reach("busy", "moving", lambda record: record.life.phase is Migration.moving)
    admin.do("cancel", "busy")
    admin.lab["hv2"].slow(None)
    life = admin.life("busy")
    assert (life.state, life.owner, life.request) == (Domain.start, "hv1", Request.none)
    admin.ticks_on("busy", "hv1")
    wait_until(lambda: admin.copies("busy") == ["hv1"], PATIENCE_S, "the copy is gone")


# -- Guests that end by themselves -------------------------------------------------------------------------------------


def test_a_guest_that_powers_itself_off_stays_off_where_that_is_its_policy(admin):
    admin.up("web", "hv1", {"on_poweroff": OnPoweroff.stay})
    admin.lab["hv1"].virsh("shutdown", "web")
    admin.reach_state("web", Domain.stop)
    assert admin.triggers("web")[-1] == "ended"
    assert admin.record("web").reason.startswith("The guest powered itself off")


def test_a_guest_that_powers_itself_off_is_started_again_where_that_is_its_policy(admin):
    admin.up("web", "hv1", {"on_poweroff": OnPoweroff.restart})
    admin.lab["hv1"].virsh("shutdown", "web")
    wait_until(lambda: len(admin.boots("web")) == 2, PATIENCE_S, "it ticks as another boot")
    admin.reach_state("web", Domain.start)


def test_a_killed_guest_is_started_again_within_its_budget_and_then_failed(admin):
    admin.up("web", "hv1", {"restart_budget": 2})
    for restarts in (1, 2):
        os.kill(admin.pid("web"), signal.SIGKILL)
        admin.reach("web", f"up for the {restarts}. time", lambda record, n=restarts: _is_up_again(record, n))
    admin.ticks_on("web", admin.life("web").owner)
    os.kill(admin.pid("web"), signal.SIGKILL)
    admin.reach_state("web", Domain.failed)
    assert admin.record("web").reason == "Its restarts are used up (H20, H21)."
    assert [trigger for trigger in admin.triggers("web") if trigger in ("ended", "give_up")] == ["ended", "ended", "give_up"]
    assert admin.lab.guests() == []

    admin.do("start", "web")
    assert admin.life("web").restarts == 0, "an admin's word begins anew"


def _is_up_again(record, restarts):
    return record.life.state is Domain.start and record.life.restarts == restarts


def test_what_libvirt_refuses_fails_with_the_words_of_libvirt(admin):
    xml = admin.lab.guest_xml("odd").replace('machine="pc"', 'machine="pc-of-nobody"')
    admin.define("odd", "hv1", {"restart_budget": 1}, xml)
    with pytest.raises(Refused, match="pc-of-nobody"):
        admin.do("start", "odd")
    assert admin.life("odd").state is Domain.failed
    assert "does not support machine type 'pc-of-nobody'" in admin.record("odd").reason
    assert "pc-of-nobody" in admin.client.history("odd")[-1].why
    assert admin.triggers("odd") == ["define", "start", "claim", "ended", "claim", "give_up"]

    admin.do("stop", "odd")
    admin.client.modify("odd", admin.lab.guest_xml("odd").encode())
    admin.do("start", "odd")
    assert admin.copies("odd") == ["hv1"]


# -- The command line --------------------------------------------------------------------------------------------------


def refused(admin, *words, code=1):
    """What a command says that must fail with this exit code."""
    done = admin.lab.pvc(*words, check=False)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    return done.stderr


def test_names_are_helped_and_refused(admin):
    admin.define("web1", "hv1")
    assert 'did you mean "web1"' in refused(admin, "vm", "start", "web2", code=3)
    assert 'did you mean "hv1"' in refused(admin, "node", "info", "hv11", code=3)
    assert "no node called" in refused(admin, "vm", "start", "web1", "hv9", code=3)
    for name in ("../config", "a\nb", "web1\x1b[2J", ""):
        said = refused(admin, "vm", "start", name, code=3)
        assert "no VM called" in said
        assert not set("\x1b\n") & set(said.rstrip("\n").splitlines()[0])
    assert admin.life("web1").state is Domain.stop


BAD = {
    "not xml": ("hello", "XML"),
    "not a domain": ("<network><name>web</name></network>", "<network>, not <domain>"),
    "no name": ("<domain type='qemu'><memory>1</memory><vcpu>1</vcpu></domain>", "name"),
    "a bomb": ('<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><domain><name>&b;</name></domain>', "DOCTYPE"),
    "too deep": ("<domain>" + "<a>" * 99 + "</a>" * 99 + "</domain>", "deep"),
}
SPOILT = {
    "a slash in its name": ("<name>bad</name>", "<name>a/b</name>", "name"),
    "a control character in its name": ("<name>bad</name>", "<name>a&#9;b</name>", "name"),
    "no memory": ("<memory ", "<nomemory ", "memory"),
    "another emulator": ("/usr/bin/qemu-system-x86_64", "/bin/sh", "/bin/sh"),
    "no UUID": ("<uuid>", "<uuid>0", "UUID"),
}


def test_xml_that_cannot_be_a_vm_is_refused_and_leaves_no_trace(admin):
    before = admin.tree()
    texts = {what: (text, words) for what, (text, words) in BAD.items()}
    good = admin.lab.guest_xml("bad")
    for what, (old, new, words) in SPOILT.items():
        assert old in good
        texts[what] = (good.replace(old, new).replace("</memory>", "</nomemory>" if "nomemory" in new else "</memory>"), words)
    for what, (text, words) in texts.items():
        path = admin.lab.place.shared / "bad.xml"
        path.write_text(text)
        said = refused(admin, "vm", "define", str(path))
        assert words in said, what
    assert admin.tree() == before


def test_a_name_or_uuid_that_is_taken_is_refused(admin):
    path = str(admin.lab.guest_file("web"))
    admin.lab.pvc("vm", "define", path)
    assert 'there is a VM called "web" already' in refused(admin, "vm", "define", path)
    other = admin.lab.place.shared / "other.xml"
    other.write_text(admin.lab.guest_xml("web").replace("<name>web<", "<name>other<"))
    assert "belongs to web" in refused(admin, "vm", "define", str(other))
    assert "the VM is called" in refused(admin, "vm", "modify", "web", str(other))


def test_a_target_that_cannot_take_it_is_refused_with_every_reason(admin):
    admin.start("web", "hv1", {"nodes": ("hv1", "hv2")})
    admin.client.modify("web", admin.lab.guest_xml("web", memory_mib=1 << 20).encode())
    admin.lab.pvc("node", "flush", "hv3", "--yes")
    said = refused(admin, "vm", "migrate", "web", "hv3")
    for reason in ("it is flushed", "the VM's policy does not allow it", "MiB free, web needs 1048576 MiB"):
        assert reason in said.replace("\n", " ")
    assert "it is on hv1 already" in refused(admin, "vm", "migrate", "web", "hv1")
    assert admin.life("web").state is Domain.start
    admin.lab.pvc("node", "ready", "hv3")


def test_what_is_asked_is_told_as_json(admin):
    admin.define("web", "hv1")
    told = json.loads(admin.lab.pvc("vm", "start", "web", "--output", "json").stdout)
    assert (told["vm"]["state"], told["vm"]["owner"]) == ("start", "hv1")
    nodes = json.loads(admin.lab.pvc("node", "list", "--output", "json").stdout)["nodes"]
    assert [node["name"] for node in nodes] == list(NODES)
