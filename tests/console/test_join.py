"""Joining by an invitation: nothing happens before the person asks for it, and the five words are what is believed."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.console.browser import Console


def invites(console: Console) -> dict[str, Any]:
    return {one["subject"]: one for one in console.world.parties["alice"].json("invites")["invites"]}


def test_a_person_joins_by_link_and_five_words(console: Console) -> None:
    alice = console.create()
    url = alice.ok("person", "invite", "bob", "--role", "approver", "--role", "sealer").text.strip()
    tab = console.tab(phone=True)
    page = tab.open(url)
    expect(page.get_by_role("heading", name="Join Example")).to_be_visible()
    expect(page.get_by_text("approver, sealer")).to_be_visible()
    assert "#" not in page.url
    tab.axe()
    # Opening the link has done nothing, there or here.  # C18
    assert invites(console)["bob"]["state"] == "open"
    assert tab.credentials() == []
    page.get_by_label("A name for this passkey").fill("Bob's phone")
    page.get_by_role("button", name="Make the passkey and join").click()
    words = console.words(page)
    tab.axe()
    assert len(words.split()) == 5
    # Other words confirm nothing.
    wrong = " ".join(reversed(words.split()))
    assert "untrusted: words" in alice.fails(15, "confirm", "bob", "--words", wrong)
    alice.ok("confirm", "bob", "--words", words)
    expect(page.get_by_text("You are in Example")).to_be_visible()
    tab.axe()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    bob = {one["id"]: one for one in alice.json("org", "show")["people"]}["bob"]
    assert bob["roles"] == ["approver", "sealer"]
    assert [(one["id"], one["name"], one["tier"]) for one in bob["devices"]] == [("bob-bob-s-phone", "Bob's phone", "synced")]
    # The link was good for one device.
    other = console.tab()
    other.open(url)
    expect(other.page.get_by_text("This invitation is used, cancelled or over")).to_be_visible()
    other.axe()


def test_what_an_invitation_does_not_name_is_refused(console: Console) -> None:
    alice = console.create()
    url = alice.ok("person", "invite", "bob", "--role", "approver").text.strip()
    tab = console.tab()
    for fragment, said in (("", "join-url"), ("x" * 60, "join-url"), (url.partition("#")[2][:-8], "join-url")):
        tab.open("/signin")
        tab.open(f"/join/person#{fragment}")
        expect(tab.page.get_by_text(said)).to_be_visible()
    tab.axe()
    # Without PRF there is nothing to protect a key with: nothing is sent, and the invitation stays open.
    poor = console.tab(hasPrf=False)
    poor.open(url)
    poor.page.get_by_role("button", name="Make the passkey and join").click()
    expect(poor.page.get_by_text("no-prf")).to_be_visible()
    poor.axe()
    assert invites(console)["bob"]["state"] == "open"
    # Nor without user verification.
    deaf = console.tab(isUserVerified=False)
    deaf.open(url)
    deaf.page.get_by_role("button", name="Make the passkey and join").click()
    expect(deaf.page.get_by_text("passkey-refused")).to_be_visible()
    assert invites(console)["bob"]["state"] == "open"


def test_a_page_that_is_loaded_again_goes_on_with_the_same_words(console: Console) -> None:
    alice = console.create()
    url = alice.ok("person", "invite", "bob", "--role", "approver").text.strip()
    tab = console.tab(phone=True)
    page = tab.open(url)
    page.get_by_role("button", name="Make the passkey and join").click()
    words = console.words(page)
    page.reload()  # without the link, which was taken out of the address bar
    expect(page.get_by_role("heading", name="You began to join here")).to_be_visible()
    tab.axe()
    page.get_by_role("button", name="Go on with your passkey").click()
    assert console.words(page) == words
    alice.ok("confirm", "bob", "--words", words)
    expect(page.get_by_text("You are in Example")).to_be_visible()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    assert len(tab.credentials()) == 1
    # It is over: there is nothing to go on with.
    tab.open("/join/person")
    expect(page.get_by_text("This page needs the whole invitation link")).to_be_visible()


def test_an_interrupted_joining_is_found_by_its_link_and_given_up(console: Console) -> None:
    alice = console.create()
    url = alice.ok("person", "invite", "bob", "--role", "approver").text.strip()
    tab = console.tab()
    page = tab.open(url)
    page.get_by_role("button", name="Make the passkey and join").click()
    console.words(page)
    tab.open("/signin")
    assert invites(console)["bob"]["state"] == "joined"
    tab.open(url)  # the same link, opened again
    expect(page.get_by_role("heading", name="You began to join here")).to_be_visible()
    page.get_by_role("button", name="Give it up").click()
    expect(page.get_by_text("Given up.")).to_be_visible()
    tab.open("/signin")
    tab.open(url)
    expect(page.get_by_text("This invitation is used, cancelled or over")).to_be_visible()


def test_a_machine_is_told_which_command_to_run(console: Console) -> None:
    alice = console.create()
    url = alice.ok("client", "invite", "host/db-1", "--scope", "prod/**").text.strip()
    tab = console.tab(phone=True)
    page = tab.open(url)
    expect(page.get_by_text("host/db-1")).to_be_visible()
    expect(page.get_by_text("prod/**")).to_be_visible()
    command = page.locator("pre").inner_text()
    assert command == f"stillvault join '{url}'"
    tab.axe()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert invites(console)["host/db-1"]["state"] == "open"
