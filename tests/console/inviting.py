"""What an administrator does in the browser, for tests of more than one screen: inviting, policies, sealing."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.console.browser import Console, Tab, event_of
from tests.world import PATIENCE, Party


def invite(tab: Tab, person: str, *roles: str) -> str:
    """Makes an invite on the page of people; returns its link. The page stays on the invite."""
    page = tab.open("/people?invite=")
    page.get_by_label("Id", exact=True).fill(person)
    for role in ("Administrator", "Approver", "Sealer", "Auditor"):
        page.get_by_role("checkbox", name=role).set_checked(role.lower() in roles)
    page.get_by_role("button", name="Make the link").click()
    return link(page)


def link(page: Page) -> str:
    """The link that the page of an invite shows."""
    shown = page.get_by_role("group", name="Link")
    expect(shown).to_contain_text("https://")
    return shown.inner_text().strip()


def join(tab: Tab, url: str) -> str:
    """Joins in this tab; returns the five words that it shows."""
    page = tab.open(url)
    page.get_by_role("button", name="Make the passkey and join").click()
    return Console.words(page)


def confirm(page: Page, words: str) -> None:
    """Types the words on the page of an invite."""
    page.get_by_label("Five words from their screen").fill(words)
    page.get_by_role("button", name="Confirm", exact=True).click()


def enrol(console: Console, admin: Tab, person: str, *roles: str, phone: bool = False) -> Tab:
    """A person who joined by the browser, invited and confirmed by the browser, and is signed in."""
    url = invite(admin, person, *roles)
    tab = console.tab(phone=phone)
    words = join(tab, url)
    confirm(admin.page, words)
    expect(admin.page.get_by_role("heading", name=f"{person} has joined")).to_be_visible()
    tab.page.get_by_role("button", name="Sign in").click()
    expect(tab.page.get_by_role("navigation", name="Main")).to_be_visible()
    console.people[person] = tab
    return tab


def client(console: Console, admin: Tab, name: str, *scopes: str) -> Party:
    """A host that joined by the real command line, invited and confirmed by the browser."""
    page = admin.open("/clients?invite=")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("What it may ask for").fill("\n".join(scopes))
    page.get_by_role("button", name="Make the command").click()
    command = link(page)
    url = command.removeprefix("stillvault join '").removesuffix("'")
    party = console.world.party(f"host/{name}")
    joining = party.spawn("--format", "json", "join", url)
    words = event_of(joining)
    assert words["event"] == "words", words
    confirm(page, words["words"])
    expect(page.get_by_role("heading", name=f"host/{name} is in")).to_be_visible()
    joined = event_of(joining)
    assert joined["event"] == "joined" and joined["subject"] == f"host/{name}", joined
    assert joining.wait(PATIENCE) == 0
    return party


def policy(tab: Tab, name: str, match: str, people: tuple[str, ...], preset: str = "Ask every time") -> None:
    """Makes a policy on its page."""
    page = tab.open("/policies?new=")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Which secrets").fill(match)
    for person in people:
        page.get_by_role("checkbox", name=person, exact=True).check()
    page.get_by_role("radio", name=preset).check()
    page.get_by_role("button", name="Sign with your passkey").click()
    expect(page.get_by_text(f"Policy {name} is in force")).to_be_visible()


def seal(tab: Tab, path: str, value: str) -> None:
    """Seals a text on the page of secrets."""
    page = tab.open("/secrets?new=")
    page.get_by_label("Name", exact=True).fill(path)
    page.get_by_role("textbox", name="Text", exact=True).fill(value)
    page.get_by_role("button", name="Seal with your passkey").click()
    expect(page.get_by_text(f"Sealed {path} version 1")).to_be_visible()


def approve(tab: Tab, path: str) -> None:
    """Approves the card that names this path, as a person does: when the button is armed."""
    page = tab.open("/")
    page.get_by_role("list", name="Waiting cards").get_by_role("link", name=path).first.click()
    expect(page.locator(".deciding .button.accent.armed")).to_be_visible()
    page.locator(".deciding .button.accent").click()
    expect(page.get_by_text("Approved")).to_be_visible()


def released(host: Party, path: str, tab: Tab) -> bytes:
    """What a program on the host gets when this tab approves."""
    asking = host.spawn("read", "-n", f"sv://{path}")
    approve(tab, path)
    out, errors = asking.communicate(timeout=PATIENCE)
    assert asking.returncode == 0, errors.decode()
    return out
