"""`pvc dashboard`: a read-only page about the cluster, for a browser on this machine."""

import click

from pvc.cli.access import access
from pvc.cli.screen import say
from pvc.errors import PvcError

PORT = 8006


@click.command()
@click.option("--address", default="127.0.0.1", show_default=True, help="Where to listen; anybody who reaches it can read the cluster.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any that is free.")
def dashboard(address: str, port: int) -> None:
    """Serve a read-only page about the cluster, for a browser on this machine.

    It shows nodes, VMs, the machines with what is in each state, and what happens; it needs no internet, and ends with Ctrl-C.

    \b
    pvc dashboard
    pvc dashboard --port 9000
    """
    from pvc.cli.dashboard_server import Dashboard

    with access().cluster() as cluster:
        cluster.config()
        try:
            served = Dashboard(cluster, address, port)
        except OSError as error:
            raise PvcError(f"nobody can be served at {address}:{port}: {error.strerror}", "choose another --port or --address") from error
        say(f"The cluster is shown at {served.url} until Ctrl-C.")
        try:
            served.run()
        except KeyboardInterrupt:
            click.get_current_context().exit(0)
        finally:
            served.close()
