"""Claims: what a daemon leaves for libvirt's hook and for the daemon after it; and the hook, run as libvirt runs it."""

import os
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from lab.wait import wait_until
from pvc.errors import PvcError
from pvc.fsm.states import Job
from pvc.hypervisor.claims import GONE_KEPT_S, Claim, Claims, Phase, parse
from pvc.hypervisor.library import MARK_NAMESPACE

HOOK = Path(__file__).parents[2] / "hooks" / "pvc-claims"
VM = "7c5df1c4-9ea3-4f0e-8bd7-1a2b3c4d5e6f"
MARK = f"<metadata><pvc:vm xmlns:pvc='{MARK_NAMESPACE}' node='hv1'/></metadata>"


@pytest.fixture
def claims(tmp_path):
    found = Claims(tmp_path / "claims", "boot-1")
    found.load()
    return found


def anew(claims, boot="boot-1"):
    found = Claims(claims.directory, boot)
    found.load()
    return found


def test_a_claim_is_read_as_it_was_written(claims):
    claims.put(VM, 7, Phase.create, Job.create)
    assert anew(claims).of(VM) == Claim("boot-1", 7, Phase.create, Job.create)


def test_a_claim_of_an_earlier_boot_is_none(claims):
    claims.put(VM, 7, Phase.run)
    assert anew(claims, "boot-2").of(VM) is None


@pytest.mark.parametrize("text", ["", "boot=x", "boot=x\nepoch=y\nphase=run\njob=none\n", "boot=x\nepoch=1\nphase=?\njob=none\n"])
def test_a_torn_file_is_no_claim(text):
    assert parse(text) is None


def test_a_copy_is_one_until_it_has_run(claims):
    claims.put(VM, 1, Phase.copy)
    assert claims.is_copy(VM)
    claims.has_run(VM)
    assert not anew(claims).is_copy(VM)


def test_a_job_whose_end_nobody_saw_is_found_by_the_next_daemon(claims):
    claims.put(VM, 1, Phase.run)
    claims.note_job(VM, Job.migrate, 1)
    assert anew(claims).of(VM).job is Job.migrate
    claims.note_job(VM, Job.none, 1)
    assert anew(claims).of(VM).job is Job.none


def test_a_guest_that_is_gone_stays_known_for_a_day(claims):
    claims.put(VM, 1, Phase.run, Job.destroy)
    claims.is_gone(VM)
    assert anew(claims).of(VM) == Claim("boot-1", 1, Phase.gone)
    old = time.time() - GONE_KEPT_S - 60
    os.utime(claims.directory / VM, (old, old))
    assert anew(claims).of(VM) is None
    assert not (claims.directory / VM).exists()


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PvcError, match="claims cannot be kept"):
        Claims(tmp_path / "file" / "claims", "boot-1").load()


def test_a_full_disk_refuses_a_claim_and_hides_no_guest(claims, caplog):
    claims.put(VM, 1, Phase.run, Job.destroy)
    (claims.directory / VM).unlink()
    claims.directory.rmdir()
    claims.is_gone(VM)
    assert claims.of(VM).phase is Phase.gone
    assert "cannot be written" in caplog.text
    with pytest.raises(PvcError, match="cannot be written"):
        claims.put(VM, 2, Phase.create)


# ---- the hook


def hook(claims, tmp_path, *words, mark=False):
    """Run it; its exit code, and what it prints."""
    (tmp_path / "boot_id").write_text("boot-1\n")
    xml = f"<domain type='kvm'>\n  <name>vm1</name>\n  <uuid>{VM}</uuid>\n  {MARK if mark else ''}\n</domain>\n"
    environment = {"PVC_CLAIMS_DIRECTORY": str(claims.directory), "PVC_BOOT_ID_FILE": str(tmp_path / "boot_id")}
    done = subprocess.run([HOOK, "vm1", *words], input=xml, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout in ("", xml)
    return done.returncode, bool(done.stdout), done.stderr


ASKED = [("prepare", "begin", "-"), ("migrate", "begin", "-")]


@pytest.mark.parametrize("words", ASKED)
def test_the_hook_lets_in_what_is_claimed_under_this_boot(claims, tmp_path, words):
    claims.put(VM, 1, Phase.copy)
    assert hook(claims, tmp_path, *words) == (0, words[0] == "migrate", "")
    assert hook(claims, tmp_path, *words, mark=True) == (0, words[0] == "migrate", "")


@pytest.mark.parametrize("words", ASKED)
def test_the_hook_denies_what_was_claimed_under_an_earlier_boot(claims, tmp_path, words):
    Claims(claims.directory, "boot-0").put(VM, 1, Phase.copy)
    code, _, why = hook(claims, tmp_path, *words)
    assert code == 1
    assert VM in why
    assert "earlier boot" in why


@pytest.mark.parametrize("words", ASKED)
def test_the_hook_denies_what_is_gone_from_here(claims, tmp_path, words):
    claims.put(VM, 1, Phase.run)
    claims.is_gone(VM)
    assert hook(claims, tmp_path, *words)[0] == 1


def test_the_hook_waits_for_a_claim_that_is_on_its_way(claims, tmp_path):
    """The node that the guest leaves can be faster than pvcd here, which claims once it knows that its word is written."""
    claims.put(VM, 1, Phase.run)
    claims.is_gone(VM)
    (tmp_path / "boot_id").write_text("boot-1\n")
    environment = {"PVC_CLAIMS_DIRECTORY": str(claims.directory), "PVC_BOOT_ID_FILE": str(tmp_path / "boot_id")}
    words = [HOOK, "vm1", "migrate", "begin", "-"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment) as asked:
        asked.stdin.write(f"<domain>\n  <uuid>{VM}</uuid>\n</domain>\n".encode())
        asked.stdin.close()
        wait_until(lambda: sleeps(asked.pid) or asked.poll() is not None, 30, "it waits")
        claims.put(VM, 2, Phase.copy)
    assert asked.returncode == 0


def sleeps(parent):
    """Whether a child of this process sleeps."""
    found = False
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            found = found or re.search(rf"\(sleep\) S {parent} ", stat.read_text()) is not None
    return found


@pytest.mark.parametrize("words", ASKED)
def test_the_hook_denies_a_guest_with_our_mark_that_nobody_claimed_here(claims, tmp_path, words):
    assert hook(claims, tmp_path, *words, mark=True)[0] == 1


@pytest.mark.parametrize("words", ASKED)
def test_the_hook_leaves_other_guests_alone(claims, tmp_path, words):
    assert hook(claims, tmp_path, *words) == (0, words[0] == "migrate", "")


@pytest.mark.parametrize("words", [("started", "begin", "-"), ("release", "end", "-"), ("restore", "begin", "-"), ()])
def test_the_hook_has_no_word_in_anything_else(claims, tmp_path, words):
    assert hook(claims, tmp_path, *words, mark=True) == (0, False, "")
