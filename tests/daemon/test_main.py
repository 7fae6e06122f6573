"""The command `pvcd`."""

import pytest

from pvc import __version__
from pvc.daemon.main import main


def test_version_is_the_one_of_the_package(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"pvcd {__version__}\n"


def test_it_says_plainly_that_it_cannot_run_a_node_yet(capsys):
    assert main([]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "cannot run a node yet" in err
