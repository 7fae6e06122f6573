"""The power switch: a stand-in for `ipmitool` where its answers and its silence are tried, and the real one with a real responder."""

import contextlib
import queue
import shutil
import subprocess
import time
from dataclasses import replace

import pytest

from pvc.cluster.records import FenceMethod
from pvc.core.events import PowerRead
from pvc.daemon.config import FenceAccess
from pvc.daemon.power import PowerPool
from pvc.fsm.states import Effect, Power
from tests import ensemble as zk

ACCESS = FenceAccess(FenceMethod.ipmi, "10.0.0.9:1623", "pvc", "s3cret", timeout_s=60, settle_s=60)


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """A stand-in on the path: `tool(script)`; it notes its arguments and password, and `answers` has a line for each call."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)

    def write(script):
        path = tmp_path / "ipmitool"
        path.write_text(f'#!/bin/sh\ncd {tmp_path}\necho "$*" >> calls\necho "$IPMI_PASSWORD" >> passwords\n{script}\n')
        path.chmod(0o755)
        return tmp_path

    return write


def answers(tmp_path, *lines):
    """A script that accepts orders, and gives these answers to questions about the status, one after the other, the last one for ever."""
    (tmp_path / "answers").write_text("".join(f"{line}\n" for line in lines))
    return (
        'case "$*" in *status) head -n 1 answers; [ $(wc -l < answers) -gt 1 ] && sed -i 1d answers; exit 0;;'
        ' *off) echo "Chassis Power Control: Down/Off";; *on) echo "Chassis Power Control: Up/On";; esac'
    )


class Switch:
    """A pool, and what it reports."""

    def __init__(self, access=ACCESS, **settings):
        self.reports = queue.SimpleQueue()
        self.pool = PowerPool(lambda node: access, self.reports.put, **{"apart_s": 0.05, **settings})

    def ask(self, effect, ticket=1):
        self.pool.order("hv2", effect, ticket)
        return self.reports.get(timeout=60)


@pytest.fixture
def switch():
    switch = Switch()
    yield switch
    switch.pool.close()


def calls(folder):
    return [line.split()[-1] for line in (folder / "calls").read_text().splitlines()]


@pytest.mark.parametrize(
    ("said", "reading"),
    [
        (["Chassis Power is on"], Power.on),
        (["Chassis Power is off"], Power.off),
        (["chassis power is OFF"], Power.off),
        (["Chassis Power is off", "Chassis Power is on"], Power.on),
        (["Chassis Power is off", ""], Power.silent),
        (["Chassis Power is unknown"], Power.silent),
        (["Error: Unable to establish IPMI v2 / RMCP+ session"], Power.silent),
        ([""], Power.silent),
    ],
)
def test_only_off_that_is_read_twice_is_off(tool, tmp_path, switch, said, reading):
    tool(answers(tmp_path, *said))
    assert switch.ask(Effect.read_power, 7) == PowerRead("hv2", 7, reading)


def test_what_a_tool_says_that_failed_counts_for_nothing(tool, switch):
    tool("echo Chassis Power is off; exit 1")
    assert switch.ask(Effect.read_power).reading is Power.silent


def test_a_tool_that_hangs_is_ended_and_answered_for(tool):
    tool("exec sleep 1000")
    switch = Switch(replace(ACCESS, timeout_s=0.3))
    began = time.monotonic()
    assert switch.ask(Effect.read_power).reading is Power.silent
    assert time.monotonic() - began < 60
    switch.pool.close()


def test_a_tool_that_is_not_there_is_answered_for(tmp_path, monkeypatch, switch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert switch.ask(Effect.read_power).reading is Power.silent


def test_an_accepted_order_proves_nothing(tool, tmp_path):
    """Off was accepted, and the machine stays on: the answer is what it reads (H63)."""
    folder = tool(answers(tmp_path, "Chassis Power is on"))
    switch = Switch(replace(ACCESS, settle_s=0.3))
    assert switch.ask(Effect.power_off).reading is Power.on
    assert calls(folder)[0] == "off"
    assert set(calls(folder)[1:]) == {"status"}
    switch.pool.close()


def test_a_machine_may_take_a_while_to_go_off(tool, tmp_path, switch):
    folder = tool(answers(tmp_path, "Chassis Power is on", "Chassis Power is on", "Chassis Power is off"))
    assert switch.ask(Effect.power_off).reading is Power.off
    assert calls(folder) == ["off", "status", "status", "status", "status"]


def test_a_device_that_took_the_order_and_then_says_nothing_for_a_moment_is_asked_again(tool, tmp_path, switch):
    folder = tool(answers(tmp_path, "", "Chassis Power is off"))
    assert switch.ask(Effect.power_off).reading is Power.off
    assert calls(folder) == ["off", "status", "status", "status"]


def test_a_device_that_took_no_order_and_says_nothing_is_given_up_at_once(tool, switch):
    folder = tool("exit 1")
    assert switch.ask(Effect.power_off).reading is Power.silent
    assert calls(folder) == ["off", "status"]


def test_a_machine_is_switched_on(tool, tmp_path, switch):
    folder = tool(answers(tmp_path, "Chassis Power is off", "Chassis Power is off", "Chassis Power is on"))
    assert switch.ask(Effect.power_on).reading is Power.on
    assert calls(folder)[0] == "on"


def test_the_password_is_no_argument(tool, tmp_path, switch):
    folder = tool(answers(tmp_path, "Chassis Power is on"))
    switch.ask(Effect.read_power)
    (line,) = (folder / "calls").read_text().splitlines()
    assert line == "-I lanplus -C 3 -H 10.0.0.9 -p 1623 -U pvc -E chassis power status"
    assert (folder / "passwords").read_text() == "s3cret\n"


def test_a_password_file_is_handed_on_by_its_name(tool, tmp_path):
    folder = tool(answers(tmp_path, "Chassis Power is on"))
    switch = Switch(FenceAccess(FenceMethod.ipmi, "10.0.0.9", "pvc", "unused", tmp_path / "secret"))
    switch.ask(Effect.read_power)
    assert f"-f {tmp_path / 'secret'} " in (folder / "calls").read_text()
    assert (folder / "passwords").read_text() == "\n"
    switch.pool.close()


def test_a_node_without_a_device_is_silent():
    switch = Switch(FenceAccess())
    assert switch.ask(Effect.power_off).reading is Power.silent
    switch.pool.close()


GUID = 'case "$*" in *guid) echo "System GUID  : 00112233-4455-6677-8899-aabbccddeeff"; exit 0;; esac'


@pytest.mark.parametrize(
    ("wanted", "reading", "called"),
    [
        ("00112233445566778899aabbccddeeff", Power.off, ["guid", "off", "status", "guid", "status"]),
        ("99112233445566778899aabbccddeeff", Power.silent, ["guid"]),
        (None, Power.off, ["off", "status", "status"]),
    ],
)
def test_a_device_of_another_machine_gets_no_order(tool, tmp_path, wanted, reading, called):
    """Also before the first self-test, and when its address has changed hands since."""
    folder = tool(f"{GUID}\n{answers(tmp_path, 'Chassis Power is off')}")
    switch = Switch(guid_of=lambda node: wanted)
    assert switch.ask(Effect.power_off).reading is reading
    assert calls(folder) == called
    switch.pool.close()


def test_an_order_waits_for_no_question_when_a_reading_has_asked_it(tool, tmp_path):
    """Between the write that says that a node is shot and the order itself its fencer may die."""
    folder = tool(f"{GUID}\n{answers(tmp_path, 'Chassis Power is on', 'Chassis Power is on', 'Chassis Power is off')}")
    switch = Switch(guid_of=lambda node: "00112233445566778899aabbccddeeff")
    assert [switch.ask(Effect.read_power).reading for _ in range(2)] == [Power.on] * 2
    assert switch.ask(Effect.power_off).reading is Power.off
    assert calls(folder) == ["status", "guid", "status", "off", "status", "guid", "status"]
    switch.pool.close()


def test_on_is_believed_of_no_other_machine_either(tool, tmp_path):
    tool(f"{GUID}\n{answers(tmp_path, 'Chassis Power is on')}")
    switch = Switch(guid_of=lambda node: "99112233445566778899aabbccddeeff")
    assert switch.ask(Effect.read_power).reading is Power.silent
    switch.pool.close()


def test_off_is_no_proof_when_it_is_another_machine_that_is_off(tool, tmp_path):
    folder = tool(f"{GUID}\n{answers(tmp_path, 'Chassis Power is off')}")
    switch = Switch(guid_of=lambda node: "99112233445566778899aabbccddeeff")
    assert switch.ask(Effect.read_power).reading is Power.silent
    assert calls(folder) == ["status", "guid"]
    switch.pool.close()


def test_a_device_that_does_not_say_whose_it_is_is_believed(tool, tmp_path):
    tool(f'case "$*" in *guid) exit 1;; esac\n{answers(tmp_path, "Chassis Power is off")}')
    switch = Switch(guid_of=lambda node: "00112233445566778899aabbccddeeff")
    assert switch.ask(Effect.read_power).reading is Power.off
    switch.pool.close()


def test_no_order_is_left_without_an_answer():
    reports = queue.SimpleQueue()

    def no_section(node):
        raise KeyError(node)

    pool = PowerPool(no_section, reports.put)
    pool.order("hv2", Effect.read_power, 3)
    assert reports.get(timeout=60) == PowerRead("hv2", 3, Power.silent)
    pool.close()


def test_the_end_waits_for_no_device(tool):
    tool("exec sleep 1000")
    switch = Switch()
    switch.pool.order("hv2", Effect.power_off, 1)
    began = time.monotonic()
    switch.pool.close()
    assert switch.reports.get(timeout=60).reading is Power.silent
    assert time.monotonic() - began < 60  # the tool would take a thousand


# ---- the real tool and a real responder

LAN = """name "bmc"
set_working_mc 0x20
startlan 1
  addr 127.0.0.1 {port}
  priv_limit admin
  allowed_auths_callback none md2 md5 straight
  allowed_auths_user none md2 md5 straight
  allowed_auths_operator none md2 md5 straight
  allowed_auths_admin none md2 md5 straight
  guid a123456789abcdefa123456789abcdef
