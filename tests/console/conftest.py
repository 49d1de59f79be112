"""Browsers for the tests of the console: Debian's Chromium, one process for each relay, since each relay has its own authority."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, sync_playwright

from tests.console.browser import ROOT, Console, CorpWorld, launch


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    assert (ROOT / "stillvault" / "console" / "index.html").exists(), "the console is not built: tools/console"
    with sync_playwright() as started:
        yield started


@pytest.fixture
def console(playwright: Playwright) -> Iterator[Console]:
    """A relay that serves the console, without an organisation, and a browser."""
    root = Path(tempfile.mkdtemp(prefix="sv-"))  # short: a socket's path has 107 bytes
    world = CorpWorld(root)
    browser = None
    try:
        world.start()
        browser = launch(playwright, world, root / "browser")
        made = Console(world, browser)
        yield made
        for tab in made.tabs:
            tab.check()
    finally:
        if browser:
            browser.close()
        world.stop()
        shutil.rmtree(root, ignore_errors=True)
