"""`pvc vm`: what is printed, what is asked, and how it ends."""

import json

import pytest

from pvc.cli.vm import VERBS


def test_define_tells_what_was_read(pvc):
    policy = ("--node", "hv1", "--node", "hv2", "--selector", "load", "--handover", "libvirt")
    done = pvc("vm", "define", pvc.file("web1"), "--home", "hv2", *policy)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("web1 is defined, off, at home on hv2 (512 MiB, 2 vcpus, UUID ")
    policy = json.loads(pvc("vm", "info", "web1", "-o", "json").out)["vm"]["policy"]
    assert (policy["nodes"], policy["selector"], policy["handover"]) == (["hv1", "hv2"], "load", "libvirt")


def test_define_reads_standard_input_and_feeds_another_program(pvc, monkeypatch):
    done = pvc("vm", "define", pvc.file("web1"), "-o", "name")
    assert (done.code, done.out) == (0, "web1\n")


def test_a_life_on_the_command_line(pvc, web1):
    told = [
        (("start", web1), "web1 runs on hv1."),
        (("migrate", web1, "hv2"), "web1 runs on hv2."),
        (("unmigrate", web1), "web1 runs on hv1."),
        (("migrate", web1, "hv2"), "web1 runs on hv2."),
        (("stay", web1), "web1 is at home on hv2."),
        (("move", web1, "hv3"), "web1 runs on hv3."),
        (("restart", web1), "web1 runs on hv3."),
        (("shutdown", web1), "web1 is off (stop)."),
        (("disable", web1), "web1 is off (disable)."),
        (("enable", web1), "web1 is stop."),
        (("start", web1), "web1 runs on hv3."),
        (("stop", web1, "--yes"), "web1 is off (stop)."),
        (("undefine", web1, "--yes"), "web1 is undefined."),
    ]
    for arguments, last in told:
        done = pvc("vm", *arguments)
        assert (done.code, done.err, done.out.splitlines()[-1]) == (0, "", last)


def test_each_transition_is_a_line_with_a_time_where_nobody_watches(pvc, web1):
    done = pvc("vm", "start", web1, "--reason", "as agreed")
    times, lines = zip(*((line[:19], line[20:]) for line in done.out.splitlines()[:-1]), strict=True)
    assert lines == (
        "web1: stop -> place (start by anna@desk)",
        "web1: place -> boot (claim by hv1)",
        "web1: boot -> start (started by hv1)",
    )
    assert all(time[4] == "-" and time[13] == ":" for time in times)
    assert "as agreed" in pvc("vm", "history", web1).out


def test_no_wait_returns_at_once(pvc, web1):
    done = pvc("vm", "start", web1, "--no-wait")
    assert (done.code, done.out) == (0, "web1: start is asked for; it is place, wanted start, on its way to hv1.\n")


def test_a_timeout_ends_with_4_and_the_operation_goes_on(pvc, world, web1):
    world.lazy = True
    done = pvc("vm", "start", web1, "--timeout", "20")
    assert (done.code, done.err) == (4, "web1 is still boot: it goes on\nNext: pvc vm info web1\n")
    world.lazy = False
    assert pvc("vm", "wait", web1, "--for", "state=start", "--for", "owner=hv1").code == 0


def test_ctrl_c_ends_with_130_and_says_how_to_undo_it(pvc, world, web1):
    def interrupt():
        raise KeyboardInterrupt

    world.idles = [interrupt]
    done = pvc("vm", "start", web1)
    assert (done.code, done.err) == (130, "interrupted: start of web1 goes on\nNext: to undo it: pvc vm stop web1\n")
    assert pvc("vm", "wait", web1, "--for", "state=start").code == 0


def test_a_failure_ends_with_1_and_its_reason(pvc, world, web1):
    pvc("vm", "set", web1, "--restart-budget", "0")
    world.fails.add("create")
    done = pvc("vm", "start", web1)
    assert (done.code, done.err.splitlines()[0]) == (1, "web1 failed: Its restarts are used up (H20, H21).")
    assert "failed" in pvc("vm", "list").out


def test_a_refusal_is_the_tables_reason_and_a_next_step(pvc, web1):
    done = pvc("vm", "migrate", web1)
    assert (done.code, done.out) == (1, "")
    assert done.err == "web1 cannot migrate: it is stop: only a guest that runs undisturbed can move live\nNext: pvc vm explain web1\n"


# ---- questions


@pytest.mark.parametrize(("verb", "state"), [("stop", "stop"), ("undefine", None)])
def test_what_destroys_is_asked_and_no_changes_nothing(pvc, web1, verb, state):
    pvc("vm", "start", web1)
    for typed in ("n\n", "\n"):
        done = pvc("vm", verb, web1, typed=typed)
        assert (done.code, done.out, done.err.endswith("Nothing was changed.\n")) == (1, "", True)
    assert json.loads(pvc("vm", "info", web1, "-o", "json").out)["vm"]["want"] == "start"
    assert pvc("vm", verb, web1, typed="y\n").code == 0


