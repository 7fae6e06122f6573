"""`pvc vm`: the commands that change what a VM does."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pvc.cli.access import access
from pvc.cli.following import ProgressLine, Standstill, dry_run_option, ended, follow, show_plan, waiting_options
from pvc.cli.group import Lazy, LazyGroup
from pvc.cli.names import complete_nodes, complete_vms
from pvc.cli.output import answer, confirm, is_data, output, reason_option, yes_option

if TYPE_CHECKING:
    from pvc.client.cluster import Cluster
    from pvc.client.goals import Asked

COMMANDS = {
    "define": Lazy("pvc.cli.vm_define:define", "Define a VM from its libvirt XML."),
    "dump": Lazy("pvc.cli.vm_define:dump", "Print the XML of a VM."),
    "explain": Lazy("pvc.cli.explain:explain_vm", "Say what may be done with a VM now, and if not, why."),
    "history": Lazy("pvc.cli.vm_show:history", "Show the last transitions of a VM."),
    "info": Lazy("pvc.cli.vm_show:info", "Show everything about a VM."),
    "list": Lazy("pvc.cli.vm_list:list_vms", "List VMs."),
    "modify": Lazy("pvc.cli.vm_define:modify", "Give a VM other XML, from its next start on."),
    "set": Lazy("pvc.cli.vm_define:set_policy", "Change the policy of a VM."),
    "wait": Lazy("pvc.cli.vm_show:wait", "Wait until a VM is as you say."),
}


class Verb(NamedTuple):
    """A command on one VM: its help, how to undo it while it goes on, and the question before it."""

    name: str
    text: str
    undo: str
    question: str = ""
    target: bool = False

    @property
    def help(self) -> str:
        """The whole help, with an example."""
        return f"{self.text}\n\n\b\npvc vm {self.name} web1{' hv2' if self.target else ''}"


VERBS = (
    Verb("start", "Start a VM.\n\nOn NODE, or where there is most left of what its policy says.", "pvc vm stop {name}", target=True),
    Verb("stop", "Cut the power of a VM.", "pvc vm start {name}", "Cut the power of {name}? Its guest has no time to save anything"),
    Verb("shutdown", "Ask a guest to power itself off.\n\nWhen it does not in its time, its power is cut.", "pvc vm start {name}"),
    Verb("restart", "Shut a guest down, and start it again.", "pvc vm stop {name}"),
    Verb("disable", "Shut a VM down, to stay off until it is enabled or started.", "pvc vm start {name}"),
    Verb("enable", "Let a disabled VM be started again.", "pvc vm disable {name}"),
    Verb("undefine", "Remove a VM, once its guest is off.", "pvc vm start {name}", "Cut the power of {name} and remove it for good?"),
    Verb("migrate", "Move a guest live to NODE or the best one, for a while: its home stays.", "pvc vm cancel {name}", target=True),
    Verb("unmigrate", "Move a guest live, back to its home.", "pvc vm cancel {name}"),
    Verb("move", "Move a VM for good, live when it runs: its home moves with it.", "pvc vm cancel {name}", target=True),
    Verb("stay", "Let a VM stay where a failover or a migration has brought it: its home is there from now on.", "pvc vm move {name}"),
    Verb("cancel", "Call a migration off: the guest stays where it is.", "pvc vm migrate {name}"),
)


@click.group(cls=LazyGroup, lazy=COMMANDS, short_help="Define VMs, start, stop and move them, and look at them.")
def vm() -> None:
    """Define VMs, start, stop and move them, and look at them.

    A VM is named by its name or its UUID. Commands wait for what follows, and tell each transition.

    \b
    pvc vm define web1.xml
    pvc vm start web1
    pvc vm migrate web1 hv2 --reason "new disks in hv1"
    pvc vm list --node hv1
    pvc vm explain web1
    """


def _command(verb: Verb) -> click.Command:
    """The command of a verb."""

    @reason_option
    @waiting_options
    @dry_run_option
    @output()
    def run(
        name: str, reason: str, no_wait: bool, timeout: float | None, dry_run: bool, form: str, yes: bool = True, node: str | None = None
    ) -> None:
        with access().cluster() as cluster:
            if dry_run:
                _plan(cluster, verb.name, name, node, form)
                return
            if verb.question and not yes:
                confirm(verb.question.format(name=cluster.domain(name).name), yes)
            more: dict[str, Any] = {"target": node} if verb.target else {}
            run_verb(cluster, lambda: getattr(cluster, verb.name)(name, why=reason, **more), verb.undo, no_wait, timeout, form)

    function: Callable[..., Any] = yes_option(run) if verb.question else run
    function = click.argument("node", required=False, shell_complete=complete_nodes)(function) if verb.target else function
    function = click.argument("name", shell_complete=complete_vms)(function)
    return click.command(verb.name, help=verb.help)(function)


def _plan(cluster: "Cluster", trigger: str, name: str, node: str | None, form: str) -> None:
    from pvc.client.plans import vm_plan

    what = f"{trigger} {name}{f' {node}' if node else ''}"
    show_plan(form, what, cluster.domain(name).name, vm_plan(cluster, name, trigger, node))


def run_verb(cluster: "Cluster", ask: "Callable[[], Asked]", undo: str, no_wait: bool, timeout: float | None, form: str) -> None:
    """Give a command, follow it unless told otherwise, and print how it ended."""
    from pvc.cli.words import vm_json

    asked, tell, stood = ask(), not is_data(form), Standstill()
    name, uuid = asked.name, asked.before.uuid
    sentence = f"{name}: {asked.trigger} is asked for; it is {cluster.vms.described(uuid)}"
    if not no_wait:
        back = f"to undo it: {undo.format(name=name)}"
        progress = ProgressLine(name) if tell else stood
        sentence = follow(lambda show: cluster.wait_for(asked, show, timeout, progress), f"{asked.trigger} of {name}", back, tell=tell)
    if tell:
        ended(sentence)
        return
    seen = cluster.reader.domain(uuid)
    data = {"result": sentence, "vm": None if seen is None else vm_json(uuid, seen.value), "standstill_ms": stood.ms}
    answer(form, data, [name], lambda wide: None)


@click.command()
@click.argument("name", shell_complete=complete_vms)
@click.option("--keep", "what", flag_value="keep", help="The guest that was found is the right one: it runs on.")
@click.option("--stop", "what", flag_value="stop", help="The guest that was found must go: its power is cut.")
@yes_option
@reason_option
@waiting_options
@dry_run_option
@output()
def resolve(
    name: str, what: str | None, yes: bool, reason: str, no_wait: bool, timeout: float | None, dry_run: bool, form: str
) -> None:
    """End a conflict: a guest was found on a node that does not own it.

    \b
    pvc vm resolve web1 --keep
    pvc vm resolve web1 --stop
    """
    if what is None:
        raise click.UsageError("say what to do with the guest that was found: --keep or --stop")
    with access().cluster() as cluster:
        if dry_run:
            _plan(cluster, f"resolve_{what}", name, None, form)
            return
        if what == "stop":
            confirm(f"Cut the power of the guest of {name} that was found?", yes)
        run_verb(cluster, lambda: cluster.resolve(name, what == "keep", reason), "pvc vm stop {name}", no_wait, timeout, form)


for _verb in VERBS:
    vm.add_command(_command(_verb))
vm.add_command(resolve)
