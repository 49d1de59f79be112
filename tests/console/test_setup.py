"""First start in the browser gives what `stillvault org create` gives, and the paper is checked."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.console.browser import Console


def test_first_start_to_the_recovery_kit_and_in(console: Console) -> None:
    tab = console.found("alice")
    page = tab.page
    expect(page).to_have_url(f"{console.world.url}/policies")