def test_where_nobody_can_answer_yes_is_needed(pvc, web1):
    pvc("vm", "start", web1)
    done = pvc("vm", "stop", web1)
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("Next: repeat it with --yes\n")
    assert json.loads(pvc("vm", "info", web1, "-o", "json").out)["vm"]["want"] == "start"


def test_an_unknown_vm_is_no_question(pvc):
    assert pvc("vm", "stop", "web9", typed="y\n").code == 3


# ---- what goes wrong, for people and for programs


def test_an_unknown_vm_ends_with_3_and_the_nearest_name(pvc, web1):
    done = pvc("vm", "start", "wbe1")
    assert (done.code, done.out) == (3, "")
    assert 'no VM called "wbe1"; did you mean "web1"?' in done.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("vm", "start", "wbe1", "-o", "json"), 3),
        (("vm", "list", "--node", "hv9", "-o", "json"), 3),
        (("vm", "stop", "web1", "-ojson"), 2),
        (("vm", "migrate", "web1", "--output", "json"), 1),
        (("vm", "start", "--output=json"), 2),
        (("vm", "frobnicate", "-o", "json"), 2),
        (("vm", "start", "web1", "--timeout", "0", "-o", "json"), 4),
    ],
)
def test_with_json_an_error_is_json_on_stderr_and_stdout_is_empty(pvc, web1, arguments, code):
    done = pvc(*arguments)
    error = json.loads(done.err)
    assert (done.code, done.out, error["code"], set(error)) == (code, "", code, {"error", "code", "next"})


def test_bad_xml_is_refused_with_every_problem(pvc, tmp_path):
    path = tmp_path / "bad.xml"
    path.write_text("<domain><name>a/b</name></domain>")
    done = pvc("vm", "define", str(path))
    assert done.code == 1
    assert all(words in done.err for words in ("cannot be the name of a VM", "no <memory>", "no type"))


def test_endless_xml_is_not_read_to_its_end(pvc):
    done = pvc("vm", "define", "/dev/zero")
    assert (done.code, "bytes, at most" in done.err) == (1, True)


def test_a_file_that_is_not_there_is_a_wrong_command_line(pvc):
    assert pvc("vm", "define", "/no/such.xml").code == 2


# ---- looking


def test_list_shows_wanted_and_observed_owner_and_home(pvc, world, web1):
    pvc("vm", "define", pvc.file("web2"), "--home", "hv2")
    pvc("vm", "start", web1)
    pvc("vm", "migrate", web1, "hv3")
    world.lazy = True
    pvc("vm", "stop", web1, "--yes", "--no-wait")
    head, *rows = (line.split() for line in pvc("vm", "list").out.splitlines())
    assert head == ["NAME", "STATE", "WANTED", "OWNER", "HOME", "MEMORY", "VCPUS", "SINCE", "NOTE"]
    assert [row[:7] for row in rows] == [
        ["web1", "start", "stop", "hv3", "hv1", "512", "MiB"],
        ["web2", "stop", "stop", "-", "hv2", "512", "MiB"],
    ]


def test_list_is_filtered_and_feeds_other_programs(pvc, web1):
    pvc("vm", "define", pvc.file("web2"), "--home", "hv2")
    pvc("vm", "define", pvc.file("db1"), "--home", "hv2")
    pvc("vm", "start", "web2")
    assert pvc("vm", "list", "-o", "name").out == "db1\nweb1\nweb2\n"
    assert pvc("vm", "list", "web*", "-o", "name").out == "web1\nweb2\n"
    assert pvc("vm", "list", "--node", "hv2", "--state", "stop", "-o", "name").out == "db1\n"
    assert pvc("vm", "list", "nobody", "-o", "name").out == ""
    found = json.loads(pvc("vm", "list", "--state", "start", "-o", "json").out)
    assert (found["version"], [vm["name"] for vm in found["vms"]]) == (1, ["web2"])


def test_a_record_that_cannot_be_read_is_shown(pvc, world, web1):
    from pvc.cluster import znodes
    from pvc.cluster.store import Set

    uuid = json.loads(pvc("vm", "info", web1, "-o", "json").out)["vm"]["uuid"]
    world.small.client.multi([Set(znodes.domain(uuid), b"{}", 0)])
    assert "cannot be read" in pvc("vm", "list").out
    assert "unreadable" in json.loads(pvc("vm", "list", "-o", "json").out)["vms"][0]
    assert pvc("vm", "info", web1).code == 1


