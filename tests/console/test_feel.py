"""How it feels: nothing moves aside and nothing takes the focus when a card comes, the keyboard reaches everything, a line that
was lost is taken up again, and dates and numbers are the person's own."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Error, Locator, Page, Playwright, expect

from tests.console.browser import Tab, opened
from tests.console.cards import Town, build, deny, open_card, refused, released

# Everything that the browser itself counts as moved: not by a tap, and not what is new. A clock's own letters are no layout.
MOVED = """() => {
  window.moved = [];
  const clock = (node) => (node?.closest ? node : node?.parentElement)?.closest('.time-left .number');
  new PerformanceObserver((list) => {
    for (const one of list.getEntries())
      for (const {node} of one.sources)
        if (!clock(node)) window.moved.push([one.value, node?.outerHTML?.slice(0, 120) ?? node?.data]);
  }).observe({type: 'layout-shift'});
}"""
# What shows where the focus is; at the end of the page it is nowhere, and begins anew.
RING = """() => {
  const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
  return document.activeElement === document.body ? 'none at all' : `${outlineStyle} ${outlineWidth}`;
}"""
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"


@pytest.fixture(scope="module")
def built(playwright: Playwright) -> Iterator[Town]:
    with opened(playwright) as console:
        yield build(console)


@pytest.fixture
def town(built: Town) -> Town:
    built.begin()
    return built


def moved(page: Page) -> list[object]:
    page.evaluate(FRAMES)  # what was drawn is counted by then
    return list(page.evaluate("window.moved"))


def said(page: Page, text: str) -> None:
    """Read out politely, and gone again."""
    expect(page.locator("[aria-live=polite]")).to_have_text(re.compile(text))


@pytest.mark.parametrize("who", ["bob", "carol"], ids=["at a desk", "on a phone"])
def test_a_card_that_comes_moves_nothing(town: Town, who: str) -> None:
    tab: Tab = getattr(town, who)
    page = tab.page
    for path in ("prod/api", "prod/mail"):
        town.seal(path)
    lines = page.get_by_role("list", name="Waiting cards").get_by_role("listitem")
    page.evaluate(MOVED)
    one = town.ask("prod/db", "--reason", "one")
    expect(lines).to_have_count(1)
    said(page, "1 card waits")
    assert moved(page) == []
    # A second one, while the first is read.
    open_card(tab, "prod/db")
    expect(page.locator(".deciding .button.accent.armed")).to_be_visible()
    page.evaluate("window.moved = []")
    other = town.ask("prod/api", "--reason", "other")
    expect(page.get_by_text("1 more card of the same client waits")).to_be_attached()
    assert moved(page) == []
    # And on another screen, where somebody types.
    page = tab.open("/secrets")
    page.get_by_label("Search by name").press_sequentially("ap")
    expect(page.get_by_text("1 secret", exact=True)).to_be_visible()
    page.evaluate(MOVED)
    third = town.ask("prod/mail", "--reason", "third")
    said(page, "3 cards wait")
    expect(page.get_by_role("link", name="Pending")).to_contain_text("3")
    assert moved(page) == []
    assert page.evaluate("document.activeElement.type") == "search"
    expect(page.get_by_label("Search by name")).to_have_value("ap")
    for process in (one, other, third):
        process.terminate()


def reach(page: Page, wanted: Locator) -> None:
    """By the Tab key alone; what has the focus shows it."""
    for _ in range(60):
        page.keyboard.press("Tab")
        ring = page.evaluate(RING)
        assert ring in ("solid 2px", "none at all"), page.evaluate("document.activeElement.outerHTML")
        if wanted.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError(f"the keyboard does not reach {wanted}")


def test_a_card_is_read_and_decided_by_the_keyboard_alone(town: Town) -> None:
    page = town.bob.page
    asking = town.ask()
    line = page.get_by_role("list", name="Waiting cards").get_by_role("link", name="prod/db")
    expect(line).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    reach(page, page.get_by_role("link", name="Skip to the content"))
    page.keyboard.press("Enter")
    reach(page, line)
    page.keyboard.press("Enter")
    expect(page.locator(".prompt")).to_be_visible()
    reach(page, page.get_by_role("button", name="Deny", exact=True))  # first in order
    reach(page, page.get_by_label("Lease"))
    page.keyboard.press("Home")
    expect(page.get_by_label("Lease")).to_have_value("0")
    reach(page, page.get_by_role("button", name="Approve", exact=True))
    expect(page.locator(".deciding .button.accent.armed")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Released, this once.")).to_be_visible()
    released(asking)
    # The menu and a dialog: opened, left by Escape, and the focus is back where it was.
    asking = town.ask()
    open_card(town.bob)
    freeze = page.get_by_role("button", name="Deny and freeze")
    reach(page, freeze)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(freeze).to_be_focused()
    own = page.get_by_role("button", name="bob: settings and help")
    reach(page, own)
    page.keyboard.press("Enter")
    reach(page, page.get_by_role("link", name="Settings"))
    page.keyboard.press("Escape")
    expect(own).to_be_focused()
    deny(page)
    refused(asking, 10)


def test_a_line_that_was_lost_is_taken_up_again(town: Town) -> None:
    page = town.bob.page
    page.evaluate("window.same = true")
    town.bob.context.set_offline(True)
    expect(page.get_by_text("No connection. What you see may be old.")).to_be_visible()
    asking = town.ask()
    expect(town.carol.page.get_by_role("list", name="Waiting cards")).to_contain_text("prod/db")
    town.bob.context.set_offline(False)
    expect(page.get_by_role("list", name="Waiting cards")).to_contain_text("prod/db")
    expect(page.get_by_text("No connection. What you see may be old.")).to_be_hidden()
    assert page.evaluate("window.same")  # not by another page
    asking.terminate()


def test_a_tap_on_a_notification_opens_its_card_where_cards_are_and_disturbs_no_other_page(town: Town) -> None:  # D9
    context, page = town.bob.context, town.bob.page
    page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
    (worker,) = context.service_workers
    asking = town.ask()
    link = page.get_by_role("list", name="Waiting cards").get_by_role("link", name="prod/db")
    place = link.get_attribute("href")
    assert place is not None
    worker.evaluate("place => show(place)", place)
    expect(page.locator(".prompt")).to_be_visible()
    assert page.url == town.console.world.url + place
    assert asking.poll() is None
    # Where somebody types, the card gets a page of its own, for which the browser wants the tap itself.
    page = town.bob.open("/help")
    page.get_by_label("Shortcuts of single keys").uncheck()
    with pytest.raises(Error, match="open a window"):
        worker.evaluate("place => show(place)", place)
    assert page.url == town.console.world.url + "/help"
    page.get_by_label("Shortcuts of single keys").check()
    asking.terminate()


def test_dates_and_numbers_are_the_persons_own(town: Town) -> None:
    tab = town.console.tab(context={"locale": "de-DE", "reduced_motion": "reduce"})
    town.console.page("greta", "sealer", tab=tab)
    page = tab.open("/secrets?new=1")
    expect(page.get_by_text("0 bytes of 61.440")).to_be_visible()
    page = tab.open("/settings")
    expect(page.locator("dd time").first).to_have_text(re.compile(r"^\d{2}\.\d{2}\.\d{4}"))
    moving = """() => [...document.querySelectorAll('*')].filter((one) => {
      const {animationName, transitionDuration} = getComputedStyle(one);
      return animationName !== 'none' || transitionDuration !== '0s';
    }).length"""
    assert page.evaluate(moving) == 0
