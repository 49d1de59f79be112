"""What the tests of cards share: a town of a terminal, two browsers and a host, and the steps of a person before a card."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.console.browser import Console, Tab
from tests.world import PATIENCE, Party, end

VALUE = b"correct horse"
FORGET = """() => new Promise((done, failed) => {
  const asked = indexedDB.open("stillvault");
  asked.onerror = failed;
  asked.onsuccess = () => {
    const change = asked.result.transaction("records", "readwrite");
    const store = change.objectStore("records");
    store.getAllKeys().onsuccess = (found) =>
      found.target.result.filter((key) => key.endsWith("/approver")).forEach((key) => store.delete(key));
    change.oncomplete = () => { asked.result.close(); done(); };
  };
})"""


HABIT = """() => new Promise((done, failed) => {
  const asked = indexedDB.open("stillvault");
  asked.onerror = failed;
  asked.onsuccess = () => {
    const change = asked.result.transaction("records", "readwrite");
    const store = change.objectStore("records");
    store.getAllKeys().onsuccess = (keys) => {
      const key = keys.target.result.find((one) => one.endsWith("/approver"));
      store.get(key).onsuccess = (found) =>
        store.put({...found.target.result, paces: Array(20).fill({approved: true, took: 1600})}, key);
    };
    change.oncomplete = () => { asked.result.close(); done(); };
  };
})"""


@dataclass
class Town:
    """alice at a terminal, bob at a desk, carol on a phone; host/db-1 with a daemon; prod/** for any of them."""

    console: Console
    alice: Party
    bob: Tab
    carol: Tab
    host: Party
    asking: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def seal(self, path: str) -> None:
        self.alice.ok("seal", path, stdin=VALUE)

    def ask(self, path: str = "prod/db", *more: str) -> subprocess.Popen[bytes]:
        process = self.host.spawn("read", "-n", f"sv://{path}", *more)
        self.asking.append(process)
        return process

    def policy(self, name: str, match: str, *more: str) -> None:
        self.alice.ok("policy", "set", name, "--match", match, "--people", "alice,bob,carol", *more)

    def begin(self) -> None:
        """Nobody asks, nothing is warm, and both browsers are as on their first day, before an empty list."""
        for process in self.asking:
            end(process)
        self.asking.clear()
        self.host.ok("leases", "purge")
        for tab in (self.bob, self.carol):
            tab.page.unroute_all()
            tab.page.evaluate(FORGET)
            tab.open("/")
            expect(tab.page.get_by_text("Nothing waits for you")).to_be_visible()


def build(console: Console) -> Town:
    alice = console.create()
    bob = console.page("bob", "approver")
    carol = console.page("carol", "approver", phone=True)
    host = console.host(people="alice,bob,carol")
    town = Town(console, alice, bob, carol, host)
    town.seal("prod/db")
    return town


@contextmanager
def rogue(town: Town, subject: str) -> Iterator[Any]:
    """A host that says what it likes. At the end it is revoked, which withdraws what it asked."""
    party = town.console.world.client(subject, ["prod/**"])
    program = Path(__file__).with_name("asker.py")

    def ask(*cards: list[dict[str, Any]]) -> list[list[str]]:
        done = party.run(str(program), stdin=json.dumps(cards).encode(), program=Path(sys.executable))
        assert done.code == 0, done.said
        return [json.loads(line) for line in done.text.splitlines()]

    try:
        yield ask
    finally:
        town.alice.ok("client", "revoke", subject)


# ---- a person before a card ------------------------------------------------------------------------------------------------


def open_card(tab: Tab, path: str = "prod/db") -> Page:
    """Follows the card's line in the list."""
    lines = tab.page.get_by_role("list", name="Waiting cards").get_by_role("listitem").filter(has_text=re.compile(" left"))
    lines.get_by_role("link", name=path).click()
    expect(tab.page.locator(".prompt").first).to_be_visible()
    return tab.page


def approve(page: Page) -> None:
    """Approves as a person does: when the button is armed."""
    expect(page.locator(".deciding .button.accent.armed")).to_be_visible()
    page.locator(".deciding .button.accent").click()


def deny(page: Page) -> None:
    page.get_by_role("button", name="Deny", exact=True).click()


def gone(page: Page) -> None:
    """No way to approve anything here."""
    expect(page.get_by_role("button", name=re.compile("^Approve"))).to_have_count(0)


# ---- what the program got --------------------------------------------------------------------------------------------------


def released(process: subprocess.Popen[bytes]) -> None:
    """The value, and nothing else."""
    out, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors.decode()
    assert out == VALUE


def refused(process: subprocess.Popen[bytes], code: int) -> str:
    """Nothing but words."""
    out, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, errors.decode()
    assert out == b""
    return errors.decode()
