"""Browsers for the tests of the console: Debian's Chromium, a process for each relay, since each relay has its own authority."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Playwright, sync_playwright

from tests.console.browser import ROOT, Console, opened


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    assert (ROOT / "stillvault" / "console" / "index.html").exists(), "the console is not built: tools/console"
    with sync_playwright() as started:
        yield started


@pytest.fixture
def console(playwright: Playwright) -> Iterator[Console]:
    """A relay that serves the console, without an organisation, and a browser."""
    with opened(playwright) as made:
        yield made
