"""`pvc sim shell`: a simulated cluster to play with, by the commands of `pvc` and by what befalls machines."""

import json
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

import click

from pvc.cli.access import Access
from pvc.cli.screen import say, several
from pvc.client.cluster import Cluster
from pvc.cluster.store import Store
from pvc.errors import PvcError, UsageProblem, unknown
from pvc.sim.cluster import SimCluster
from pvc.sim.crowd import expanded
from pvc.sim.scenario import Step
from pvc.sim.scenario_file import read_scenario, scenario_of
from pvc.sim.stage import Stage
from pvc.sim.verbs import VERBS
from pvc.sim.witness import Broken

PVC = ("node", "vm", "hold", "status", "events", "fsm", "doctor", "plan")
"""Commands of `pvc` that are understood here as they are."""
SHORT = {
    "power-on": "power_on", "power-off": "power_off", "cut": "net_cut", "heal": "net_heal", "crash": "daemon_crash",
    "start": "daemon_start", "stop": "daemon_stop", "freeze": "daemon_freeze", "thaw": "daemon_thaw", "kill": "vm_crash",
    "define": "vm_define",
}  # fmt: skip
"""Short words for what happens most; every verb of a scenario file is understood as well, with - or _ in it."""
OWN = ("advance", "watch", "save", "help", "quit", "exit")
TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
SHOWN = ("record", "guest_start", "guest_handover", "guest_end", "power", "fence", "session")
SHOWS = ("list", "info", "explain", "history", "dump", "--dry-run", "-h", "--help")
"""Words that ask for an answer, all of which is told; of a command on a VM or node it is the last line: what follows is told anyway."""
SURE = (["vm", "stop"], ["vm", "undefine"], ["node", "flush"])
"""Commands that would ask first."""
HELP = """\
node list, vm list, vm start vm1, vm migrate vm1 hv2, node flush hv1 ...   as in pvc
power-off hv2, power-on hv2, cut hv3, heal hv3, crash hv1, start hv1       what befalls machines and daemons
kill vm1, define vm9 hv1, zk-down, zk-up, bmc hv1 silent, libvirtd-freeze hv1 ... every verb of a scenario file, its fields in order
advance 30s    let time pass; an empty line lets 5 s pass
watch          tell what happens, or no more
save FILE      write what was done as a scenario file
quit"""


@dataclass
class SimAccess(Access):
    """The way to a simulated cluster."""

    simulated: SimCluster = field(default_factory=SimCluster)

    @contextmanager
    def cluster(self, *, create_root: bool = False) -> Iterator[Cluster]:
        """A client of it, whose waiting lets virtual time pass."""
        store, ear = self.simulated.client_store(), self.simulated.ear()
        store.start(ear.hear)
        try:
            yield Cluster(store, self.who, ear, now=self.simulated.wall)
        finally:
            store.close()


