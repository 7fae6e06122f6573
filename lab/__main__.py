"""The command: `tools/lab up`, and so on; `tools/lab --help` lists what there is."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from lab.bmc import MODES
from lab.lab import Lab
from lab.place import Layout, labs
from lab.services import REPOSITORY
from pvc.errors import PvcError

Command = Callable[[Lab, argparse.Namespace], int | None]
C = TypeVar("C", bound=Command)
COMMANDS: dict[str, tuple[Command, tuple[str, ...]]] = {}
NEXT = """
The cluster is up. To go on:

  export PVC_ZOOKEEPER={zookeeper}
  {bin}/pvc node list
  {bin}/pvc vm define {guest}

{shared} has XML of a few guests. Take something away, and look: {lab} --help
"""


def command(*words: str) -> Callable[[C], C]:
    """Make a function a command of its name, with these words on its line; its docstring is the help."""

    def register(function: C) -> C:
        COMMANDS[function.__name__.replace("_", "-")] = (function, words)
        return function

    return register


# -- Everything --------------------------------------------------------------------------------------------------------


@command("--no-pvcd", "--hosts", "--servers")
def up(lab: Lab, options: argparse.Namespace) -> None:
    """bring a lab up"""
    _need_root()
    lab.start()
    lab.guest_file("web")
    lab.guest_file("db", disk=True)
    lab.guest_file("stubborn", deaf=True)
    lab.guest_file("busy", dirty_mib=128)
    print(NEXT.format(
        zookeeper=lab.zookeeper, bin=REPOSITORY / ".venv" / "bin", shared=lab.place.shared, guest=lab.place.shared / "web.xml",
        lab=_call(lab),
    ))  # fmt: skip


@command()
def down(lab: Lab, options: argparse.Namespace) -> None:
    """take it down; nothing of it is left"""
    _need_root()
    lab.stop()


@command()
def status(lab: Lab, options: argparse.Namespace) -> int | None:
    """what is on, what runs, and what is cut"""
    if not lab.place.exists:
        print(f'there is no lab called "{lab.place.name}"; {_call(lab)} up')
        return 1
    print(f"export PVC_ZOOKEEPER={lab.zookeeper}\n")
    cuts = lab.cuts()
    for host in lab.machines.values():
        running = host.running()
        parts = [f"{name}{f' ({mode})' if name == 'zookeeper' and (mode := host.zookeeper_mode()) else ''}" for name in running]
        print(f"{host.name}  {'on ' if host.is_on else 'OFF'}  {host.address:<12} {', '.join(parts)}")
        print("".join(f"          guest {guest.name} (pid {guest.pid})\n" for guest in host.guests()), end="")
        unheard = sorted(target for source, target in cuts if source == host.name)
        print(f"          cut off from {', '.join(unheard)}\n" if unheard else "", end="")
    return None


@command()
def list(lab: Lab, options: argparse.Namespace) -> None:
    """names of all labs on this machine"""
    print("\n".join(labs()))


# -- Power, network ----------------------------------------------------------------------------------------------------


@command("host")
def host_off(lab: Lab, options: argparse.Namespace) -> None:
    """take a host's power away"""
    lab[options.host].power_off()


@command("host")
def host_on(lab: Lab, options: argparse.Namespace) -> None:
    """switch a host on"""
    lab[options.host].power_on()


@command("host", "peers")
def cut(lab: Lab, options: argparse.Namespace) -> None:
    """cut a host off from everybody, or from the named peers ("client" is this machine)"""
    lab[options.host].cut(*options.peers)


@command("host", "peers")
def heal(lab: Lab, options: argparse.Namespace) -> None:
    """end a cut"""
    lab[options.host].heal(*options.peers)


@command("host", "mode", "--seconds")
def bmc(lab: Lab, options: argparse.Namespace) -> None:
    """let a host's BMC work: well, ignore, lie, slow, broken, or be silent"""
    if options.mode == "silent":
        lab.bmcs[options.host].silence()
        return
    lab.bmcs[options.host].answer()
    lab.bmcs[options.host].behave(options.mode, options.seconds)


# -- Services ----------------------------------------------------------------------------------------------------------


@command("host")
def zk_stop(lab: Lab, options: argparse.Namespace) -> None:
    """kill a host's ZooKeeper server"""
    lab[options.host].kill("zookeeper")


@command("host")
def zk_start(lab: Lab, options: argparse.Namespace) -> None:
    """start it again"""
    lab[options.host].start("zookeeper")


@command("host")
def pvcd_kill(lab: Lab, options: argparse.Namespace) -> None:
    """kill a host's pvcd with SIGKILL"""
    lab[options.host].kill_pvcd()


@command("host")
def pvcd_stop(lab: Lab, options: argparse.Namespace) -> None:
    """stop a host's pvcd with SIGTERM"""
    lab[options.host].stop_pvcd()


