"""The screen of people and devices: joining by five words, further passkeys, and removals that leave nothing openable behind."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.console.browser import Console, Tab
from tests.console.inviting import approve, client, confirm, enrol, invite, join, link, policy, released, seal


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
    confirm(page, " ".join([*words.split()[1:], words.split()[0]]))
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


def test_a_second_passkey_on_a_synced_key_approves_an_old_secret_without_a_reseal(console: Console) -> None:
    alice = console.found()
    policy(alice, "prod", "prod/**", ("alice",))
    host = client(console, alice, "db-1", "prod/**")
    host.start_daemon()
    seal(alice, "prod/db", "old value")
    page = alice.open("/people/alice")
    page.get_by_role("link", name="Add a second passkey").click()
    page.get_by_role("button", name="Make the link").click()
    url = link(page)
    phone = console.tab(phone=True)
    words = join(phone, url)
    # The key is in this browser: the words that are typed here hand it over and sign the roster.
    expect(page.get_by_text("The key is in this browser")).to_be_visible()
    alice.axe()
    confirm(page, words)
    expect(page.get_by_text("nothing needs to be sealed again")).to_be_visible()
    phone.page.get_by_role("button", name="Sign in").click()
    expect(phone.page.get_by_role("navigation", name="Main")).to_be_visible()
    assert released(host, "prod/db", phone) == b"old value"
    page = alice.open("/people/alice")
    expect(page.get_by_text("Passkey 2")).to_be_visible()
    expect(alice.open("/policies?reseal=").get_by_text("Nothing needs to be sealed again")).to_be_visible()


def test_a_second_passkey_is_handed_over_by_the_machine_that_has_the_key_and_revoked(console: Console) -> None:
    alice = console.found()
    bob = enrol(console, alice, "bob", "approver", "sealer")
    policy(alice, "prod", "prod/**", ("bob", "alice"))
    host = client(console, alice, "db-1", "prod/**")
    host.start_daemon()
    seal(alice, "prod/db", "old value")
    page = alice.open("/people/bob")
    page.get_by_role("link", name="Add a second passkey").click()
    page.get_by_role("button", name="Make the link").click()
    url = link(page)
    phone = console.tab(phone=True)
    words = join(phone, url)
    expect(page.get_by_label("Five words from their screen")).to_be_visible()
    page.get_by_label("Five words from their screen").fill(words)
    expect(page.get_by_role("button", name="Confirm", exact=True)).to_have_attribute("aria-disabled", "true")
    laptop = bob.open("/people/bob")
    laptop.get_by_role("link", name="Hand the key over").click()
    laptop.get_by_label("Link that the new phone opened").fill(url)
    # Whoever made the link knows its nonce, and could look for keys with the same five words: twelve are asked for here.
    all_words = phone.page.locator(".words li").all_inner_texts()
    assert len(all_words) == 12
    assert words.split() == all_words[:5]
    phone.axe()
    typed = laptop.get_by_label("Twelve words from its screen")
    typed.fill(words)
    expect(laptop.get_by_role("button", name="Hand the key over")).to_have_attribute("aria-disabled", "true")
    typed.fill(" ".join([*all_words[:11], all_words[0]]))
    laptop.get_by_role("button", name="Hand the key over").click()
    expect(laptop.get_by_role("alert")).to_contain_text("not those of the keys")
    bob.axe()
    typed.fill(" ".join(all_words))
    laptop.get_by_role("button", name="Hand the key over").click()
    expect(laptop.get_by_text("The key is handed over")).to_be_visible()
    expect(page.get_by_text("The key is handed over: confirm now.")).to_be_visible()
    page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.get_by_text("has one more passkey").first).to_be_visible()
    phone.page.get_by_role("button", name="Sign in").click()
    expect(phone.page.get_by_role("navigation", name="Main")).to_be_visible()
    assert released(host, "prod/db", phone) == b"old value"
    # Revoked: what it sealed is sealed again, and it signs in no more.
    seal(phone, "prod/phone", "sealed by the phone")
    page = alice.open("/people/bob")
    page.locator(".passkey").nth(1).get_by_role("link", name="Revoke").click()
    expect(page.get_by_text("1 secret is sealed again")).to_be_visible()
    alice.axe()
    page.get_by_role("button", name="Revoke", exact=True).click()
    finish(alice)
    expect(page.get_by_text("The passkey is revoked")).to_be_visible()
    expect(page.get_by_role("list", name="Credentials to rotate").get_by_role("listitem")).to_have_count(2)
    page = alice.open("/people/bob")
    expect(page.get_by_text("Passkey 1")).to_be_visible()
    expect(page.get_by_text("Passkey 2")).to_have_count(0)
    assert released(host, "prod/phone", bob) == b"sealed by the phone"
    phone.open("/")
    expect(phone.page.get_by_role("navigation", name="Main")).to_have_count(0)


def finish(tab: Tab) -> None:
    """Seals again and ends a removal."""
    page = tab.page
    page.get_by_role("button", name="Seal again", exact=True).click()
    page.get_by_role("button", name="Finish", exact=True).click()


def test_a_person_is_removed_and_what_they_could_open_is_sealed_again(console: Console) -> None:
    alice = console.found()
    bob = enrol(console, alice, "bob", "approver", "sealer")
    carol = enrol(console, alice, "carol", "approver")
    policy(alice, "any", "prod/**", ("alice", "bob"))
    policy(alice, "two", "two/**", ("alice", "bob", "carol"), "Two people")
    host = client(console, alice, "db-1", "**")
    host.start_daemon()
    seal(alice, "prod/a", "value a")
    seal(bob, "prod/b", "value b")
    seal(alice, "two/c", "value c")

    page = alice.open("/people/bob?remove=")
    expect(page.get_by_text("3 secrets are sealed again, without them")).to_be_visible()
    expect(page.get_by_text("Policy two will need all of its 2 people")).to_be_visible()
    expect(page.get_by_text("Policy any will name one person alone")).to_be_visible()
    alice.axe()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("button", name="Seal again", exact=True).click()
    waiting = page.get_by_role("listitem").filter(has_text="two/c")
    expect(waiting).to_contain_text("1 of 2 people")
    expect(page.get_by_role("listitem").filter(has_text="prod/a")).to_contain_text("sealed again")
    expect(page.get_by_role("listitem").filter(has_text="prod/b")).to_contain_text("sealed again")
    alice.axe()
    # Interrupted: bob is out already, and the rest goes on where it stopped.
    bob.open("/")
    expect(bob.page.get_by_role("navigation", name="Main")).to_have_count(0)
    page = alice.open("/people")
    expect(page.get_by_text("The removal of bob is not finished")).to_be_visible()
    alice.axe()
    page.get_by_role("link", name="Go on").click()
    page.get_by_role("button", name="Seal again", exact=True).click()
    expect(page.get_by_role("listitem").filter(has_text="two/c")).to_contain_text("1 of 2 people")
    approve(carol, "two/c")
    page.get_by_role("button", name="Finish", exact=True).click()
    expect(page.get_by_role("heading", name="Rotate these at their source")).to_be_visible()
    for path in ("prod/a", "prod/b", "two/c"):
        expect(page.get_by_role("list", name="Credentials to rotate")).to_contain_text(path)
    alice.axe()
    expect(alice.open("/people").get_by_role("list", name="People")).not_to_contain_text("bob")
    assert released(host, "prod/b", alice) == b"value b"


def test_a_device_is_removed_and_its_person_stays(console: Console) -> None:
    alice = console.found()
    laptop = enrol(console, alice, "bob", "approver")
    policy(alice, "any", "prod/**", ("alice", "bob"))
    host = client(console, alice, "db-1", "**")
    host.start_daemon()
    page = alice.open("/people/bob")
    page.get_by_role("link", name="Invite a further device").click()
    page.get_by_role("button", name="Make the link").click()
    phone = console.tab(phone=True)
    words = join(phone, link(page))
    confirm(page, words)
    expect(page.get_by_role("heading", name="bob has joined")).to_be_visible()
    phone.page.get_by_role("button", name="Sign in").click()
    expect(phone.page.get_by_role("navigation", name="Main")).to_be_visible()
    seal(alice, "prod/a", "value a")
    page = alice.open("/people/bob")
    page.locator(".device").nth(1).get_by_role("link", name="Remove this device").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    finish(alice)
    expect(page.get_by_role("list", name="Credentials to rotate")).to_contain_text("prod/a")
    phone.open("/")
    expect(phone.page.get_by_role("navigation", name="Main")).to_have_count(0)
    expect(alice.open("/people/bob").locator(".device")).to_have_count(1)
    assert released(host, "prod/a", laptop) == b"value a"


def test_a_removal_is_blocked_before_anything_is_left_with_too_few_people(console: Console) -> None:
    alice = console.found()
    enrol(console, alice, "bob", "approver")
    policy(alice, "two", "two/**", ("alice", "bob"), "Two people")
    seal(alice, "two/c", "value c")
    page = alice.open("/people/bob")
    page.get_by_role("link", name="Remove this person").click()
    blocked = page.get_by_role("alert")
    expect(blocked).to_contain_text("Policy two needs 2 people and would keep 1")
    expect(blocked).to_contain_text("two/c needs 2 people and would keep 1")
    expect(blocked).to_contain_text("removal-blocked")
    expect(page.get_by_role("button", name="Remove", exact=True)).to_have_count(0)
    alice.axe()
    page = alice.open("/people/alice?remove=")
    expect(page.get_by_role("alert")).to_contain_text("A device cannot remove itself")


def test_roles_are_changed_and_those_that_are_needed_stay(console: Console) -> None:
    alice = console.found()
    bob = enrol(console, alice, "bob", "approver")
    policy(alice, "prod", "prod/**", ("bob",))
    page = alice.open("/people/bob?roles=")
    page.get_by_role("checkbox", name="Sealer").check()
    expect(page.get_by_text("bob is now approver, sealer")).to_be_visible()
    alice.axe()
    page.get_by_role("button", name="Sign with your passkey").click()
    expect(page).to_have_url(f"{console.world.url}/people/bob")
    expect(page.locator("dd").filter(has_text="Approver, Sealer")).to_be_visible()
    seal(bob, "prod/b", "value b")
    page = alice.open("/people/bob?roles=")
    page.get_by_role("checkbox", name="Sealer").uncheck()
    page.get_by_role("button", name="Sign with your passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("bob sealed prod/b")
    page.get_by_role("checkbox", name="Approver").uncheck()
    expect(page.get_by_role("alert").first).to_contain_text("bob")
    expect(page.get_by_role("button", name="Sign with your passkey")).to_have_count(0)


def test_a_ceremony_that_is_refused_changes_nothing(console: Console) -> None:
    alice = console.found()
    url = invite(alice, "bob", "approver")
    phone = console.tab()
    words = join(phone, url)
    alice.verify(False)
    confirm(alice.page, words)
    expect(alice.page.get_by_role("alert")).to_be_visible()
    expect(alice.page.get_by_role("heading", name="bob has joined")).to_have_count(0)
