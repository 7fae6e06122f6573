"""Help, examples, tables and commands agree; every state of every table can be looked at; what is not needed is not imported."""

import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace

import click
import pytest

from pvc.cli.main import main
from pvc.cluster import znodes
from pvc.cluster.examples import DOMAIN as EXAMPLE
from pvc.cluster.examples import KERNEL, NODE, PROGRESS
from pvc.cluster.formats import encode_domain, encode_history, encode_node, encode_progress
from pvc.cluster.records import History, HistoryEntry
from pvc.cluster.store import Create, Set
from pvc.fsm.domain import DOMAIN, OWNED
from pvc.fsm.flush import FLUSH
from pvc.fsm.states import By, Daemon, Domain, Fence, Flush, Kind, Migration, Request, Want
from pvc.fsm.tables import TABLES
from pvc.fsm.views import Life, NodeLife


def leaves(command=main, context=None, path=()):
    """Every command, by its words."""
    context = context or click.Context(main, info_name="pvc", **main.context_settings)
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        yield from leaves(below, click.Context(below, parent=context, info_name=name), (*path, name))


LEAVES = dict(leaves())
# What does not answer but writes a file, serves a page, or belongs to a shell; the simulator tells stories.
SILENT = {("completion",), ("dashboard",), ("fsm", "check"), ("fsm", "diagram"), ("vm", "dump"), ("node", "fence"), ("plan",)}


def examples(command):
    """The command lines in a help."""
    lines = [line.strip() for block in (command.help or "").split("\b")[1:] for line in block.split("\n\n")[0].splitlines()]
    return [found for line in lines for found in re.findall(r"pvc [^|;>&)]+", line)]


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_a_summary_and_its_examples_can_be_typed(path):
    command = LEAVES[path]
    assert command.get_short_help_str(200)
    shown = examples(command)
    if path[0] != "sim":
        assert any(f"pvc {' '.join(path)}" in line for line in shown), "no example of it"
    for line in shown:
        words = shlex.split(line)[1:]
        words = words[2:] if words[0] == "-z" else words
        found = max((known for known in LEAVES if tuple(words[: len(known)]) == known), key=len, default=None)
        assert found is not None, line
        context = click.Context(LEAVES[found], info_name="pvc", **main.context_settings)  # click keeps what -h is called
        LEAVES[found].make_parser(context).parse_args(words[len(found) :])  # raises for an option that is not there


@pytest.mark.parametrize("path", [path for path in LEAVES if path not in SILENT and path[0] != "sim"], ids=" ".join)
def test_every_command_that_prints_has_a_format(path):
    (form,) = [option for option in LEAVES[path].params if option.name == "form"]
    assert list(form.type.choices) == ["table", "wide", "json", "yaml", "name"]


def test_every_trigger_of_a_client_is_a_command_and_the_reverse():
    verbs = {row.trigger for row in DOMAIN.rows if row.by & By.CLIENT}
    commands = {path[1] for path in LEAVES if path[0] == "vm"}
    assert {verb.partition("_")[0] for verb in verbs} <= commands
    looking = {"define", "dump", "explain", "history", "info", "list", "modify", "set", "wait"}
    assert commands == {verb.partition("_")[0] for verb in verbs} | looking
    assert {row.trigger for row in FLUSH.rows if row.by & By.CLIENT} <= {path[1] for path in LEAVES if path[0] == "node"}


def test_every_verb_takes_a_reason_and_can_be_tried_dry():
    verbs = [path for path in LEAVES if path[0] == "vm" and path[1] in {row.trigger for row in DOMAIN.rows}]
    for path in [*verbs, ("vm", "resolve"), ("node", "flush"), ("node", "ready")]:
        assert {"reason", "dry_run", "no_wait", "timeout"} <= {option.name for option in LEAVES[path].params}, path


# ---- what is imported


