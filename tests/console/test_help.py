"""Help: what the console promises and what it cannot, the shortcuts, and the relay's own description of its interface."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.console.browser import Console


def test_promises_shortcuts_and_the_interface(console: Console) -> None:
    console.create()
    bob = console.page("bob", "approver", "sealer", "auditor")
    page = bob.open("/help")
    expect(page.get_by_text("A web page trusts whoever serves its script.")).to_be_visible()
    expect(page.get_by_text(f"stillvault console verify {console.world.url}")).to_be_visible()
    expect(page.get_by_role("heading", name="POST /v1/secrets")).to_be_visible()
    expect(page.get_by_text("For a person with the role sealer.").first).to_be_visible()
    page.get_by_text("Messages", exact=True).click()
    expect(page.get_by_role("heading", name="NewSecret")).to_be_visible()
    bob.axe()

    # Keys go somewhere, and nowhere while somebody types or after they were turned off.
    for key, place in (("s", "/secrets"), ("l", "/leases"), ("a", "/audit"), ("n", "/notifications"), ("h", "/help")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page).to_have_url(console.world.url + place)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.get_by_label("Shortcuts of single keys").uncheck()
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page).to_have_url(console.world.url + "/help")
    page.get_by_label("Shortcuts of single keys").check()
    page.goto(console.world.url + "/secrets?new=1")
    page.get_by_label("Name", exact=True).press("g")
    page.get_by_label("Name", exact=True).press("a")
    expect(page.get_by_label("Name", exact=True)).to_have_value("ga")
    page.get_by_role("heading", level=1).focus()
    page.keyboard.press("?")
    expect(page).to_have_url(console.world.url + "/help")


def test_an_address_that_is_no_page_says_so(console: Console) -> None:
    console.create()
    tab = console.tab()
    for path, title in (("/nothing/here", "There is no such page"), ("/help/", "Help")):
        page = tab.open(path)
        expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
        tab.axe()
    tab.open("/people/nobody%20here")
    expect(page.get_by_role("heading", name="There is no such page").or_(
        page.get_by_role("button", name="Sign in with a passkey"))).to_be_visible()


def test_help_needs_no_sign_in_and_fetches_nothing_from_elsewhere(console: Console) -> None:
    console.create()
    tab = console.tab(phone=True)
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    page = tab.open("/help")
    expect(page.get_by_role("heading", name="GET /v1/audit")).to_be_visible()
    assert {url for url in asked if not url.startswith(console.world.url + "/")} == set()
    tab.axe()
