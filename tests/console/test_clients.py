"""The screen of hosts and agents: what is done there is obeyed by the real daemon and command line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Playwright, expect

from tests.console.browser import Console, Tab, opened
from tests.console.inviting import client, policy, released, seal
from tests.world import PATIENCE, Party

FORBIDDEN = 13
UNAVAILABLE = 14
UNTRUSTED = (14, 15)  # the daemon's certificate is worth nothing any more: it cannot sign in, or sees itself revoked


@pytest.fixture(scope="module")
def town(playwright: Playwright) -> Iterator[tuple[Console, Tab]]:
    """alice in a browser, a policy and a secret; each test brings a host of its own."""
    with opened(playwright) as console:
        alice = console.found()
        expect(alice.open("/clients").get_by_text("No clients yet")).to_be_visible()
        alice.axe()
        policy(alice, "prod", "prod/**", ("alice",))
        seal(alice, "prod/db", "value")
        yield console, alice


def read(host: Party, path: str = "prod/db") -> int:
    """How a `read` ends that nobody is asked about."""
    return host.run("read", "-n", f"sv://{path}").code


def test_a_host_is_invited_held_lifted_and_revoked(town: tuple[Console, Tab]) -> None:
    console, alice = town
    host = client(console, alice, "db-1", "prod/**")
    host.start_daemon()
    assert released(host, "prod/db", alice) == b"value"
    assert read(host, "other/db") == FORBIDDEN  # out of its scope

    page = alice.open("/clients")
    row = page.get_by_role("list", name="Clients").get_by_role("listitem").filter(has_text="host/db-1")
    expect(row).to_contain_text("host/db-1")
    expect(row).to_contain_text("System")
    expect(row).to_contain_text("Last seen")
    alice.axe()
    row.get_by_role("link").click()
    page.get_by_label("For how long").select_option("28800")
    expect(page.get_by_text("Nothing is released to host/db-1 for 8 hr")).to_be_visible()
    page.get_by_role("button", name="Hold", exact=True).click()
    expect(page.get_by_text("host/db-1 is held")).to_be_visible()
    expect(page.get_by_text("Held until")).to_be_visible()
    alice.axe()
    assert read(host) == FORBIDDEN
    expect(alice.open("/clients").get_by_role("list", name="Held now")).to_contain_text("host/db-1")
    alice.open("/clients/host/db-1").get_by_role("button", name="Lift", exact=True).click()
    expect(alice.page.get_by_text("Lifted")).to_be_visible()
    assert released(host, "prod/db", alice) == b"value"

    alice.page.goto(f"{console.world.url}/clients/host/db-1")
    alice.page.get_by_role("button", name="Revoke", exact=True).click()
    expect(alice.page.get_by_text("host/db-1 is revoked")).to_be_visible()
    assert read(host) in UNTRUSTED
    alice.axe()


def test_a_pattern_is_held_and_lifted(town: tuple[Console, Tab]) -> None:
    console, alice = town
    host = client(console, alice, "db-2", "prod/**")
    host.start_daemon()
    page = alice.open("/clients?hold=")
    page.get_by_label("Client, path or pattern").fill("Prod/**")
    expect(page.get_by_text("Prod/** is not a path or pattern")).to_be_visible()
    page.get_by_label("Client, path or pattern").fill("prod/**")
    alice.axe()
    page.get_by_role("button", name="Hold", exact=True).click()
    expect(page.get_by_role("list", name="Held now")).to_contain_text("prod/**")
    assert read(host) == FORBIDDEN
    page.get_by_role("list", name="Held now").get_by_role("link", name="Lift").click()
    alice.axe()
    page.get_by_role("button", name="Lift", exact=True).click()
    expect(page.get_by_role("list", name="Clients")).to_be_visible()
    assert released(host, "prod/db", alice) == b"value"


def test_an_approvers_freeze_is_lifted(town: tuple[Console, Tab]) -> None:
    console, alice = town
    host = client(console, alice, "db-3", "prod/**")
    host.start_daemon()
    asking = host.spawn("read", "-n", "sv://prod/db")
    page = alice.open("/")
    page.get_by_role("list", name="Waiting cards").get_by_role("link", name="prod/db").first.click()
    page.get_by_role("button", name="Deny and freeze").click()
    page.get_by_role("button", name="Deny and freeze now").click()
    assert asking.wait(PATIENCE) == 10
    assert read(host) == UNAVAILABLE  # the relay's word alone
    row = alice.open("/clients").get_by_role("list", name="Clients").get_by_role("listitem").filter(has_text="host/db-3")
    expect(row).to_contain_text("frozen")
    row.get_by_role("link").click()
    # Who froze it is what was signed.
    expect(page.get_by_text("alice froze it (alice-test-key)")).to_be_visible()
    expect(page.get_by_text(re.compile("^Signed .* until "))).to_be_visible()
    alice.axe()
    page.get_by_role("button", name="Lift the freeze").click()
    expect(page.get_by_text("1 freeze was lifted")).to_be_visible()
    expect(page.get_by_text(re.compile(r"froze it \("))).to_have_count(0)
    expect(page.get_by_role("button", name="Lift the freeze")).to_have_count(0)
    # It may ask again. This browser, which froze it, goes on hiding it for as long as it was told to.
    host.spawn("read", "-n", "sv://prod/db")
    expect(alice.open("/").get_by_text("1 card of a client that you froze is not shown")).to_be_visible()
    alice.axe()
    # Its own person ends that, there.
    page.get_by_role("button", name="Show its cards again").click()
    expect(page.get_by_role("list", name="Waiting cards")).to_contain_text("prod/db")
    expect(page.get_by_text("that you froze")).to_have_count(0)


def test_what_does_not_verify_is_nobodys_word_and_hides_nothing(town: tuple[Console, Tab]) -> None:
    """A relay that lists a broken certificate, and a freeze by a decision about another client."""
    console, alice = town
    client(console, alice, "db-4", "prod/**")
    with alice.page.expect_response("**/v1/clients") as answer:
        alice.open("/clients")
    listed = {"clients": [{"cert": {"type": "x"}, "oid": "A" * 43}, *answer.value.json()["clients"]]}
    held = {"holds": [{"subject": "host/db-4", "until": 4_000_000_000, **more} for more in ({}, {"decision": {"type": "x"}})]}
    alice.context.route("**/v1/clients", lambda route: route.fulfill(json=listed))
    alice.context.route("**/v1/holds", lambda route: route.fulfill(json=held))
    page = alice.open("/clients")
    expect(page.get_by_text("1 row of the relay's list cannot be read")).to_be_visible()
    row = page.get_by_role("list", name="Clients").get_by_role("listitem").filter(has_text="host/db-4")
    row.get_by_role("link").click()
    expect(page.get_by_text("The relay says that it stopped this client")).to_be_visible()
    expect(page.get_by_text("The relay says that somebody froze this client")).to_be_visible()
    expect(page.get_by_text(re.compile(r"froze it \("))).to_have_count(0)
    alice.axe()
    alice.context.unroute("**/v1/clients")
    alice.context.unroute("**/v1/holds")


def test_an_agent_is_invited_with_its_host_and_refused_without(town: tuple[Console, Tab]) -> None:
    _, alice = town
    page = alice.open("/clients?invite=")
    page.get_by_role("radio", name="An agent").check()
    page.get_by_label("Name", exact=True).fill("claude")
    page.get_by_label("What it may ask for").fill("dev/**")
    page.get_by_role("button", name="Make the command").click()
    expect(page.get_by_role("alert")).to_contain_text("host's name is not an id")
    page.get_by_label("Host it lives on").fill("db-1")
    page.get_by_role("button", name="Make the command").click()
    expect(page.get_by_role("heading", name="Invite for agent/claude")).to_be_visible()
    # The host's daemon must be told which callers are this agent: the entry that it takes, and where.
    entry = page.get_by_role("group", name="Which callers are this agent")
    assert tomllib.loads(entry.inner_text()) == {"identity": [{"client": "agent/claude", "exe": "/usr/bin/claude", "uid": 1000}]}
    expect(page.get_by_text("/etc/stillvault/identities.toml").first).to_be_visible()
    expect(page.get_by_role("link", name="Help on agents")).to_have_attribute("href", "/help")
    alice.axe()
    page.get_by_role("button", name="Cancel this invite").click()
    expect(page.get_by_text("The invite is cancelled")).to_be_visible()


@pytest.mark.parametrize(("path", "call", "title"), [
    ("/clients", "/v1/clients", "Clients could not be loaded"), ("/people", "/v1/clients", "People could not be loaded"),
    ("/policies", "/v1/secrets?*", "Policies could not be loaded"),
])
def test_what_cannot_be_loaded_says_so_and_is_tried_again(town: tuple[Console, Tab], path: str, call: str, title: str) -> None:
    _, alice = town
    pattern = f"**{call}"
    alice.context.route(pattern, lambda route: route.abort())
    page = alice.open(path)
    expect(page.get_by_role("alert")).to_contain_text(title)
    expect(page.get_by_role("alert")).to_contain_text("unreachable")
    alice.axe()
    alice.context.unroute(pattern)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)
