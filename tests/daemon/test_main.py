"""The command `pvcd`."""

import pytest

from pvc import __version__
from pvc.daemon.main import main


def test_version_is_the_one_of_the_package(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"pvcd {__version__}\n"
