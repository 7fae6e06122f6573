"""libvirt's errors by domain and code: the same code means different things in different parts of it."""

import pytest

from pvc.hypervisor.troubles import RULES, Trouble, trouble_of, words_of


@pytest.mark.parametrize(
    ("domain", "code", "trouble"),
    [
        ("QEMU", "NO_DOMAIN", Trouble.gone),
        ("QEMU", "OPERATION_INVALID", Trouble.state),
        ("QEMU", "OPERATION_TIMEOUT", Trouble.busy),
        ("QEMU", "OPERATION_ABORTED", Trouble.aborted),
        ("HOOK", "HOOK_SCRIPT_FAILED", Trouble.refused),
        ("DOMAIN", "XML_ERROR", Trouble.configuration),
        ("STORAGE", "SYSTEM_ERROR", Trouble.configuration),
        ("RPC", "SYSTEM_ERROR", Trouble.peer),
        ("RPC", "INTERNAL_ERROR", Trouble.peer),
        ("QEMU", "INTERNAL_ERROR", Trouble.failed),
        ("QEMU", "OPERATION_FAILED", Trouble.failed),
        ("?", "?", Trouble.failed),
    ],
)
def test_an_error_has_one_class(domain, code, trouble):
    assert trouble_of(domain, code) is trouble


def test_what_a_hook_said_is_told_without_its_command_line():
    said = (
        "Hook script execution failed: internal error: Child process (LC_ALL=C PATH=/usr/sbin:/usr/bin /etc/libvirt/hooks/qemu.d/pvc-claims"
        " web1 prepare begin -) unexpected exit status 1: pvc: web1 is not let in here: it was claimed\nunder an earlier boot\n"
    )
    assert words_of(said) == "Hook script execution failed: pvc: web1 is not let in here: it was claimed under an earlier boot"
    assert words_of("operation failed: domain is not running") == "operation failed: domain is not running"


def test_the_rules_name_constants_that_libvirt_has():
    libvirt = pytest.importorskip("libvirt")
    for rule in RULES:
        assert not rule.domain or hasattr(libvirt, f"VIR_FROM_{rule.domain}")
        assert [code for code in rule.codes if not hasattr(libvirt, f"VIR_ERR_{code}")] == []


def test_whether_our_own_connection_broke_is_no_matter_of_codes():
    assert Trouble.connection not in {rule.trouble for rule in RULES}
