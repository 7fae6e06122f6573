"""Order, parts that may be missing, and how long a property is tried: for every test."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.marathon import Marathon

TESTS = Path(__file__).parent
# In CI a missing part is a failure: a green run must mean that everything was tried.
IN_CI = bool(os.environ.get("CI"))

MISSING = pytest.StashKey[set[str]]()
SKIPPED = pytest.StashKey[list[str]]()
MANY_SKIPS = 20

# A slow machine is no failure, so there is no deadline for an example, nor for drawing the first ones.
settings.register_profile("pvc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("pvc"), max_examples=2000)
settings.load_profile("pvc")

Require = Callable[[str, bool, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer --quick."""
    parser.addoption("--quick", action="store_true", help="only what takes seconds: no ensemble, no properties, no checker, no lab")
    parser.addoption("--long", action="store_true", help="only what takes minutes each: make test-long")


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing missing."""
    config.stash[MISSING] = set()
    config.stash[SKIPPED] = []
    config.pluginmanager.register(SkipWatch(config), "pvc-skip-watch")
    config.pluginmanager.register(Marathon(config), "pvc-marathon")
    # Of whoever runs the tests, or of pytest-xdist's making: no width is part of a test that does not set one.
    os.environ.pop("COLUMNS", None)
    os.unsetenv("COLUMNS")  # readline sets it behind Python's back, when pytest imports it
    if hasattr(config.option, "loadscopereorder"):
        # Newer versions of pytest-xdist begin with the largest file, whatever our order.
        config.option.loadscopereorder = False


def stage(item: pytest.Item) -> int:
    """When a test's turn comes: 0 quick ones, then real ensembles, long ones, properties, the checker, the lab."""
    folder = item.path.relative_to(TESTS).parts[0]
    if item.get_closest_marker("lab"):
        # The last, because its hosts stay up until the end.
        return 5
    if folder in ("property", "check"):
        return 3 if folder == "property" else 4
    if item.get_closest_marker("long"):
        return 2
    return 1 if item.get_closest_marker("ensemble") else 0


# Last, because pytest's own hook first puts tests together that share a fixture.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what fails in a second before what takes minutes; of the latter the largest files first, that several workers end together."""
    sizes = Counter(item.path for item in items)
    items.sort(key=lambda item: (stage(item), -sizes[item.path] if stage(item) else 0))
    if config.getoption("quick"):
        later = [item for item in items if stage(item) > 0]
        config.hook.pytest_deselected(items=later)
        items[:] = items[: len(items) - len(later)]


@pytest.fixture(scope="session")
def require(request: pytest.FixtureRequest) -> Require:
    """Call it as require(part, available, why): without the part the test is skipped and named, in CI it fails."""

    def require(part: str, available: bool, why: str) -> None:
        if available:
            return
        request.config.stash[MISSING].add(f"{part}: {why}")
        if IN_CI:
            pytest.fail(f"{part} is missing, and CI must run everything: {why}", pytrace=False)
        pytest.skip(f"{part} is missing: {why}")

    return require


class SkipWatch:
    """Takes down every skip, also those which did not come through `require`."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test was skipped."""
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A whole file was skipped."""
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.config.stash[SKIPPED].append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skip is a failure. A worker of several tells the one who reports what was missing."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["missing"] = sorted(session.config.stash[MISSING])
    if IN_CI and session.config.stash[SKIPPED] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    """A worker has ended: what was missing there is missing."""
    node.config.stash[MISSING].update(getattr(node, "workeroutput", {}).get("missing", ()))


# The type is quoted because pytest 7.2 does not name it yet.
def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter", config: pytest.Config) -> None:
    """Say loudly what this machine could not try."""
    for line in sorted(config.stash[MISSING]):
        terminalreporter.write_line(f"COULD NOT RUN HERE: {line}", red=True)
    skipped = config.stash[SKIPPED]
    if skipped:
        rule = "in CI that is a failure" if IN_CI else "in CI that would be a failure"
        terminalreporter.write_line(f"NOT RUN: {len(skipped)} tests, {rule}: {', '.join(_by_file(skipped))}", red=True)


def _by_file(skipped: list[str]) -> list[str]:
    """The tests; where they are too many to read, how many there are of which file."""
    if len(skipped) <= MANY_SKIPS:
        return skipped
    return [f"{count} of {file}" for file, count in Counter(test.partition("::")[0] for test in skipped).items()]
