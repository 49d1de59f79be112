"""`make screenshots`: each screen at phone and desktop size, in both themes, as docs/guides/console.md shows them.

    python -m tests.console.shots [DIRECTORY]

A town with people, a host that asks, secrets and a few days of log; every picture is of the real thing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.console.browser import ROOT, Console, Tab, opened

SIZES = (("desktop", "light"), ("phone", "dark"))


class Album:
    """Where the pictures go."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def take(self, page: Page, name: str, size: str, scheme: str) -> None:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.wait_for_timeout(700)  # what loads says so after a moment
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        page.screenshot(path=self.directory / f"{name}-{size}-{scheme}.png", animations="disabled")

    def screens(self, tab: Tab, size: str, scheme: str) -> None:
        for name in ("secrets", "people", "clients", "policies", "leases", "audit", "notifications", "settings", "help"):
            page = tab.open(f"/{name}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            self.take(page, name, size, scheme)


def main(directory: Path) -> None:
    album = Album(directory)
    with sync_playwright() as playwright, opened(playwright) as console:
        for size, scheme in SIZES:
            before(console, console.tab(phone=size == "phone"), album, size, scheme)
        alice = console.create()
        bob = console.page("bob", "approver", "sealer", "auditor", "admin")
        carol = console.page("carol", "approver", "sealer", phone=True)
        alice.ok("org", "admin", "add", "bob")
        host = console.host(people="alice,bob,carol", policy=("--window", "15m"))
        alice.ok("policy", "set", "two", "--match", "prod/payments/**", "--people", "alice,bob,carol", "--threshold", "2")
        for path in ("prod/db-primary", "prod/mail", "prod/payments/stripe", "prod/registry"):
            alice.ok("seal", path, stdin=b"value")
        asking = host.spawn("read", "-n", "sv://prod/mail")
        alice.ok("approve", "--next", "--wait", "60", "--yes")
        asking.communicate(timeout=60)
        host.spawn("run", "--reason", "nightly backup of the shop", "--env", "DB=sv://prod/db-primary", "--env",
                   "KEY=sv://prod/payments/stripe", "--", "/usr/bin/env")
        invitation = alice.ok("person", "invite", "dan", "--role", "approver").text.strip()
        for tab, (size, scheme) in zip((bob, carol), SIZES, strict=True):
            page = tab.open("/")
            expect(page.get_by_text("prod/db-primary").first).to_be_visible()
            album.take(page, "pending", size, scheme)
            page.get_by_role("link", name="prod/db-primary").first.click()
            expect(page.get_by_role("button", name="Approve")).to_be_enabled()
            album.take(page, "card", size, scheme)
            album.screens(tab, size, scheme)
            page.goto(console.world.url + "/secrets?new=1")
            expect(page.get_by_label("Name", exact=True)).to_be_visible()
            album.take(page, "seal", size, scheme)
            stranger = console.tab(phone=size == "phone")
            album.take(stranger.open("/signin"), "signin", size, scheme)
            stranger.open(invitation)
            expect(stranger.page.get_by_role("button", name="Make the passkey and join")).to_be_visible()
            album.take(stranger.page, "join", size, scheme)


def before(console: Console, tab: Tab, album: Album, size: str, scheme: str) -> None:
    """First start, as far as the kit: nothing is created by that."""
    page = tab.open(console.setup_url())
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    album.take(page, "setup", size, scheme)
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Name of the organisation").fill("Example")
    page.get_by_label("Your name in it").fill("alice")
    page.get_by_label("A name for this passkey").fill("Test key")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_text("Stillvault recovery kit").first).to_be_visible()
    album.take(page, "kit", size, scheme)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "guides" / "console")
