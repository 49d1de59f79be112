"""A browser after a restore of the relay: one that saw more refuses, says why, and goes on when an owner signed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from playwright.sync_api import expect

from tests.console.browser import Console, Tab, event_of
from tests.console.cards import open_card
from tests.console.inviting import client, confirm, invite, policy, released, seal
from tests.console.test_signin import copy_passkey
from tests.world import PATIENCE, Party, end

BACKUP = "relay.backup"
ACCEPT = "stillvault org accept-restore"


@dataclass
class Founded:
    """An organisation founded in the browser, so that its root key is on paper alone. alice has released prod/db."""

    console: Console
    alice: Tab
    host: Party

    def back_up(self) -> None:
        self.console.world.relay_command("backup", str(self.console.world.root / BACKUP))

    def lost(self) -> None:
        """The relay's machine is gone; the backup comes up on another, under the same name."""
        world = self.console.world
        end(self.daemon)
        assert world.stop_relay() == 0
        world.data = world.root / "elsewhere"
        world.relay_command("restore", str(world.root / BACKUP))
        world.start()
        self.daemon = self.host.start_daemon()

    def __post_init__(self) -> None:
        self.daemon = self.host.start_daemon()

    def accept(self, by: Party) -> None:
        """As `by` types what the sheet of the root key says."""
        done = by.json("org", "accept-restore", "--yes", "--root-key-file", "-", stdin=self.console.paper.encode())
        assert done["accepted"] is True
        end(self.daemon)  # it would wait a while before it looks again
        self.daemon = self.host.start_daemon()


def founded(console: Console) -> Founded:
    alice = console.found()
    made = Founded(console, alice, client(console, alice, "db-1", "prod/**"))
    policy(alice, "prod", "prod/**", ("alice",))
    seal(alice, "prod/db", "first")
    assert released(made.host, "prod/db", alice) == b"first"
    return made


def at_a_terminal(console: Console, admin: Tab, person: str, *roles: str) -> Party:
    """Joins by the command line, invited and confirmed by the browser."""
    url = invite(admin, person, *roles)
    party = console.world.party(person)
    joining = party.spawn("--format", "json", "join", url, "--no-passphrase")
    confirm(admin.page, event_of(joining)["words"])
    expect(admin.page.get_by_role("heading", name=f"{person} has joined")).to_be_visible()
    assert event_of(joining)["event"] == "joined"
    assert joining.wait(PATIENCE) == 0
    return party


def verify_log(tab: Tab) -> None:
    tab.open("/audit").get_by_role("button", name="Verify all of it").click()


def refused_at_sign_in(tab: Tab, says: str = "an older state of the organisation", code: str = "rollback") -> None:
    page = tab.open("/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    said = page.get_by_role("alert")
    expect(said).to_contain_text(says)
    expect(said).to_contain_text("this browser has seen. Nothing of it is used")
    expect(said).to_contain_text(ACCEPT)
    expect(said).to_contain_text(f"Code: {code}")
    tab.axe()


def test_a_roster_that_went_back_is_refused_until_an_owner_signs(console: Console) -> None:
    made = founded(console)
    alice = made.alice
    bob = at_a_terminal(console, alice, "bob", "administrator", "approver")
    made.back_up()
    policy(alice, "later", "later/**", ("alice",))
    bob.ok("audit", "verify")
    made.lost()
    refused_at_sign_in(alice)
    made.accept(bob)
    page = alice.sign_in("/policies")
    expect(page.get_by_role("link", name="later")).to_be_visible()  # the backup lacked it; bob's home brought it back
    verify_log(alice)
    expect(page.get_by_text("The log verifies: ")).to_be_visible()
    assert released(made.host, "prod/db", alice) == b"first"
    policy(alice, "last", "last/**", ("alice",))


def test_a_log_that_went_back_is_refused_and_what_was_lost_is_sealed_on(console: Console) -> None:
    made = founded(console)
    alice = made.alice
    bob = at_a_terminal(console, alice, "bob", "administrator", "approver")
    made.back_up()
    seal(alice, "prod/more", "lost")
    verify_log(alice)
    page = alice.page
    expect(page.get_by_text("The log verifies: ")).to_be_visible()
    bob.ok("audit", "verify")
    made.lost()

    alice.sign_in()
    asking = made.host.spawn("read", "-n", "sv://prod/db")
    open_card(alice)
    said = page.get_by_role("alert")
    expect(said).to_contain_text(re.compile("The relay's log went back|different histories"))  # as many rows as came since
    expect(said).to_contain_text(ACCEPT)
    expect(page.get_by_role("button", name="Approve", exact=True)).to_have_attribute("aria-disabled", "true")
    alice.axe()
    verify_log(alice)
    expect(said).to_contain_text(re.compile("The log is shorter than this browser has seen it|The log does not continue"))
    expect(said).to_contain_text(ACCEPT)
    page = alice.open("/secrets?new=1")
    page.get_by_label("Name", exact=True).fill("prod/more")
    expect(said).to_contain_text("this browser has seen version 1. Nothing was sealed.")
    expect(page.get_by_role("button", name="It was lost: seal on")).to_have_count(0)  # nobody has signed that anything was
    end(asking)

    made.accept(bob)
    assert released(made.host, "prod/db", alice) == b"first"
    verify_log(alice)
    expect(page.get_by_text("The log verifies: ")).to_be_visible()
    page = alice.open("/secrets?new=1")
    page.get_by_label("Name", exact=True).fill("prod/more")
    page.get_by_role("textbox", name="Text", exact=True).fill("again")
    page.get_by_role("button", name="It was lost: seal on").click()
    expect(page.get_by_text("Your passkey is asked 2 times: the version passes 1,")).to_be_visible()
    alice.axe()
    page.get_by_role("button", name="Seal with your passkey").click()
    expect(page.get_by_text("Sealed prod/more version 2")).to_be_visible()
    assert released(made.host, "prod/more", alice) == b"again"


def test_without_a_terminal_that_saw_more_a_browser_that_saw_less_begins_it(console: Console) -> None:
    """Nobody had a home before. A browser without a memory, with the synced passkey, invites one; what came since is lost."""
    made = founded(console)
    alice = made.alice
    made.back_up()
    policy(alice, "later", "later/**", ("alice",))
    made.lost()
    refused_at_sign_in(alice)
    fresh = console.tab()
    copy_passkey(alice, fresh)
    fresh.sign_in()
    bob = at_a_terminal(console, fresh, "bob", "administrator", "approver")
    refused_at_sign_in(alice, "another roster than the one of the same version", "fork")
    made.accept(bob)
    page = alice.sign_in("/policies")
    expect(page.get_by_role("link", name="prod")).to_be_visible()
    expect(page.get_by_role("link", name="later")).to_have_count(0)
    assert released(made.host, "prod/db", alice) == b"first"
