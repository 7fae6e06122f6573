"""The machines at one moment: one VM or node in them, and how many are in each state."""

import pytest


def marked(out):
    """The states that are marked as the present one."""
    return [line[2:] for line in out.splitlines() if line.startswith("> ")]


def test_show_marks_where_a_vm_is_and_says_how_it_came_there(pvc, web1):
    assert marked(pvc("fsm", "show", "domain", "--of", web1).out) == ["stop"]
    pvc("vm", "start", web1)
    told = pvc("fsm", "show", "domain", "--of", web1).out
    assert marked(told) == ["start"]
    assert "It came there by started: boot -> start." in told
    assert marked(pvc("fsm", "show", "migration", "--of", web1).out) == ["none"]


@pytest.mark.parametrize(("machine", "state"), [("node", "run"), ("flush", "flushed"), ("fence", "none")])
def test_show_marks_where_a_node_is(pvc, machine, state):
    pvc("node", "flush", "hv1", "--yes")
    assert marked(pvc("fsm", "show", machine, "--of", "hv1").out) == [state]


def test_show_counts_every_state(pvc, web1):
    pvc("vm", "define", pvc.file("web2"))
    pvc("vm", "start", web1)
    lines = [line.split()[:2] for line in pvc("fsm", "show", "domain", "--counts").out.splitlines()]
    assert {name: number for name, number in lines[1:] if number != "0"} == {"stop": "1", "start": "1"}
    assert ["run", "3"] in [line.split()[:2] for line in pvc("fsm", "show", "node", "--counts").out.splitlines()]


def test_show_follows_a_vm(pvc, world, web1):
    def interrupt():
        raise KeyboardInterrupt

    world.idles = [*[lambda: None] * 5, lambda: world.client().start("web1"), *[lambda: None] * 6, interrupt]
    done = pvc("fsm", "show", "domain", "--of", web1, "-w")
    assert done.code == 0
    assert marked(done.out)[0] == "stop"
    assert "> start" in done.out


def test_a_diagram_marks_the_state_the_last_edge_and_counts(pvc, web1):
    pvc("vm", "start", web1)
    plain, told = pvc("fsm", "diagram", "domain").out, pvc("fsm", "diagram", "domain", "--of", web1, "--counts").out
    different = [line.strip() for line in told.splitlines() if line not in plain.splitlines()]
    here = [line for line in different if line.startswith('"domain.start" [') and "ffb703" in line]
    assert len(here) == 1
    assert ">1</FONT>" in here[0]
    bold = [line for line in different if "penwidth=5" in line]
    assert len(bold) == 1
    assert bold[0].startswith('"domain.boot" -> "domain.start"')


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "domain", "--of", "web9"), 3),
        (("show", "node", "--of", "hv9"), 3),
        (("show", "connection", "--of", "web1"), 2),
        (("show", "connection", "--counts"), 2),
        (("show", "domain", "-w"), 2),
        (("diagram", "domain", "--of", "web1", "--format", "mermaid"), 2),
    ],
)
def test_what_has_no_moment_is_refused(pvc, web1, arguments, code):
    assert pvc("fsm", *arguments).code == code