@command("host")
def pvcd_start(lab: Lab, options: argparse.Namespace) -> None:
    """start it again"""
    lab[options.host].start_pvcd()


@command("host", "service")
def log(lab: Lab, options: argparse.Namespace) -> None:
    """what pvcd, libvirtd or zookeeper of a host has printed"""
    print(lab[options.host].log(options.service), end="")


@command("host", "words")
def run(lab: Lab, options: argparse.Namespace) -> int:
    """run a command on a host: lab run hv1 virsh list"""
    done = lab[options.host].run(*options.words, check=False)
    print(done.stdout, end="")
    print(done.stderr, end="", file=sys.stderr)
    return done.returncode


# -- Guests ------------------------------------------------------------------------------------------------------------


@command("vm")
def console(lab: Lab, options: argparse.Namespace) -> None:
    """follow a guest's serial line, on whichever host; Ctrl-C ends it"""
    shown = dict.fromkeys(lab.hosts, 0)
    try:
        while True:
            for host in lab.hosts.values():
                text = host.console(options.vm)
                for line in text[shown[host.name]:].splitlines():
                    print(f"{host.name}: {line}", flush=True)
                shown[host.name] = len(text)
            time.sleep(0.2)
    except KeyboardInterrupt:
        print()


@command("vm", "--disk", "--deaf", "--dirty")
def guest(lab: Lab, options: argparse.Namespace) -> None:
    """write the XML of a guest, and print where"""
    print(lab.guest_file(options.vm, disk=options.disk, deaf=options.deaf, dirty_mib=options.dirty))


@command("host", "--after", "words")
def chassis(lab: Lab, options: argparse.Namespace) -> int:
    """what a BMC does with an order; its responder calls this"""
    if options.after is not None:
        lab.bmcs[options.host].switch_later(options.after, *options.words)
        return 0
    return lab.bmcs[options.host].chassis(*options.words)


# -- The line ----------------------------------------------------------------------------------------------------------

_WORDS: dict[str, dict[str, object]] = {
    "host": {},
    "peers": {"nargs": "*"},
    "mode": {"choices": [*MODES, "silent"]},
    "service": {"choices": ["pvcd", "libvirtd", "zookeeper", "console"], "nargs": "?", "default": "pvcd"},
    "vm": {},
    "words": {"nargs": argparse.REMAINDER},
    "--seconds": {"type": float, "default": 45.0},
    "--after": {"type": float},
    "--no-pvcd": {"action": "store_true"},
    "--hosts": {"type": int, "choices": range(1, 10), "default": 3, "help": "how many hosts (default: 3)", "metavar": "N"},
    "--servers": {
        "type": int, "choices": (0, 3, 5), "default": 0, "help": "so many ZooKeeper servers beside the hosts", "metavar": "N",
    },
    "--disk": {"action": "store_true"},
    "--deaf": {"action": "store_true"},
    "--dirty": {"type": int, "default": 0, "metavar": "MIB"},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    parser.add_argument("--name", default=os.environ.get("PVC_LAB", "lab"), help="which lab of several (or PVC_LAB; default: lab)")
    parts = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (function, words) in COMMANDS.items():
        part = parts.add_parser(name, help=function.__doc__, description=function.__doc__)
        for word in words:
            part.add_argument(word, **_WORDS[word])  # type: ignore[arg-type]
    options = parser.parse_args(arguments)
    try:
        layout = Layout(options.hosts, options.servers) if options.command == "up" else None
        lab = Lab(options.name, pvcd=not getattr(options, "no_pvcd", False), layout=layout)
        if options.command not in ("up", "down", "status", "list") and not lab.place.exists:
            raise PvcError(f'there is no lab called "{options.name}"', f"{_call(lab)} up")
        _check_hosts(lab, options)
        return COMMANDS[options.command][0](lab, options) or 0
    except PvcError as error:
        print(f"{error}{f'. Next: {error.next_step}' if error.next_step else ''}", file=sys.stderr)
        return error.exit_code


def _check_hosts(lab: Lab, options: argparse.Namespace) -> None:
    named = [*([options.host] if hasattr(options, "host") else []), *getattr(options, "peers", [])]
    absent = [name for name in named if name not in (*lab.machines, "client")]
    if absent:
        raise PvcError(f"this lab has no {absent[0]}", f"name one of {', '.join(lab.machines)}")


def _need_root() -> None:
    if os.geteuid() != 0:
        raise PvcError("only root can make namespaces", "sudo make lab")


def _call(lab: Lab) -> str:
    name = "" if lab.place.name == "lab" else f" --name {lab.place.name}"
    return f"{REPOSITORY / 'tools' / 'lab'}{name}"


if __name__ == "__main__":
    sys.exit(main())
