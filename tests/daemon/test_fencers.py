"""Agents of `fence-agents` by their protocol, and which machine a BMC says it is part of."""

import os
import select
import shutil
import threading
from dataclasses import replace

import pytest

from pvc.cluster.records import FenceMethod
from pvc.daemon.config import FenceAccess
from pvc.daemon.fencers import IpmiTool, fencer_of, same_machine
from pvc.daemon.keys import split_port
from pvc.fsm.states import Effect, Power
from tests.daemon.test_power import Switch, bmc  # noqa: F401 - a fixture

OPTIONS = (("ip", "10.0.0.11"), ("username", "pvc"), ("password", "s3cret"))
ACCESS = FenceAccess(FenceMethod.agent, agent="fence_straw", options=OPTIONS, timeout_s=60, settle_s=60)


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """A stand-in on the path: `agent(script)`; it notes what it was told, and how it was called."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def write(script):
        path = tmp_path / "fence_straw"
        path.write_text(f'#!/bin/sh\ncd {tmp_path}\necho "$0 $*" >> calls\ncat > told\ncat told >> all\n{script}\n')
        path.chmod(0o755)
        return tmp_path

    return write


# As the agents' own library has it: "Status: ON" with 0, "Status: OFF" with 2, and 2 as well for options that it does not understand.
POWERED = """grep -q action=off told && echo off > power
grep -q action=on told && echo on > power
grep -q action=status told || exit 0
[ "$(cat power)" = on ] && echo "Status: ON" && exit 0
echo "Status: OFF"; exit 2"""


@pytest.mark.parametrize(
    ("script", "reading"),
    [
        ('echo "Status: ON"; exit 0', Power.on),
        ('echo "Status: OFF"; exit 2', Power.off),
        ("exit 2", Power.silent),
        ('echo "Failed: You have to enter plug number" >&2; exit 2', Power.silent),
        ('echo "Status: OFF"; exit 1', Power.silent),
        ('echo "Status: OFF"; exit 0', Power.silent),
        ('echo "Status: ON"; exit 2', Power.silent),
        ('echo "Status: OFF"; echo "Status: ON"; exit 2', Power.silent),
        ("exit 0", Power.silent),
    ],
)
def test_an_agents_word_and_its_exit_code_have_to_agree(agent, script, reading):
    """An agent that does not understand its options ends with the very code that stands for off."""
    agent(script)
    assert fencer_of(ACCESS, threading.Event()).read() is reading


def test_an_agent_that_hangs_is_silence(agent):
    agent("exec sleep 1000")
    assert fencer_of(replace(ACCESS, timeout_s=0.5), threading.Event()).read() is Power.silent


def test_an_agent_is_told_on_standard_input_and_by_no_argument(agent):
    folder = agent(POWERED)
    (folder / "power").write_text("on\n")
    fencer_of(ACCESS, threading.Event()).read()
    assert (folder / "all").read_text() == "ip=10.0.0.11\nusername=pvc\npassword=s3cret\naction=status\n"
    assert (folder / "calls").read_text() == f"{folder}/fence_straw \n"


def test_a_node_is_read_switched_off_and_on_by_an_agent(agent):
    folder = agent(POWERED)
    (folder / "power").write_text("on\n")
    switch = Switch(ACCESS)
    assert switch.ask(Effect.read_power).reading is Power.on
    assert switch.ask(Effect.power_off).reading is Power.off
    assert switch.ask(Effect.read_power).reading is Power.off
    assert switch.ask(Effect.power_on).reading is Power.on
    switch.pool.close()


def test_an_agent_may_take_its_time(agent):
    """Each real one takes longer to switch than a process is waited for at a time."""
    folder = agent(f"sleep 1.2\n{POWERED}")
    (folder / "power").write_text("on\n")
    fencer = fencer_of(ACCESS, threading.Event())
    assert fencer.switch(False)
    assert fencer.read() is Power.off


def test_nothing_that_an_agent_began_outlives_it(agent):
    """An order that is carried out late may hit a node that is back."""
    folder = agent("sh -c 'echo begun; exec sleep 1000' > held & wait")
    os.mkfifo(folder / "held")
    held = os.open(folder / "held", os.O_RDONLY | os.O_NONBLOCK)
    line, closing = select.poll(), threading.Event()
    line.register(held, select.POLLIN)
    fencer, accepted = fencer_of(replace(ACCESS, settle_s=600), closing), []
    switching = threading.Thread(target=lambda: accepted.append(fencer.switch(False)))
    switching.start()
    assert line.poll(60_000), "its tool does not begin"
    assert os.read(held, 100) == b"begun\n"
    closing.set()
    switching.join(60)
    assert accepted == [False]
    assert line.poll(60_000) == [(held, select.POLLHUP)], "its tool still runs"
    os.close(held)


def test_an_agent_that_is_not_there_is_silence(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fencer_of(ACCESS, threading.Event()).read() is Power.silent


def test_without_a_device_nobody_is_asked():
    for method in (FenceMethod.none, FenceMethod.manual, FenceMethod.watchdog):
        assert fencer_of(FenceAccess(method), threading.Event()) is None


def test_who_may_not_have_its_session_any_more_does_not_shoot(agent):
    """Frozen between the write and the order, and thawed when the victim may be back."""
    folder = agent(POWERED)
    (folder / "power").write_text("on\n")
    switch = Switch(ACCESS, entitled=lambda: False)
    assert switch.ask(Effect.power_off).reading is Power.on
    assert "action=off" not in (folder / "all").read_text()
    assert switch.ask(Effect.power_on).reading is Power.on
    switch.pool.close()


def test_a_device_that_is_not_to_be_believed_is_not_asked(agent):
    folder = agent(POWERED)
    (folder / "power").write_text("off\n")
    switch = Switch(ACCESS, distrusted=lambda node: "it is another machine's")
    assert switch.ask(Effect.read_power).reading is Power.silent
    assert not (folder / "calls").exists()
    switch.pool.close()


UUID = "00112233-4455-6677-8899-aabbccddeeff"


@pytest.mark.parametrize(
    ("guid", "same"),
    [
        (UUID, True),
        (UUID.replace("-", "").upper(), True),
        ("33221100-5544-7766-8899-aabbccddeeff", True),  # SMBIOS
        ("ffeeddcc-bbaa-9988-7766-554433221100", True),  # backwards, as IPMI transmits it
        ("00112233-4455-6677-8899-aabbccddeefe", False),
        ("11003322-4455-6677-8899-aabbccddeeff", False),
    ],
)
def test_a_guid_is_compared_in_every_order_that_firmwares_use(guid, same):
    assert same_machine(guid, UUID) is same
    assert same_machine(UUID, guid) is same


@pytest.mark.ensemble
def test_a_real_responder_tells_its_guid(bmc, require):  # noqa: F811
    require("ipmitool", shutil.which("ipmitool") is not None, "it reads the GUID")
    access, _ = bmc
    tool = IpmiTool(access, threading.Event())
    assert any(tool.read() is Power.on for _ in range(20)), "the responder does not start"
    assert same_machine(tool.guid(), "a123456789abcdefa123456789abcdef")


@pytest.mark.ensemble
def test_a_real_agent_reads_and_switches_a_real_responder(bmc, require):  # noqa: F811
    require("fence_ipmilan", shutil.which("fence_ipmilan") is not None, "it is the agent of tests; Debian's package fence-agents has it")
    access, power = bmc
    host, port = split_port(access.address, 0)
    told = {"ip": host, "ipport": port, "username": access.username, "password": access.password, "lanplus": 1, "cipher": 3}
    agent = FenceAccess(FenceMethod.agent, agent="fence_ipmilan", options=tuple((name, str(value)) for name, value in told.items()))
    fencer, switch = fencer_of(agent, threading.Event()), Switch(agent)
    assert any(fencer.read() is Power.on for _ in range(30)), "the responder does not start"
    assert switch.ask(Effect.power_off).reading is Power.off
    assert power.read_text() == "0\n"
    assert switch.ask(Effect.read_power).reading is Power.off
    assert switch.ask(Effect.power_on).reading is Power.on
    wrong = tuple((name, "wrong" if name == "password" else value) for name, value in agent.options)
    assert fencer_of(replace(agent, options=wrong), threading.Event()).read() is Power.silent
    switch.pool.close()
