"""How tests are ordered, and that nothing is left out in silence."""

from pathlib import Path

import pytest

pytest_plugins = "pytester"

NEEDS_A_PART = """
def test_with_a_part(require):
    require("zookeeper", False, "no Java")

def test_without():
    pass
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs files of tests under our conftest, in CI or not, and returns pytest's result."""
    pytester.makeconftest((Path(__file__).parent / "conftest.py").read_text())
    pytester.makeini("[pytest]\nmarkers =\n  lab: x\n  ensemble: x\n  long: x\n")

    def run(files, *options, ci=False):
        monkeypatch.setenv("CI", "true" if ci else "")
        for name, text in files.items():
            path = pytester.path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)

    return run


def test_a_missing_part_is_named_loudly(run):
    result = run({"test_a.py": NEEDS_A_PART})
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["COULD NOT RUN HERE: zookeeper: no Java", "*1 passed, 1 skipped*"])


def test_a_missing_part_fails_in_ci(run):
    result = run({"test_a.py": NEEDS_A_PART}, ci=True)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["COULD NOT RUN HERE: zookeeper: no Java", "*1 failed, 1 passed*"])


@pytest.mark.parametrize(
    "text",
    [
        "import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('no')",
        "import pytest\n@pytest.mark.skip\ndef test_a(): pass\ndef test_b(): pass",
    ],
)
def test_any_other_skip_fails_in_ci_too(run, text):
    assert run({"test_a.py": text}).ret == pytest.ExitCode.OK
    assert run({"test_a.py": text}, ci=True).ret == pytest.ExitCode.TESTS_FAILED


def test_a_skipped_file_fails_in_ci_too(run):
    files = {"test_a.py": "import pytest\npytest.importorskip('no_such_module')", "test_b.py": "def test_b(): pass"}
    assert run(files).ret == pytest.ExitCode.OK
    assert run(files, ci=True).ret == pytest.ExitCode.TESTS_FAILED


def test_a_run_without_tests_is_no_success(run):
    assert run({"test_a.py": ""}).ret == pytest.ExitCode.NO_TESTS_COLLECTED


FILES = {
    "check/test_check.py": "def test_it(): pass",
    "property/test_property.py": "def test_it(): pass",
    "test_a.py": """
import pytest

@pytest.mark.lab
def test_lab(): pass

@pytest.mark.long
def test_long(): pass

@pytest.mark.ensemble
def test_ensemble(): pass

def test_quick(): pass
""",
}


def test_what_fails_quickly_comes_first(run):
    result = run(FILES, "-v")
    turns = ["*test_quick *", "*test_ensemble *", "*test_long *", "*test_property.py*", "*test_check.py*", "*test_lab *"]
    result.stdout.fnmatch_lines(turns)


def test_quick_takes_the_quick_ones_only(run):
    run(FILES, "--quick").assert_outcomes(passed=1, deselected=5)