def test_json_of_a_vm_keeps_its_fields(pvc, web1):
    vm = json.loads(pvc("vm", "info", web1, "-o", "json").out)["vm"]
    assert set(vm) == {
        "name", "uuid", "state", "want", "request", "owner", "target", "home", "epoch", "restarts", "avoid", "migration",
        "memory_mib", "vcpus", "since", "reason", "policy",
    }  # fmt: skip


def test_a_verb_in_json_is_one_object(pvc, web1):
    done = json.loads(pvc("vm", "start", web1, "-o", "json").out)
    assert (done["version"], done["result"], done["vm"]["state"]) == (1, "web1 runs on hv1", "start")
    assert json.loads(pvc("vm", "undefine", web1, "--yes", "-o", "json").out)["vm"] is None


def test_info_explain_and_history_of_a_vm(pvc, web1):
    pvc("vm", "start", web1)
    pvc("vm", "migrate", web1, "hv2")
    info = pvc("vm", "info", web1).out
    assert all(words in info for words in ("state", "start", "owner", "hv2", "home", "hv1", "512 MiB"))
    told = pvc("vm", "explain", web1).out
    assert "web1 is start on hv2." in told
    assert "It came there by migrated, migrate -> start, by hv2" in told
    lines = {line.split()[0]: line.split()[1:] for line in told.splitlines() if line}
    assert lines["unmigrate"][0] == "yes"
    assert lines["cancel"] == ["no", "it", "is", "start:", "no", "migration", "is", "in", "flight"]
    assert lines["migrate"] == ["yes", "hv1,", "hv3"]
    explained = json.loads(pvc("vm", "explain", web1, "-o", "json").out)
    assert explained["commands"]["start"] == {
        "allowed": False, "targets": [], "reason": "it is wanted start already", "guard": "wanted down",
    }  # fmt: skip
    past = json.loads(pvc("vm", "history", web1, "-o", "json").out)["history"]
    assert [(entry["from"], entry["to"]) for entry in past][:2] == [("", "stop"), ("stop", "place")]


def test_dump_and_modify(pvc, web1, tmp_path):
    path = tmp_path / "dump.xml"
    path.write_text(pvc("vm", "dump", web1).out.replace(">512<", ">1024<"))  # not what may be in its UUID
    assert pvc("vm", "modify", web1, str(path)).out == "web1 has new XML: 1024 MiB, 2 vcpus.\n"
    assert pvc("vm", "dump", web1).out == path.read_text()


def test_set_shows_what_was_set_and_needs_something(pvc, web1):
    assert pvc("vm", "set", web1, "--node", "hv1", "--node", "hv3", "--migration", "cold").out == "web1: nodes hv1, hv3, migration cold.\n"
    assert pvc("vm", "set", web1, "--node", "all").out == "web1: nodes all.\n"
    assert pvc("vm", "set", web1).code == 2
    assert pvc("vm", "set", web1, "--node", "hv11").code == 3


@pytest.mark.parametrize("what", ["state=running", "colour=red", "state"])
def test_wait_refuses_what_never_comes(pvc, web1, what):
    assert pvc("vm", "wait", web1, "--for", what).code == 2


def test_wait_refuses_what_cannot_hold_at_once_and_a_node_that_there_is_not(pvc, web1):
    assert pvc("vm", "wait", web1, "--for", "state=start", "--for", "state=stop").code == 2
    assert pvc("vm", "wait", web1, "--for", "gone", "--for", "owner=hv1").code == 2
    assert pvc("vm", "wait", web1, "--for", "owner=hv9").code == 3


def test_a_list_of_nothing_says_whether_there_is_anything(pvc):
    assert pvc("vm", "list").out == "No VM is here. Next: pvc vm define FILE\n"
    pvc("vm", "define", pvc.file("web1"))
    assert pvc("vm", "list", "db*").out == "No VM is as you say. Next: pvc vm list\n"


def test_wait_that_lasts_too_long_says_what_there_is_instead(pvc, web1):
    done = pvc("vm", "wait", web1, "--for", "state=start", "--timeout", "5")
    assert (done.code, done.err) == (4, "web1 is still stop: not state=start\nNext: pvc vm info web1\n")


def test_wait_sees_a_vm_go(pvc, world, web1):
    assert pvc("vm", "wait", web1, "--for", "state=stop").code == 0
    world.idles = [lambda: world.client().undefine(web1)]
    assert pvc("vm", "wait", web1, "--for", "gone").out.splitlines()[-1] == "web1 is gone."


def test_resolve_needs_a_word(pvc, web1):
    assert pvc("vm", "resolve", web1).code == 2
    assert pvc("vm", "resolve", web1, "--keep").code == 1


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(pvc, verb):
    done = pvc("vm", verb.name, "-h")
    assert (done.code, "--reason" in done.out, "--timeout" in done.out) == (0, True, True)
    assert ("--yes" in done.out) == bool(verb.question)
