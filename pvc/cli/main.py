"""The entry point of `pvc`, and the table of what it can do."""

import click

from pvc import __version__
from pvc.cli.group import Lazy, RootGroup

COMMANDS = {
    "cluster": Lazy("pvc.cli.cluster:cluster", "Show and set what concerns the cluster as a whole; save and restore it."),
    "completion": Lazy("pvc.cli.completion:completion", "Print what a shell reads to complete the command line of pvc."),
    "config": Lazy("pvc.cli.config:config", "Show what this client is configured with, and where that stands."),
    "dashboard": Lazy("pvc.cli.dashboard:dashboard", "Serve a read-only page about the cluster, for a browser on this machine."),
    "doctor": Lazy("pvc.cli.doctor:doctor", "Look at ZooKeeper, nodes, fencing, versions, clocks and records, and say what to do."),
    "events": Lazy("pvc.cli.events:events", "Show the last transitions of all VMs and nodes: what, by whom, and why."),
    "fsm": Lazy("pvc.cli.fsm:fsm", "Show, draw and check the state machines."),
    "hold": Lazy("pvc.cli.cluster:hold", "Let no node be shot, as during work on the network or on ZooKeeper."),
    "init": Lazy("pvc.cli.cluster:init", "Create a cluster."),
    "node": Lazy("pvc.cli.node:node", "Empty nodes, give them back, and look at them."),
    "plan": Lazy("pvc.cli.plan:plan", "Say what would happen, without doing it."),
    "sim": Lazy("pvc.cli.sim:sim", "Simulate whole clusters in virtual time."),
    "status": Lazy("pvc.cli.status:status", "Show the cluster on one screen: counts, what needs somebody, and what it can lose."),
    "top": Lazy("pvc.cli.status:top", "Show nodes, what moves, and what needs somebody, as it changes; Ctrl-C ends it."),
    "vm": Lazy("pvc.cli.vm:vm", "Define VMs, start, stop and move them, and look at them."),
}


@click.group(cls=RootGroup, lazy=COMMANDS, name="pvc", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pvc", message="%(prog)s %(version)s")
@click.option("-z", "--zookeeper", metavar="HOSTS", help="host:port,host:port/chroot; else PVC_ZOOKEEPER, else pvc.conf.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="By default on terminals, without NO_COLOR.")
@click.pass_context
def main(ctx: click.Context, zookeeper: str | None, color: str) -> None:
    """Manage QEMU/KVM guests on a cluster of nodes.

    \b
    pvc vm list
    pvc vm define web1.xml && pvc vm start web1
    pvc vm migrate web1
    pvc node flush hv1
    """
    from pvc.cli.access import Access

    ctx.color = {"auto": None, "always": True, "never": False}[color]
    ctx.obj = ctx.obj if isinstance(ctx.obj, Access) else Access()
    ctx.obj.zookeeper = zookeeper or ctx.obj.zookeeper
