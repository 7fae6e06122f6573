"""How tests are ordered, and that nothing is left out in silence."""

from pathlib import Path

import pytest

pytest_plugins = "pytester"
ROOT = Path(__file__).parent.parent

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
    pytester.makeini(f"[pytest]\npythonpath = {ROOT}\nmarkers =\n  lab: x\n  ensemble: x\n  long: x\n  marathon: x\n")

    def run(files, *options, ci=False):
        monkeypatch.setenv("CI", "true" if ci else "")
        for name, text in files.items():
            path = pytester.path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)

    return run


@pytest.fixture(params=["alone", "workers"])
def options(request):
    """How tests are run: in one process, or in two that share the files."""
    if request.param == "workers":
        pytest.importorskip("xdist")
        return ("-n", "2", "--dist", "loadfile")
    return ()


def test_a_missing_part_is_named_loudly(run, options):
    result = run({"test_a.py": NEEDS_A_PART}, *options)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["COULD NOT RUN HERE: zookeeper: no Java", "NOT RUN: 1 tests, *with_a_part", "*1 passed, 1 skipped*"])


MANY_NEED_A_PART = """
import pytest

@pytest.mark.parametrize("number", range(30))
def test_with_a_part(require, number):
    require("zookeeper", False, "no Java")
"""


def test_many_that_could_not_run_are_counted_by_file(run):
    result = run({"test_a.py": MANY_NEED_A_PART, "test_b.py": NEEDS_A_PART})
    result.stdout.fnmatch_lines(["NOT RUN: 31 tests, *: 30 of test_a.py, 1 of test_b.py", "*1 passed, 31 skipped*"])


def test_a_missing_part_fails_in_ci(run, options):
    result = run({"test_a.py": NEEDS_A_PART}, *options, ci=True)
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


def test_a_skipped_file_fails_in_ci_too(run, options):
    files = {"test_a.py": "import pytest\npytest.importorskip('no_such_module')", "test_b.py": "def test_b(): pass"}
    assert run(files, *options).ret == pytest.ExitCode.OK
    assert run(files, *options, ci=True).ret == pytest.ExitCode.TESTS_FAILED


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


def test_several_workers_take_files_in_the_same_order(run):
    """What is quick first, and of what is not the largest file."""
    pytest.importorskip("xdist")
    one, two = "def test_one(): pass\n", "def test_one(): pass\ndef test_two(): pass\n"
    files = {"check/test_a.py": one, "check/test_b.py": two, "property/test_c.py": one, "test_d.py": one, "test_e.py": two}
    result = run(files, "-v", "-n", "1", "--dist", "loadfile")
    result.stdout.fnmatch_lines([f"*PASSED*{name}*" for name in ("test_d", "test_e", "test_c", "test_b", "test_b", "test_a")])


def test_quick_takes_the_quick_ones_only(run):
    run(FILES, "--quick").assert_outcomes(passed=1, deselected=5)


MINUTES = "import pytest\n@pytest.mark.marathon\ndef test_slow(): pass\ndef test_quick(): pass"


def test_what_takes_minutes_is_left_out_loudly(run, options):
    result = run({"test_a.py": MINUTES}, *options)
    result.stdout.fnmatch_lines(["*1 passed*"])
    result.stdout.fnmatch_lines(["LEFT OUT: 1 tests*make test-long*"])


def test_it_is_run_when_asked_for(run, options):
    result = run({"test_a.py": MINUTES}, "--long", "-v", *options)
    result.stdout.fnmatch_lines(["*test_slow*"])
    result.stdout.no_fnmatch_line("*test_quick*")
    result.stdout.no_fnmatch_line("*LEFT OUT*")
