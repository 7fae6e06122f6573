"""Tests that take minutes each are left out, and every run says so; `make test-long` takes them, and nothing else."""

import pytest


class Marathon:
    """A plugin of pytest: it keeps such tests for --long."""

    def __init__(self, config: pytest.Config) -> None:
        self._wanted = config.getoption("long")
        self._left_out = 0

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """With --long these, without it all others."""
        other = [item for item in items if bool(item.get_closest_marker("marathon")) is not self._wanted]
        if not self._wanted:
            self._left_out = len(other)
        if other:
            config.hook.pytest_deselected(items=other)
            items[:] = [item for item in items if item not in other]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A worker of several tells how many."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["left_out"] = self._left_out

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node) -> None:
        """Every worker has collected the same."""
        self._left_out = max(self._left_out, getattr(node, "workeroutput", {}).get("left_out", 0))

    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        """Say loudly what was not tried."""
        if self._left_out:
            terminalreporter.write_line(f"LEFT OUT: {self._left_out} tests that take minutes each; make test-long runs them", yellow=True)
