"""Cards in the browser: seen, approved, denied, frozen, raced for, decided by several people."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Playwright, expect

from tests.console.browser import opened
from tests.console.cards import HABIT, Town, approve, build, deny, gone, open_card, refused, released


@pytest.fixture(scope="module")
def built(playwright: Playwright) -> Iterator[Town]:
    with opened(playwright) as console:
        yield build(console)


@pytest.fixture
def town(built: Town) -> Town:
    built.begin()
    return built


def test_a_card_comes_by_itself_is_approved_and_taken_back(town: Town) -> None:
    page = town.bob.page
    town.bob.axe()
    asking = town.ask("prod/db", "--reason", "nightly report")
    open_card(town.bob)
    card = page.locator(".prompt")
    expect(card.get_by_role("heading", level=2)).to_contain_text("prod/db")
    for fact in ("db-1", "version 1", "by alice", "First time on this host"):
        expect(card).to_contain_text(fact)
    expect(card.get_by_role("group", name="The caller says")).to_contain_text("nightly report")
    expect(page.get_by_role("link", name="Pending")).to_contain_text("1")
    expect(page.locator(".hidden[aria-live]")).to_have_text("")  # what was read out stands nowhere when it may be true no more
    assert page.evaluate("document.activeElement.matches('h1, h2, a, body')")  # never an action
    town.bob.axe()
    page.get_by_label("Lease").select_option("300")  # the window may only shrink
    approve(page)
    expect(page.get_by_text(re.compile("The lease lasts 5 min"))).to_be_visible()
    released(asking)
    town.bob.axe()
    # Within the lease nobody is asked; taking the approval back ends it.
    assert "5m" in town.alice.ok("audit", "tail").text
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("The approval is denied after all")).to_be_visible()
    again = town.ask()
    expect(page.get_by_role("list", name="Waiting cards")).to_contain_text("prod/db")
    expect(page.get_by_role("list", name="Waiting cards")).not_to_contain_text("Look twice")
    again.terminate()


def test_on_a_phone_the_actions_stand_at_the_bottom_edge(town: Town) -> None:
    asking = town.ask()
    page = open_card(town.carol)
    box = page.locator(".deciding").bounding_box()
    assert box is not None
    assert abs(box["y"] + box["height"] - 844) <= 1
    for name in ("Deny", "Approve"):
        size = page.get_by_role("button", name=name, exact=True).bounding_box()
        assert size is not None
        assert size["height"] >= 44
    town.carol.axe()
    approve(page)
    expect(page.get_by_text("Released.")).to_be_visible()
    released(asking)


def test_without_user_verification_nothing_is_released(town: Town) -> None:  # D2
    erin = town.console.page("erin", "approver")
    town.alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice,bob,carol,erin")
    town.seal("prod/db")
    asking = town.ask()
    erin.open("/")
    page = open_card(erin)
    erin.verify(False)
    approve(page)
    expect(page.get_by_text("Nothing was released")).to_be_visible()
    expect(page.locator(".prompt")).to_be_visible()
    assert asking.poll() is None
    deny(page)  # says no without a ceremony
    expect(page.get_by_text("The program is told no")).to_be_visible()
    assert "denied" in refused(asking, 10)
    # And a live one: the same card raised again is released to somebody who verifies.
    expect(town.bob.page.get_by_role("list", name="Waiting cards")).to_contain_text("Denied already")
    asking = town.ask()
    approve(open_card(town.bob))
    released(asking)


def test_deny_tells_the_program_and_the_others(town: Town) -> None:
    asking = town.ask()
    open_card(town.carol)
    deny(open_card(town.bob))
    refused(asking, 10)
    expect(town.carol.page.locator(".notice")).to_contain_text("Denied already")
    expect(town.carol.page.get_by_text("bob denied it")).to_be_visible()  # his signature verified here
    gone(town.carol.page)


def test_deny_and_freeze_holds_the_client_and_silences_it_here(town: Town) -> None:
    asking = town.ask()
    page = open_card(town.bob)
    page.get_by_role("button", name="Deny and freeze").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("host/db-1")
    town.bob.axe()
    dialog.get_by_role("button", name="Deny and freeze now").click()
    expect(page.get_by_text("host/db-1 is held until")).to_be_visible()
    refused(asking, 10)
    assert "hold" in refused(town.ask(), 14)
    # The relay may forget the hold: this browser does not (C19).
    town.alice.ok("hold", "host/db-1", "--lift")
    asking = town.ask()
    expect(page.get_by_text("of a client that you froze")).to_be_visible()
    expect(page.get_by_role("list", name="Waiting cards")).to_have_count(0)
    approve(open_card(town.carol))
    released(asking)


def test_two_browsers_race_for_one_card(town: Town) -> None:
    asking = town.ask()
    held: list[object] = []
    town.carol.page.route("**/v1/decisions", lambda route: held.append(route))
    open_card(town.bob)
    open_card(town.carol)
    with town.carol.page.expect_request("**/v1/decisions"):
        approve(town.carol.page)
    approve(town.bob.page)
    released(asking)
    expect(town.bob.page.get_by_text("Approved", exact=True)).to_be_visible()
    held[0].continue_()  # type: ignore[attr-defined]
    expect(town.carol.page.get_by_text("Your answer came too late")).to_be_visible()
    expect(town.carol.page.locator(".notice").filter(has_text="Approved already")).to_be_visible()
    gone(town.carol.page)


def test_a_quorum_of_two_browsers_and_a_terminal(town: Town) -> None:
    town.policy("three", "prod/three/**", "--threshold", "3")
    town.seal("prod/three/db")
    asking = town.ask("prod/three/db")
    page = open_card(town.bob, "prod/three/db")
    expect(page.locator(".progress")).to_contain_text("0 of 3 people")
    open_card(town.carol, "prod/three/db")
    approve(town.carol.page)
    expect(town.carol.page.get_by_text("Your approval counts: 1 of 3 people")).to_be_visible()
    expect(page.locator(".progress")).to_contain_text("1 of 3 people: carol")
    town.alice.ok("approve", "--next", "--wait", "10", "--yes")
    expect(page.locator(".progress")).to_contain_text("2 of 3 people: alice, carol")
    assert asking.poll() is None
    approve(page)
    expect(page.get_by_text("Released.")).to_be_visible()
    released(asking)


def test_several_cards_of_one_client_in_one_ceremony(town: Town) -> None:
    town.seal("prod/api")
    page = town.bob.page
    page.evaluate("""() => { window.ceremonies = 0; const get = navigator.credentials.get.bind(navigator.credentials);
      navigator.credentials.get = (options) => { window.ceremonies += 1; return get(options); }; }""")
    one, other = town.ask("prod/db", "--reason", "one"), town.ask("prod/api", "--reason", "other")
    expect(page.get_by_role("list", name="Waiting cards").get_by_role("listitem")).to_have_count(2)
    open_card(town.bob, "prod/db")
    page.get_by_role("link", name="Add").click()
    expect(page.locator(".prompt")).to_have_count(2)
    expect(page.get_by_role("button", name=re.compile("all", re.IGNORECASE))).to_have_count(0)  # D9
    town.bob.axe()
    expect(page.get_by_role("button", name="Approve 2 cards")).to_be_visible()
    approve(page)
    released(one)
    released(other)
    assert page.evaluate("window.ceremonies") == 1


def test_a_code_is_typed_and_has_one_try(town: Town) -> None:  # X12
    town.policy("coded", "prod/coded/**", "--code")
    town.seal("prod/coded/db")
    asking = town.ask("prod/coded/db")
    page = open_card(town.bob, "prod/coded/db")
    expect(page.locator(".prompt .code")).to_have_count(0)
    field = page.get_by_label("Code on the asking screen")
    town.bob.axe()
    for typed in ("", "12 3", "\uff11\uff12\uff13\uff14\uff15\uff16"):
        field.fill(typed)
        approve(page)
        expect(page.get_by_text("A code is six digits.")).to_be_visible()
    code = re.search(r"code (\d{6})", town.alice.ok("inbox").text)
    assert code is None  # the terminal does not show it either
    field.fill("000000")
    approve(page)
    expect(page.get_by_text("The code is wrong")).to_be_visible()
    refused(asking, 10)


def test_the_shortest_lease_is_chosen_until_a_person_chooses(town: Town) -> None:
    town.policy("long", "prod/long/**", "--window", "8h")
    town.seal("prod/long/db")
    asking = town.ask("prod/long/db")
    page = open_card(town.bob, "prod/long/db")
    expect(page.get_by_label("Lease")).to_have_value("300")
    expect(page.get_by_label("Lease").locator("option").last).to_have_attribute("value", "28800")
    approve(page)
    expect(page.get_by_text(re.compile("The lease lasts 5 min"))).to_be_visible()
    released(asking)
    # A program that asks for less is taken at its word; one that asks for more than a quarter of an hour is not.
    for asked, chosen in (("2m", "120"), ("7h", "900")):
        town.host.ok("leases", "purge")
        asking = town.ask("prod/long/db", "--window", asked)
        page = open_card(town.bob, "prod/long/db")
        expect(page.get_by_label("Lease")).to_have_value(chosen)
        approve(page)
        released(asking)
        town.bob.open("/")


def test_a_person_narrows_the_limits_of_the_browser(town: Town) -> None:
    page = town.bob.open("/settings")
    expect(page.get_by_label("Cards an hour")).to_have_value("20")
    expect(page.get_by_label("Cards an hour").locator("option").last).to_have_text("20")  # and no wider
    page.get_by_label("Cards at once").select_option("1")
    page.get_by_label("When a card wants its code").select_option("1")
    town.bob.axe()
    page.reload()
    expect(page.get_by_label("When a card wants its code")).to_have_value("1")
    town.bob.open("/")
    town.seal("prod/second")
    first = town.ask()
    expect(page.get_by_role("list", name="Waiting cards")).to_contain_text("prod/db")
    second = town.ask("prod/second", "--reason", "another task")
    expect(page.get_by_text("1 more card is held back")).to_be_visible()
    expect(page.get_by_text("This browser shows 1 card at once")).to_be_visible()
    open_card(town.bob)
    expect(page.get_by_text("After this approval a card wants its code")).to_be_visible()
    approve(page)
    expect(page.get_by_text("Released")).to_be_visible()
    page.get_by_role("link", name="Next card").click()
    expect(page.get_by_text("You have approved 1 card within ten minutes, so this one wants its code.")).to_be_visible()
    expect(page.locator(".prompt .code")).to_have_count(0)
    code = re.search(r"code +(\d{6})", town.alice.ok("inbox").text)
    assert code is not None
    page.get_by_label("Code on the asking screen").fill(code[1])
    approve(page)
    expect(page.get_by_text("Released")).to_be_visible()
    released(first)
    released(second)
    town.bob.open("/settings")
    expect(page.get_by_text("Of the last 2 decisions in this browser 2 were approvals.")).to_be_visible()


def test_a_habit_of_approving_is_said_before_the_next_card(town: Town) -> None:
    asking = town.ask()
    page = open_card(town.bob)
    expect(page.get_by_text("Have you read this one?")).to_have_count(0)
    page.evaluate(HABIT)
    page.reload()
    expect(page.get_by_text("Have you read this one?")).to_be_visible()
    expect(page.get_by_text("Of your last 20 decisions in this browser 20 were approvals")).to_be_visible()
    town.bob.axe()
    deny(page)
    refused(asking, 10)


def test_a_caller_that_goes_away_takes_its_card_along(town: Town) -> None:
    asking = town.ask()
    page = open_card(town.bob)
    asking.send_signal(signal.SIGKILL)
    expect(page.locator(".notice").filter(has_text="Withdrawn")).to_be_visible()
    gone(page)


def test_a_relay_that_restarts_loses_no_card(town: Town) -> None:
    asking = town.ask()
    page = open_card(town.bob)
    town.console.world.stop_relay()
    expect(page.get_by_text("No connection. What you see may be old.")).to_be_visible()
    town.console.world.start()
    expect(page.get_by_text("No connection. What you see may be old.")).to_be_hidden()
    approve(page)
    expect(page.get_by_text("Released.")).to_be_visible()
    released(asking)
