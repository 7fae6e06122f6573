"""`pvc sim`: whole clusters in one process, in virtual time, with the real daemons' decisions and this very command line."""

import shlex
import sys
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

import click

from pvc.cli.explore import explore
from pvc.cli.group import Group
from pvc.cli.plan import record
from pvc.cli.scenarios import run_files
from pvc.cli.screen import say
from pvc.cli.shell import SimAccess, shell
from pvc.errors import PvcError
from pvc.sim.cluster import SimCluster
from pvc.sim.demo import VMS, Chapter, Happens, Holds, Step, Typed, story
from pvc.sim.witness import Broken, Happening

SHOWN = {"record": None, "guest_start": "green", "guest_handover": "green", "guest_end": "red", "power": "magenta", "fence": "yellow"}
"""The events that are told, and their colours."""
PACE_S = 0.08
BREATH = 8
"""How many lines' pauses a command or a heading takes."""
WIDE = 34


@click.group(cls=Group, short_help="Simulate whole clusters in virtual time.")
def sim() -> None:
    """Simulate whole clusters in virtual time: no root, no ZooKeeper, no libvirt.

    \b
    pvc sim demo
    pvc sim run FILE.json
    pvc sim explore --seeds 1000
    pvc sim shell
    """


class Teller:
    """Tells a story on the terminal, step by step; ``wrong`` is what did not come out as told."""

    def __init__(self, simulated: SimCluster, files: Path, pace_s: float) -> None:
        self.simulated = simulated
        self.files = files
        self.pace_s = pace_s
        self.out: TextIO = sys.stdout
        self.explained: set[str] = set()
        self.wrong: list[str] = []
        simulated.witness.listeners.append(self.happened)

    def tell(self, step: Step) -> None:
        """Tell one step, and let it happen."""
        match step:
            case Chapter(title=title, about=about):
                self._line("", f"\n{click.style(title, bold=True, underline=True)}", click.style(about, dim=True), "")
                self._pause(BREATH)
            case Typed():
                self._typed(step)
            case Happens(what=what, action=action, until=until, limit_s=limit_s):
                self._line(click.style(f"* {what}", bold=True))
                self._pause(BREATH)
                action()
                self.simulated.run_until(until, limit_s, what)
            case Holds():
                self._holds(step)

    def _typed(self, step: Typed) -> None:
        self._line(f"{click.style('$', dim=True)} {click.style(f'pvc {shlex.join(step.words)}', bold=True)}")
        self._pause(BREATH)
        words = [str(self.files / word) if word.endswith(".xml") else word for word in step.words]
        try:
            answer = self._run(words)
        except PvcError as error:
            answer = f"{error}\n  Next: {error.next_step}"
            self._expect(step.refused, f"pvc {' '.join(step.words)} was refused: {error}")
        else:
            self._expect(not step.refused, f"pvc {' '.join(step.words)} was not refused")
        if answer:
            self._line(f"  {click.style(answer, bold=True)}")

    def _run(self, words: list[str]) -> str:
        """Run a command line of `pvc`: a list goes to the terminal as it is; of others the last line is kept, the rest is told anyway."""
        from pvc.cli.main import main

        aside = StringIO()
        with redirect_stdout(self.out if "list" in words else aside):
            main.main(words, "pvc", standalone_mode=False, obj=SimAccess("simulated:2181", who="admin", simulated=self.simulated))
        return (aside.getvalue().splitlines() or [""])[-1]

    def _holds(self, step: Holds) -> None:
        so = step.so()
        if not so:
            self._line(f"  {click.style('NOT SO', fg='red', bold=True)} {step.what}")
        elif not step.said:
            self._line(f"  {click.style('ok', fg='green')} {step.what}")
        self._expect(so, f"it was told that {step.what}")

    def _expect(self, so: bool, wrong: str) -> None:
        if not so:
            self.wrong.append(wrong)

    # ---- what happens meanwhile

    def happened(self, what: Happening) -> None:
        """Tell one line of the trace; the reason of a row when it fires for the first time."""
        if what.event not in SHOWN:
            return
        words = click.style(_transition(what), fg=SHOWN[what.event])
        self._line(f"{what.at:9.2f} s  {words}")
        trigger, why = what.fields.get("trigger", ""), what.fields.get("why", "")
        if what.event == "record" and why and trigger not in self.explained:
            self.explained.add(trigger)
            self._line(click.style(f"{'':13}{why}", dim=True))
        self._pause(1)

    def _line(self, *lines: str) -> None:
        with redirect_stdout(self.out):  # while a command runs, its own output goes aside
            for line in lines:
                say(line)
        self.out.flush()

    def _pause(self, lines: int) -> None:
        if self.pace_s:
            time.sleep(lines * self.pace_s)


def _transition(what: Happening) -> str:
    if what.event != "record":
        return what.words
    f = what.fields
    machine = "" if f["machine"] == "domain" else f"{f['machine']} "
    way = f["from"] if f["from"] == f["to"] else f"{f['from'] or 'new'} -> {f['to'] or 'gone'}"
    return f"{f['name']}: {machine}{way}".ljust(WIDE) + f"  {f['trigger']}, by {f['by']}"


@sim.command()
@click.option("--seed", type=int, default=1, show_default=True, help="Chance: who is faster, and how long things take.")
@click.option("--pace", type=click.FloatRange(min=0), metavar="SECONDS", help="Pause after each line; default: a little on a terminal.")
def demo(seed: int, pace: float | None) -> None:
    """Tell a story: VMs start, move, leave a node and come back; nodes die, are fenced, and return.

    Machines, libvirt and fence devices are simulated, and time is virtual. What decides is what runs in a real cluster. Ends with 1 when
    anything does not come out as told.
    """
    began = time.monotonic()
    pace = pace if pace is not None else PACE_S if sys.stdout.isatty() else 0.0
    with TemporaryDirectory() as directory:
        simulated = SimCluster(3, seed)
        for name, (_, memory_mib) in VMS.items():
            (Path(directory) / f"{name}.xml").write_bytes(simulated.xml(name, memory_mib))
        teller = Teller(simulated, Path(directory), pace)
        try:
            for step in story(simulated):
                teller.tell(step)
        except Broken as broken:
            raise PvcError(str(broken), f"pvc sim demo --seed {seed} tells it again") from broken
    _sum_up(simulated, time.monotonic() - began)
    if teller.wrong:
        raise PvcError(f"It did not come out as told: {'; '.join(teller.wrong)}", f"pvc sim demo --seed {seed} tells it again")


def _sum_up(simulated: SimCluster, seconds: float) -> None:
    shot, lost = simulated.fences("begun"), simulated.fences("confirmed")
    nodes, vms = len(simulated.world.machines), len(simulated.witness.domains)
    say("")
    transitions = f"{simulated.witness.transitions} transitions, each a row of the tables"
    say(click.style(f"{simulated.now / 60:.1f} virtual minutes in {seconds:.1f} s; {transitions}.", bold=True))
    say(f"{nodes} nodes, of which {len(set(lost))} were lost and proven off, {len(shot)} by a shot; {vms} VMs.")
    say(f"Looked at {simulated.witness.looks} times: never two copies of a guest, and none of a VM that nobody owns.")


sim.add_command(run_files)
sim.add_command(explore)
sim.add_command(record)
sim.add_command(shell)
