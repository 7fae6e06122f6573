"""The BMCs: a real IPMI responder for each host, beside the hosts, so that it outlives their power.

What a BMC does with an order, and what it says, can be made as bad as in life: see `MODES`.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab import init
from lab.control import Control
from lab.host import Host, command_lines
from lab.place import Place
from lab.services import BMC_PASSWORD, BMC_USER, REPOSITORY, Service
from lab.shell import TIMEOUT_S, run
from lab.wait import wait_until

INIT = Path(init.__file__)
START_TIMEOUT_S = 60
MODES = {
    "well": "does what it is told, and says what is",
    "ignore": "accepts every order, does nothing, and says what is",
    "lie": "accepts every order, does nothing, and says that it was done",
    "slow": "accepts an order and carries it out seconds later; until then it says what is",
    "broken": "answers every question with an error",
}
LAN = """name "{host}"
set_working_mc 0x20
startlan 1
  addr {address} 623
  priv_limit admin
  allowed_auths_callback none md2 md5 straight
  allowed_auths_user none md2 md5 straight
  allowed_auths_operator none md2 md5 straight
  allowed_auths_admin none md2 md5 straight
  guid {guid}
endlan
chassis_control "{chassis}"
user 2 true "{user}" "{password}" admin 10 none md2 md5 straight
"""
# A Python that is slow to start makes ipmitool ask again and again, on a machine that has little left: what is asked most does without.
# A real BMC knows what was sent again by its number and does it once. Here it waits in line, and follows the one that it repeats at once.
CHASSIS = """#!/bin/sh
cd {directory} || exit
now() {{ read -r up _ < /proc/uptime; up=${{up%.*}}; }}
if [ "$*" = "get power" ] && grep -q '"mode": "well"' mode; then
    case "$(tail -n 1 {power})" in *on) echo power:1 ;; *) echo power:0 ;; esac
    exit 0
fi
if [ "$1" = set ]; then
    now
    if [ -e done ] && read -r at code words < done && [ "$words" = "$*" ] && [ $((up - at)) -le 1 ]; then exit "$code"; fi
    echo "[$(date +%s.%N), \\"$2\\", \\"$3\\"]" >> orders
