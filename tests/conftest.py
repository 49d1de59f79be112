"""Rules for every test: a skip that nobody gave a reason for in allowed-skips.txt fails the run; all others are printed."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.world import World

# A runner that was started in the background or under nohup has these ignored, and every process of a test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

# Few tests, much time: begun first, so that no worker is left alone with one of them at the end.
LONG = ("tests/hostile/", "tests/faults/", "tests/packaging/", "tests/console/", "tests/acceptance/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


ALLOWED = Path(__file__).parent / "allowed-skips.txt"
_skipped: list[tuple[str, str]] = []


@pytest.fixture
def world() -> Iterator[World]:
    """A running relay on a data directory of its own, without an organisation (tests/world.py)."""
    root = Path(tempfile.mkdtemp(prefix="sv-"))  # short: a socket's path has 107 bytes
    made = World(root)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def small(world: World) -> World:
    """Alice (all roles), Bob (approver), host/db-1 and a policy for prod/** by either of them."""
    alice = world.create()
    world.person("bob", "approver")
    world.client("host/db-1")
    alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice,bob")
    return world


def _allowed() -> list[tuple[str, str]]:
    lines = [line.strip() for line in ALLOWED.read_text().splitlines()]
    pairs = [line.rpartition(": ") for line in lines if line and not line.startswith("#")]
    return [(pattern, reason) for pattern, _, reason in pairs if pattern and reason]


def _note(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _skipped.append((report.nodeid, why))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note(report)


def _unlisted() -> list[tuple[str, str]]:
    return [(node, why) for node, why in _skipped if not any(fnmatchcase(node, pattern) for pattern, _ in _allowed())]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if _unlisted() and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for node, why in _unlisted():
        terminalreporter.write_line(f"SKIP NOT LISTED in tests/allowed-skips.txt: {node}: {why}", red=True)
