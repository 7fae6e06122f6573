"""`pvc completion`: what a shell has to read so that the Tab key completes commands, options, and the names of VMs and nodes."""

import click

from pvc.cli.screen import say


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh"]))
def completion(shell: str) -> None:
    """Print what a shell reads to complete the command line of pvc.

    The packages bring it along. Names of VMs and nodes come from ZooKeeper, within a third of a second or not at all.

    \b
    source <(pvc completion bash)
    pvc completion zsh > "${fpath[1]}/_pvc"
    """
    say(script(shell))


def script(shell: str) -> str:
    """The same as text."""
    from click.shell_completion import get_completion_class

    from pvc.cli.main import main

    made = get_completion_class(shell)
    assert made is not None
    words = made(main, {}, "pvc", "_PVC_COMPLETE")
    # Not words.source(): for bash that asks which version of bash is here, and these lines may be for another machine.
    return str(words.source_template % words.source_vars())
