"""`pvcd` with a hypervisor of straw: `python -m tests.daemon.straw FOLDER [arguments]`. Everything else is real.

Its guests are files in the folder, so that they outlive the daemon: kill -9 and a new start find them as libvirt would.
A file `hang-create` in the folder makes an order to create hang its caller, which libvirt's port never does; `hang-figures` the figures.
With a file `lose-libvirt` orders find libvirt lost.
"""

import json
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from pvc.core.events import HypervisorLost, Inventory, JobDone
from pvc.core.facts import JOBS
from pvc.daemon import loop, process
from pvc.daemon.main import main
from pvc.daemon.surroundings import Surroundings
from pvc.errors import PvcError
from pvc.fsm.states import Effect, Guest, Job


@dataclass
class Facts:
    libvirt: str = "9.0.0"
    qemu: str = "7.2.0"


@dataclass
class Sums:
    domains: int
    vcpus: int
    memory_allocated_mib: int


class StrawHypervisor:
    def __init__(self, folder, calls):
        self.folder, self.calls = folder, calls

    def start(self):
        self.calls.report(Inventory({path.name: Guest.running for path in self.guests()}, {}, frozenset()))

    def guests(self):
        return list((self.folder / "guests").glob("*"))

    def order(self, uuid, effect, life):
        if (self.folder / f"hang-{effect}").exists():
            threading.Event().wait()
        if (self.folder / "lose-libvirt").exists():
            self.calls.report(HypervisorLost())
        elif effect is not Effect.admit:
            threading.Thread(target=self.work, args=(uuid, effect, life), daemon=True).start()

    def work(self, uuid, effect, life):
        guest = self.folder / "guests" / uuid
        if effect is Effect.create:
            guest.write_bytes(self.calls.xml_of(uuid))
        elif effect is Effect.migrate:
            self.calls.say(f"{uuid} goes to {self.calls.address_of(life.target)}")
        elif JOBS[effect] in (Job.destroy, Job.shutdown):
            guest.unlink(missing_ok=True)
        with (self.folder / "orders").open("a") as orders:
            print(effect, uuid, file=orders)
        self.calls.report(JobDone(uuid, JOBS[effect], Guest.running if guest.exists() else Guest.absent))

    def figures(self):
        if (self.folder / "hang-figures").exists():
            threading.Event().wait()
        number = len(self.guests())
        return Sums(number, number, 64 * number)

    def progress(self, uuid):
        return None

    def halted(self, uuid):
        return None

    def abort_precopy(self):
        self.calls.say("the straw breaks off")

    def close(self):
        (self.folder / "closed").touch()


def surroundings(folder):
    settings = json.loads((folder / "straw.json").read_text())
    loop.PRECOPY_S = settings.get("precopy_s", loop.PRECOPY_S)
    process.LEAVE_S = settings.get("leave_s", process.LEAVE_S)

    def probe(uri):
        if settings.get("no_libvirt"):
            raise PvcError(f"libvirt does not answer at {uri}: connection refused", "systemctl start libvirtd")
        return Facts()

    return Surroundings(probe, lambda config, boot, calls: StrawHypervisor(folder, calls), settings["hostname"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:], surroundings(Path(sys.argv[1]))))