endlan
chassis_control "{folder}/chassis"
user 2 true "pvc" "s3cret" admin 10 none md2 md5 straight
"""
CONTROLLER = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n"
# As `ipmi_sim` asks: "get power", or "set power 1"; the state is a file.
CHASSIS = """#!/bin/sh
cd {folder}
while [ $# -gt 0 ]; do case "$1" in
  get) echo "$2:$(cat power)"; exit 0;;
  set) [ "$2" = power ] && echo "$3" > power; exit 0;;
  *) shift;;
esac; done
"""


@contextlib.contextmanager
def responder(folder):
    """A BMC on loopback: its access, and the file with its power."""
    port = zk.free_port()  # not one that the kernel may give to somebody who asks another device meanwhile
    (folder / "lan").write_text(LAN.format(port=port, folder=folder))
    (folder / "controller").write_text(CONTROLLER)
    (folder / "state").mkdir()
    (folder / "chassis").write_text(CHASSIS.format(folder=folder))
    (folder / "chassis").chmod(0o755)
    (folder / "power").write_text("1\n")
    command = ["ipmi_sim", "-c", f"{folder}/lan", "-f", f"{folder}/controller", "-s", f"{folder}/state", "-n"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=zk.die_with_parent)
    try:
        yield replace(ACCESS, address=f"127.0.0.1:{port}"), folder / "power"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def bmc(require, tmp_path):
    """A real one."""
    require("ipmitool", shutil.which("ipmitool") is not None, "it reads the power of nodes")
    require("ipmi_sim", shutil.which("ipmi_sim") is not None, "it is the BMC of tests; Debian's package openipmi has it")
    with responder(tmp_path) as found:
        yield found


@pytest.mark.ensemble
def test_the_real_tool_reads_and_switches_a_real_responder(bmc):
    access, power = bmc
    switch = Switch(access)
    deadline = time.monotonic() + 120
    while switch.ask(Effect.read_power).reading is Power.silent and time.monotonic() < deadline:
        pass  # the responder is starting
    assert switch.ask(Effect.read_power).reading is Power.on
    assert switch.ask(Effect.power_off).reading is Power.off
    assert power.read_text() == "0\n"
    assert switch.ask(Effect.power_on).reading is Power.on
    power.write_text("0\n")
    assert switch.ask(Effect.read_power).reading is Power.off
    switch.pool.close()


@pytest.mark.ensemble
def test_a_wrong_password_is_silence(bmc):
    access, _ = bmc
    switch = Switch(replace(access, password="wrong"))
    assert switch.ask(Effect.power_off).reading is Power.silent
    switch.pool.close()
