"""The XML of a VM: what is read from it, and what never reaches libvirt."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvc.cluster.domain_xml import LIMITS, BadXml, Disk, check_domain_xml, with_uuid

UUID = "6f1c0a52-8a0e-4c7e-9f60-0d2c5a0b6a11"
QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"


PARTS = {
    "head": "",
    "root": "type='kvm'",
    "name": "<name>web1</name>",
    "uuid": f"<uuid>{UUID}</uuid>",
    "memory": "<memory unit='MiB'>512</memory>",
    "vcpu": "<vcpu>2</vcpu>",
    "more": "",
}


def document(**others):
    """The XML of a VM, with other parts where that is asked for."""
    return "{head}<domain {root}>{name}{uuid}{memory}{vcpu}{more}</domain>".format(**{**PARTS, **others}).encode()


def problems(data, limits=LIMITS):
    """What is wrong with it."""
    with pytest.raises(BadXml) as caught:
        check_domain_xml(data, limits)
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    return caught.value.problems


def test_what_is_read():
    more = """<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
      <disk type='file' device='disk'><source file='/srv/web1.qcow2'/><target dev='vda'/></disk>
      <disk type='network'><source protocol='rbd' name='vms/web1'/><target dev='vdb'/><shareable/></disk>
      <disk type='file' device='cdrom'><target dev='sda'/></disk></devices>"""
    facts = check_domain_xml(document(more=more))
    assert (facts.name, facts.uuid, facts.memory_mib, facts.vcpus) == ("web1", UUID, 512, 2)
    assert facts.disks == (
        Disk("vda", "disk", "file", "/srv/web1.qcow2", False, False),
        Disk("vdb", "disk", "network", "vms/web1", False, True),
        Disk("sda", "cdrom", "file", "", True, False),
    )


@pytest.mark.parametrize(
    ("memory", "mib"),
    [
        ("<memory>1048576</memory>", 1024),  # a bare number is KiB (H30)
        ("<memory unit='KiB'>1025</memory>", 2),  # rounded up
        ("<memory unit='k'>2048</memory>", 2),
        ("<memory unit='KB'>1048576</memory>", 1000),
        ("<memory unit='M'>3</memory>", 3),
        ("<memory unit='MB'>1000</memory>", 954),
        ("<memory unit='GiB'> 4 </memory>", 4096),
        ("<memory unit='g'>4</memory>", 4096),
        ("<memory unit='bytes'>1048577</memory>", 2),
        ("<memory unit='TiB'>1</memory>", 1 << 20),
    ],
)
def test_memory_has_libvirts_units(memory, mib):
    assert check_domain_xml(document(memory=memory)).memory_mib == mib


def test_a_uuid_is_read_as_libvirt_reads_it():
    assert check_domain_xml(document(uuid=f"<uuid>{UUID.replace('-', '').upper()}</uuid>")).uuid == UUID
    assert check_domain_xml(document(uuid="")).uuid is None


def test_without_vcpu_there_is_one_as_in_libvirt():
    assert check_domain_xml(document(vcpu="")).vcpus == 1


def test_a_uuid_is_added_and_nothing_else_is_touched():
    head = "<?xml version='1.0' encoding='UTF-8'?>\n<!-- <domain><name>a</name> -->\n"
    data = document(head=head, uuid="", more="<description>Größe &amp; <![CDATA[<name>]]></description>")
    added = with_uuid(data, UUID)
    assert check_domain_xml(added).uuid == UUID
    assert added.replace(f"<uuid>{UUID}</uuid>\n  ".encode(), b"") == data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not well-formed"),
        (b"<domain", "not well-formed"),
        (b"<domain></domain><domain/>", "not well-formed"),
        (b"<network/>", "its root is <network>, not <domain>"),
        (b"\xff\xfe<\x00", "not UTF-8"),
        (document(head="<?xml version='1.0' encoding='ISO-8859-1'?>"), "encoding"),
        (document(name=""), "no <name>"),
        (document(name="<name>a</name><name>b</name>"), "2 of <name>"),
        (document(memory=""), "no <memory>"),
        (document(memory="<memory>a lot</memory>"), "not a number"),
        (document(memory="<memory>-1</memory>"), "not a number"),
        (document(memory="<memory>0</memory>"), "not between"),
        (document(memory="<memory unit='EiB'>1</memory>"), "not between"),
        (document(memory="<memory unit='parsec'>1</memory>"), "no unit of memory"),
        (document(vcpu="<vcpu>0</vcpu>"), "virtual CPUs"),
        (document(vcpu="<vcpu>1e3</vcpu>"), "virtual CPUs"),
        (document(vcpu="<vcpu>\u0661</vcpu>"), "virtual CPUs"),
        (document(uuid="<uuid>web1</uuid>"), "no UUID"),
        (document(uuid=f"<uuid>{'0' * 32}</uuid>"), "all of whose digits are the same"),
        (document(root=""), "no type"),
    ],
)
def test_what_is_no_vm_is_refused_with_the_reason(data, said):
    assert any(said in problem for problem in problems(data))


NAMES = ["../web1", "a/b", "/", "..", "", "web1\n", "we\tb", "_web", "-web", "a" * 64, "größe", "$(reboot)", "a b", "web1<x>/..</x>"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_could_lead_elsewhere_is_refused(name):
    assert any("cannot be the name of a VM" in problem for problem in problems(document(name=f"<name>{name}</name>")))


def test_every_problem_is_told_at_once():
    data = document(name="<name>?</name>", uuid="<uuid>?</uuid>", memory="", vcpu="<vcpu>x</vcpu>", root="")
    assert len(problems(data)) == 5


TENFOLD = "".join(f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdef", "bcdefg", strict=True))
BOMB = f"<!DOCTYPE domain [<!ENTITY a 'ha'>{TENFOLD}]>"


@pytest.mark.parametrize(
    "head",
    [
        "<!DOCTYPE domain>",
        "<!DOCTYPE domain [<!ENTITY name 'web1'>]>",
        "<!DOCTYPE domain SYSTEM 'file:///etc/passwd'>",
        "<!DOCTYPE domain [<!ENTITY % more SYSTEM 'http://127.0.0.1:9/'> %more;]>",
        BOMB,
        "<?xml version='1.0'?>\n<!-- harmless -->\n<!DOCTYPE domain [<!ELEMENT domain ANY>]>",
    ],
)
def test_a_document_type_ends_the_reading_before_any_entity_is_one(head):
    (problem,) = problems(document(head=head, name="<name>&g;</name>"))
    assert "DOCTYPE" in problem


def test_an_undeclared_entity_is_not_looked_for():
    assert any("not well-formed" in problem for problem in problems(document(name="<name>&xxe;</name>")))


def test_size_and_depth_have_limits():
    assert "nested deeper" in problems(document(more="<a>" * 40 + "</a>" * 40))[0]
    assert "nested deeper" in problems(b"<domain>" + b"<a>" * 80_000)[0]
    assert "bytes" in problems(document(more=" " * LIMITS.max_bytes))[0]
    assert check_domain_xml(document(more="<a>" * 31 + "</a>" * 31)).name == "web1"


@pytest.mark.parametrize(
    "path",
    [
        "/tmp/evil",
        "/bin/sh",
        "/usr/bin/qemu-system-x86_64/../../../tmp/evil",
        "/usr/bin/qemu-system-x86_64/evil",
        "/usr/bin/kvm<x>/../../tmp/evil</x>",
        "qemu-system-x86_64",
        " /usr/bin/kvm",
        "",
    ],
)
def test_an_emulator_that_is_not_on_the_list_is_refused(path):
    more = f"<devices><emulator>{path}</emulator></devices>"
    assert any("its emulator" in problem for problem in problems(document(more=more)))


def test_each_emulator_counts_and_the_list_can_be_another():
    more = "<devices><emulator>/usr/bin/kvm</emulator><emulator>/opt/qemu/kvm</emulator></devices>"
    assert "/opt/qemu/kvm" in problems(document(more=more))[0]
    assert check_domain_xml(document(more=more), replace(LIMITS, emulators=("/opt/qemu/*", "/usr/bin/kvm"))).name == "web1"


@pytest.mark.parametrize("prefix", ["qemu", "q", "libvirt"])
def test_what_is_passed_past_libvirt_is_refused_whatever_its_prefix(prefix):
    more = f"<{prefix}:commandline xmlns:{prefix}='{QEMU}'><{prefix}:arg value='-S'/></{prefix}:commandline>"
    assert any("<qemu:commandline>" in problem for problem in problems(document(more=more)))
    assert check_domain_xml(document(more=more), replace(LIMITS, qemu_commandline=True)).name == "web1"


def test_the_namespace_may_be_declared_and_not_used():
    assert check_domain_xml(document(root=f"type='kvm' xmlns:qemu='{QEMU}'")).name == "web1"


def test_a_domain_of_another_namespace_is_no_domain_of_libvirts():
    assert "not <domain>" in problems(document(root="type='kvm' xmlns='urn:mine'"))[0]


NEARLY = st.text(alphabet="<>/&;!?[]'\" domainuEL\x00\ud7ff", max_size=200).map(lambda text: text.encode())


@given(st.one_of(st.binary(max_size=300), NEARLY, NEARLY.map(lambda more: document(more=more.decode()))))
def test_whatever_is_handed_in_is_read_or_refused(data):
    with suppress(BadXml):
        assert check_domain_xml(data).name == "web1"
