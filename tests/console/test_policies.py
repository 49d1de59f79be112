"""The screen of policies: what is signed there is in force at the next seal, and the page says before whom it concerns."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Playwright, Route, expect

from tests.console.browser import Console, Tab, opened
from tests.console.inviting import approve, client, enrol, policy, seal
from tests.world import PATIENCE


@pytest.fixture(scope="module")
def town(playwright: Playwright) -> Iterator[tuple[Console, Tab, Tab]]:
    """alice, who administers, and bob on a phone."""
    with opened(playwright) as console:
        alice = console.found()
        expect(alice.open("/policies").get_by_text("No policies yet")).to_be_visible()
        alice.axe()
        yield console, alice, enrol(console, alice, "bob", "approver", phone=True)


def test_a_policy_is_made_changed_and_in_force_at_the_next_seal(town: tuple[Console, Tab, Tab]) -> None:
    console, alice, bob = town
    page = alice.open("/policies")
    page.get_by_role("link", name="New policy").first.click()
    page.get_by_label("Name", exact=True).fill("prod")
    page.get_by_label("Which secrets").fill("prod/**")
    page.get_by_role("checkbox", name="alice", exact=True).check()
    expect(page.get_by_text("One person alone can open these")).to_be_visible()
    expect(page.get_by_text("It governs no secret that exists yet")).to_be_visible()
    expect(page.get_by_text("Any 2 of the 3 recovery keys open it too")).to_be_visible()
    page.get_by_role("radio", name="Ask every time").check()
    page.get_by_text("All terms").click()
    expect(page.get_by_label("Kind of device that may approve")).to_have_value("synced")
    expect(page.get_by_label("How long a yes lasts")).to_have_value("0s")
    alice.axe()
    page.get_by_role("button", name="Sign with your passkey").click()
    expect(page.get_by_text("Policy prod is in force")).to_be_visible()
    host = client(console, alice, "db-1", "prod/**")
    host.start_daemon()
    seal(alice, "prod/db", "value")

    # Two people from now on: every one of them is needed, and what is sealed already waits for a new seal.
    page = alice.open("/policies/prod")
    page.get_by_role("checkbox", name="bob", exact=True).check()
    page.get_by_role("radio", name="Two people").check()
    expect(page.get_by_text("Every one of them is needed")).to_be_visible()
    expect(page.get_by_text("bob can approve what is sealed from now on")).to_be_visible()
    expect(page.get_by_text("1 secret is not released at all until sealed again")).to_be_visible()
    alice.axe()
    page.get_by_role("button", name="Sign with your passkey").click()
    expect(page.get_by_text("Policy prod is in force")).to_be_visible()
    assert host.run("read", "-n", "sv://prod/db").code != 0
    page = alice.open("/policies")
    page.get_by_role("link", name="Look at them").click()
    alice.axe()
    page.get_by_role("button", name="Seal again", exact=True).click()
    expect(page.get_by_text("1 secret is sealed again")).to_be_visible()
    asking = host.spawn("read", "-n", "sv://prod/db")
    approve(alice, "prod/db")
    approve(bob, "prod/db")
    out, errors = asking.communicate(timeout=PATIENCE)
    assert out == b"value", errors.decode()


def test_what_would_be_refused_is_said_in_the_place_of_the_button(town: tuple[Console, Tab, Tab]) -> None:
    _, alice, _ = town
    policy(alice, "dev", "dev/**", ("alice",))
    page = alice.open("/policies?new=")
    page.get_by_label("Name", exact=True).fill("other")
    page.get_by_label("Which secrets").fill("dev/**")
    page.get_by_role("checkbox", name="alice", exact=True).check()
    expect(page.get_by_role("alert")).to_contain_text("Policy dev matches dev/** already")
    page.get_by_label("Which secrets").fill("Prod")
    expect(page.get_by_role("alert")).to_contain_text("Prod is not a path or pattern")
    page.get_by_label("Which secrets").fill("dev/db/**")
    page.get_by_role("radio", name="Two people").check()
    expect(page.get_by_role("alert")).to_contain_text("A threshold of 2 does not fit 1 person")
    page.get_by_role("radio", name="15 minutes After").check()
    page.get_by_text("All terms").click()
    page.get_by_label("How long a yes lasts").fill("9h")
    expect(page.get_by_role("alert")).to_contain_text("A window is at most 8 hours")
    page.get_by_label("How long a yes lasts").fill("soon")
    expect(page.get_by_text("Write a number and s, m or h")).to_be_visible()
    expect(page.get_by_role("button", name="Sign with your passkey")).to_have_count(0)
    alice.axe()


def test_somebody_who_is_no_administrator_looks_and_changes_nothing(town: tuple[Console, Tab, Tab]) -> None:
    _, alice, bob = town
    policy(alice, "test", "test/**", ("alice",))
    for path in ("/policies", "/policies/test", "/clients", "/people"):
        page = bob.open(path)
        expect(page.get_by_text("You can look. Changes are signed by an administrator").first).to_be_visible()
        bob.axe()
    expect(bob.open("/policies/test").get_by_role("button", name="Sign with your passkey")).to_have_count(0)
    expect(bob.open("/people?invite=").get_by_role("button", name="Make the link")).to_have_count(0)


def test_an_edit_that_somebody_overtook_is_made_again_on_their_roster(town: tuple[Console, Tab, Tab]) -> None:
    _, alice, _ = town
    asked: list[str] = []

    def overtaken(route: Route) -> None:
        asked.append(route.request.method)
        if len(asked) > 1:
            route.fallback()
            return
        problem = {"type": "about:blank", "title": "Conflict", "status": 409, "code": "conflict", "detail": "", "remedy": ""}
        route.fulfill(status=409, content_type="application/problem+json", body=json.dumps(problem))

    alice.context.route("**/v1/roster", overtaken)
    policy(alice, "late", "late/**", ("alice",))
    alice.context.unroute("**/v1/roster")
    assert len(asked) == 2
    expect(alice.open("/policies").get_by_role("list", name="Policies")).to_contain_text("late")


def test_a_policy_is_removed_when_nothing_lies_under_it(town: tuple[Console, Tab, Tab]) -> None:
    _, alice, _ = town
    policy(alice, "old", "old/**", ("alice",))
    seal(alice, "old/db", "value")
    page = alice.open("/policies/old")
    page.get_by_role("link", name="Remove this policy").click()
    expect(page.get_by_role("alert")).to_contain_text("Policy old governs old/db")
    expect(page.get_by_role("button", name="Remove the policy")).to_have_count(0)
    alice.axe()
    policy(alice, "new", "old/db", ("alice",))
    page = alice.open("/policies/old?remove=")
    expect(page.get_by_text("No secret lies under it", exact=True)).to_be_visible()
    expect(page.get_by_role("list", name="Sealed on its terms")).to_contain_text("old/db")
    expect(page.get_by_text("Policy old is gone")).to_be_visible()
    alice.axe()
    page.get_by_role("button", name="Remove the policy").click()
    expect(page.get_by_role("list", name="Policies")).to_be_visible()
    expect(page.get_by_role("link", name="old")).to_have_count(0)
