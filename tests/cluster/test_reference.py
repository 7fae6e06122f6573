"""The public interface is documented whole, by examples that are real, and by a program that does what it says."""

import json
import re
from types import SimpleNamespace

import pytest

from pvc.cluster import examples, formats, reference, schemas, znodes
from pvc.cluster.records import Unreadable
from pvc.cluster.store import Check, Refused, Set
from pvc.fsm.states import By, Domain, Guest, Want
from pvc.fsm.tables import TABLES
from tests.cluster.small_cluster import UUID, SmallCluster

PAGE = reference.page()


def test_every_znode_is_on_the_page():
    for entry in znodes.LAYOUT:
        assert f"`{entry.path}`" in PAGE


def test_every_znode_says_what_it_holds():
    for entry in znodes.LAYOUT:
        assert entry.holds in {"", *reference.FIELDS, *reference.PLAIN}
        assert not entry.holds or f"\n### {entry.holds}\n" in PAGE


@pytest.mark.parametrize("name", reference.FIELDS)
def test_every_field_is_on_the_page_and_in_the_example(name):
    value = json.loads(reference.EXAMPLES[name])
    assert {field.name for field in reference.FIELDS[name].fields} == set(value)
    for field in reference.FIELDS[name].fields:
        assert f"| `{field.name}`" in PAGE
        assert field.meaning in PAGE


def test_examples_are_what_pvc_reads():
    found = [
        formats.decode_config(reference.EXAMPLES["config"]),
        formats.decode_domain(examples.UUID, reference.EXAMPLES["domain"]),
        formats.decode_node("node1", reference.EXAMPLES["node"]),
        formats.decode_stats("node1", reference.EXAMPLES["stats"]),
        formats.decode_boot("node1", reference.EXAMPLES["boot"]),
        formats.decode_history("", reference.EXAMPLES["history"]),
    ]
    assert not [item for item in found if isinstance(item, Unreadable)]
    on_page = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    assert on_page == [json.loads(data) for data in reference.EXAMPLES.values()]


def test_every_row_that_a_client_may_fire_is_on_the_page_and_no_other():
    part = PAGE.partition("## What a client may write")[2].partition("## What no client may touch")[0]
    on_page = re.findall(r"^\| `(\w+)`", part, re.MULTILINE)
    fired = [(name, row) for name, table in TABLES.items() for row in table.rows if row.trigger not in table.partner_triggers]
    by_client = [(name, row.trigger) for name, row in fired if row.by & By.CLIENT]
    assert {name for name, _ in by_client} == {"domain", "flush", "fence"}
    assert on_page == [trigger for wanted in ("domain", "flush", "fence") for name, trigger in by_client if name == wanted]


def test_links_lead_somewhere():
    headings = {re.sub(r"[^a-z0-9 -]", "", line[4:].lower()).replace(" ", "-") for line in PAGE.splitlines() if line.startswith("### ")}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= headings


def test_stable_fields_are_marked():
    stable = [field.name for field in schemas.DOMAIN.fields if field.stable]
    assert {"owner", "epoch", "gen", "v"} <= set(stable)
    for name in stable:
        assert f"| `{name}` *stable* |" in PAGE


# ---- the program


class Client:
    """As much of a ZooKeeper client's interface as the program uses."""

    def __init__(self, store):
        self.store = store
        self.ops = []

    def get(self, path):
        znode = self.store.read(path)
        return znode.data, SimpleNamespace(version=znode.version)

    def transaction(self):
        return self

    def check(self, path, version):
        self.ops.append(Check(path, version))

    def set_data(self, path, data, version):
        self.ops.append(Set(path, data, version))

    def commit(self):
        try:
            self.store.multi(self.ops)
        except Refused as refused:
            return [refused] * len(self.ops)
        return [None] * len(self.ops)


@pytest.fixture
def stop():
    """The program's function, taken from the page."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {"__name__": "example"}
    exec(program, names)
    return names["stop"]


@pytest.fixture
def running():
    """A VM that runs on n1."""
    cluster = SmallCluster("n1")
    cluster.define()
    cluster.ask("start", "n1")
    cluster.move("n1", trigger="claim")
    cluster.move("n1", Guest.running, trigger="started")
    return cluster


def test_the_program_stops_a_vm(running, stop):
    before = running.domain().value
    assert stop(Client(running.client), "web1") == "web1 is wanted stop"
    after = running.check()
    assert (after.life.state, after.life.want, after.life.owner) == (Domain.start, Want.stop, "n1")
    assert (after.policy, after.reason, after.gen) == (before.policy, before.reason, before.gen)
    running.move("n1", Guest.running, trigger="halt")
    running.move("n1", Guest.absent, trigger="off")
    assert running.check().life.state is Domain.stop


def test_the_program_leaves_alone_what_is_off(running, stop):
    stop(Client(running.client), "web1")
    assert stop(Client(running.client), "web1") == "web1 is start, and wanted stop: nothing to do here"


def test_the_program_leaves_alone_what_it_does_not_know(running, stop):
    znode = running.client.read(znodes.domain(UUID))
    running.client.multi([Set(znodes.domain(UUID), znode.data.replace(b'"v":1', b'"v":2'), znode.version)])
    assert "of version 2" in stop(Client(running.client), "web1")


def test_the_program_does_not_overwrite_who_was_faster(running, stop):
    class Slow(Client):
        def transaction(self):
            running.ask("restart")
            return self

    assert stop(Slow(running.client), "web1") == "web1 has changed meanwhile: read it again, and decide again"
    assert running.check().life.want is Want.start