@pytest.mark.parametrize(("arguments", "most"), [(["-h"], 8), (["vm", "-h"], 30), (["vm", "list", "-h"], 30), (["--version"], 8)])
def test_help_imports_few_modules(arguments, most):
    told = "print(len([name for name in sys.modules if name == 'pvc' or name.startswith('pvc.')]), file=sys.stderr)"
    names = {"kazoo", "transitions", "graphviz", "http.server", "concurrent.futures", "xml"}
    heavy = f"print(sorted({names} & set(sys.modules)), file=sys.stderr)"
    probe = f"import sys\nfrom pvc.cli.main import main\ntry: main({arguments})\nfinally:\n  {told}\n  {heavy}"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    number, heavies = done.stderr.splitlines()
    assert (int(number) <= most, heavies) == (True, "[]"), number


# ---- every state


def a_vm(number, **life):
    """A VM in some state, with what that state needs."""
    state = life["state"]
    owned = {"owner": "hv1", "epoch": 1} if state in OWNED else {}
    moving = {"target": "hv2", "op_id": "op-1", "phase": Migration.moving, "kind": Kind.migrate} if state is Domain.migrate else {}
    target = {"target": "hv2"} if state in (Domain.place, Domain.conflict) else {}
    whole = Life(**{"home": "hv1", **owned, **target, **moving, **life})
    uuid = f"00000000-0000-4000-8000-{number:012}"
    source = "hv1" if state is Domain.migrate else None
    return replace(EXAMPLE, uuid=uuid, name=f"vm{number}", gen="g", life=whole, source=source, since="2026-03-01 09:30:00+0100")


def all_lives():
    """A VM in every state with every wish, in every phase, and with every request."""
    states = [state for state in Domain if state is not Domain.delete]
    lives = [{"state": state, "want": want} for state in states for want in Want]
    migrating = {"state": Domain.migrate, "want": Want.start}
    lives += [{**migrating, "phase": phase, "kind": kind} for phase in list(Migration)[1:] for kind in list(Kind)[1:]]
    lives += [{"state": Domain.start, "want": Want.start, "request": request, "avoid": ("hv3",), "restarts": 2} for request in Request]
    return [a_vm(number, **life) for number, life in enumerate(lives)]


def put(store, vm):
    """Write a VM by hand."""
    entry = HistoryEntry("2026-03-01 09:30:00+0100", vm.name, "domain", "", str(vm.life.state), "define", "client", "anna@desk")
    path = znodes.domain(vm.uuid)
    data = encode_history(znodes.history(vm.uuid), History((entry,)))
    store.multi([Create(znodes.name(vm.name), vm.uuid.encode()), Create(path, encode_domain(vm)), Create(znodes.history(vm.uuid), data)])


def test_a_vm_in_every_state_is_listed_shown_and_explained(pvc, world):
    vms = all_lives()
    for vm in vms:
        put(world.small.client, vm)
    moving = next(vm.uuid for vm in vms if vm.life.phase is Migration.moving)
    told = replace(PROGRESS, migrations=(replace(PROGRESS.migrations[0], of=moving, op="op-1"),))
    world.small.client.multi([Create(znodes.progress("hv1"), encode_progress("hv1", told))])
    listed = pvc("vm", "list", "-o", "wide")
    assert (listed.code, len(listed.out.splitlines())) == (0, len(vms) + 1)
    assert "% migrated" in listed.out
    assert {vm["state"] for vm in json.loads(pvc("vm", "list", "-o", "json").out)["vms"]} == {str(state) for state in Domain} - {"delete"}
    assert pvc("status").code == 1
    assert pvc("doctor").code == 1
    looks = (("vm", "info"), ("vm", "explain"), ("vm", "history"), ("fsm", "show", "domain", "--of"), ("fsm", "show", "migration", "--of"))
    for number, vm in enumerate(vms):
        for words in looks if number % 5 == 0 or vm.life.state is Domain.migrate else looks[:2]:
            done = pvc(*words, vm.name)
            assert (done.code, done.err) == (0, ""), (words, vm.life)
            assert done.out.strip()


