"""What hosts report as warm, and ending it: the next read asks a person again."""

from __future__ import annotations

import subprocess

from playwright.sync_api import expect

from tests.console.browser import Console
from tests.world import PATIENCE, Party

VALUE = b"warm"


def released(asking: subprocess.Popen[bytes]) -> bytes:
    out, errors = asking.communicate(timeout=PATIENCE)
    assert asking.returncode == 0, errors.decode()
    return out


def read(host: Party, path: str = "prod/db") -> subprocess.Popen[bytes]:
    return host.spawn("read", "-n", f"sv://{path}")


def test_a_lease_is_shown_and_ended_and_the_next_read_asks_again(console: Console) -> None:
    alice = console.create()
    bob = console.page("bob", "approver")
    host = console.host()
    page = bob.open("/leases")
    expect(page.get_by_role("heading", name="Nothing is warm")).to_be_visible()
    bob.axe()
    for path in ("prod/db", "prod/other"):
        alice.ok("seal", path, stdin=VALUE)
        asking = read(host, path)
        alice.ok("approve", "--next", "--wait", "30", "--yes")
        assert released(asking) == VALUE
    # It is warm: the same program gets it again, and nobody is asked.
    assert released(read(host)) == VALUE
    rows = page.get_by_role("list", name="Leases: db-1").get_by_role("listitem")
    expect(rows).to_have_count(2)
    row = rows.filter(has_text="prod/db")
    for fact in ("account ", "(uid ", "granted by alice", "client host/db-1", " left"):
        expect(row).to_contain_text(fact)
    expect(page.get_by_text("This is what the hosts reported.")).to_be_visible()
    bob.axe()

    page.get_by_role("button", name="End the lease of prod/db on db-1").click()
    expect(page.get_by_text("The order went out: 1 ended.")).to_be_visible()
    expect(rows).to_have_count(1)
    until_cold(host, "prod/db")
    asking = read(host)
    alice.ok("approve", "--next", "--wait", "30", "--yes")
    assert released(asking) == VALUE

    page.get_by_role("button", name="End all").click()
    expect(page.get_by_text("Every host is told to drop every value")).to_be_visible()
    bob.axe()
    page.get_by_role("dialog").get_by_role("button", name="End all").click()
    expect(page.get_by_role("heading", name="Nothing is warm")).to_be_visible()
    until_cold(host, "prod/other")
    assert alice.json("audit", "verify")["verified"]
    ended = [line for line in alice.ok("audit", "tail").text.splitlines() if "lease" in line and "purge" in line]
    assert len(ended) >= 2


def until_cold(host: Party, path: str) -> None:
    """The order is on its way by the host's feed: waits until its daemon has carried it out."""
    for _ in range(200):
        if path not in host.ok("leases").text:
            return
    raise AssertionError(f"{path} is still warm")


def test_an_auditor_looks_and_ends_nothing(console: Console) -> None:
    console.create()
    eve = console.page("eve", "auditor")
    page = eve.open("/leases")
    expect(page.get_by_role("heading", name="Nothing is warm")).to_be_visible()
    expect(page.get_by_role("button", name="End all")).not_to_be_visible()
