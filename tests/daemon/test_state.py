"""What a node remembers beside ZooKeeper."""

import pytest

from pvc.agent.remembered import Remembered, objection
from pvc.daemon.state import recall, remember
from pvc.errors import PvcError

BEFORE = Remembered("c1", 7, 0x100, 0x20, 900)


def against(cluster="c1", boot_version=7, zxid=0x100, before=BEFORE, stats=(0x20, 900)):
    found = objection(before, Remembered(cluster, boot_version, zxid, *stats), "/state.json")
    return "" if found is None else str(found)


def test_what_is_remembered_is_recalled(tmp_path):
    path = tmp_path / "lib/pvc/state.json"
    assert recall(path) == Remembered()
    remember(path, BEFORE)
    assert recall(path) == BEFORE
    assert [file.name for file in path.parent.iterdir()] == ["state.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cluster": "c1"}', '{"cluster": "c1", "boot_version": "x", "zxid": 1}'])
def test_a_damaged_file_is_no_fresh_one(tmp_path, text):
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(PvcError, match="damaged"):
        recall(tmp_path / "state.json")


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PvcError, match="cannot be written"):
        remember(tmp_path / "file/state.json", BEFORE)


def test_the_same_cluster_later_is_right():
    assert against() == against(zxid=0x101) == against(boot_version=9) == ""


def test_the_first_start_objects_to_nothing():
    assert against(before=Remembered()) == ""


def test_another_cluster_is_refused():
    assert "belongs to the cluster c1, and ZooKeeper holds c2" in against(cluster="c2", zxid=0x900)


def test_a_restored_snapshot_is_noticed_by_its_transactions():
    assert "gone back in time, from transaction 0x100 to 0xff" in against(zxid=0xFF)


def test_a_restored_snapshot_is_noticed_by_the_own_starts():
    assert "forgotten 2 starts" in against(boot_version=5, zxid=0x900)


def test_servers_that_lost_what_they_acknowledged_are_noticed_by_the_own_keepalives():
    """An election begins a new epoch, so their transactions count on from a higher number than any that was seen."""
    assert "3 keepalives of this node are not there any more" in against(zxid=0x2_0000_0001, stats=(0x20, 897))
    assert against(stats=(0x20, 901)) == ""


@pytest.mark.parametrize("stats", [(0, -1), (0x30, 4)])
def test_statistics_that_were_removed_or_made_anew_say_nothing(stats):
    assert against(stats=stats) == ""


def test_what_an_older_daemon_remembered_is_recalled(tmp_path):
    (tmp_path / "state.json").write_text('{"cluster": "c1", "boot_version": 7, "zxid": 256}')
    assert recall(tmp_path / "state.json") == Remembered("c1", 7, 256)