def test_every_command_on_a_vm_in_every_state_is_possible_or_refused_with_a_reason(pvc, world):
    for vm in {(vm.life.state, vm.life.phase): vm for vm in all_lives() if vm.life.want is Want.start}.values():
        put(world.small.client, vm)
        explained = json.loads(pvc("vm", "explain", vm.name, "-o", "json").out)["commands"]
        for trigger, answer in explained.items():
            words = ("resolve", f"--{trigger.partition('_')[2]}") if trigger.startswith("resolve") else (trigger,)
            done = pvc("vm", words[0], vm.name, *words[1:], "--dry-run", "-o", "json")
            plan = json.loads(done.out)["dry_run"]
            assert (plan["possible"], done.code) == (answer["allowed"], 0 if answer["allowed"] else 1), (trigger, vm.life)
            assert bool(plan["blockers"]) != answer["allowed"]


def test_a_node_in_every_state_is_listed_shown_and_explained(pvc, world):
    lives = [NodeLife(daemon, list(Flush)[number % 4], fence, "hv2" if fence in (Fence.throws, Fence.shot) else None)
             for number, (daemon, fence) in enumerate((daemon, fence) for daemon in Daemon for fence in Fence)]  # fmt: skip
    for number, life in enumerate(lives):
        name = f"n{number}"
        record = replace(NODE, name=name, life=life, boot=KERNEL)
        world.small.client.multi([Create(znodes.node(name), encode_node(record)), Create(znodes.index(name))])
    assert pvc("node", "list", "-o", "wide").code == 0
    assert len(json.loads(pvc("node", "list", "-o", "json").out)["nodes"]) == len(lives) + 3
    assert pvc("status").code == 1
    looks = (("node", "info"), ("node", "explain"), ("node", "history"), ("fsm", "show", "fence", "--of"), ("node", "flush", "--dry-run"))
    for number in range(len(lives)):
        for words in looks if number % 3 == 0 else looks[1:2]:
            done = pvc(*words, f"n{number}")
            assert done.code in (0, 1 if "--dry-run" in words else 0)
            assert (done.err, bool(done.out.strip())) == ("", True)


def test_records_of_another_version_or_none_are_shown(pvc, world, web1):
    uuid = json.loads(pvc("vm", "info", web1, "-o", "json").out)["vm"]["uuid"]
    path, node = znodes.domain(uuid), znodes.node("hv3")
    for data in (b'"v":2', b'"w":1'):
        for place in (path, node):
            znode = world.small.client.read(place)
            world.small.client.multi([Set(place, re.sub(rb'"[vw]":\d', data, znode.data, count=1), znode.version)])
        flush = pvc("node", "flush", "hv3", "--yes")
        assert flush.code == 1
        assert ("hv3 is written in version 2" if data == b'"v":2' else "repair that znode") in flush.err
        assert "1 VM: 1 that cannot be read" in pvc("status").out
        for words in (("vm", "list"), ("vm", "list", "-o", "wide"), ("vm", "list", "-o", "json"), ("node", "list", "-o", "wide"),
                      ("node", "info", "hv3"), ("node", "explain", "hv3"), ("status",), ("doctor",), ("top", "-h")):  # fmt: skip
            done = pvc(*words)
            assert done.out.strip(), (words, done.err)
            assert done.code in (0, 1)


@pytest.mark.parametrize("machine", TABLES)
def test_every_machine_is_shown_as_data(pvc, machine):
    told = json.loads(pvc("fsm", "show", machine, "-o", "json").out)["machine"]
    assert len(told["rows"]) == len(TABLES[machine].rows)
    for number, state in enumerate(told["states"]):
        assert pvc("fsm", "show", machine, state["name"], "-o", "yaml").code == 0
        for trigger in TABLES[machine].triggers[number::5]:
            assert pvc("fsm", "explain", machine, state["name"], trigger, "-o", "json").code in (0, 1)
