"""The screen of people and devices: joining by five words, further passkeys, and removals that leave nothing openable behind."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.console.browser import Console
from tests.console.inviting import confirm, enrol, invite, join


def test_a_phone_is_invited_and_enrolled_by_five_words(console: Console) -> None:
    alice = console.found()
    url = invite(alice, "bob", "approver", "auditor")
    assert url.startswith(f"{console.world.url}/join/person#")
    alice.axe()
    phone = console.tab(phone=True)
    words = join(phone, url)
    page = alice.page
    expect(page.get_by_text("their screen shows five words").first).to_be_visible()
    alice.axe()
    # Words that are not those of these keys sign nothing.
    confirm(page, " ".join(["zoo", *words.split()[1:]]) if words.split()[0] != "zoo" else "abandon " + " ".join(words.split()[1:]))
    expect(page.get_by_role("alert")).to_contain_text("not those of the keys that arrived here")
    confirm(page, words.upper())
    expect(page.get_by_role("heading", name="bob has joined")).to_be_visible()
    phone.page.get_by_role("button", name="Sign in").click()
    expect(phone.page.get_by_role("navigation", name="Main")).to_be_visible()

    page = alice.open("/people")
    row = page.get_by_role("list", name="People").get_by_role("listitem").filter(has_text="bob")
    expect(row).to_contain_text("Approver, Auditor")
    alice.axe()
    page = alice.open("/people/bob")
    expect(page.get_by_text("Synced passkey")).to_be_visible()
    alice.axe()
    page = phone.open("/people/bob")
    expect(page.get_by_text("this browser").first).to_be_visible()
    expect(page.get_by_role("link", name="Remove")).to_have_count(0)
    phone.axe()
