"""`pvc vm define`, `modify`, `dump` and `set`: what a VM is, and what was decided about it for good."""

from typing import TYPE_CHECKING, Any, BinaryIO

import click

from pvc.cli.access import access
from pvc.cli.names import complete_nodes, complete_vms
from pvc.cli.output import answer, output, reason_option
from pvc.cli.policy_options import policy_options, policy_values, shown
from pvc.cli.screen import say
from pvc.cluster.records import MAX_XML_BYTES
from pvc.errors import UsageProblem

if TYPE_CHECKING:
    from pvc.cluster.records import DomainRecord


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--home", metavar="NODE", shell_complete=complete_nodes, help="The node it belongs to; default: the best one.")
@policy_options
@reason_option
@output()
def define(file: BinaryIO, home: str | None, reason: str, form: str, **options: Any) -> None:
    """Define a VM from its libvirt XML.

    It is off until it is started. Without a UUID in the XML one is made. "-" reads the XML from standard input.

    \b
    pvc vm define web1.xml
    pvc vm define web1.xml --home hv2 --node hv1 --node hv2 --selector load
    """
    xml = _read(file)
    with access().cluster() as cluster:
        record = cluster.define(xml, home, policy_values(options), reason)
    _tell(form, record, f"{record.name} is defined, off, at home on {record.life.home} ({_size(record)}, UUID {record.uuid}).")


@click.command()
@click.argument("name", shell_complete=complete_vms)
@click.argument("file", type=click.File("rb"))
@reason_option
@output()
def modify(name: str, file: BinaryIO, reason: str, form: str) -> None:
    """Give a VM other XML, from its next start on.

    A guest that runs keeps what it was started with. Whether its disks lie on storage with locks is looked up again here.

    \b
    pvc vm dump web1 > web1.xml; editor web1.xml; pvc vm modify web1 web1.xml
    """
    xml = _read(file)
    with access().cluster() as cluster:
        record = cluster.modify(name, xml, reason)
    later = "" if record.life.owner is None else "; its guest runs on with what it was started with, until it is started again"
    _tell(form, record, f"{record.name} has new XML: {_size(record)}{later}.")


@click.command()
@click.argument("name", shell_complete=complete_vms)
def dump(name: str) -> None:
    """Print the XML of a VM.

    \b
    pvc vm dump web1 > web1.xml
    """
    with access().cluster() as cluster:
        click.echo(cluster.dump(name), nl=False)


@click.command("set")
@click.argument("name", shell_complete=complete_vms)
@policy_options
@reason_option
@output()
def set_policy(name: str, reason: str, form: str, **options: Any) -> None:
    """Change the policy of a VM.

    What is not named stays as it is. It concerns what happens from now on: nothing moves because of it.

    \b
    pvc vm set web1 --migration cold --shutdown-timeout 300
    pvc vm set web1 --node all
    """
    policy = policy_values(options)
    if not policy:
        raise UsageProblem("nothing was named that should be set", "pvc vm set -h")
    with access().cluster() as cluster:
        record = cluster.set_policy(name, reason, **policy)
    _tell(form, record, f"{record.name}: {', '.join(f'{field} {shown(getattr(record.policy, field))}' for field in policy)}.")


def _tell(form: str, record: "DomainRecord", sentence: str) -> None:
    from pvc.cli.words import vm_json

    answer(form, {"result": sentence, "vm": vm_json(record.uuid, record)}, [record.name], lambda wide: say(sentence))


def _size(record: "DomainRecord") -> str:
    return f"{record.memory_mib} MiB, {record.vcpus} vcpu{'s' if record.vcpus != 1 else ''}"


def _read(file: BinaryIO) -> bytes:
    """The XML; no more of it than can be too much."""
    return file.read(MAX_XML_BYTES + 1)