class Shell:
    """Takes lines, and lets them happen."""

    def __init__(self, said: dict[str, Any], path: Path, seed: int) -> None:
        self.said = {**said, "steps": [], "zk": "external"}
        self.steps: list[dict[str, Any]] = []
        self.watching = True
        self.over = False
        self.out: TextIO = sys.stdout
        self.stage = Stage(scenario_of(self.said, path), seed, lambda line: None, None)
        self.stage.cluster.witness.listeners.append(self._happened)

    def take(self, line: str) -> None:
        """Do what a line says; raises PvcError with what is wrong with it."""
        words = shlex.split(line, comments=True)
        name = words[0] if words else "advance"
        verb = SHORT.get(name, name.replace("-", "_"))
        if name in OWN:
            getattr(self, f"_{name}")(words[1:])
        elif verb in VERBS:
            self._step(verb, words[1:])
        elif name in PVC:
            self._command(words)
        else:
            raise UsageProblem(unknown("command", name, (*PVC, *SHORT, *OWN, *(known.replace("_", "-") for known in VERBS))), "help")

    # ---- what happens

    def _command(self, words: list[str]) -> None:
        """A command line of `pvc`, which lets time pass until it is done."""
        from pvc.cli.main import main

        at, aside, yes = self.stage.now, StringIO(), ["--yes"] if words[:2] in SURE else []
        access = SimAccess("simulated:2181", make_store=self._no_servers, who="admin", simulated=self.stage.cluster)
        brief = self.watching and words[0] in ("vm", "node") and not set(words) & set(SHOWS)
        with redirect_stdout(aside if brief else self.out):
            main.main([*words, *yes], "pvc", standalone_mode=False, obj=access)
        for line in aside.getvalue().splitlines()[-1:]:
            say(line)
        plain = [word for word in words[2:] if not word.startswith("-")]
        do = "_".join(words[:2])
        if plain and do in VERBS:
            self._record(at, do, dict(zip((*VERBS[do].needs, *VERBS[do].may), plain, strict=False)))

    def _no_servers(self, options: object) -> Store:
        raise PvcError("a simulated ensemble has no servers to connect to")

    def _step(self, do: str, values: list[str]) -> None:
        verb = VERBS[do]
        fields = (*verb.needs, *verb.may)
        if not len(verb.needs) <= len(values) <= len(fields):
            raise UsageProblem(
                f"{do} needs {', '.join(verb.needs) or 'nothing'}", f"{do.replace('_', '-')} {' '.join(map(str.upper, verb.needs))}"
            )
        if do == "hold":
            values = [{"on": "true", "off": "false"}.get(value, value) for value in values]
        said = dict(zip(fields, map(_value, values), strict=False))
        step = {"at": round(self.stage.now, 3), "do": do, **said}
        vms = [*self.said["vms"], *({"name": vm.name, "home": vm.life.home} for vm in self.stage.cluster.witness.domains.values())]
        known = {vm["name"]: vm for vm in vms}
        scenario_of({**self.said, "vms": list(known.values()), "steps": [step], "end": step["at"]}, Path("this"))  # raises what is wrong
        before = len(self.stage.cluster.witness.trace)
        self.stage.do(Step(step["at"], do, step))
        self.stage.cluster.run(0.0)
        refused = [one.words for one in self.stage.cluster.witness.trace[before:] if one.event == "refused"]
        if refused:
            raise PvcError(refused[0])
        self._record(step["at"], do, said)

    def _record(self, at: float, do: str, said: dict[str, Any]) -> None:
        self.steps.append({"at": round(at, 3), "do": do, **said})

    def _happened(self, happening: Any) -> None:
        if self.watching and happening.event in SHOWN:
            with redirect_stdout(self.out):  # while a command runs, its own output goes aside
                say(f"{happening.at - self.stage.trace.began:10.2f} s  {happening.words}")

    # ---- own words

    def _advance(self, words: list[str]) -> None:
        found = TIME.fullmatch(words[0]) if words else TIME.fullmatch("5s")
        if found is None:
            raise UsageProblem(f"{words[0]} is no time", "advance 30s")
        self.stage.cluster.run(float(found[1]) * SECONDS[found[2] or "s"])
        say(f"{self.stage.now:10.2f} s")

    def _watch(self, words: list[str]) -> None:
        self.watching = not self.watching
        say(f"What happens is told{'' if self.watching else ' no more'}.")

    def _save(self, words: list[str]) -> None:
        if len(words) != 1:
            raise UsageProblem("save needs a file", "save mine.json")
        end = round(self.stage.now + 1.0, 3)
        text = json.dumps({**self.said, "steps": self.steps, "end": end}, indent=1)
        try:
            Path(words[0]).write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise PvcError(f"{words[0]} cannot be written: {error.strerror}") from error
        say(f"{len(self.steps)} steps are in {words[0]}: pvc sim run {words[0]} --seed {self.stage.cluster.seed} --log")

    def _help(self, words: list[str]) -> None:
        say(HELP)

    def _quit(self, words: list[str]) -> None:
        self.over = True

    _exit = _quit


def _value(word: str) -> Any:
    """A field as a scenario file has it."""
    try:
        return json.loads(word)
    except ValueError:
        return word


def _usual(nodes: int, vms: int) -> dict[str, Any]:
    names = [f"hv{number + 1}" for number in range(nodes)]
    guests = [{"name": f"vm{number + 1}", "home": names[number % nodes]} for number in range(vms)]
    return {"name": "shell", "nodes": names, "vms": guests, "steps": [], "end": 0.0, "expect_always": ["no VM runs on two nodes"]}


@click.command(short_help="Play with a simulated cluster, command by command.")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--nodes", type=click.IntRange(1, 50), default=3, show_default=True)
@click.option("--vms", type=click.IntRange(0, 500), default=4, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Chance: how long things take, and who is faster.")
def shell(file: Path | None, nodes: int, vms: int, seed: int) -> None:
    """Play with a simulated cluster, command by command.

    It begins like the scenario FILE, whose steps are left out, or with so many nodes and VMs. Time passes while a command waits, and when
    it is told to. What was done can be saved as a scenario.

    \b
    pvc sim shell
    echo "power-off hv2; advance 60s; vm list" | tr ";" "\\n" | pvc sim shell
    """
    said = _usual(nodes, vms)
    if file is not None:
        read_scenario(file)
        said = {**json.loads(file.read_text(encoding="utf-8")), "end": 0.0}
        said = {key: part for key, part in expanded(said).items() if key in ("name", "nodes", "vms", "config", "end")}
    here = Shell(said, file or Path("shell"), seed)
    typed = sys.stdin.isatty()
    if typed:
        say(f"{several(len(here.said['nodes']), 'node')}, {several(len(here.said['vms']), 'VM')}. Type help, or quit.")
    while not here.over:
        try:
            line = input("pvc-sim> ") if typed else _next_line()
        except (EOFError, KeyboardInterrupt):
            return
        _take(here, line)


def _next_line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    say(click.style(f"$ {line.strip()}", dim=True))
    return line


def _take(here: Shell, line: str) -> None:
    try:
        here.take(line)
    except Broken as broken:
        raise PvcError(f"this must never be: {broken}", "save it, and report it") from broken
    except (PvcError, click.ClickException) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        say(click.style(text, fg="red"))
        next_step = getattr(error, "next_step", None)
        if next_step:
            say(f"  Next: {next_step}")
    except ValueError as error:
        say(click.style(f"this cannot be read: {error}", fg="red"))
    except click.exceptions.Exit:
        return