fi
(cd {repository} && exec {command} "$@")
code=$?
[ "$1" != set ] || {{ now; echo "$up $code $*" > done; }}
exit $code
"""
CONTROLLER = """mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
mc_enable 0x20
"""


class Bmc:
    """The BMC of one host."""

    def __init__(self, place: Place, control: Control, host: Host) -> None:
        self._place, self._control, self._host = place, control, host
        self.address = host.bmc_address
        self._directory = place.directory / "bmc" / host.name

    def prepare(self) -> None:
        """Write its configuration."""
        self._directory.mkdir(parents=True)
        chassis = self._directory / "chassis"
        command = [sys.executable, "-B", "-m", "lab", "--name", self._place.name, "chassis", self._host.name]
        power = self._place.host_directory(self._host.name) / "power"
        chassis.write_text(CHASSIS.format(
            directory=self._directory, power=power, repository=shlex.quote(str(REPOSITORY)), command=shlex.join(command)
        ))  # fmt: skip
        chassis.chmod(0o755)
        (self._directory / "state").mkdir()
        (self._directory / "controller").write_text(CONTROLLER)
        (self._directory / "lan").write_text(LAN.format(
            host=self._host.name, address=self.address, guid=self._place.bmc_guid(self._host.name), chassis=chassis,
            user=BMC_USER, password=BMC_PASSWORD,
        ))  # fmt: skip
        self.behave("well")

    @property
    def service(self) -> Service:
        """What answers for it."""
        options = {"-c": "lan", "-f": "controller", "-s": "state"}
        words = [word for option, file in options.items() for word in (option, str(self._directory / file))]
        return Service(["ipmi_sim", *words, "-n"], str(self._directory / "log"), {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, retry=False)

    # -- From the outside ----------------------------------------------------------------------------------------------

    def ask(self, word: str, timeout_s: float = TIMEOUT_S) -> str:
        """What `ipmitool chassis power WORD` prints, empty when it fails: status, on, off, cycle or reset."""
        tool = ["ipmitool", "-I", "lanplus", "-C", "3", "-H", self.address, "-U", BMC_USER, "-P", BMC_PASSWORD, "chassis", "power", word]
        done = run("ip", "netns", "exec", self._place.rack, *tool, check=False, timeout_s=timeout_s)
        return done.stdout.strip() if done.returncode == 0 else ""

    def behave(self, mode: str, seconds: float = 0) -> None:
        """From now on it works in this one of `MODES`; `seconds` is how slow a slow one is."""
        assert mode in MODES, mode
        self._keep({"mode": mode, "seconds": seconds, "said": self._host.is_on, "since": time.time()})

    def silence(self) -> None:
        """It answers nothing any more: it hangs, or has no power either."""
        self._control.freeze(self._host.name)

    def answer(self) -> None:
        """It answers again, in the mode it had."""
        self._control.thaw(self._host.name)

    def orders(self) -> list[tuple[float, str]]:
        """What it was told to do since the lab was reset: when, in seconds of the wall clock, and "off", "on" or "reset"."""
        file = self._directory / "orders"
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [(at, "reset" if what == "reset" else "off" if value == "0" else "on") for at, what, value in lines]

    def forget_orders(self) -> None:
        """Begin to take them down anew."""
        for name in ("orders", "done"):
            (self._directory / name).unlink(missing_ok=True)

    @property
    def is_busy(self) -> bool:
        """Whether it carries out an order, or answers a question."""
        return any(str(self._directory / "chassis") in argv for argv in command_lines().values())

    # -- What it does with an order ------------------------------------------------------------------------------------

    def chassis(self, *order: str) -> int:
        """`get power`, `set power 0|1` or `set reset 1`, as its responder asks; prints the answer, returns the exit code."""
        kept = self._kept()
        if kept["mode"] == "broken":
            return 1
        if order[0] == "get":
            on = kept["said"] if kept["mode"] == "lie" else self._host.power_history()[-1][1]
            print(f"power:{int(on)}")
        elif kept["mode"] == "slow":
            self._later(kept["seconds"], order)
        elif kept["mode"] == "well":
            self.switch(*order)
        elif order[1] == "power":
            self._keep(kept | {"said": order[2] == "1"})
        return 0

    def switch(self, *order: str) -> None:
        """Carry out `set power 0|1` or `set reset 1`."""
        if order[1:] != ("power", "1"):
            self._host.power_off()
        if order[1:] != ("power", "0"):
            self._host.power_on()

    def switch_later(self, seconds: float, *order: str) -> None:
        """Carry it out after so many seconds, unless it was told to be another BMC meanwhile."""
        kept = self._kept()
        time.sleep(seconds)
        if kept["mode"] == "slow" and kept == self._kept():
            self.switch(*order)

    def _kept(self) -> dict[str, Any]:
        kept: dict[str, Any] = json.loads((self._directory / "mode").read_text())
        return kept

    def _keep(self, kept: dict[str, Any]) -> None:
        """In one piece: it may be asked at any moment."""
        new = self._directory / f"mode.{os.getpid()}"
        new.write_text(json.dumps(kept))
        new.rename(self._directory / "mode")

    def _later(self, seconds: float, order: tuple[str, ...]) -> None:
        words = ["--name", self._place.name, "chassis", "--after", str(seconds), self._host.name, *order]
        subprocess.Popen(
            [sys.executable, "-B", "-m", "lab", *words], cwd=REPOSITORY, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


class Bmcs:
    """All BMCs of a lab, and the one process that keeps their responders."""

    def __init__(self, place: Place, hosts: dict[str, Host]) -> None:
        self._place = place
        self._directory = place.directory / "bmc"
        self._control = Control(self._directory, "the BMCs")
        self._process: subprocess.Popen[bytes] | None = None
        self._by_host = {name: Bmc(place, self._control, host) for name, host in hosts.items()}

    def __getitem__(self, host: str) -> Bmc:
        return self._by_host[host]

    def start(self) -> None:
        """Write their configuration and start them."""
        for bmc in self._by_host.values():
            bmc.prepare()
        services = {name: asdict(bmc.service) for name, bmc in self._by_host.items()}
        (self._directory / "services.json").write_text(json.dumps(services))
        # Not `ip netns exec`: a BMC makes namespaces, and those must be seen outside.
        inside = ["nsenter", f"--net=/run/netns/{self._place.rack}"]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*inside, sys.executable, "-S", "-E", "-B", str(INIT), str(self._directory), "", *self._place.leash],
                cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_until(lambda: len(self._control.running()) == len(self._by_host), START_TIMEOUT_S, "the BMCs start")

    def stop(self) -> None:
        """End them."""
        self._control.kill()
        if self._process is not None:
            self._process.wait()
            self._process = None

    def ignore(self) -> None:
        """Let none of them do anything any more, whoever may still tell it to."""
        for bmc in self._by_host.values():
            bmc.behave("ignore")

    def reset(self) -> None:
        """Let all of them answer, end what they are about, and work well."""
        for bmc in self._by_host.values():
            bmc.answer()
            wait_until(lambda bmc=bmc: not bmc.is_busy, START_TIMEOUT_S, f"{bmc.address} ends what it is about")  # type: ignore[misc]
            bmc.behave("well")
            bmc.forget_orders()
